#include "kernels/pooling.h"

#include "kernels/ints.h"
#include "kernels/simd/table.h"

#include <string.h>

#define COLUMNS 64 /* of a task: whole cache lines */

int pooling_width(pool_kind kind, int W)
{
    return kind == POOL_CONCAT ? 3 * W : W;
}

static bool has(const pooling *p, pool_kind kind)
{
    return p->kind == kind || p->kind == POOL_CONCAT;
}

void pooling_plan(pooling *p, arena *a, pool_kind kind, int W, bool bidirectional, int B)
{
    *p = (pooling){.kind = kind, .W = W, .first_end = bidirectional ? W / 2 : W, .B = B};
    const size_t cells = (size_t)B * (size_t)PAD16(W), f = sizeof(float);
    arena_add(a, "lengths", (void **)&p->count, (size_t)B * sizeof *p->count);
    if (has(p, POOL_LAST))
        arena_add(a, "last outputs", (void **)&p->last, cells * f);
    if (has(p, POOL_MEAN) || kind == POOL_ATTENTION)
        arena_add(a, "sums of outputs", (void **)&p->sum, cells * f);
    if (has(p, POOL_MAX)) {
        arena_add(a, "largest outputs", (void **)&p->max, cells * f);
        arena_add(a, "times of the largest outputs", (void **)&p->when, cells * sizeof *p->when);
    }
    if (kind == POOL_ATTENTION) {
        arena_add(a, "largest scores", (void **)&p->peak, (size_t)B * f);
        arena_add(a, "sums of weights", (void **)&p->mass, (size_t)B * f);
    }
}

void pooling_start(pooling *p)
{
    const size_t cells = (size_t)p->B * (size_t)PAD16(p->W) * sizeof(float);
    memset(p->count, 0, (size_t)p->B * sizeof *p->count);
    if (p->last)
        memset(p->last, 0, cells);
    if (p->sum)
        memset(p->sum, 0, cells);
    if (p->max)
        memset(p->max, 0, cells);
    if (p->mass)
        memset(p->mass, 0, (size_t)p->B * sizeof *p->mass);
}

typedef struct job {
    const pooling *p;
    const float *y, *score, *dout;
    float *out, *dy, *dscore;
    const int *begin, *end;
    int T, B;
} job;

/* Columns [c0, c1) of a row: a task. */
typedef struct part {
    int b, c0, c1;
} part;

static part part_of(const pooling *p, long task)
{
    const int across = pieces(p->W, COLUMNS), c0 = (int)(task % across) * COLUMNS;
    return (part){(int)(task / across), c0, at_most(c0 + COLUMNS, p->W)};
}

static size_t cell(const pooling *p, int row)
{
    return (size_t)row * (size_t)PAD16(p->W);
}

/* ---- forward ---- */

static void add_part(const job *j, part q)
{
    const pooling *p = j->p;
    const int begin = j->begin[q.b], end = j->end[q.b], before = p->count[q.b];
    for (int t = begin; t < end; t++) {
        const float *y = j->y + cell(p, t * j->B + q.b);
        for (int c = q.c0; p->sum && c < q.c1; c++)
            p->sum[cell(p, q.b) + (size_t)c] += y[c];
        for (int c = q.c0; p->max && c < q.c1; c++) {
            float *max = &p->max[cell(p, q.b) + (size_t)c];
            const int place = before + t - begin;
            if (place == 0 || y[c] > *max || y[c] != y[c]) { /* what is not a number stays seen */
                *max = y[c];
                p->when[cell(p, q.b) + (size_t)c] = place;
            }
        }
    }
    for (int c = q.c0; p->last && begin < end && c < q.c1; c++) {
        if (c < p->first_end)
            p->last[cell(p, q.b) + (size_t)c] = j->y[cell(p, (end - 1) * j->B + q.b) + (size_t)c];
        else if (before == 0)
            p->last[cell(p, q.b) + (size_t)c] = j->y[cell(p, begin * j->B + q.b) + (size_t)c];
    }
}

static float score_at(const job *j, int t, int b)
{
    return j->score[(size_t)(t * j->B + b) * 16];
}

/* Weights relative to the largest score so far: a larger one scales down what has been summed. */
static void add_weighted(const kernels *k, const job *j, int b)
{
    const pooling *p = j->p;
    float *sum = p->sum + cell(p, b);
    for (int t = j->begin[b]; t < j->end[b]; t++) {
        const float score = score_at(j, t, b), *y = j->y + cell(p, t * j->B + b);
        const bool first = p->count[b] == 0 && t == j->begin[b], higher = first || score > p->peak[b];
        float e = first ? 0.0f : higher ? p->peak[b] - score : score - p->peak[b];
        k->exp(&e, &e, 1);
        if (higher) {
            p->peak[b] = score;
            for (int c = 0; c < p->W; c++)
                sum[c] = (first ? 0.0f : sum[c] * e) + y[c];
            p->mass[b] = (first ? 0.0f : p->mass[b] * e) + 1.0f;
        } else {
            for (int c = 0; c < p->W; c++)
                sum[c] += e * y[c];
            p->mass[b] += e;
        }
    }
}

static void add_body(member *m, void *arg)
{
    const job *j = arg;
    const bool attention = j->p->kind == POOL_ATTENTION;
    const long tasks = attention ? j->B : (long)j->B * pieces(j->p->W, COLUMNS);
    for (long i; (i = team_claim(m, tasks)) >= 0;) {
        if (attention)
            add_weighted(m->k, j, (int)i);
        else
            add_part(j, part_of(j->p, i));
    }
    team_barrier(m);
}

void pooling_add(pooling *p, team *t, const float *y, const float *score, int T, int B, const int *begin,
                 const int *end)
{
    job j = {.p = p, .y = y, .score = score, .begin = begin, .end = end, .T = T, .B = B};
    team_run(t, add_body, &j);
    for (int b = 0; b < B; b++)
        p->count[b] += at_least(0, end[b] - begin[b]);
}

static void result_body(member *m, void *arg)
{
    const job *j = arg;
    const pooling *p = j->p;
    const int W = p->W, D = pooling_width(p->kind, W);
    for (long b; (b = team_claim(m, j->B)) >= 0;) {
        float *out = j->out + (size_t)b * (size_t)PAD16(D);
        const int n = p->count[b];
        const float by = p->kind == POOL_ATTENTION ? p->mass[b] : (float)n;
        const size_t at = cell(p, (int)b), bytes = (size_t)W * sizeof *out;
        memset(out + D, 0, (size_t)(PAD16(D) - D) * sizeof *out);
        if (p->last)
            memcpy(out, p->last + at, bytes);
        if (p->max)
            memcpy(out + (p->kind == POOL_CONCAT ? W : 0), p->max + at, bytes);
        float *mean = out + (p->kind == POOL_CONCAT ? 2 * W : 0);
        for (int c = 0; p->sum && c < W; c++)
            mean[c] = n ? p->sum[at + (size_t)c] / by : 0.0f;
    }
    team_barrier(m);
}

void pooling_result(const pooling *p, team *t, float *out, int B)
{
    job j = {.p = p, .out = out, .B = B};
    team_run(t, result_body, &j);
}

/* ---- backward ---- */

static void add_columns(float *sum, const float *x, int c0, int c1)
{
    for (int c = c0; c < c1; c++)
        sum[c] += x[c];
}

static void backward_part(const job *j, part q)
{
    const pooling *p = j->p;
    const int D = pooling_width(p->kind, p->W), b = q.b, begin = j->begin[b], end = j->end[b];
    const int before = p->count[b] - at_least(0, end - begin); /* times of earlier windows */
    const float *dlast = j->dout + (size_t)b * (size_t)PAD16(D),
                *dmax = dlast + (p->kind == POOL_CONCAT ? p->W : 0),
                *dmean = dlast + (p->kind == POOL_CONCAT ? 2 * p->W : 0);
    const int32_t *when = p->max ? p->when + cell(p, b) : NULL;
    const int pad = q.c1 == p->W ? PAD16(p->W) : q.c1; /* the last part clears the padding, too */
    const int middle = at_most(q.c1, at_least(q.c0, p->first_end));
    float of_mean[COLUMNS] = {0};
    for (int c = q.c0; p->sum && begin < end && c < q.c1; c++)
        of_mean[c - q.c0] = dmean[c] / (float)p->count[b];
    for (int t = 0; t < j->T; t++) {
        float *dy = j->dy + cell(p, t * j->B + b);
        memset(dy + q.c0, 0, (size_t)(pad - q.c0) * sizeof *dy);
        if (t < begin || t >= end)
            continue;
        if (p->sum)
            memcpy(dy + q.c0, of_mean, (size_t)(q.c1 - q.c0) * sizeof *dy);
        for (int c = q.c0; when && c < q.c1; c++)
            dy[c] = when[c] == before + t - begin ? dy[c] + dmax[c] : dy[c];
        if (p->last && t == end - 1)
            add_columns(dy, dlast, q.c0, middle);
        if (p->last && t == begin && before == 0)
            add_columns(dy, dlast, middle, q.c1);
    }
}

static double dot(const float *a, const float *b, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void backward_weighted(const kernels *k, const job *j, int b)
{
    const pooling *p = j->p;
    const float *dout = j->dout + (size_t)b * (size_t)PAD16(p->W);
    const double through_mass = dot(dout, p->sum + cell(p, b), p->W) / (double)p->mass[b];
    for (int t = 0; t < j->T; t++) {
        float *dy = j->dy + cell(p, t * j->B + b), *ds = j->dscore + (size_t)(t * j->B + b) * 16;
        memset(dy, 0, (size_t)PAD16(p->W) * sizeof *dy);
        memset(ds, 0, 16 * sizeof *ds);
        if (t < j->begin[b] || t >= j->end[b])
            continue;
        const float *y = j->y + cell(p, t * j->B + b);
        float a = score_at(j, t, b) - p->peak[b];
        k->exp(&a, &a, 1);
        a /= p->mass[b];
        for (int c = 0; c < p->W; c++)
            dy[c] = a * dout[c];
        ds[0] = (float)((double)a * (dot(dout, y, p->W) - through_mass));
    }
}

static void backward_body(member *m, void *arg)
{
    const job *j = arg;
    const bool attention = j->p->kind == POOL_ATTENTION;
    const long tasks = attention ? j->B : (long)j->B * pieces(j->p->W, COLUMNS);
    for (long i; (i = team_claim(m, tasks)) >= 0;) {
        if (attention)
            backward_weighted(m->k, j, (int)i);
        else
            backward_part(j, part_of(j->p, i));
    }
    team_barrier(m);
}

void pooling_backward(const pooling *p, team *t, const float *dout, const float *y, const float *score,
                      float *dy, float *dscore, int T, int B, const int *begin, const int *end)
{
    job j = {.p = p,
             .y = y,
             .score = score,
             .dout = dout,
             .dy = dy,
             .dscore = dscore,
             .begin = begin,
             .end = end,
             .T = T,
             .B = B};
    team_run(t, backward_body, &j);
}
