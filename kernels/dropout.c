#include "kernels/dropout.h"

#include "kernels/rng.h"
#include "kernels/simd/table.h"

#include <math.h>
#include <string.h>

#define ROWS_PER_TASK 8

typedef struct job {
    const dropout *d;
    float *y;
    const float *x;
    int T, B, n;
    size_t ld;
    float limit, scale;
} job;

static void dropout_row(const kernels *k, const job *j, size_t row)
{
    float *y = j->y + row * j->ld;
    const float *x = j->x + row * j->ld;
    if (j->d->p > 0.0) {
        rng_place place = {.seed = j->d->seed,
                           .row = j->d->row0 + (uint32_t)(row % (size_t)j->B),
                           .step = j->d->step,
                           .purpose = RNG_DROPOUT,
                           .layer = j->d->layer,
                           .time = (uint16_t)(j->d->time0 + row / (size_t)j->B)};
        k->dropout(y, x, (size_t)j->n, &place, j->limit, j->scale);
    } else if (y != x) {
        memcpy(y, x, (size_t)j->n * sizeof(float));
    }
}

static void body(member *m, void *arg)
{
    const job *j = arg;
    size_t rows = (size_t)j->T * (size_t)j->B;
    for (long i; (i = team_claim(m, (long)((rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK))) >= 0;)
        for (size_t row = (size_t)i * ROWS_PER_TASK; row < rows && row < (size_t)(i + 1) * ROWS_PER_TASK;
             row++)
            dropout_row(m->k, j, row);
}

void dropout_apply(const dropout *d, team *t, float *y, const float *x, int T, int B, int n, int ld)
{
    /* u >= p for u = k/2^24 is k >= p 2^24, and k is whole: both steps are exact */
    job j = {d, y, x, T, B, n, (size_t)ld, (float)ceil(d->p * 0x1p24), (float)(1.0 / (1.0 - d->p))};
    team_phase(t, TRACE_DROPOUT);
    team_run(t, body, &j);
}
