/* peak.h - what this machine could do at most: ceilings to hold kernels against.
 *
 *   fma      chains of fused multiply-adds in registers, with the table's own vectors
 *   kernel   the packed product at its best: K = 640, operands in the core's own cache.  Loads between the
 *            multiply-adds cost 5 to 15 in a hundred of the fma rate, so this is what a product can reach
 *   weights  one row times panels of twice the size of the second-level cache (2 to 16 MB a thread): how fast weights
 *            come in that no core's own cache can keep until the next time step
 *   memory   a = b + c over arrays far larger than the caches, each byte read or written counted once
 *
 * All threads of the team run at once, and a rate is the sum of their own rates, each over its own time: cores are
 * not equal, and the slowest would otherwise stand for all.  Rates differ from moment to moment, as other programs,
 * temperature and neighbours on the host have it: measure beside what is to be compared, and take medians.
 *
 * Threads: call from outside a parallel region.  Memory: peak_open only. */
#ifndef KERNELS_PEAK_H
#define KERNELS_PEAK_H

#include "kernels/arena.h"
#include "kernels/team.h"

typedef struct peak {
    /* of each thread, one after the other */
    float *a, *b, *c, *weights;
    double *rate;
    int groups; /* of panels of weights, a thread */
    /* what a rate is measured on, for the time of a call */
    uint64_t duration_ns;
} peak;

/* false: no memory. */
bool peak_open(peak *p, arena *memory, team *t);
/* Operations a second, measured for so many seconds. */
double peak_fma(peak *p, team *t, double seconds);
double peak_kernel(peak *p, team *t, double seconds);
/* Bytes a second, of weights. */
double peak_weights(peak *p, team *t, double seconds);
/* Bytes a second; takes memory of its own for the time of the call, 4 times the last cache and at least 192 MB.  0
 * when that cannot be had. */
double peak_memory(team *t, double seconds);

#endif
