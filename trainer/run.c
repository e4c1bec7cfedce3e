#include "trainer/run.h"

#include "io/bug.h"
#include "io/disk.h"
#include "io/metrics.h"
#include "trainer/initial.h"
#include "trainer/probe.h"
#include "trainer/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const task *run_task(const config *c)
{
    return c->task.name == TASK_CLASSIFY ? &task_classify : &task_lm;
}

status run_shape(const config *c, uint32_t V, model_shape *s, error *e)
{
    static const char *const cells[] = {
        [CELL_RNN_TANH] = "rnn_tanh", [CELL_RNN_RELU] = "rnn_relu", [CELL_LSTM] = "lstm", [CELL_GRU] = "gru"};
    const char *name =
        c->model.cell == CELL_GRU && c->model.reset == RESET_BEFORE ? "gru_before" : cells[c->model.cell];
    *s = (model_shape){.cell = cell_find(name),
                       .layers = (int)c->model.layers,
                       .V = (int)V,
                       .E = (int)c->model.embedding,
                       .H = (int)c->model.hidden,
                       .tied = c->model.tied,
                       .bidirectional = c->model.bidirectional,
                       .dropout = c->model.dropout,
                       .seed = (uint64_t)c->train.seed};
    BUG_IF(!s->cell, "no cell \"%s\"", name);
    BUG_IF(s->layers > LAYERS_MAX, "model.layers is %d, at most %d are possible: io/schema.c allows more",
           s->layers, LAYERS_MAX);
    if (V > INT32_MAX / 2)
        return fail(e, STATUS_BAD_CONFIG, "a vocabulary of %u words is too large for one output layer", V);
    if (c->task.name == TASK_LM && c->model.dropout > 0 && c->data.bptt > MASK_STEPS)
        return fail(e, STATUS_BAD_CONFIG,
                    "data.bptt is %lld; with dropout at most %d are possible, for masks of later steps would "
                    "be those of earlier ones",
                    (long long)c->data.bptt, MASK_STEPS);
    return STATUS_OK;
}

/* Registers all memory of rank `rank` of `size`.  by_part: NULL, or what each part takes. */
static void plan_memory(run *r, int rank, int size, run_estimate *by_part)
{
    arena *a = &r->memory;
    run_estimate part = {0};
    arena_add(a, "parameters", (void **)&r->value, r->list.floats * sizeof(float));
    part.parameters = arena_bytes(a);
    arena_add(a, "gradients", (void **)&r->gradient,
              r->list.gradient_floats * (size_t)r->rows.nodes * sizeof(float));
    part.gradients = arena_bytes(a) - part.parameters;
    optimizer_plan(&r->optimizer, a, r->config, &r->list, rank, size);
    part.optimizer = arena_bytes(a) - part.gradients - part.parameters;
    r->task->plan(r, rank, size);
    part.activations = arena_bytes(a) - part.optimizer - part.gradients - part.parameters;
    if (by_part)
        *by_part = part;
}

/* What steers by validations needs some. */
static status check_validation(const config *c, const corpus *data, error *e)
{
    const char *key = c->optim.schedule == SCHEDULE_PLATEAU ? "optim.schedule = plateau"
                      : c->train.early_stop > 0             ? "train.early_stop"
                      : c->train.eval_every_steps > 0       ? "train.eval_every_steps"
                                                            : NULL;
    if (!key || data->ids[SPLIT_VALID])
        return STATUS_OK;
    return fail(e, STATUS_BAD_CONFIG, "%s: has no effect without a validation split, which %s lacks", key,
                data->file.path);
}

static status open_rows(run *r, error *e)
{
    const config *c = r->config;
    const int size = comm_size(r->group), S = (int)c->data.shards;
    if (size > S)
        return fail(e, STATUS_BAD_CONFIG,
                    "%d ranks for data.shards = %d; each rank needs a shard: start at most %d ranks, or set "
                    "data.shards (it changes "
                    "the sums' order and so the bits)",
                    size, S, S);
    status s = r->task->open(r, comm_rank(r->group), size, e);
    if (s == STATUS_OK && c->train.epochs > (int64_t)UINT32_MAX / r->steps_per_epoch)
        s = fail(e, STATUS_BAD_CONFIG,
                 "train.epochs is %lld, with %lld steps in each; at most 2^32-1 steps are possible",
                 (long long)c->train.epochs, (long long)r->steps_per_epoch);
    return s == STATUS_OK ? check_validation(c, &r->corpus, e) : s;
}

/* Collective.  Do all ranks see the same configuration and corpus, and does their arithmetic give the same
 * bits? */
static status check_same(run *r, error *e)
{
    char *yaml = config_to_yaml(r->config, false), probe[SHA256_HEX];
    char text[SHA256_HEX + 1];
    int odd = 0;
    status s = STATUS_OK;
    sha256_of(yaml, strlen(yaml), text);
    free(yaml);
    if (!comm_same(r->group, text, SHA256_HEX, &odd))
        s = fail(e, STATUS_BAD_CONFIG,
                 "rank %d has another configuration than rank 0 (its environment, or its copy of a file)",
                 odd);
    else if (!comm_same(r->group, r->corpus.digest, SHA256_HEX, &odd))
        s = fail(e, STATUS_BAD_DATA, "rank %d has another corpus at %s than rank 0", odd,
                 r->corpus.file.path);
    if (s != STATUS_OK)
        return s;
    probe_digest(r->team, r->shape.cell, probe);
    if (!comm_same(r->group, probe, SHA256_HEX, &odd))
        s = fail(e, STATUS_INTERNAL,
                 "rank %d computes other bits than rank 0 with the kernels \"%s\"; its CPU or memory is not "
                 "to be trusted",
                 odd, kernels_name(team_kernels(r->team)));
    return s;
}

/* Collective. */
status run_plan_exchange(const params *list, comm *group, int B, int S, error *e)
{
    int count = params_wire_buckets(list);
    comm_bucket buckets[PARAMS_MAX];
    for (int i = 0; i < count; i++)
        buckets[i] = (comm_bucket){
            .begin = list->bucket[i].begin, .end = list->bucket[i].end, .cut = list->bucket[i].cut};
    return comm_plan(group, buckets, count, B, S, e);
}

/* ---- run directory (rank 0)
 * -------------------------------------------------------------------------------------- */

static void print_note(const char *line, void *arg)
{
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

static status remove_all(const char *dir, store_kind kind, error *e)
{
    char **paths;
    size_t count;
    status s = store_list(dir, kind, &paths, &count, e);
    for (size_t i = 0; s == STATUS_OK && i < count; i++)
        s = disk_remove(paths[i], e);
    store_list_free(paths, count);
    return s;
}

/* Checkpoints of both kinds. */
static status count_all(const char *dir, size_t *count, error *e)
{
    status s = STATUS_OK;
    *count = 0;
    for (store_kind kind = STORE_CHECKPOINT; s == STATUS_OK && kind <= STORE_BEST; kind++) {
        char **paths;
        size_t n;
        s = store_list(dir, kind, &paths, &n, e);
        store_list_free(paths, n);
        *count += n;
    }
    return s;
}

/* --resume FILE: run.dir must hold nothing beyond FILE's step.  That would be of another run, or a later `--resume auto` would take it for this
 * one's newest. */
static status nothing_beyond(const run *r, error *e)
{
    status s = STATUS_OK;
    for (store_kind kind = STORE_CHECKPOINT; s == STATUS_OK && kind <= STORE_BEST; kind++) {
        char **paths, here[STORE_PATH];
        size_t n;
        s = store_list(r->config->run.dir, kind, &paths, &n, e);
        store_path(r->config->run.dir, kind, r->progress.step, here);
        if (s == STATUS_OK && n > 0 && strcmp(paths[0], here) > 0)
            s = fail(e, STATUS_BAD_CONFIG,
                     "%s: is beyond step %lld, from which --resume is asked to go on; move it away, set "
                     "another run.dir, or go on from the "
                     "newest with --resume auto",
                     paths[0], (long long)r->progress.step);
        store_list_free(paths, n);
    }
    return s;
}

/* Two trainings in one run directory would remove each other's checkpoints.  The ranks of a job that was
 * killed may still be leaving when the next one starts: they get some seconds. */
static status take_directory(run *r, bool *made, error *e)
{
    const char *dir = r->config->run.dir;
    *made = !disk_exists(dir);
    status s = disk_make_dir(dir, e);
    return s == STATUS_OK ? disk_lock(dir, 10, &r->lock, e) : s;
}

/* Which checkpoint to start from: *path NULL for a fresh start. */
/* A best checkpoint is no run's end, but where nothing newer is whole it is not to be overlooked, nor begun over. */
static status choose_newest(const char *dir, char **path, error *e)
{
    char *best = NULL;
    status s = store_newest_good(dir, STORE_CHECKPOINT, path, print_note, NULL, e);
    if (*path || store_newest_good(dir, STORE_BEST, &best, NULL, NULL, NULL) != STATUS_OK || !best)
        return s;
    s = fail(e, STATUS_BAD_CHECKPOINT,
             "%s: no checkpoint of its last steps is %s, but %s is: --resume %s goes on from there", dir,
             s == STATUS_OK ? "there" : "whole", best, best);
    free(best);
    return s;
}

static status choose_start(run *r, const train_options *o, char **path, error *e)
{
    const char *dir = r->config->run.dir;
    size_t count = 0;
    *path = NULL;
    if (o->resume == RESUME_FILE)
        return store_resolve(o->resume_file, true, path, e);
    if (o->resume == RESUME_AUTO)
        return choose_newest(dir, path, e);
    status s = count_all(dir, &count, e);
    if (s != STATUS_OK || count == 0)
        return s;
    if (!o->overwrite)
        return fail(e, STATUS_BAD_CONFIG,
                    "%s: already holds %zu checkpoint%s; continue that run with --resume auto, or lose it "
                    "with --overwrite",
                    dir, count, count == 1 ? "" : "s");
    return STATUS_OK;
}

/* --overwrite, when nothing stands in the way of the new run any more: it may begin with what is removed here
 * (model.init_from). */
static status empty_directory(const run *r, error *e)
{
    status s = remove_all(r->config->run.dir, STORE_BEST, e);
    if (s == STATUS_OK)
        s = remove_all(r->config->run.dir, STORE_CHECKPOINT, e);
    return s == STATUS_OK ? s : fail_as(e, STATUS_BAD_CONFIG, "run.dir");
}

static status write_config(const run *r, error *e)
{
    char path[4096], *yaml = config_to_yaml(r->config, true);
    snprintf(path, sizeof path, "%s/config.yaml", r->config->run.dir);
    status s = disk_write_file(path, yaml, strlen(yaml), e);
    free(yaml);
    return s == STATUS_OK ? s : fail_as(e, STATUS_BAD_CONFIG, "run.dir");
}

static status open_log(run *r, error *e)
{
    log_setup setup = {.dir = r->config->run.dir,
                       .resume_step = r->resumed ? r->progress.step : METRICS_FRESH,
                       .bits_per_char = strcmp(r->corpus.level, "word") != 0,
                       .classes = r->config->task.name == TASK_CLASSIFY};
    status s = log_open(&r->log, &setup, e);
    return s == STATUS_OK ? s : fail_as(e, STATUS_BAD_CONFIG, "run.dir");
}

/* Over the initial parameters: what model.init_from or model.vectors has. */
static status take_parameters(const run *r, float *value, transfer_report *from, error *e)
{
    const config *c = r->config;
    return *c->model.vectors ? transfer_vectors(c, &r->corpus.vocab, &r->list, value, from, e)
                             : transfer_parameters(c, &r->corpus, &r->list, value, from, e);
}

/* Collective.  The parameters of a run that begins; rank 0 alone reads others' files. */
static status fresh_parameters(run *r, transfer_report *from, error *e)
{
    const config *c = r->config;
    status s = initial_parameters(c, &r->list, r->value, e);
    if (!*c->model.init_from && !*c->model.vectors)
        return s;
    if (s == STATUS_OK && comm_rank(r->group) == 0)
        s = take_parameters(r, r->value, from, e);
    s = comm_agree(r->group, s, e);
    if (s == STATUS_OK)
        comm_broadcast(r->group, r->value, r->list.floats * sizeof(float), 0);
    return s;
}

static void begin_epoch(run *r)
{
    if (r->task->begin_epoch)
        r->task->begin_epoch(r);
}

/* Collective.  A best checkpoint of an epoch's end holds what stood before that was closed. */
static status restore(run *r, const char *path, error *e)
{
    run_state_view v = run_view(r);
    status s = checkpoint_restore(&v, r->group, path, print_note, NULL, e);
    if (s == STATUS_OK && r->progress.window > r->steps_per_epoch)
        s = fail(e, STATUS_BAD_CHECKPOINT, "%s: progress is impossible: window %lld of an epoch of %lld",
                 path, (long long)r->progress.window, (long long)r->steps_per_epoch);
    if (s == STATUS_OK && r->progress.window == r->steps_per_epoch)
        run_end_epoch(r);
    return s;
}

/* Collective.  Fresh or restored parameters, states and progress; run directory and log. */
static status start_state(run *r, const train_options *o, error *e)
{
    const config *c = r->config;
    bool root = comm_rank(r->group) == 0;
    char path[4096] = "", *chosen = NULL;
    bool writes = root && !o->dry_run, made = false;
    transfer_report from = {0};
    status s = writes ? take_directory(r, &made, e) : STATUS_OK;
    if (root && s == STATUS_OK)
        s = choose_start(r, o, &chosen, e);
    if (s == STATUS_IO_FAILED)
        s = fail_as(e, STATUS_BAD_CONFIG, "run.dir");
    s = comm_agree(r->group, s, e);
    if (s != STATUS_OK)
        goto done;
    snprintf(path, sizeof path, "%s", chosen ? chosen : "");
    comm_broadcast(r->group, path, sizeof path, 0);
    r->resumed = path[0] != '\0';
    train_progress_init(&r->progress);
    optimizer_start(&r->optimizer);
    if (r->task->start)
        r->task->start(r);
    if (r->resumed)
        s = restore(r, path, e);
    else
        s = fresh_parameters(r, &from, e);
    if (root && s == STATUS_OK && o->resume == RESUME_FILE)
        s = nothing_beyond(r, e);
    if (writes && s == STATUS_OK && !r->resumed && o->overwrite)
        s = empty_directory(r, e);
    if (writes && s == STATUS_OK)
        s = store_open(&r->store, c->run.dir, c->run.keep_last, c->run.keep_best, e);
    if (writes && s == STATUS_OK)
        s = write_config(r, e);
    if (writes && s == STATUS_OK)
        s = open_log(r, e);
    s = comm_agree(r->group, s, e);
    if (s == STATUS_OK)
        begin_epoch(r);
    if (s == STATUS_OK && r->resumed)
        log_line(r->log, "resumed from %s: step %lld, epoch %lld", path, (long long)r->progress.step,
                 (long long)r->progress.epoch);
    else if (s == STATUS_OK)
        transfer_say(&from, &r->list, r->log);
done:
    if (s != STATUS_OK && made)
        rmdir(c->run.dir); /* does nothing to a directory that holds something */
    free(chosen);
    return s;
}

/* Rank 0.  Freezing the lower layers for good may be meant, but is then easily had by mistake.  Group g thaws in epoch
 * g * every + 1 (optimizer.h). */
static void warn_of_frozen(const run *r)
{
    const int64_t every = r->config->optim.unfreeze_every_epochs, epochs = r->config->train.epochs;
    const int64_t below = r->shape.layers + 1, lowest = below * every + 1;
    char text[256], remedy[80];
    if (lowest <= epochs)
        return;
    if (epochs > below)
        snprintf(remedy, sizeof remedy, "optim.unfreeze_every_epochs to %lld or less",
                 (long long)((epochs - 1) / below));
    else
        snprintf(remedy, sizeof remedy, "train.epochs to %lld or more", (long long)lowest);
    snprintf(text, sizeof text,
             "warning: %lld of %lld groups of layers stay frozen, for the lowest thaws in epoch %lld and "
             "train.epochs is %lld; set %s",
             (long long)(below - (epochs - 1) / every), (long long)below + 1, (long long)lowest,
             (long long)epochs, remedy);
    if (r->log)
        log_line(r->log, "%s", text);
    else
        fprintf(stderr, "unroll: %s\n", text); /* --dry-run */
}

/* ---- life
 * ---------------------------------------------------------------------------------------------------------- */

status run_open(run *r, const config *c, comm *group, team *t, const train_options *o, error *e)
{
    *r = (run){.lock = -1};
    r->config = c;
    r->task = run_task(c);
    r->group = group;
    r->team = t;
    /* One rank of each host reads every byte of the corpus to check it; the others trust the file it has
     * checked. */
    status s = corpus_open(&r->corpus, c->data.corpus,
                           comm_host_rank(group) == 0 ? CONTAINER_CHECK : CONTAINER_TRUST, e);
    r->corpus_open = s == STATUS_OK;
    if (s == STATUS_OK)
        s = run_shape(c, r->corpus.vocab.size, &r->shape, e);
    if (s == STATUS_OK)
        s = open_rows(r, e);
    s = comm_agree(group, s, e);
    if (s == STATUS_OK)
        s = check_same(r, e);
    if (s != STATUS_OK)
        return s;
    r->task->parameters(r, comm_size(group));
    s = optimizer_check(c, &r->list, e); /* the same on all ranks, as the configuration is */
    if (s != STATUS_OK)
        return s;
    plan_memory(r, comm_rank(group), comm_size(group), NULL);
    if (!arena_commit(&r->memory))
        s = fail(e, STATUS_NO_MEMORY, "this rank needs %.1f MB, more than the system gives",
                 (double)arena_bytes(&r->memory) / 1e6);
    s = comm_agree(group, s, e); /* before the plan, which is collective itself */
    if (s == STATUS_OK)
        s = run_plan_exchange(&r->list, r->group, (int)r->config->data.batch_size,
                              (int)r->config->data.shards, e);
    if (s != STATUS_OK)
        return s;
    s = start_state(r, o, e);
    if (s == STATUS_OK && comm_rank(group) == 0 && c->optim.unfreeze_every_epochs)
        warn_of_frozen(r);
    return s;
}

status run_close(run *r, error *e)
{
    status s = store_close(r->store, e);
    log_close(r->log);
    disk_unlock(&r->lock);
    params_free(&r->list);
    if (r->task)
        r->task->close(r);
    if (r->corpus_open)
        corpus_close(&r->corpus);
    arena_free(&r->memory);
    memset(r, 0, sizeof *r);
    return s;
}

run_state_view run_view(run *r)
{
    return (run_state_view){.config = r->config,
                            .corpus = &r->corpus,
                            .list = &r->list,
                            .rows = &r->rows,
                            .value = r->value,
                            .carried = r->carried,
                            .optimizer = &r->optimizer,
                            .progress = &r->progress};
}

void run_end_epoch(run *r)
{
    train_progress *p = &r->progress;
    p->epoch++;
    p->window = 0;
    p->epoch_nats = 0;
    p->epoch_predicted = 0;
    if (r->task->end_epoch)
        r->task->end_epoch(r);
    begin_epoch(r);
}

bool run_finished(const run *r)
{
    const config *c = r->config;
    return r->progress.epoch > c->train.epochs ||
           (c->train.early_stop > 0 && r->progress.stale >= c->train.early_stop);
}

/* Opened as far as its sizes go: rows or documents, and the list of parameters. */
static status open_sizes(run *r, int rank, int size, error *e)
{
    const int S = (int)r->config->data.shards;
    if (size > S)
        return fail(e, STATUS_BAD_CONFIG, "%d ranks for data.shards = %d; each rank needs a shard", size, S);
    status s = run_shape(r->config, r->corpus.vocab.size, &r->shape, e);
    if (s == STATUS_OK)
        s = r->task->open(r, rank, size, e);
    if (s == STATUS_OK)
        r->task->parameters(r, size);
    else
        r->task->close(r);
    return s;
}

static void close_sizes(run *r)
{
    params_free(&r->list);
    r->task->close(r);
}

status run_estimate_bytes(const config *c, const corpus *data, team *t, int rank, int size, run_estimate *out,
                          error *e)
{
    run r = {.config = c, .team = t, .task = run_task(c), .corpus = *data};
    const int B = (int)c->data.batch_size, S = (int)c->data.shards;
    status s = open_sizes(&r, rank, size, e);
    if (s != STATUS_OK)
        return s;
    plan_memory(&r, rank, size, out);
    for (int i = 0; size > 1 && i < size; i++) { /* each rank sends this one's piece of each of its nodes */
        shards theirs;
        shards_init(&theirs, B, S, i, size);
        out->exchange +=
            (size_t)(i == rank ? 0 : theirs.nodes) * params_owned_floats(&r.list, rank) * sizeof(float);
    }
    out->parameter_count = params_elements(&r.list);
    out->total = arena_bytes(&r.memory) + out->exchange;
    size_t carried = r.carried ? (size_t)trunk_states(r.carried) * (size_t)B * (size_t)r.shape.H : 0;
    out->checkpoint = ((size_t)(1 + r.optimizer.states) * out->parameter_count + carried) * sizeof(float);
    arena_free(&r.memory);
    close_sizes(&r);
    return STATUS_OK;
}

status run_try_start(const config *c, const corpus *data, error *e)
{
    run r = {.config = c, .task = run_task(c), .corpus = *data};
    transfer_report from;
    if (!*c->model.init_from && !*c->model.vectors)
        return STATUS_OK;
    status s = open_sizes(&r, 0, 1, e);
    if (s != STATUS_OK)
        return s;
    float *value = calloc(r.list.floats, sizeof *value);
    s = value ? take_parameters(&r, value, &from, e)
              : fail(e, STATUS_NO_MEMORY, "no memory for %zu parameters", r.list.floats);
    free(value);
    close_sizes(&r);
    return s;
}
