/* class_loss.h - the loss of a row's label, and its gradient by the logits.
 *
 *   softmax   -(1-e) w_y log p_y - e/C sum_c w_c log p_c,  p = softmax(logits)         (torch.nn.CrossEntropyLoss with
 *             class weights w and label smoothing e; Szegedy et al. 2016)
 *   sigmoid   two classes, one logit z: p_1 = sigmoid(z), p_0 = 1 - p_1, and the same formula
 *
 * in double precision (dmath.h), rounded once.  A row whose label is CLASS_NONE has no loss and a gradient of zero.
 * Gradients and losses are sums: the caller divides by the sum of w_y (rule R6).
 * Shapes: logits and gradient (B,PAD16(N)), N = C, or 1 for sigmoid; padding of the gradient is zero.
 * Threads: call from outside a parallel region.  Not collective. */
#ifndef KERNELS_CLASS_LOSS_H
#define KERNELS_CLASS_LOSS_H

#include "kernels/shards.h"
#include "kernels/team.h"

#include <stdbool.h>
#include <stdint.h>

#define CLASS_NONE UINT32_MAX

typedef struct class_loss {
    int classes; /* C >= 2 */
    bool sigmoid;
    double smoothing;    /* e, 0 <= e < 1 */
    const float *weight; /* (C), NULL: all 1 */
} class_loss;

/* Columns of the logits. */
static inline int class_logits(const class_loss *l)
{
    return l->sigmoid ? 1 : l->classes;
}

/* The likeliest class of a row of C log-probabilities, of equal ones the first. */
static inline uint32_t class_best(const float *logp, int C)
{
    int best = 0;
    for (int c = 1; c < C; c++)
        best = logp[c] > logp[best] ? c : best;
    return (uint32_t)best;
}

/* log p (B,C). */
void class_log_probabilities(const class_loss *l, team *t, const float *logits, int B, float *logp);
/* gradient is written, and row_nats (B), each row's loss, the caller's memory; nats[n]: loss summed over the rows of
 * node n of p, a chain over each shard's rows, the tree above them. */
void class_loss_train(const class_loss *l, team *t, const float *logits, const uint32_t *label,
                      const shards *p, float *gradient, double *row_nats, double *nats);

#endif
