/* bench.c - the measurement; what is printed is bench_print.c's. */
#include "launch/bench.h"

#include "io/config.h"
#include "kernels/peak.h"
#include "kernels/rng.h"
#include "trainer/flops.h"
#include "trainer/initial.h"
#include "trainer/optimizer.h"
#include "trainer/run.h"

#include <stdlib.h>
#include <string.h>

#define WINDOWS        8   /* of random words, taken in turns */
#define MEMORY_SECONDS 0.2 /* at most */
#define KERNEL_SHARE   0.2 /* of a round's time for the kernel peak */

/* What is repeated: a training step, or a layer. */
typedef struct work {
    const session *job;
    bench_shape shape;
    config config;
    shards rows;
    model_shape model_shape;
    arena memory;
    trace trace;
    int64_t step;
    float *value, *gradient;
    /* a training step */
    params list;
    uint32_t *ids;
    model model;
    optimizer optimizer;
    /* a layer */
    recurrent layer;
    float *x, *dh, *dh_work, *dx;
} work;

/* ---- set-up ---- */

static status set_key(config *c, const char *key, const char *value, error *e)
{
    char assignment[128];
    snprintf(assignment, sizeof assignment, "%s=%s", key, value);
    return config_set(c, assignment, e);
}

/* The configuration of a run of this shape, so that all that is not asked for has the trainer's defaults. */
static status configure(work *w, error *e)
{
    const bench_shape *b = &w->shape;
    const bool before = strcmp(b->cell, "gru_before") == 0;
    const struct {
        const char *key;
        int value;
    } numbers[] = {{"data.batch_size", b->batch},  {"data.bptt", b->bptt},
                   {"data.shards", b->shards},     {"model.layers", b->layers},
                   {"model.embedding", b->hidden}, {"model.hidden", b->hidden}};
    status s = set_key(&w->config, "data.corpus", "random", e);
    for (size_t i = 0; s == STATUS_OK && i < sizeof numbers / sizeof numbers[0]; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", numbers[i].value);
        s = set_key(&w->config, numbers[i].key, text, e);
    }
    if (s == STATUS_OK)
        s = set_key(&w->config, "model.cell", before ? "gru" : b->cell, e);
    if (s == STATUS_OK && before)
        s = set_key(&w->config, "model.reset", "before", e);
    if (s == STATUS_OK)
        s = set_key(&w->config, "optim.clip_norm", "0.25", e);
    return s == STATUS_OK ? config_finish(&w->config, e) : s;
}

static size_t tokens_of(const work *w)
{
    return (size_t)w->shape.batch * (size_t)w->shape.bptt;
}

static void random_words(const work *w)
{
    const rng_place place = {.seed = 1, .purpose = RNG_TEST};
    for (uint32_t i = 0; i < 2 * WINDOWS * tokens_of(w); i++)
        w->ids[i] = (uint32_t)(rng_uniform(&place, i) * (float)w->shape.vocabulary);
}

static status plan_step(work *w, error *e)
{
    const bench_shape *b = &w->shape;
    arena *a = &w->memory;
    model_params(&w->model_shape, &w->list, 1);
    arena_add(a, "parameters", (void **)&w->value, w->list.floats * sizeof(float));
    arena_add(a, "gradients", (void **)&w->gradient,
              w->list.gradient_floats * (size_t)w->rows.nodes * sizeof(float));
    optimizer_plan(&w->optimizer, a, &w->config, &w->list, 0, 1);
    arena_add(a, "token ids", (void **)&w->ids, 2 * WINDOWS * tokens_of(w) * sizeof(uint32_t));
    model_plan(&w->model, a, w->job->team, &w->model_shape, &w->list, b->bptt, b->batch,
               shards_largest(&w->rows), true);
    trunk_rank(&w->model.trunk, 0, 1);
    if (!arena_commit(a))
        return fail(e, STATUS_NO_MEMORY, "this shape needs %.1f MB, more than the system gives",
                    (double)arena_bytes(a) / 1e6);
    random_words(w);
    optimizer_start(&w->optimizer);
    trunk_zero_state(&w->model.trunk);
    status s = run_plan_exchange(&w->list, w->job->group, b->batch, w->rows.S, e);
    return s == STATUS_OK ? initial_parameters(&w->config, &w->list, w->value, e) : s;
}

/* n floats in -scale .. scale; `which` tells them from others. */
static void random_floats(float *x, size_t n, float scale, uint32_t which)
{
    const rng_place place = {.seed = 1, .row = which, .purpose = RNG_TEST};
    rng_fill(&place, x, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        x[i] = (2 * x[i] - 1) * scale;
}

/* Activations: the padding behind n columns is zero. */
static void random_rows(float *x, size_t rows, int n, float scale, uint32_t which)
{
    const size_t ld = (size_t)PAD16(n);
    random_floats(x, rows * ld, scale, which);
    for (size_t r = 0; r < rows; r++)
        memset(x + r * ld + n, 0, (ld - (size_t)n) * sizeof *x);
}

static size_t layer_rows(const work *w)
{
    return (size_t)w->model_shape.cell->gates * (size_t)w->shape.hidden;
}

static status plan_layer(work *w, error *e)
{
    const bench_shape *b = &w->shape;
    arena *a = &w->memory;
    const size_t H = (size_t)b->hidden, weights = layer_rows(w) * (2 * H + 2),
                 rows = tokens_of(w) * (size_t)PAD16(b->hidden) * sizeof(float);
    arena_add(a, "parameters", (void **)&w->value, weights * sizeof(float));
    arena_add(a, "gradients", (void **)&w->gradient, weights * (size_t)w->rows.nodes * sizeof(float));
    arena_add(a, "x", (void **)&w->x, rows);
    arena_add(a, "dh", (void **)&w->dh, rows);
    arena_add(a, "dh, used up", (void **)&w->dh_work, rows);
    arena_add(a, "dx", (void **)&w->dx, rows);
    recurrent_plan(&w->layer, a, w->job->team, w->model_shape.cell, b->hidden, b->hidden, b->bptt, b->batch,
                   true);
    if (!arena_commit(a))
        return fail(e, STATUS_NO_MEMORY, "this shape needs %.1f MB, more than the system gives",
                    (double)arena_bytes(a) / 1e6);
    random_rows(w->x, tokens_of(w), b->hidden, 1.0f, 0);
    random_rows(w->dh, tokens_of(w), b->hidden, 0.01f, 1);
    random_floats(w->value, weights, 0.05f, 2);
    return STATUS_OK;
}

static status open_work(work *w, const bench_shape *shape, const session *job, error *e)
{
    *w = (work){.job = job, .shape = *shape};
    config_init(&w->config);
    trace_open(&w->trace, 0); /* takes no memory */
    status s = configure(w, e);
    if (s != STATUS_OK)
        return s;
    shards_init(&w->rows, shape->batch, (int)w->config.data.shards, 0, 1);
    w->model_shape = (model_shape){.cell = cell_find(shape->cell),
                                   .layers = shape->layers,
                                   .V = shape->vocabulary,
                                   .E = shape->hidden,
                                   .H = shape->hidden};
    return shape->layer ? plan_layer(w, e) : plan_step(w, e);
}

static void close_work(work *w)
{
    if (!w->shape.layer)
        params_free(&w->list);
    arena_free(&w->memory);
    trace_close(&w->trace);
    config_free(&w->config);
}

/* ---- what is repeated ---- */

static void send_bucket(void *arg, int bucket)
{
    work *w = arg;
    team_phase(w->job->team, TRACE_REDUCE);
    comm_reduce_begin(w->job->group, bucket, w->gradient, w->list.gradient_floats);
}

/* As the trainer's loop does it, between reading a window and logging. */
static void run_step(work *w)
{
    const session *job = w->job;
    const size_t n = tokens_of(w);
    const uint32_t *x = w->ids + 2 * n * (size_t)(w->step % WINDOWS);
    double node_nats[SHARD_NODES_MAX];
    team_step(job->team, w->step, n, TRACE_EMBEDDING);
    model_train(&w->model, job->team, w->value, x, x + n, w->shape.bptt, w->shape.batch, &w->rows,
                (uint32_t)w->step, w->gradient, w->list.gradient_floats, node_nats, send_bucket, w);
    team_phase(job->team, TRACE_REDUCE);
    comm_sum_nodes(job->group, node_nats);
    comm_reduce_finish(job->group, job->team, w->gradient);
    optimizer_pace pace = {.step = w->step + 1, .lr = w->config.optim.lr, .layer_decay = 1};
    optimizer_step(&w->optimizer, job->group, job->team, w->value, w->gradient, pace, 1.0f / (float)n);
    trace_end(&w->trace);
    w->step++;
}

static void run_layer(work *w)
{
    team *t = w->job->team;
    const size_t rows = layer_rows(w), H = (size_t)w->shape.hidden, matrix = rows * H;
    const recurrent_weights weights = {.w_ih = w->value,
                                       .w_hh = w->value + matrix,
                                       .b_ih = w->value + 2 * matrix,
                                       .b_hh = w->value + 2 * matrix + rows};
    const recurrent_gradients gradients = {.w_ih = w->gradient,
                                           .w_hh = w->gradient + matrix,
                                           .b_ih = w->gradient + 2 * matrix,
                                           .b_hh = w->gradient + 2 * matrix + rows,
                                           .stride = 2 * matrix + 2 * rows};
    memcpy(w->dh_work, w->dh, tokens_of(w) * (size_t)PAD16(w->shape.hidden) * sizeof(float)); /* not timed */
    team_step(t, w->step, tokens_of(w), TRACE_PACK);
    recurrent_forward(&w->layer, t, &weights, w->x, w->shape.bptt, w->shape.batch);
    recurrent_backward(&w->layer, t, &weights, w->x, w->dh_work, w->dx, &w->rows, &gradients);
    trace_end(&w->trace);
    w->step++;
}

/* Until the steps have taken so many seconds, at least one. */
static void run_round(work *w, double seconds)
{
    trace_reset(&w->trace);
    do {
        if (w->shape.layer)
            run_layer(w);
        else
            run_step(w);
    } while ((double)trace_total(&w->trace) * 1e-9 < seconds);
}

/* ---- measuring ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts x. */
static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, by_value);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* rounds + 1 values each. */
enum { FMA = TRACE_PHASES, KERNEL, STEP, SERIES };

static void measure(work *w, peak *p, const bench_settings *settings, double *const series[SERIES])
{
    team *t = w->job->team;
    team_trace(t, &w->trace);
    run_round(w, 0); /* warms up */
    series[FMA][0] = peak_fma(p, t, settings->seconds);
    for (int i = 0; i < settings->rounds; i++) {
        series[KERNEL][i] = peak_kernel(p, t, settings->seconds * KERNEL_SHARE);
        run_round(w, settings->seconds);
        const double steps = (double)w->trace.steps;
        for (int phase = 0; phase < TRACE_PHASES; phase++)
            series[phase][i] = (double)w->trace.ns[phase] * 1e-9 / steps;
        series[STEP][i] = (double)trace_total(&w->trace) * 1e-9 / steps;
        series[FMA][i + 1] = peak_fma(p, t, settings->seconds);
    }
    team_trace(t, NULL);
}

static void conclude(const work *w, const bench_settings *settings, double *const series[SERIES],
                     bench_result *out)
{
    const double tokens = (double)tokens_of(w);
    out->fma = median(series[FMA], settings->rounds + 1);
    out->fma_least = series[FMA][0];
    out->fma_most = series[FMA][settings->rounds];
    out->kernel = median(series[KERNEL], settings->rounds);
    out->seconds = median(series[STEP], settings->rounds);
    out->operations = tokens * flops_step(&w->model_shape);
    for (int phase = 0; phase < TRACE_PHASES; phase++) {
        out->phase[phase] = median(series[phase], settings->rounds);
        out->phase_operations[phase] = tokens * flops_of(&w->model_shape, (trace_phase)phase);
    }
}

status bench_run(const bench_shape *shape, const bench_settings *settings, const session *job,
                 bench_result *out, error *e)
{
    work w;
    peak p;
    arena peaks = {0};
    const size_t n = (size_t)settings->rounds + 1;
    double *values = calloc(SERIES * n, sizeof *values), *series[SERIES];
    *out = (bench_result){.shape = *shape,
                          .threads = team_threads(job->team),
                          .kernels = kernels_name(team_kernels(job->team))};
    status s = open_work(&w, shape, job, e);
    if (s == STATUS_OK && (!values || !peak_open(&p, &peaks, job->team)))
        s = fail(e, STATUS_NO_MEMORY, "no memory to measure the peaks of %d threads", out->threads);
    if (s == STATUS_OK) {
        for (size_t i = 0; i < SERIES; i++)
            series[i] = values + i * n;
        out->shape.shards = w.rows.S;
        out->memory =
            peak_memory(job->team, settings->seconds < MEMORY_SECONDS ? settings->seconds : MEMORY_SECONDS);
        measure(&w, &p, settings, series);
        conclude(&w, settings, series, out);
    }
    arena_free(&peaks);
    free(values);
    close_work(&w);
    return s;
}
