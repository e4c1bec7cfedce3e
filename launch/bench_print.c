/* bench_print.c - what bench.c has measured, as a table and as JSON. */
#include "io/record.h"
#include "launch/bench.h"

#include <stdlib.h>

/* One kernel, or the whole. */
typedef struct row {
    const char *kernel;
    double seconds, operations;
} row;

static const char *whole_name(const bench_result *r)
{
    return r->shape.subject == BENCH_LAYER ? "layer" : "step";
}

/* ---- table ---- */

static void print_percent(FILE *out, double share, int width)
{
    if (share > 0)
        fprintf(out, " %*.1f %%", width - 2, 1e2 * share);
    else
        fprintf(out, " %*s", width, "-");
}

static void print_row(FILE *out, const bench_result *r, row x)
{
    const double rate = x.operations / x.seconds;
    fprintf(out, "  %-20s %9.3f", x.kernel, 1e3 * x.seconds);
    if (rate > 0)
        fprintf(out, " %9.1f", 1e-9 * rate);
    else
        fprintf(out, " %9s", "-");
    print_percent(out, rate / r->fma, 12);
    print_percent(out, rate / r->kernel, 15);
    print_percent(out, x.seconds / r->seconds, 12);
    fprintf(out, "\n");
}

static void print_shape(FILE *out, const bench_shape *b)
{
    const bool layer = b->subject == BENCH_LAYER, documents = b->subject == BENCH_DOCUMENTS;
    fprintf(out, "%s%s %s%d x %d, ", documents && b->bidirectional ? "bidirectional " : "", b->cell,
            layer ? "layer, " : "", b->layers, b->hidden);
    if (documents)
        fprintf(out, "embedding %d, ", b->embedding);
    fprintf(out, "batch %d, ", b->batch);
    if (documents)
        fprintf(out, "documents of %d words", b->mean_length);
    else
        fprintf(out, "bptt %d", b->bptt);
    if (!layer)
        fprintf(out, ", vocabulary %d", b->vocabulary);
}

void bench_print(FILE *out, const bench_result *r)
{
    const bench_shape *b = &r->shape;
    print_shape(out, b);
    fprintf(out, "; %d shard%s, %d thread%s, kernels %s\n", b->shards, b->shards > 1 ? "s" : "", r->threads,
            r->threads > 1 ? "s" : "", r->kernels);
    fprintf(
        out,
        "  FMA peak %.1f GFLOP/s (%.1f to %.1f), kernel peak %.1f; weights beyond a core's cache %.1f GB/s, "
        "memory %.1f GB/s\n",
        1e-9 * r->fma, 1e-9 * r->fma_least, 1e-9 * r->fma_most, 1e-9 * r->kernel, 1e-9 * r->weights,
        1e-9 * r->memory);
    fprintf(out, "  %-20s %9s %9s %12s %15s %12s\n", "kernel", "ms", "GFLOP/s", "of FMA peak",
            "of kernel peak", b->subject == BENCH_LAYER ? "of the layer" : "of the step");
    for (int p = 0; p < TRACE_PHASES; p++)
        if (r->phase[p] > 0)
            print_row(out, r, (row){trace_names[p], r->phase[p], r->phase_operations[p]});
    print_row(out, r, (row){whole_name(r), r->seconds, r->operations});
    if (b->subject != BENCH_LAYER)
        fprintf(out, "  %.0f tokens/s", r->tokens / r->seconds);
    if (b->subject == BENCH_DOCUMENTS)
        fprintf(out, "; padding is %.1f %% of what is computed", 1e2 * r->padding);
    if (b->subject != BENCH_LAYER)
        fprintf(out, "\n");
    fprintf(out, "\n");
}

/* ---- JSON ---- */

static record *line_of(const bench_result *r, const char *kernel, double seconds, double rate)
{
    const bench_shape *b = &r->shape;
    record *m = record_new();
    record_set_text(m, "kernel", kernel);
    record_set_text(m, "cell", b->cell);
    record_set_int(m, "layers", b->layers);
    record_set_int(m, "hidden", b->hidden);
    record_set_int(m, "batch", b->batch);
    record_set_int(m, "bptt", b->bptt);
    record_set_int(m, "vocabulary", b->vocabulary);
    record_set_int(m, "threads", r->threads);
    record_set_double(m, "seconds", seconds);
    record_set_double(m, "gflops", 1e-9 * rate);
    record_set_double(m, "share_of_peak", rate / r->fma);
    record_set_double(m, "share_of_kernel_peak", rate / r->kernel);
    if (b->subject == BENCH_DOCUMENTS) {
        record_set_int(m, "embedding", b->embedding);
        record_set_int(m, "mean_length", b->mean_length);
        record_set_bool(m, "bidirectional", b->bidirectional);
    }
    return m;
}

static void print_line(FILE *out, record *m)
{
    char *text = record_to_text(m);
    fprintf(out, "%s\n", text);
    free(text);
    record_free(m);
}

static void print_kernel(FILE *out, const bench_result *r, row x)
{
    record *m = line_of(r, x.kernel, x.seconds, x.operations / x.seconds);
    record_set_double(m, "share_of_step", x.seconds / r->seconds);
    print_line(out, m);
}

/* A ceiling takes no part in the step. */
static record *ceiling(const bench_result *r, const char *name, double seconds, double rate)
{
    record *m = line_of(r, name, seconds, rate);
    record_set_double(m, "share_of_step", 0);
    return m;
}

static void print_bytes(FILE *out, record *ceiling, double bytes)
{
    record_set_double(ceiling, "gigabytes_per_s", 1e-9 * bytes);
    print_line(out, ceiling);
}

void bench_print_json(FILE *out, const bench_settings *settings, const bench_result *r)
{
    print_line(out, ceiling(r, "fma_peak", settings->seconds, r->fma));
    print_line(out, ceiling(r, "kernel_peak", settings->seconds, r->kernel));
    /* two operations for each weight, one for three floats of memory */
    print_bytes(out, ceiling(r, "weights", settings->seconds, r->weights / sizeof(float) * 2), r->weights);
    print_bytes(out, ceiling(r, "bandwidth", settings->seconds, r->memory / sizeof(float) / 3), r->memory);
    for (int p = 0; p < TRACE_PHASES; p++)
        if (r->phase[p] > 0)
            print_kernel(out, r, (row){trace_names[p], r->phase[p], r->phase_operations[p]});
    record *step = line_of(r, whole_name(r), r->seconds, r->operations / r->seconds);
    record_set_double(step, "share_of_step", 1);
    if (r->shape.subject != BENCH_LAYER)
        record_set_double(step, "tokens_per_s", r->tokens / r->seconds);
    if (r->shape.subject == BENCH_DOCUMENTS)
        record_set_double(step, "padded", r->padding);
    print_line(out, step);
}
