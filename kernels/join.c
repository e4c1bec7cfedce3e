#include "kernels/join.h"

#include <string.h>

#define ROWS_PER_TASK 16

typedef struct job {
    float *whole, *part[2];
    size_t rows;
    int H;
    bool splits;
} job;

static void body(member *m, void *arg)
{
    const job *j = arg;
    const size_t H = (size_t)j->H, wide = (size_t)PAD16(2 * j->H), narrow = (size_t)PAD16(j->H),
                 f = sizeof(float);
    for (long i; (i = team_claim(m, (long)((j->rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK))) >= 0;)
        for (size_t row = (size_t)i * ROWS_PER_TASK; row < j->rows && row < (size_t)(i + 1) * ROWS_PER_TASK;
             row++) {
            float *whole = j->whole + row * wide;
            for (size_t d = 0; d < 2; d++) {
                float *part = j->part[d] + row * narrow;
                memcpy(j->splits ? part : whole + d * H, j->splits ? whole + d * H : part, H * f);
                if (j->splits)
                    memset(part + H, 0, (narrow - H) * f);
            }
            if (!j->splits)
                memset(whole + 2 * H, 0, (wide - 2 * H) * f);
        }
    team_barrier(m);
}

void join_outputs(team *t, float *y, const float *a, const float *b, size_t rows, int H)
{
    job j = {.whole = y, .part = {(float *)a, (float *)b}, .rows = rows, .H = H};
    team_phase(t, TRACE_JOIN);
    team_run(t, body, &j);
}

void split_gradients(team *t, float *da, float *db, const float *dy, size_t rows, int H)
{
    job j = {.whole = (float *)dy, .part = {da, db}, .rows = rows, .H = H, .splits = true};
    team_phase(t, TRACE_JOIN);
    team_run(t, body, &j);
}
