/* model.h - a language model: the trunk (trunk.h) and a linear output with softmax cross-entropy.
 *
 *   ids (T,B) -> embedding -> dropout -> layers, with dropout behind each -> linear + cross-entropy -> nats
 *
 * Tied: the output's weight is encoder.weight (Press & Wolf 2017).
 * Memory, threads, ranks: as trunk.h says. */
#ifndef TRAINER_MODEL_H
#define TRAINER_MODEL_H

#include "kernels/linear_ce.h"
#include "trainer/trunk.h"

/* Adds the parameters of this shape to p, in the order of params.h, and finishes the list for a group of
 * `size` ranks. */
void model_params(const model_shape *s, params *p, int size);

typedef struct model {
    trunk trunk;
    linear_ce output;
} model;

/* Registers all memory in a.  training: backward and dropout will be used.  largest_shard_rows: of the
 * training rows (else 0). */
void model_plan(model *m, arena *a, team *t, const model_shape *s, const params *list, int T, int B,
                int largest_shard_rows, bool training);

/* One training window: loss and gradients.  x, y (T,B) input and target ids < V; step: optimiser steps
 * done so far (for the masks). gradient + n*stride: slab of gradients of node n, written.  nats[n]: loss
 * summed over node n's tokens. ready: as trunk_backward's. */
void model_train(model *m, team *t, const float *value, const uint32_t *x, const uint32_t *y, int T, int B,
                 const shards *p, uint32_t step, float *gradient, size_t stride, double *nats,
                 model_ready ready, void *arg);

/* log p(target) of each token, (T,B), without dropout; carries state. */
void model_score(model *m, team *t, const float *value, const uint32_t *x, const uint32_t *y, int T, int B,
                 float *logp);
/* Feeds x (T,B) and writes the distribution after the last step: (B,V) log-probabilities. */
void model_predict(model *m, team *t, const float *value, const uint32_t *x, int T, int B, float *logp);

#endif
