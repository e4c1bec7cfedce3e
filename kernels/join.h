/* join.h - the outputs of a bidirectional layer's two directions side by side, and their gradients apart again.
 *
 *   y[t,b,:] = a[t,b,0..H-1], b[t,b,0..H-1]        a, b (T,B,PAD16(H)), y (T,B,PAD16(2H)), padding zero
 *
 * Threads: call from outside a parallel region.  Not collective. */
#ifndef KERNELS_JOIN_H
#define KERNELS_JOIN_H

#include "kernels/team.h"

void join_outputs(team *t, float *y, const float *a, const float *b, size_t rows, int H);
void split_gradients(team *t, float *da, float *db, const float *dy, size_t rows, int H);

#endif
