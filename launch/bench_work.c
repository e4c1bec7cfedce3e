/* bench_work.c - training steps of a language model, one layer alone, and what they share with documents. */
#include "launch/bench_work.h"

#include "kernels/rng.h"
#include "trainer/initial.h"
#include "trainer/run.h"

#include <string.h>

#define WINDOWS 8 /* of random words, taken in turns */

/* ---- for all kinds ---- */

status bench_set(bench_work *w, const char *key, const char *value, error *e)
{
    char assignment[128];
    snprintf(assignment, sizeof assignment, "%s=%s", key, value);
    return config_set(&w->config, assignment, e);
}

status bench_set_number(bench_work *w, const char *key, int value, error *e)
{
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    return bench_set(w, key, text, e);
}

void bench_plan_training(bench_work *w)
{
    arena *a = &w->memory;
    arena_add(a, "parameters", (void **)&w->value, w->list.floats * sizeof(float));
    arena_add(a, "gradients", (void **)&w->gradient,
              w->list.gradient_floats * (size_t)w->rows.nodes * sizeof(float));
    optimizer_plan(&w->optimizer, a, &w->config, &w->list, 0, 1);
}

status bench_commit(bench_work *w, error *e)
{
    if (arena_commit(&w->memory))
        return STATUS_OK;
    return fail(e, STATUS_NO_MEMORY, "this shape needs %.1f MB, more than the system gives",
                (double)arena_bytes(&w->memory) / 1e6);
}

status bench_start_training(bench_work *w, error *e)
{
    optimizer_start(&w->optimizer);
    status s = run_plan_exchange(&w->list, w->job->group, w->shape.batch, w->rows.S, e);
    return s == STATUS_OK ? initial_parameters(&w->config, &w->list, w->value, e) : s;
}

void bench_send_bucket(void *work, int bucket)
{
    bench_work *w = work;
    team_phase(w->job->team, TRACE_REDUCE);
    comm_reduce_begin(w->job->group, bucket, w->gradient, w->list.gradient_floats);
}

void bench_update(bench_work *w, double *node_nats, size_t count)
{
    const session *job = w->job;
    const optimizer_pace pace = {.step = w->step + 1, .lr = w->config.optim.lr, .layer_decay = 1};
    team_phase(job->team, TRACE_REDUCE);
    comm_sum_nodes(job->group, node_nats);
    comm_reduce_finish(job->group, job->team, w->gradient);
    optimizer_step(&w->optimizer, job->group, job->team, w->value, w->gradient, pace, 1.0f / (float)count);
    trace_end(&w->trace);
    w->step++;
}

static size_t tokens_of(const bench_work *w)
{
    return (size_t)w->shape.batch * (size_t)w->shape.bptt;
}

static void start_any(bench_work *w, bool warms_up)
{
    (void)w;
    (void)warms_up;
}

/* ---- windows of a language model ---- */

static status configure_windows(bench_work *w, error *e)
{
    status s = bench_set_number(w, "data.bptt", w->shape.bptt, e);
    return s == STATUS_OK ? bench_set(w, "optim.clip_norm", "0.25", e) : s;
}

static void random_words(bench_work *w)
{
    const rng_place place = {.seed = 1, .purpose = RNG_TEST};
    for (uint32_t i = 0; i < 2 * WINDOWS * tokens_of(w); i++)
        w->windows.ids[i] = (uint32_t)(rng_uniform(&place, i) * (float)w->shape.vocabulary);
}

static status plan_windows(bench_work *w, error *e)
{
    const bench_shape *b = &w->shape;
    bench_windows *in = &w->windows;
    model_params(&w->model_shape, &w->list, 1);
    bench_plan_training(w);
    arena_add(&w->memory, "token ids", (void **)&in->ids, 2 * WINDOWS * tokens_of(w) * sizeof(uint32_t));
    model_plan(&in->model, &w->memory, w->job->team, &w->model_shape, &w->list, b->bptt, b->batch,
               shards_largest(&w->rows), true);
    trunk_rank(&in->model.trunk, 0, 1);
    optimizer_sparse(&w->optimizer, trunk_words(&in->model.trunk));
    status s = bench_commit(w, e);
    if (s != STATUS_OK)
        return s;
    random_words(w);
    trunk_zero_state(&in->model.trunk);
    return bench_start_training(w, e);
}

/* As the trainer's loop does it, between reading a window and logging. */
static void run_window(bench_work *w)
{
    const size_t n = tokens_of(w);
    const uint32_t *x = w->windows.ids + 2 * n * (size_t)(w->step % WINDOWS);
    double node_nats[SHARD_NODES_MAX];
    w->places += n;
    team_step(w->job->team, w->step, n, TRACE_EMBEDDING);
    model_train(&w->windows.model, w->job->team, w->value, x, x + n, w->shape.bptt, w->shape.batch, &w->rows,
                (uint32_t)w->step, w->gradient, w->list.gradient_floats, node_nats, bench_send_bucket, w);
    bench_update(w, node_nats, n);
}

const bench_kind bench_of_windows = {configure_windows, plan_windows, start_any, run_window};

/* ---- one layer ---- */

static status configure_layer(bench_work *w, error *e)
{
    return bench_set_number(w, "data.bptt", w->shape.bptt, e);
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

static size_t layer_rows(const bench_work *w)
{
    return (size_t)w->model_shape.cell->gates * (size_t)w->shape.hidden;
}

static status plan_layer(bench_work *w, error *e)
{
    const bench_shape *b = &w->shape;
    bench_layer *l = &w->layer;
    arena *a = &w->memory;
    const size_t H = (size_t)b->hidden, weights = layer_rows(w) * (2 * H + 2),
                 rows = tokens_of(w) * (size_t)PAD16(b->hidden) * sizeof(float);
    arena_add(a, "parameters", (void **)&w->value, weights * sizeof(float));
    arena_add(a, "gradients", (void **)&w->gradient, weights * (size_t)w->rows.nodes * sizeof(float));
    arena_add(a, "x", (void **)&l->x, rows);
    arena_add(a, "dh", (void **)&l->dh, rows);
    arena_add(a, "dx", (void **)&l->dx, rows);
    recurrent_plan(&l->layer, a, w->job->team, w->model_shape.cell, b->hidden, b->hidden, b->bptt, b->batch,
                   true);
    status s = bench_commit(w, e);
    if (s != STATUS_OK)
        return s;
    random_rows(l->x, tokens_of(w), b->hidden, 1.0f, 0);
    random_rows(l->dh, tokens_of(w), b->hidden, 0.01f, 1);
    random_floats(w->value, weights, 0.05f, 2);
    return STATUS_OK;
}

static void run_layer(bench_work *w)
{
    team *t = w->job->team;
    bench_layer *l = &w->layer;
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
    w->places += tokens_of(w);
    team_step(t, w->step, tokens_of(w), TRACE_PACK);
    recurrent_forward(&l->layer, t, &weights, l->x, w->shape.bptt, w->shape.batch);
    recurrent_backward(&l->layer, t, &weights, l->x, l->dh, l->dx, &w->rows, &gradients);
    trace_end(&w->trace);
    w->step++;
}

const bench_kind bench_of_layer = {configure_layer, plan_layer, start_any, run_layer};
