/* wilson.h - a share of right answers and its 95 % interval (Wilson 1927): the shares p at which the observed
 * one lies 1.96 standard errors sqrt(p (1-p) / n) away.  Unlike the normal approximation it stays inside
 * [0,1] and is no point at 0 or n.  Threads: any. */
#ifndef TRAINER_TASKS_WILSON_H
#define TRAINER_TASKS_WILSON_H

#include <stdint.h>

typedef struct wilson_share {
    uint64_t n;
    double share, low, high; /* low <= share <= high; NaN when n is 0 */
} wilson_share;
wilson_share wilson_interval(uint64_t right, uint64_t n);

#endif
