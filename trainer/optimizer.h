/* optimizer.h - one optimiser step over the pieces that this rank owns (DESIGN section 4).
 *
 * Gradient sums arrive in the owned pieces; the step is
 *   g = sum * scale               scale = 1/tokens (token_mean) or 1/B (time_sum)            rule R6: one multiplication
 *   norm = sqrt(tree over blocks of sum(g^2))                                                 the same double on all ranks
 *   clip = min(1, clip_norm / (norm + 1e-6))                                                  torch.nn.utils.clip_grad_norm_
 *   w = step(w, g * clip, state)                                                              kernels/optim.h
 * No parameter changes before the norm is known; a norm that is not finite changes nothing and is
 * returned.
 *
 * Groups of parameters (params_depth) go at their own pace, for fine-tuning (Howard & Ruder 2018): group d has
 *   the rate    lr / layer_decay^d
 *   the step    step - d * thaw_steps            which bias corrections and Adagrad's decay count by
 * and while that is below 1 it is frozen: parameters and state keep their bits, weight decay is not applied, its
 * gradient is no part of the norm, whatever it is.  That is torch.optim's step per parameter, counted from its first
 * update, with requires_grad off before. State is kept for the owned pieces only (1/P of it a rank), in the caller's arena, laid out
 * piece after piece. A checkpoint holds it in the tensors' true shapes: optimizer_gather /
 * optimizer_scatter. */
#ifndef TRAINER_OPTIMIZER_H
#define TRAINER_OPTIMIZER_H

#include "io/config.h"
#include "kernels/arena.h"
#include "kernels/embedding.h"
#include "kernels/optim.h"
#include "trainer/comm/comm.h"
#include "trainer/params.h"

typedef struct optimizer {
    optim_settings settings;
    double clip_norm;
    const params *list;
    int pieces, states;
    piece piece[PARAMS_MAX];
    bool decays[PARAMS_MAX];            /* of piece i */
    int depth[PARAMS_MAX];              /* of piece i: its group, 0 the top */
    size_t at[PARAMS_MAX];              /* floats into a state where piece i begins */
    size_t owned;                       /* floats of one state */
    const char *name[OPTIM_STATES_MAX]; /* "momentum_buffer", ... */
    float *state[OPTIM_STATES_MAX];
    double *square;         /* per block of the list, in block order */
    double *square_sent;    /* this rank's, piece after piece */
    double *square_all;     /* all ranks' */
    size_t *square_bytes;   /* per rank */
    const embedding *words; /* optimizer_sparse */
} optimizer;

/* Does each pattern of optim.decay_exclude name a parameter?  BAD_CONFIG names the one that does not.  Not collective. */
status optimizer_check(const config *c, const params *list, error *e);
/* For rank `rank` of `size`, for which the list was finished. */
void optimizer_plan(optimizer *o, arena *a, const config *c, const params *list, int rank, int size);
/* words: the embedding (trunk_words) whose last scatter tells which rows of encoder.weight's gradient are other than
 * zero, so that no others need be read; NULL, as after optimizer_plan: all may be. */
void optimizer_sparse(optimizer *o, const embedding *words);
void optimizer_start(optimizer *o); /* states to their start values; after the arena's commit */

typedef struct optimizer_pace {
    int64_t step;       /* of the run, from 1 */
    double lr;          /* of the top group */
    double layer_decay; /* 1: all groups have it */
    int64_t thaw_steps; /* a group's first step comes so many after that of the group above it; 0: at once */
} optimizer_pace;
/* Whether group `depth` still waits for its first step. */
bool optimizer_frozen(const optimizer_pace *pace, int depth);
/* Collective.  gradient: slab with the sums in the owned pieces (tied: in the scatter slice too); it is
 * changed.  Returns the norm. */
double optimizer_step(optimizer *o, comm *group, team *t, float *value, float *gradient, optimizer_pace pace,
                      float scale);

/* Collective.  State i of all ranks as one slab (list->floats, padding zero) on rank 0; `slab` is ignored
 * elsewhere.  scratch: list->floats, rank 0. */
void optimizer_gather(const optimizer *o, comm *group, int i, float *slab, float *scratch);
/* Collective.  The inverse. */
void optimizer_scatter(optimizer *o, comm *group, int i, const float *slab, float *scratch);

#endif
