/* dense.h - a linear layer, y = x W^T + b, forward and backward.
 *
 * Shapes: x (T,B,Kp), y (T,B,Np), Kp = PAD16(K), Np = PAD16(N), padding zero on entry and on exit; W (N,K) and b (N)
 * are PyTorch's, unpadded; b and db may be NULL, for a layer without a bias.  T is 1 for what stands behind the last time step.
 * Order of arithmetic (rule R3): y is the bias and then a chain over k; dx a chain over n; a leaf of dW and of db a
 * chain over the shard's rows (time outside, row inside), the tree above them.
 * Memory: in the caller's arena, planned at start.  Threads: call from outside a parallel region.  Not collective. */
#ifndef KERNELS_DENSE_H
#define KERNELS_DENSE_H

#include "kernels/arena.h"
#include "kernels/shards.h"
#include "kernels/team.h"

typedef struct dense {
    int K, N, T, B; /* planned sizes */
    /* dense.c's own, all in the arena */
    float *weights; /* packed: panels of outputs in forward, of inputs in backward */
    float *bias;    /* (Np) */
    float *panels_x, *panels_dy;
} dense;

void dense_plan(dense *d, arena *a, team *t, int K, int N, int T, int B, bool training);
void dense_forward(dense *d, team *t, const float *W, const float *b, const float *x, float *y, int T, int B);
/* dx is written; NULL: not wanted.  Gradients are written: node n of p at dW + n*stride, db + n*stride; rows are p's. */
void dense_backward(dense *d, team *t, const float *W, const float *x, const float *dy, float *dx, int T,
                    const shards *p, float *dW, float *db, size_t stride);

#endif
