/* dropout.h - inverted dropout: y = x * m / (1-p), m Bernoulli(1-p), a fresh mask for every (step, layer,
 * global row, time, column) (Srivastava 2014; on the non-recurrent connections only, Zaremba 2014).
 *
 * The mask is a function of rng_place and so is the same for any ranks and threads, and backward draws it
 * again instead of storing it.  An element is kept iff u >= p (u as in rng.h).  One multiplication by 0 or
 * scale = (float)(1/(1-p)), so that what is not a number stays seen.  x and y (T,B,ld), may be the same;
 * columns n..ld-1 are left as they are. Threads: call from outside a parallel region. */
#ifndef KERNELS_DROPOUT_H
#define KERNELS_DROPOUT_H

#include "kernels/team.h"

typedef struct dropout {
    double p; /* 0 <= p < 1; 0: y = x */
    uint64_t seed;
    uint32_t step;  /* optimiser step, from 0 */
    uint8_t layer;  /* place in the network */
    uint32_t row0;  /* global row of local row 0 */
    uint16_t time0; /* time of the window's first step, where windows of one step must differ */
} dropout;

/* Forward and backward alike. */
void dropout_apply(const dropout *d, team *t, float *y, const float *x, int T, int B, int n, int ld);

#endif
