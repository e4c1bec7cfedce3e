/* pooling.h - one vector from the outputs of a sequence, which may come window by window.
 *
 *   last       y at the last time; of a bidirectional layer the second direction's y at the first time, where it ends
 *   mean       1/n sum over the n times
 *   max        the largest of each column; of equal ones the first
 *   concat     [last, max, mean]                                              (Howard & Ruder 2018, ULMFiT)
 *   attention  sum_t a_t y_t,  a = softmax over times of the scores            (Zhou et al. 2016: score_t = v tanh(y_t))
 *
 * Shapes: y (T,B,PAD16(W)), out (B,PAD16(D)), D = W, or 3 W for concat; padding of out is zero.  Row b has the times
 * [begin[b], end[b]) of a window, 0 <= begin, end <= T, none at all if end <= begin; a row that never has any gives
 * zeros.
 * Sums, maxima and counts run along from window to window in order of time, so that the result has the same bits
 * however the windows are cut.  Backward gives the gradient by the y of the newest window; what earlier windows
 * brought is a constant (Howard & Ruder's BPT3C).
 * Memory: arena.  Threads: call from outside a parallel region.  Not collective. */
#ifndef KERNELS_POOLING_H
#define KERNELS_POOLING_H

#include "kernels/arena.h"
#include "kernels/team.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum { POOL_LAST, POOL_MEAN, POOL_MAX, POOL_CONCAT, POOL_ATTENTION } pool_kind;

typedef struct pooling {
    pool_kind kind;
    int W,
        first_end; /* columns from first_end on end at a sequence's first time: W / 2 if bidirectional, else W */
    int B;
    /* pooling.c's own, all in the arena; (B,Wp) and (B) */
    float *last, *sum, *max;
    int32_t *when;      /* of the maximum: times of the row before it */
    int *count;         /* times of the row so far */
    float *peak, *mass; /* attention: the largest score so far; the sum of exp(score - peak) */
} pooling;

int pooling_width(pool_kind kind, int W); /* D */
void pooling_plan(pooling *p, arena *a, pool_kind kind, int W, bool bidirectional, int B);
/* New sequences in all rows. */
void pooling_start(pooling *p);
/* The next window.  score: (T,B,16), of which column 0 counts; attention only. */
void pooling_add(pooling *p, team *t, const float *y, const float *score, int T, int B, const int *begin,
                 const int *end);
void pooling_result(const pooling *p, team *t, float *out, int B);
/* Gradients by y, and by score if there is one (its other columns become zero), of the newest window. */
void pooling_backward(const pooling *p, team *t, const float *dout, const float *y, const float *score,
                      float *dy, float *dscore, int T, int B, const int *begin, const int *end);

#endif
