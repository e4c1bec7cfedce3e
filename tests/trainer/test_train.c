/* test_train.c - the training loop, alone and on ranks, against the oracle and a loop written out here in
 * double precision.
 *
 *   run_open + train_run, paused and resumed  ==  rows, windows, losses, updates of plain loops     to 2e-5
 *
 * test_torch_golden says that a model and an update are PyTorch's; this says that the loop hands them the
 * right windows, masks, rates, scales and step numbers, starts from zero where it should, measures the
 * validation loss from zero state, and that ranks and a resume lose nothing of it.  Three epochs of five
 * windows suffice: whatever is wrong in one of them stays in the parameters.  The other identities (same bits
 * for any ranks, threads and kills) compare the program with itself and cannot see a mistake that it always
 * makes.
 *
 * Runs alone or under mpirun.  Ranks decide together whether a check has failed, or those that go on would
 * wait for one that does not. */
#include "kernels/rng.h"
#include "tests/compare.h"
#include "tests/oracle.h"
#include "trainer/run.h"
#include "trainer/train.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { V = 23, B = 6, T = 8, EVAL_B = 4, TRAIN = 211, VALID = 61, PAUSE = 13, FLOATS_MAX = 250000 };
enum { WINDOWS = (TRAIN / B - 1 + T - 1) / T }; /* of an epoch */

static comm *group;
static char folder[512], path[600];
static uint32_t train_ids[TRAIN], valid_ids[VALID];

static uint32_t draw(uint32_t *s)
{
    *s = 1664525U * *s + 1013904223U;
    return *s >> 8;
}

/* Collective.  Fails on all ranks when one of them says so. */
static void expect(bool fine, const char *what, const error *e)
{
    if (!fine)
        print_error("rank %d: %s%s%s\n", comm_rank(group), what, e && e->text[0] ? ": " : "",
                    e ? e->text : "");
    assert_int_equal(comm_any(group, !fine), 0);
}

/* ---- corpus and configuration
 * -------------------------------------------------------------------------------------- */

static bool write_corpus(error *e)
{
    uint8_t blob[2 * V];
    uint64_t start[V + 1], tokens[SPLIT_COUNT] = {[SPLIT_TRAIN] = TRAIN, [SPLIT_VALID] = VALID};
    for (uint32_t i = 0; i <= V; i++)
        start[i] = 2 * (uint64_t)i;
    for (uint32_t i = 0; i < V; i++) {
        blob[2 * i] = 'w';
        blob[2 * i + 1] = (uint8_t)('a' + i);
    }
    corpus_writer w;
    record *meta = record_new();
    record_set_text(meta, "level", "word");
    bool fine = corpus_create(&w, path, tokens, blob, start, V, e) == STATUS_OK &&
                corpus_write(&w, SPLIT_TRAIN, 0, train_ids, TRAIN, e) == STATUS_OK &&
                corpus_write(&w, SPLIT_VALID, 0, valid_ids, VALID, e) == STATUS_OK &&
                corpus_finish(&w, meta, e) == STATUS_OK;
    record_free(meta);
    return fine;
}

static int make_place(void **unused)
{
    (void)unused;
    error e = {0};
    uint32_t s = 17;
    assert_int_equal(comm_open(&group, &e), STATUS_OK);
    snprintf(folder, sizeof folder, "%s/unroll-test.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    expect(comm_rank(group) != 0 || mkdtemp(folder), "a temporary folder", NULL);
    comm_broadcast(group, folder, sizeof folder, 0);
    snprintf(path, sizeof path, "%s/corpus.h5", folder);
    for (int i = 0; i < TRAIN + VALID; i++) {
        uint32_t a = draw(&s) % V, b = draw(&s) % V;
        *(i < TRAIN ? &train_ids[i] : &valid_ids[i - TRAIN]) = a < b ? a : b;
    }
    expect(comm_rank(group) != 0 || write_corpus(&e), "a corpus", &e);
    return 0;
}

static int remove_place(void **unused)
{
    (void)unused;
    DIR *d = comm_rank(group) == 0 ? opendir(folder) : NULL;
    for (struct dirent *entry; d && (entry = readdir(d));) {
        char name[900];
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        unlink(name); /* "." and ".." stay */
    }
    if (d) {
        closedir(d);
        rmdir(folder);
    }
    comm_close(group);
    return 0;
}

static void configure(config *c, const char *yaml, int64_t steps)
{
    char assignment[700];
    error e = {0};
    config_init(c);
    bool fine = config_read_text(c, yaml, strlen(yaml), "test_train.c", &e) == STATUS_OK;
    snprintf(assignment, sizeof assignment, "data.corpus=%s", path);
    fine = fine && config_set(c, assignment, &e) == STATUS_OK;
    snprintf(assignment, sizeof assignment, "run.dir=%s", folder);
    fine = fine && config_set(c, assignment, &e) == STATUS_OK;
    snprintf(assignment, sizeof assignment, "train.steps=%lld", (long long)steps);
    fine = fine && config_set(c, assignment, &e) == STATUS_OK && config_finish(c, &e) == STATUS_OK;
    expect(fine, "configuration", &e);
}

/* ---- the loop in double
 * -------------------------------------------------------------------------------------------- */

typedef struct plain {
    oracle o;
    const config *c;
    double *moment[2]; /* per parameter, tensors one behind the other: momentum; or Adam's two */
    int64_t step;
    double best;
    int64_t best_step;
} plain;

static double mask_of(void *arg, int layer, int t, int row, int unit)
{
    const plain *p = arg;
    rng_place place = {.seed = (uint64_t)p->c->train.seed,
                       .row = (uint32_t)row,
                       .step = (uint32_t)p->step,
                       .purpose = RNG_DROPOUT,
                       .layer = (uint8_t)layer,
                       .time = (uint16_t)t};
    return (double)rng_uniform(&place, (uint32_t)unit) >= p->c->model.dropout
               ? 1.0 / (1.0 - p->c->model.dropout)
               : 0.0;
}

/* Of a tensor of this model, from the top. */
static int depth_of(const plain *p, const char *name)
{
    int layers = (int)p->c->model.layers;
    return name[0] == 'd' ? 0 : name[0] == 'e' ? layers + 1 : layers - (name[strlen(name) - 1] - '0');
}

static double slanted(const plain *p)
{
    double all = (double)(p->c->train.epochs * WINDOWS), cut = floor(all * p->c->optim.cut_frac);
    double t = (double)p->step, share = t < cut ? t / cut : 1 - (t - cut) / (all - cut);
    return p->c->optim.lr * (1 + share * (p->c->optim.ratio - 1)) / p->c->optim.ratio;
}

static double rate(const plain *p, int64_t epoch)
{
    if (p->c->optim.schedule == SCHEDULE_SLANTED)
        return slanted(p);
    double lr = p->c->optim.lr, warmup = (double)p->c->optim.warmup_steps, n = (double)p->step + 1;
    for (int64_t i = p->c->optim.decay_after_epoch; p->c->optim.schedule == SCHEDULE_STEP && i < epoch; i++)
        lr *= p->c->optim.decay;
    return n <= warmup ? lr * n / warmup : lr;
}

static void update(plain *p, int64_t epoch, double scale)
{
    const config *c = p->c;
    double square = 0;
    int64_t first[ORACLE_TENSORS_MAX]; /* epoch of each tensor */
    for (int i = 0; i < p->o.tensors; i++) {
        first[i] = 1 + depth_of(p, p->o.tensor[i].name) * c->optim.unfreeze_every_epochs;
        for (size_t k = 0; k < p->o.tensor[i].n && epoch >= first[i]; k++)
            square += pow(p->o.tensor[i].gradient[k] * scale, 2);
    }
    double clip = c->optim.clip_norm > 0 ? fmin(1, c->optim.clip_norm / (sqrt(square) + 1e-6)) : 1;
    double *m = p->moment[0], *v = p->moment[1];
    for (int i = 0; i < p->o.tensors; i++) {
        double lr = rate(p, epoch) / pow(c->optim.layer_decay, depth_of(p, p->o.tensor[i].name));
        double n = (double)(p->step + 1 - (first[i] - 1) * WINDOWS);
        if (n < 1) { /* frozen */
            m += p->o.tensor[i].n;
            v += p->o.tensor[i].n;
            continue;
        }
        bool decays = !*c->optim.decay_exclude ||
                      !strstr(p->o.tensor[i].name, "bias"); /* the only pattern here is *bias* */
        for (size_t k = 0; k < p->o.tensor[i].n; k++, m++, v++) {
            double *w = &p->o.tensor[i].value[k];
            double d = p->o.tensor[i].gradient[k] * scale * clip + (decays ? c->optim.weight_decay * *w : 0);
            if (c->optim.name == OPTIM_SGD) {
                *m = c->optim.momentum * *m + (n > 1 ? 1 - c->optim.dampening : 1) * d;
                *w -= lr * *m;
            } else {
                *m = c->optim.beta1 * *m + (1 - c->optim.beta1) * d;
                *v = c->optim.beta2 * *v + (1 - c->optim.beta2) * d * d;
                *w -= lr * (*m / (1 - pow(c->optim.beta1, n))) /
                      (sqrt(*v / (1 - pow(c->optim.beta2, n))) + c->optim.eps);
            }
        }
    }
}

/* Where the token stands that is read as number i of a row. */
static int read_at(const plain *p, int i, int length)
{
    return p->c->data.direction == DIRECTION_BACKWARD ? length - 1 - i : i;
}

/* Rows of VALID / EVAL_B tokens, the first VALID % EVAL_B of them one longer; all but the first token of each that is
 * read are predicted. */
static double validate(plain *p)
{
    double nats = 0;
    int predicted = 0;
    double *state = malloc(oracle_state_size(&p->o, 1) * sizeof *state);
    assert_non_null(state);
    for (int row = 0, at = 0; row < EVAL_B; row++) {
        int length = VALID / EVAL_B + (row < VALID % EVAL_B);
        memset(state, 0, oracle_state_size(&p->o, 1) * sizeof *state);
        uint32_t ids[VALID];
        for (int i = 0; i < length; i++)
            ids[i] = valid_ids[at + read_at(p, i, length)];
        nats += oracle_loss_and_gradients(&p->o, ids, ids + 1, length - 1, 1, state, NULL, NULL, false);
        predicted += length - 1;
        at += length;
    }
    free(state);
    return nats / predicted;
}

static void train_plainly(plain *p)
{
    const config *c = p->c;
    const int length = TRAIN / B;
    double *state = calloc(oracle_state_size(&p->o, B), sizeof *state);
    assert_non_null(state);
    p->best = INFINITY;
    for (int64_t epoch = 1; epoch <= c->train.epochs; epoch++) {
        for (int at = 0; at < length - 1; at += T, p->step++) {
            uint32_t x[T * B], y[T * B];
            int steps = length - 1 - at < T ? length - 1 - at : T;
            for (int t = 0; t < steps; t++)
                for (int b = 0; b < B; b++) {
                    x[t * B + b] = train_ids[b * length + read_at(p, at + t, length)];
                    y[t * B + b] = train_ids[b * length + read_at(p, at + t + 1, length)];
                }
            if (c->data.carry == CARRY_NEVER || (c->data.carry == CARRY_EPOCH && at == 0))
                memset(state, 0, oracle_state_size(&p->o, B) * sizeof *state);
            oracle_loss_and_gradients(&p->o, x, y, steps, B, state, c->model.dropout > 0 ? mask_of : NULL, p,
                                      true);
            update(p, epoch, c->optim.loss_scale == LOSS_TOKEN_MEAN ? 1.0 / (steps * B) : 1.0 / B);
        }
        double nats = validate(p);
        if (nats < p->best) {
            p->best = nats;
            p->best_step = p->step;
        }
    }
    free(state);
}

/* Takes the program's initial parameters. */
static void plain_open(plain *p, const config *c, const run *r, oracle_cell cell)
{
    *p = (plain){.c = c};
    oracle_init(&p->o, cell, (int)c->model.layers, V, (int)c->model.embedding, (int)c->model.hidden,
                c->model.tied);
    for (int i = 0; i < 2; i++) {
        p->moment[i] = calloc(FLOATS_MAX, sizeof(double));
        assert_non_null(p->moment[i]);
    }
    size_t floats = 0;
    for (int i = 0; i < p->o.tensors; i++) {
        const oracle_tensor *t = &p->o.tensor[i];
        const param *q = params_find(&r->list, t->name);
        assert_non_null(q);
        assert_int_equal(q->count, t->n);
        for (size_t k = 0; k < t->n; k++)
            t->value[k] = (double)r->value[q->offset + k];
        floats += t->n;
    }
    assert_in_range(floats, 1, FLOATS_MAX);
}

static void plain_close(plain *p)
{
    oracle_free(&p->o);
    free(p->moment[0]);
    free(p->moment[1]);
}

/* ---- the comparison
 * ------------------------------------------------------------------------------------------------ */

static void check(const char *yaml, oracle_cell cell)
{
    config c;
    run r;
    plain want;
    error e = {0};
    /* threads of several ranks would wait for each other on two cores; that they change no bit is test_bits' */
    team *t = team_open(comm_size(group) == 1 ? 2 : 1, kernels_select(NULL));
    assert_non_null(t);

    configure(&c, yaml, PAUSE);
    train_options fresh = {.overwrite = true}, resumed = {.resume = RESUME_AUTO};
    expect(run_open(&r, &c, group, t, &fresh, &e) == STATUS_OK, "run_open", &e);
    plain_open(&want, &c, &r, cell);
    expect(train_run(&r, &e) == STATUS_OK, "train_run to the pause", &e);
    expect(r.progress.step == PAUSE, "the pause's step", NULL);
    expect(run_close(&r, &e) == STATUS_OK, "run_close", &e);
    train_plainly(&want);
    config_free(&c);

    configure(&c, yaml, 0);
    want.c = &c;
    expect(run_open(&r, &c, group, t, &resumed, &e) == STATUS_OK, "run_open to resume", &e);
    expect(r.progress.step == PAUSE, "the step that is resumed from", NULL);
    expect(train_run(&r, &e) == STATUS_OK, "train_run to the end", &e);
    expect(r.progress.step == want.step && run_finished(&r), "the last step", NULL);
    bool fine = close_double("best validation loss", r.progress.best_nats, want.best, 1e-5);
    fine = fine && r.progress.best_step == want.best_step;
    for (int i = 0; i < want.o.tensors; i++) {
        const oracle_tensor *w = &want.o.tensor[i];
        fine = close_floats(w->name, r.value + params_find(&r.list, w->name)->offset, w->value, w->n,
                            compare_largest(w->value, w->n), 2e-5) &&
               fine;
    }
    expect(fine, oracle_cell_names[cell], NULL);
    expect(run_close(&r, &e) == STATUS_OK, "run_close", &e);
    plain_close(&want);
    config_free(&c);
    team_close(t);
}

/* Zaremba's way: sum over time, mean over rows, step decay, dropout, state zeroed at each epoch. */
static void test_time_sum(void **unused)
{
    (void)unused;
    check("data: {batch_size: 6, bptt: 8, shards: 4}\n"
          "model: {cell: lstm, layers: 2, embedding: 9, hidden: 11, dropout: 0.25, init: uniform, "
          "init_scale: 0.3}\n"
          "optim: {name: sgd, lr: 0.3, momentum: 0.5, dampening: 0.25, loss_scale: time_sum, clip_norm: 2.0, "
          "schedule: step, decay: 0.5, decay_after_epoch: 1}\n"
          "train: {epochs: 3, seed: 5}\neval: {batch_size: 4}\n",
          ORACLE_LSTM);
}

/* Adam with warm-up, the mean over the tokens of each window, the short last one too; state never carried;
 * tied, and so wide that ranks share a tensor. */
static void test_token_mean(void **unused)
{
    (void)unused;
    check("data: {batch_size: 6, bptt: 8, shards: 4, carry: never}\n"
          "model: {cell: gru, reset: before, layers: 1, embedding: 184, hidden: 184, tied: true, init: "
          "uniform, init_scale: 0.1}\n"
          "optim: {name: adam, lr: 0.01, eps: 0.001, warmup_steps: 7, clip_norm: 0.3}\n"
          "train: {epochs: 3, seed: 6}\neval: {batch_size: 4}\n",
          ORACLE_GRU_BEFORE);
}

/* Decay of weights but not of biases, state carried over epochs. */
static void test_decay(void **unused)
{
    (void)unused;
    check("data: {batch_size: 6, bptt: 8, shards: 4, carry: always}\n"
          "model: {cell: gru, layers: 2, embedding: 9, hidden: 11, init: uniform, init_scale: 0.3}\n"
          "optim: {name: sgd, lr: 0.5, weight_decay: 0.01, decay_exclude: \"*bias*\"}\n"
          "train: {epochs: 3, seed: 7}\neval: {batch_size: 4}\n",
          ORACLE_GRU);
}

/* Fine-tuning: the triangle, rates by layer, layers that thaw one after the other, all on a text that is read
 * backward.  The pause lies in the epoch in which the second recurrent layer has joined the first and the embedding is
 * frozen; a norm that took in frozen layers, or a step counted from the run's start, would show in all parameters. */
static void test_fine_tuning(void **unused)
{
    (void)unused;
    check("data: {batch_size: 6, bptt: 8, shards: 4, direction: backward}\n"
          "model: {cell: gru, layers: 2, embedding: 9, hidden: 11, init: uniform, init_scale: 0.3}\n"
          "optim: {name: adam, lr: 0.02, eps: 0.001, weight_decay: 0.01, clip_norm: 0.1, schedule: slanted, "
          "cut_frac: 0.3, ratio: 8, layer_decay: 1.5, unfreeze_every_epochs: 1}\n"
          "train: {epochs: 5, seed: 8}\neval: {batch_size: 4}\n",
          ORACLE_GRU);
}

/* The same of an embedding that the output layer shares: it thaws last, with both parts of its gradient. */
static void test_fine_tuning_tied(void **unused)
{
    (void)unused;
    check("data: {batch_size: 6, bptt: 8, shards: 4}\n"
          "model: {cell: lstm, layers: 1, embedding: 11, hidden: 11, tied: true, init: uniform, init_scale: "
          "0.3}\n"
          "optim: {name: sgd, lr: 0.5, clip_norm: 0.1, layer_decay: 1.5, unfreeze_every_epochs: 1}\n"
          "train: {epochs: 4, seed: 9}\neval: {batch_size: 4}\n",
          ORACLE_LSTM);
}

/* A rate that changes nothing: the first validation is the best, and after as many without improvement as are
 * allowed the run is over. */
static void test_early_stop(void **unused)
{
    (void)unused;
    config c;
    run r;
    error e = {0};
    team *t = team_open(1, kernels_select(NULL));
    assert_non_null(t);
    configure(&c,
              "data: {batch_size: 6, bptt: 8, shards: 4}\nmodel: {cell: rnn_tanh, layers: 1, embedding: 4, "
              "hidden: 4}\n"
              "optim: {name: sgd, lr: 1e-30}\ntrain: {epochs: 9, early_stop: 2}\neval: {batch_size: 4}\n",
              0);
    expect(run_open(&r, &c, group, t, &(train_options){.overwrite = true}, &e) == STATUS_OK, "run_open", &e);
    expect(train_run(&r, &e) == STATUS_OK, "train_run", &e);
    expect(r.progress.step == 3 * r.steps_per_epoch && r.progress.best_step == r.steps_per_epoch,
           "the step of the early stop", NULL);
    expect(run_close(&r, &e) == STATUS_OK, "run_close", &e);
    config_free(&c);
    team_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_sum),
        cmocka_unit_test(test_token_mean),
        cmocka_unit_test(test_decay),
        cmocka_unit_test(test_fine_tuning),
        cmocka_unit_test(test_fine_tuning_tied),
        cmocka_unit_test(test_early_stop),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
