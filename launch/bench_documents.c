/* bench_documents.c - training steps of a classifier on random documents.
 *
 * Their lengths are given by whole numbers alone, so that tests/peers/torch_classify.py has the same batches in the same
 * order; all divisions are rounded down:
 *
 *     document d = 0, 1, ... has max(1, (2 QUANTILE[j] M + 1000) / 2000) words, j = (37 d + 11 (d / 64)) mod 64, M their mean
 *     pool p = 0, 1, ... is the next 50 B documents, the shorter first
 *     its batch number i = 0 .. 49 is number (17 i + 5) mod 50 of the 50 runs of B documents in that order
 *
 * The quantiles are those of the log-normal distribution whose logarithm has deviation 0.6, at (j + 1/2) / 64, in
 * thousandths of the mean; the last one stands for the tail, so that their mean is 1000. */
#include "kernels/rng.h"
#include "launch/bench_work.h"

#include <stdlib.h>
#include <string.h>

#define QUANTILES   64
#define CLASSES     2
#define LAST_OF_ALL 32 /* the batch that is the last of the runs, which holds the pool's longest documents */

static const int quantile[QUANTILES] = {
    196,  253,  290,  320,  345,  368,  389,  409,  428,  447,  465,  482,  499,  516,  533,  549,
    565,  582,  598,  615,  631,  648,  665,  681,  698,  716,  733,  751,  769,  788,  806,  826,
    845,  865,  886,  907,  929,  951,  975,  999,  1024, 1050, 1077, 1105, 1135, 1166, 1199, 1234,
    1271, 1310, 1352, 1398, 1448, 1502, 1562, 1629, 1705, 1793, 1896, 2022, 2183, 2404, 2752, 3865};

static int length_of(const bench_work *w, int j)
{
    const int64_t n = (2 * (int64_t)quantile[j] * w->shape.mean_length + 1000) / 2000;
    return n < 1 ? 1 : (int)n;
}

static int by_length(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static void fill_pool(bench_work *w, int64_t pool)
{
    bench_documents *in = &w->documents;
    const int64_t n = (int64_t)POOL_BATCHES * w->shape.batch, first = pool * n;
    for (int64_t d = first; d < first + n; d++)
        in->length[d - first] = length_of(w, (int)((37 * d + 11 * (d / QUANTILES)) % QUANTILES));
    qsort(in->length, (size_t)n, sizeof *in->length, by_length);
}

/* ---- set-up ---- */

static status configure_documents(bench_work *w, error *e)
{
    status s = bench_set(w, "task.name", "classify", e);
    if (s == STATUS_OK)
        s = bench_set(w, "model.bidirectional", w->shape.bidirectional ? "true" : "false", e);
    if (s == STATUS_OK)
        s = bench_set(w, "classify.pooling", "last", e);
    return s == STATUS_OK ? bench_set(w, "optim.name", "adam", e) : s;
}

static status plan_documents(bench_work *w, error *e)
{
    bench_documents *in = &w->documents;
    arena *a = &w->memory;
    const int B = w->shape.batch;
    w->model_shape.bidirectional = w->shape.bidirectional;
    in->shape =
        (classifier_shape){.trunk = w->model_shape, .pooling = POOL_LAST, .loss = {.classes = CLASSES}};
    in->longest = length_of(w, QUANTILES - 1);
    classifier_params(&in->shape, &w->list, 1);
    bench_plan_training(w);
    arena_add(a, "lengths of a pool", (void **)&in->length,
              (size_t)POOL_BATCHES * (size_t)B * sizeof *in->length);
    arena_add(a, "token ids", (void **)&in->ids, (size_t)in->longest * (size_t)B * sizeof *in->ids);
    arena_add(a, "labels", (void **)&in->label, (size_t)B * sizeof *in->label);
    classifier_plan(&in->model, a, w->job->team, &in->shape, &w->list, in->longest, B, true);
    trunk_rank(&in->model.trunk, 0, 1);
    optimizer_sparse(&w->optimizer, trunk_words(&in->model.trunk));
    status s = bench_commit(w, e);
    return s == STATUS_OK ? bench_start_training(w, e) : s;
}

/* ---- steps ---- */

static void start_documents(bench_work *w, bool warms_up)
{
    fill_pool(w, 0);
    w->documents.batch = warms_up ? LAST_OF_ALL : 0;
}

/* The next batch, with random words and labels; how many words its documents have. */
static size_t read_documents(bench_work *w, class_batch *batch)
{
    bench_documents *in = &w->documents;
    const int B = w->shape.batch;
    const int64_t i = in->batch++;
    if (i > 0 && i % POOL_BATCHES == 0)
        fill_pool(w, i / POOL_BATCHES);
    const int *length = in->length + (17 * i + 5) % POOL_BATCHES * B;
    *batch =
        (class_batch){.steps = length[B - 1], .B = B, .ids = in->ids, .length = length, .label = in->label};
    const rng_place place = {.seed = 1, .step = (uint32_t)i, .purpose = RNG_TEST};
    const uint32_t places = (uint32_t)batch->steps * (uint32_t)B;
    size_t tokens = 0;
    for (uint32_t p = 0; p < places; p++)
        in->ids[p] = (uint32_t)(rng_uniform(&place, p) * (float)w->shape.vocabulary);
    for (uint32_t b = 0; b < (uint32_t)B; b++) {
        in->label[b] = rng_uniform(&place, places + b) < 0.5f;
        tokens += (size_t)length[b];
    }
    return tokens;
}

static void run_documents(bench_work *w)
{
    class_batch batch;
    double node_nats[SHARD_NODES_MAX];
    const size_t tokens = read_documents(w, &batch); /* not timed */
    w->places += (size_t)batch.steps * (size_t)batch.B;
    team_step(w->job->team, w->step, tokens, TRACE_EMBEDDING);
    classifier_train(&w->documents.model, w->job->team, w->value, &batch, &w->rows, (uint32_t)w->step,
                     w->gradient, w->list.gradient_floats, node_nats, bench_send_bucket, w);
    bench_update(w, node_nats, (size_t)batch.B);
}

const bench_kind bench_of_documents = {configure_documents, plan_documents, start_documents, run_documents};
