/* bench.c - the measurement; what is printed is bench_print.c's. */
#include "launch/bench.h"

#include "kernels/peak.h"
#include "launch/bench_work.h"
#include "trainer/flops.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_SECONDS 0.2 /* at most */
#define KERNEL_SHARE   0.2 /* of a round's time for the kernel peak */

/* ---- set-up ---- */

static const bench_kind *const kinds[] = {[BENCH_WINDOWS] = &bench_of_windows,
                                          [BENCH_LAYER] = &bench_of_layer,
                                          [BENCH_DOCUMENTS] = &bench_of_documents};

/* The configuration of a run of this shape, so that all that is not asked for has the trainer's defaults. */
static status configure(bench_work *w, error *e)
{
    const bench_shape *b = &w->shape;
    const bool before = strcmp(b->cell, "gru_before") == 0;
    const struct {
        const char *key;
        int value;
    } numbers[] = {{"data.batch_size", b->batch},
                   {"data.shards", b->shards},
                   {"model.layers", b->layers},
                   {"model.embedding", b->embedding},
                   {"model.hidden", b->hidden}};
    status s = bench_set(w, "data.corpus", "random", e);
    for (size_t i = 0; s == STATUS_OK && i < sizeof numbers / sizeof numbers[0]; i++)
        s = bench_set_number(w, numbers[i].key, numbers[i].value, e);
    if (s == STATUS_OK)
        s = bench_set(w, "model.cell", before ? "gru" : b->cell, e);
    if (s == STATUS_OK && before)
        s = bench_set(w, "model.reset", "before", e);
    if (s == STATUS_OK)
        s = w->kind->configure(w, e);
    return s == STATUS_OK ? config_finish(&w->config, e) : s;
}

static status open_work(bench_work *w, const bench_shape *shape, const session *job, error *e)
{
    *w = (bench_work){.job = job, .kind = kinds[shape->subject], .shape = *shape};
    config_init(&w->config);
    trace_open(&w->trace, 0); /* takes no memory */
    status s = configure(w, e);
    if (s != STATUS_OK)
        return s;
    shards_init(&w->rows, shape->batch, (int)w->config.data.shards, 0, 1);
    w->model_shape = (model_shape){.cell = cell_find(shape->cell),
                                   .layers = shape->layers,
                                   .V = shape->vocabulary,
                                   .E = shape->embedding,
                                   .H = shape->hidden};
    return w->kind->plan(w, e);
}

static void close_work(bench_work *w)
{
    if (w->list.count > 0)
        params_free(&w->list);
    arena_free(&w->memory);
    trace_close(&w->trace);
    config_free(&w->config);
}

/* ---- measuring ---- */

/* Until the steps have taken so many seconds, at least one; 0 warms up. */
static void run_round(bench_work *w, double seconds)
{
    trace_reset(&w->trace);
    w->places = 0;
    w->kind->start(w, seconds == 0);
    do {
        w->kind->step(w);
    } while ((double)trace_total(&w->trace) * 1e-9 < seconds);
}

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

/* rounds + 1 values each; of phases and steps seconds a token, for the steps of one round may differ. */
enum { FMA = TRACE_PHASES, KERNEL, STEP, SERIES };

/* Of all rounds. */
typedef struct totals {
    double steps, tokens, places;
} totals;

static totals measure(bench_work *w, peak *p, const bench_settings *settings, double *const series[SERIES])
{
    team *t = w->job->team;
    totals all = {0};
    team_trace(t, &w->trace);
    run_round(w, 0);
    series[FMA][0] = peak_fma(p, t, settings->seconds);
    for (int i = 0; i < settings->rounds; i++) {
        series[KERNEL][i] = peak_kernel(p, t, settings->seconds * KERNEL_SHARE);
        run_round(w, settings->seconds);
        const double tokens = (double)w->trace.tokens;
        for (int phase = 0; phase < TRACE_PHASES; phase++)
            series[phase][i] = (double)w->trace.ns[phase] * 1e-9 / tokens;
        series[STEP][i] = (double)trace_total(&w->trace) * 1e-9 / tokens;
        all.steps += (double)w->trace.steps;
        all.tokens += tokens;
        all.places += (double)w->places;
        series[FMA][i + 1] = peak_fma(p, t, settings->seconds);
    }
    team_trace(t, NULL);
    return all;
}

/* Of a step. */
static double operations_of(const bench_work *w, trace_phase phase, double tokens)
{
    const bool classifies = w->shape.subject == BENCH_DOCUMENTS;
    model_shape counted = w->model_shape;
    if (classifies)
        counted.V = 0;
    const double of_documents = classifies ? flops_of_document(&w->documents.shape, phase) : 0;
    return tokens * flops_of(&counted, phase) + w->shape.batch * of_documents;
}

static void conclude(const bench_work *w, const bench_settings *settings, totals all,
                     double *const series[SERIES], bench_result *out)
{
    const double tokens = all.tokens / all.steps;
    out->tokens = tokens;
    out->padding = 1 - all.tokens / all.places;
    out->fma = median(series[FMA], settings->rounds + 1);
    out->fma_least = series[FMA][0];
    out->fma_most = series[FMA][settings->rounds];
    out->kernel = median(series[KERNEL], settings->rounds);
    out->seconds = tokens * median(series[STEP], settings->rounds);
    for (int phase = 0; phase < TRACE_PHASES; phase++) {
        out->phase[phase] = tokens * median(series[phase], settings->rounds);
        out->phase_operations[phase] = operations_of(w, (trace_phase)phase, tokens);
        out->operations += out->phase_operations[phase];
    }
}

status bench_run(const bench_shape *shape, const bench_settings *settings, const session *job,
                 bench_result *out, error *e)
{
    bench_work w;
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
        out->weights = peak_weights(&p, job->team,
                                    settings->seconds < MEMORY_SECONDS ? settings->seconds : MEMORY_SECONDS);
        const totals all = measure(&w, &p, settings, series);
        conclude(&w, settings, all, series, out);
    }
    arena_free(&peaks);
    free(values);
    close_work(&w);
    return s;
}
