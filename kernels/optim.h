/* optim.h - one step of an optimiser on contiguous pieces of parameters, element by element (formulas and
 * corner cases of torch.optim 2.x).
 *
 *   g  = grad * scale                  1/count or 1/B (rule R6); then * clip (norm); then to [-value, value]
 *   g += weight_decay * w                   L2 (adamw instead: w *= 1 - lr*weight_decay);   g += l1 * sign(w)
 *   sgd      buf = momentum*buf + (1-dampening) g (first step: buf = g); w -= lr*buf
 *            nesterov: w -= lr (g + momentum*buf); no momentum: w -= lr g
 *            plain (no momentum, weight decay or l1): where g is 0, w keeps its bits, and vectors without
 *            gradient are not written; an infinite w stays so, where the others make it NaN
 *   adam(w)  m = lerp(m, g, 1-b1); v = b2 v + (1-b2) g g; amsgrad: max of v;
 *            w -= (lr/bc1) m / (sqrt(v)/sqrt(bc2) + eps), bc = 1 - b^step
 *   rmsprop  v = a v + (1-a) g g; centered: mean; d = sqrt(v [- mean^2]) + eps; momentum buffer; w -= lr g/d
 *   adagrad  s += g g; w -= lr/(1+(step-1) lr_decay) g / (sqrt(s) + eps)
 *
 * Scalars that depend on the step (bias corrections, rates) are computed once per step in double and
 * rounded to float; an element's arithmetic is float, in one fixed order.  One departure: where rounding
 * leaves the centered variance below zero it counts as zero (torch takes the root and gets NaN).  Threads:
 * call from outside a parallel region. */
#ifndef KERNELS_OPTIM_H
#define KERNELS_OPTIM_H

#include "kernels/sums.h"
#include "kernels/team.h"

typedef enum {
    OPTIM_KIND_SGD,
    OPTIM_KIND_ADAM,
    OPTIM_KIND_ADAMW,
    OPTIM_KIND_RMSPROP,
    OPTIM_KIND_ADAGRAD,
} optim_kind;

typedef struct optim_settings {
    optim_kind kind;
    double momentum, dampening, beta1, beta2, eps, alpha, lr_decay, weight_decay, l1, initial_accumulator;
    double clip_value; /* 0: none */
    bool nesterov, amsgrad, centered;
} optim_settings;

/* Which state tensors an optimiser keeps, in the order of optim_piece.state: how many, and their names
 * as in torch ("momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "square_avg", "grad_avg",
 * "sum"). */
#define OPTIM_STATES_MAX 3
int optim_states(const optim_settings *s, const char *names[OPTIM_STATES_MAX]);
float optim_state_start(const optim_settings *s, int state); /* 0, or adagrad's initial accumulator */

typedef struct optim_piece {
    float *w;
    const float *grad;
    float *state[OPTIM_STATES_MAX];
    size_t n;     /* elements of each */
    int64_t step; /* counts from 1 */
    double lr;
    bool decay; /* false: excluded from weight_decay and l1 */
    /* NULL, or rows outside of which grad is zero, so that plain sgd need not look there */
    const sums_rows *only;
} optim_piece;

/* One step on n pieces, which do not overlap.  scale, clip: see above (clip 1 = none). */
void optim_step(team *t, const optim_settings *s, float scale, float clip, const optim_piece *piece, int n);

#endif
