#include "trainer/train.h"

#include "io/bug.h"
#include "io/disk.h"
#include "io/log.h"
#include "io/progress.h"
#include "trainer/schedule.h"
#include "trainer/signals.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FLAG_SAVE = SIGNALS_SAVE, FLAG_STOP = SIGNALS_STOP, FLAG_TIME = 4, FLAG_FAILED = 8 };

/* What the loop keeps besides the run; nothing here can reach a parameter. */
typedef struct loop {
    run *r;
    double last_save, interval_start, epoch_start; /* seconds */
    double lr, norm;
    int64_t tokens_here; /* this rank's, of the log interval */
    int64_t tokens,
        steps; /* all ranks', of the interval as far as this process has trained it: what its seconds have brought */
    uint64_t bytes_sent; /* at the last log line */
    progress *bar;
    task_result test; /* predicted 0: no test was made */
    int64_t tested_step;
    int64_t save_step; /* of the newest checkpoint that this process tried to write; -1: none */
    bool save_failed;  /* rank 0 knows */
} loop;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- one step
 * ----------------------------------------------------------------------------------------------------- */

static void send_bucket(void *arg, int bucket)
{
    run *r = arg;
    team_phase(r->team, TRACE_REDUCE);
    comm_reduce_begin(r->group, bucket, r->gradient, r->list.gradient_floats);
}

/* The groups, from the lowest up, that no gradient need reach. */
static int frozen_groups(const run *r, const optimizer_pace *pace)
{
    const int groups = r->shape.layers + 1;
    int frozen = 0;
    while (frozen < groups && optimizer_frozen(pace, groups - frozen))
        frozen++;
    return frozen;
}

/* Collective.  One window or batch: forward, backward, sums, update.  nats: summed over all that it predicts. */
static void step_compute(loop *l, const task_step *step, double *nats)
{
    run *r = l->r;
    const config *c = r->config;
    double node_nats[SHARD_NODES_MAX];
    optimizer_pace pace = {.step = r->progress.step + 1,
                           .layer_decay = c->optim.layer_decay,
                           .thaw_steps = c->optim.unfreeze_every_epochs * r->steps_per_epoch};
    r->frozen = frozen_groups(r, &pace);
    r->task->compute(r, node_nats, send_bucket, r);
    team_phase(r->team, TRACE_REDUCE);
    *nats = comm_sum_nodes(r->group, node_nats);
    comm_reduce_finish(r->group, r->team, r->gradient);
    l->norm = NAN;
    if (!isfinite(*nats))
        return;
    l->lr = pace.lr = schedule_rate(c, &r->progress, c->train.epochs * r->steps_per_epoch);
    l->norm = optimizer_step(&r->optimizer, r->group, r->team, r->value, r->gradient, pace,
                             (float)(1.0 / step->count));
    if (!isfinite(l->norm))
        return;
    team_phase(r->team, TRACE_PARAMETERS);
    for (int i = 0; i < r->list.buckets; i++)
        comm_params_begin(r->group, i, r->value);
    comm_params_finish(r->group);
}

static void account(loop *l, double nats, const task_step *step)
{
    train_progress *p = &l->r->progress;
    p->step++;
    p->window++;
    p->tokens += (int64_t)step->tokens;
    p->epoch_nats += nats;
    p->epoch_predicted += (int64_t)step->predicted;
    p->interval.nats += nats;
    p->interval.predicted += (int64_t)step->predicted;
    l->tokens_here += (int64_t)step->tokens_here;
    l->tokens += (int64_t)step->tokens;
    l->steps++;
}

/* ---- what is said
 * ------------------------------------------------------------------------------------------------- */

/* Collective.  Each rank's share of the interval's tokens and of the bytes sent, into the record. */
static void add_shares(loop *l, record *m)
{
    comm *g = l->r->group;
    size_t size = (size_t)comm_size(g);
    double mine[2] = {(double)l->tokens_here, (double)(comm_bytes_sent(g) - l->bytes_sent)};
    double *all = malloc(size * sizeof mine), *column = malloc(size * sizeof *column);
    size_t *bytes = malloc(size * sizeof *bytes);
    BUG_IF(!all || !column || !bytes, "out of memory for %zu ranks", size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = sizeof mine;
    comm_all_gather(g, mine, all, bytes);
    const char *const keys[2] = {"rank_tokens", "rank_bytes_sent"};
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < size; i++)
            column[i] = all[2 * i + k];
        record_set_doubles(m, keys[k], column, size);
    }
    free(bytes);
    free(column);
    free(all);
}

static record *metrics_of(const loop *l, const char *type)
{
    const train_progress *p = &l->r->progress;
    record *m = record_new();
    record_set_text(m, "type", type);
    record_set_int(m, "step", p->step);
    record_set_int(m, "epoch", p->epoch);
    record_set_int(m, "tokens", p->tokens);
    return m;
}

/* Collective.  The interval's line and record; starts the next interval. */
static void log_interval(loop *l)
{
    run *r = l->r;
    train_progress *p = &r->progress;
    double now = seconds_now(), seconds = now - l->interval_start,
           nats = p->interval.nats / (double)p->interval.predicted;
    log_batches(r->log, &(log_batch){.epoch = p->epoch,
                                     .batch = p->window,
                                     .batches = r->steps_per_epoch,
                                     .lr = l->lr,
                                     .ms_per_batch = 1e3 * seconds / (double)l->steps,
                                     .nats = nats});
    record *m = metrics_of(l, "step");
    record_set_double(m, "loss", nats);
    record_set_double(m, "lr", l->lr);
    record_set_double(m, "grad_norm", l->norm);
    record_set_double(m, "tokens_per_s", (double)l->tokens / seconds);
    record_set_double(m, "seconds", seconds);
    add_shares(l, m);
    log_metrics(r->log, m);
    record_free(m);
    memset(&p->interval, 0, sizeof p->interval);
    l->tokens_here = l->tokens = l->steps = 0;
    l->bytes_sent = comm_bytes_sent(r->group);
    l->interval_start = now;
}

static void log_start(loop *l)
{
    run *r = l->r;
    const config *c = r->config;
    log_line(r->log, "%s: %llu tokens, vocabulary %u; %s%s %d x %d, %zu parameters", r->corpus.file.path,
             (unsigned long long)r->corpus.tokens[SPLIT_TRAIN], r->corpus.vocab.size,
             r->shape.bidirectional ? "bidirectional " : "", r->shape.cell->name, r->shape.layers, r->shape.H,
             params_elements(&r->list));
    log_line(r->log, "%d rank%s x %d thread%s, kernels %s; %lld row%s in %lld shard%s", comm_size(r->group),
             comm_size(r->group) == 1 ? "" : "s", team_threads(r->team),
             team_threads(r->team) == 1 ? "" : "s", kernels_name(team_kernels(r->team)),
             (long long)c->data.batch_size, c->data.batch_size == 1 ? "" : "s", (long long)c->data.shards,
             c->data.shards == 1 ? "" : "s");
    r->task->describe(r);
    if (c->optim.unfreeze_every_epochs)
        log_line(
            r->log,
            "layers thaw from the output down, one each %lld epoch%s: of %d groups all from epoch %lld on",
            (long long)c->optim.unfreeze_every_epochs, c->optim.unfreeze_every_epochs == 1 ? "" : "s",
            r->shape.layers + 2, (r->shape.layers + 1) * (long long)c->optim.unfreeze_every_epochs + 1);
    record *m = metrics_of(l, "start");
    record_set_int(m, "ranks", comm_size(r->group));
    record_set_int(m, "threads", team_threads(r->team));
    record_set_text(m, "kernels", kernels_name(team_kernels(r->team)));
    record_set_text(m, "corpus", r->corpus.digest);
    log_metrics(r->log, m);
    record_free(m);
    log_state(r->log, RUN_RUNNING, r->progress.step, STATUS_OK, "training");
}

/* ---- saving
 * ------------------------------------------------------------------------------------------------------- */

static void warn_unsaved(run_log *log, const error *e)
{
    log_line(log, "warning: %s; training goes on, the next save tries again", e->text);
}

/* An update can overflow though loss and gradient were finite; the next loss would tell, but a file that
 * begins with it is no way back. */
static status check_finite(const run *r, error *e)
{
    for (size_t i = 0; i < r->list.floats; i++)
        if (!isfinite(r->value[i]))
            return fail(e, STATUS_INTERNAL,
                        "a parameter is not finite after step %lld: stopped, nothing of it is saved; the "
                        "last good checkpoint in %s "
                        "is kept; a smaller optim.lr or optim.clip_norm may help",
                        (long long)r->progress.step, r->config->run.dir);
    return STATUS_OK;
}

/* Collective.  A failed background save is told and tried again at the next occasion; with wait, failing
 * is the result. Parameters that are not finite (on all ranks alike) are the result in any case. */
static status save(loop *l, store_kind kind, bool wait, error *e)
{
    run *r = l->r;
    team_phase(r->team, TRACE_CHECKPOINT);
    if (check_finite(r, e) != STATUS_OK)
        return STATUS_INTERNAL;
    run_state_view v = run_view(r);
    error before = {0};
    status settled = store_settle(r->store, &before);
    if (settled != STATUS_OK)
        warn_unsaved(r->log, &before);
    if (kind == STORE_CHECKPOINT && l->save_step == r->progress.step &&
        !comm_any(r->group, settled != STATUS_OK || l->save_failed))
        return STATUS_OK; /* the run ends where its last checkpoint is */
    unsigned char *image;
    size_t bytes;
    status s = checkpoint_image(&v, r->group, &image, &bytes, e);
    if (s == STATUS_OK && comm_rank(r->group) == 0)
        s = store_save(r->store, kind, r->progress.step, image, bytes, wait, e);
    if (s == STATUS_OK) {
        record *m = metrics_of(l, "save");
        record_set_text(m, "kind", kind == STORE_BEST ? "best" : "checkpoint");
        record_set_int(m, "bytes", (int64_t)bytes);
        log_metrics(r->log, m);
        record_free(m);
    }
    if (kind == STORE_CHECKPOINT) { /* no resume starts from a best one */
        l->last_save = seconds_now();
        l->save_step = r->progress.step;
        l->save_failed = s != STATUS_OK;
    }
    if (wait)
        return comm_agree(r->group, s, e);
    if (s != STATUS_OK)
        warn_unsaved(r->log, e);
    return STATUS_OK;
}

/* ---- validation
 * --------------------------------------------------------------------------------------------------- */

/* Collective.  As one phase: the kernels that it runs are no part of the steps. */
static status evaluate(run *r, split_name split, task_result *out, error *e)
{
    team_phase(r->team, TRACE_VALIDATION);
    trace *t = team_trace(r->team, NULL);
    status s = r->task->evaluate(r, split, out, e);
    team_trace(r->team, t);
    return s;
}

/* Collective. */
static status validate(loop *l, error *e)
{
    run *r = l->r;
    train_progress *p = &r->progress;
    task_result result;
    double start = seconds_now();
    status s = evaluate(r, SPLIT_VALID, &result, e);
    if (s != STATUS_OK)
        return s;
    team_phase(r->team, TRACE_OTHER);
    double nats = result.nats / (double)result.predicted, now = seconds_now();
    log_epoch(r->log, p->epoch, now - l->epoch_start, nats, result.accuracy);
    record *m = metrics_of(l, "valid");
    record_set_double(m, "loss", nats);
    record_set_int(m, "predicted", (int64_t)result.predicted);
    if (!isnan(result.accuracy))
        record_set_double(m, "accuracy", result.accuracy);
    record_set_double(m, "seconds", now - start);
    log_metrics(r->log, m);
    record_free(m);
    if (!isfinite(nats))
        return fail(e, STATUS_INTERNAL,
                    "the loss of the validation after step %lld is not finite: stopped, nothing of it is "
                    "saved; the last good "
                    "checkpoint in %s is kept; a smaller optim.lr or optim.clip_norm may help",
                    (long long)p->step, r->config->run.dir);
    if (schedule_validated(r->config, p, r->task->judged(r, &result)) && r->config->run.keep_best > 0)
        s = save(l, STORE_BEST, false, e);
    l->interval_start += seconds_now() - start; /* an interval's speed is training's */
    return s;
}

/* Ends the epoch if its last window is done: validation, rows back to zero. */
static status end_of_epoch(loop *l, error *e)
{
    run *r = l->r;
    train_progress *p = &r->progress;
    const config *c = r->config;
    bool ends = p->window == r->steps_per_epoch;
    bool due = c->train.eval_every_steps ? p->step % c->train.eval_every_steps == 0 : ends;
    status s = due && r->has_valid ? validate(l, e) : STATUS_OK;
    if (s != STATUS_OK || !ends)
        return s;
    run_end_epoch(r);
    l->epoch_start = seconds_now();
    return STATUS_OK;
}

/* ---- the loop
 * ----------------------------------------------------------------------------------------------------- */

static bool log_due(const loop *l)
{
    const run *r = l->r;
    int64_t every = r->config->run.log_every_steps;
    return every && (r->progress.step % every == 0 || r->progress.window == r->steps_per_epoch);
}

static bool save_due(const loop *l, uint32_t flags, bool epoch_ended)
{
    const config *c = l->r->config;
    int64_t step = l->r->progress.step, every = c->run.checkpoint_every_steps,
            epochs = c->run.checkpoint_every_epochs;
    return (flags & (FLAG_SAVE | FLAG_TIME)) || (every && step % every == 0) ||
           (epoch_ended && epochs && (l->r->progress.epoch - 1) % epochs == 0);
}

static uint32_t local_flags(const loop *l, status window)
{
    double every = l->r->config->run.checkpoint_every_seconds;
    uint32_t flags = signals_take();
    if (comm_rank(l->r->group) == 0 && every > 0 && seconds_now() - l->last_save >= every)
        flags |= FLAG_TIME;
    return window == STATUS_OK ? flags : flags | FLAG_FAILED;
}

/* Collective.  Reads the next window or batch and asks all ranks for their flags. */
static status next_window(loop *l, uint32_t *flags, error *e)
{
    run *r = l->r;
    status s = r->task->read(r, e);
    if (comm_size(r->group) > 1)
        team_phase(r->team, TRACE_RANKS);
    *flags = comm_any(r->group, local_flags(l, s));
    return *flags & FLAG_FAILED ? comm_agree(r->group, s, e) : STATUS_OK;
}

static status diverged(const loop *l, double nats, error *e)
{
    const train_progress *p = &l->r->progress;
    return fail(e, STATUS_INTERNAL,
                "%s is not finite at step %lld (epoch %lld, batch %lld): stopped; the last good checkpoint "
                "in %s is kept; a smaller optim.lr or "
                "optim.clip_norm may help",
                isfinite(nats) ? "the gradient" : "the loss", (long long)p->step + 1, (long long)p->epoch,
                (long long)p->window + 1, l->r->config->run.dir);
}

/* Collective.  Steps until the run is finished, paused or asked to leave (SAVED). */
static status steps(loop *l, error *e)
{
    run *r = l->r;
    const config *c = r->config;
    train_progress *p = &r->progress;
    status s = STATUS_OK;
    while (s == STATUS_OK && !run_finished(r) && (c->train.steps == 0 || p->step < c->train.steps)) {
        uint32_t flags;
        double nats;
        const task_step step = r->task->step(r);
        team_step(r->team, p->step + 1, step.tokens_here, TRACE_WINDOW);
        if ((s = next_window(l, &flags, e)) != STATUS_OK)
            break;
        step_compute(l, &step, &nats);
        if (!isfinite(nats) || !isfinite(l->norm))
            return diverged(l, nats, e);
        team_step(r->team, -1, 0, TRACE_OTHER);
        account(l, nats, &step);
        progress_at(l->bar, (uint64_t)p->step);
        int64_t epoch = p->epoch;
        if (log_due(l))
            log_interval(l);
        if ((s = end_of_epoch(l, e)) != STATUS_OK)
            break;
        if (flags & FLAG_STOP) {
            s = save(l, STORE_CHECKPOINT, true, e);
            return s == STATUS_OK ? fail(e, STATUS_SAVED,
                                         "saved at step %lld on request; start again with --resume auto",
                                         (long long)p->step)
                                  : s;
        }
        if (save_due(l, flags, p->epoch != epoch))
            s = save(l, STORE_CHECKPOINT, false, e);
    }
    return s;
}

/* Rank 0.  The best parameters, from their file.  Where that is missing or damaged (a failed save, a run
 * that was resumed into another folder, run.keep_best = 0) those of the last step stay, and it is said.
 * tested: of which step they are. */
static status read_best(run *r, int64_t *tested, error *e)
{
    const train_progress *p = &r->progress;
    char path[STORE_PATH];
    container best;
    error why = {0};
    *tested = p->step;
    if (p->best_step < 0 || p->best_step == p->step)
        return STATUS_OK;
    store_path(r->config->run.dir, STORE_BEST, p->best_step, path);
    if (container_open(&best, path, "checkpoint", CONTAINER_CHECK, &why) != STATUS_OK) {
        log_line(r->log, "warning: the best parameters are not at hand, those of step %lld are tested: %s",
                 (long long)p->step, why.text);
        return STATUS_OK;
    }
    status s = checkpoint_parameters(&best, &r->list, r->value, e);
    container_close(&best);
    *tested = p->best_step;
    return s;
}

/* Collective.  Test loss of the best parameters, which take the place of the last ones. */
static status final_test(loop *l, error *e)
{
    run *r = l->r;
    task_result result;
    int64_t tested = 0;
    if (!r->has_test)
        return STATUS_OK;
    status s = comm_agree(r->group, comm_rank(r->group) == 0 ? read_best(r, &tested, e) : STATUS_OK, e);
    if (s == STATUS_OK) {
        comm_broadcast(r->group, r->value, r->list.floats * sizeof(float), 0);
        s = evaluate(r, SPLIT_TEST, &result, e);
    }
    if (s != STATUS_OK)
        return s;
    log_end(r->log, result.nats / (double)result.predicted, result.accuracy);
    l->tested_step = tested;
    l->test = result;
    return STATUS_OK;
}

/* Rank 0.  Did the run come to its very end, its test included? */
static bool was_done(const run *r)
{
    char path[STORE_PATH];
    const char *state;
    unsigned char *text = NULL;
    size_t n;
    record *said = NULL;
    snprintf(path, sizeof path, "%s/status.json", r->config->run.dir);
    bool done = disk_read_file(path, 1 << 20, &text, &n, NULL) == STATUS_OK &&
                record_parse(&said, (const char *)text, n, path, NULL) == STATUS_OK &&
                record_get_text(said, "state", &state) && strcmp(state, "done") == 0;
    record_free(said);
    free(text);
    return done;
}

/* Collective.  A resumed run that has nothing left to train.  It may have been stopped, or ended by an error,
 * just in front of its test. */
static status finished_before(loop *l, error *e)
{
    run *r = l->r;
    bool done = comm_any(r->group, comm_rank(r->group) == 0 && was_done(r)) != 0 || !r->has_test;
    log_line(r->log, "%s: this run is finished (step %lld); %s", r->config->run.dir,
             (long long)r->progress.step, done ? "nothing to do" : "only its test is left");
    return done ? STATUS_OK : final_test(l, e);
}

/* How it ended: status.json for scripts, the stop record for whoever reads the metrics. */
static void log_stop(loop *l, run_state state, status s, const char *reason)
{
    run *r = l->r;
    record *m = metrics_of(l, "stop");
    record_set_text(m, "state", run_state_names[state]);
    record_set_text(m, "reason", reason);
    if (l->test.predicted) {
        record_set_int(m, "tested_step", l->tested_step);
        record_set_double(m, "test_loss", l->test.nats / (double)l->test.predicted);
        record_set_int(m, "predicted", (int64_t)l->test.predicted);
        if (!isnan(l->test.accuracy))
            record_set_double(m, "test_accuracy", l->test.accuracy);
    }
    log_metrics(r->log, m);
    record_free(m);
    log_state(r->log, state, r->progress.step, s, reason);
}

status train_run(run *r, error *e)
{
    loop l = {.r = r, .last_save = seconds_now(), .norm = NAN, .save_step = -1};
    uint64_t total = (uint64_t)(r->config->train.epochs * r->steps_per_epoch);
    if (r->config->train.steps && (uint64_t)r->config->train.steps < total)
        total = (uint64_t)r->config->train.steps;
    l.interval_start = l.epoch_start = l.last_save;
    if (run_finished(r)) {
        status s = finished_before(&l, e);
        log_stop(&l, s == STATUS_OK ? RUN_DONE : RUN_FAILED, s, s == STATUS_OK ? "finished" : e->text);
        return s;
    }
    log_start(&l);
    l.bar = comm_rank(r->group) == 0 ? progress_open("training", total, "steps") : NULL;
    progress_start_at(l.bar, (uint64_t)r->progress.step);
    log_attach(r->log, l.bar);
    status s = steps(&l, e);
    if (s == STATUS_OK)
        s = save(&l, STORE_CHECKPOINT, true, e);
    log_attach(r->log, NULL);
    progress_close(l.bar);
    const bool finished = s == STATUS_OK && run_finished(r),
               early = finished && r->progress.epoch <= r->config->train.epochs;
    if (early)
        log_line(
            r->log,
            "stopped early: the best validation, after step %lld, is %lld validations ago (train.early_stop)",
            (long long)r->progress.best_step, (long long)r->progress.stale);
    if (finished)
        s = final_test(&l, e);
    else if (s == STATUS_OK)
        log_line(r->log, "saved at step %lld: train.steps is %lld; more of them and --resume auto go on",
                 (long long)r->progress.step, (long long)r->config->train.steps);
    run_state state = s == STATUS_OK      ? (finished ? RUN_DONE : RUN_SAVED)
                      : s == STATUS_SAVED ? RUN_SAVED
                                          : RUN_FAILED;
    log_stop(&l, state, s,
             s != STATUS_OK ? e->text
             : early        ? "stopped early"
             : finished     ? "finished"
                            : "paused at train.steps");
    return s;
}
