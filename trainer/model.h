/* model.h - layers put together: embedding, L recurrent layers, linear output with softmax cross-entropy.
 *
 *   ids (T,B) -> embedding -> x (T,B,E) -> dropout -> layer 0 -> dropout -> layer 1 -> ... -> dropout -> linear + cross-entropy -> nats
 *
 * Dropout stands on the non-recurrent connections only (Zaremba 2014): behind the embedding, between layers
 * and in front of the output, a fresh mask each time step.  Tied: the output's weight is encoder.weight
 * (Press & Wolf 2017). This is the only place that branches on the kind of cell and on tying; all that
 * checkpoint, evaluation and sampling know of a row is model_state().
 *
 * A model is working memory for windows of at most T steps and B rows around a slab of parameters that it
 * does not own: the trainer has one for training and a smaller one for evaluation, on the same slab.
 * Memory: arena.  Threads: call from outside a parallel region.  Not collective: sums are per shard node
 * of this rank. */
#ifndef TRAINER_MODEL_H
#define TRAINER_MODEL_H

#include "kernels/arena.h"
#include "kernels/embedding.h"
#include "kernels/linear_ce.h"
#include "kernels/recurrent.h"
#include "kernels/shards.h"
#include "kernels/team.h"
#include "trainer/params.h"

#include <stdbool.h>
#include <stdint.h>

#define LAYERS_MAX 16

typedef struct model_shape {
    const cell_kind *cell;
    int layers, V, E, H;
    bool tied;
    double dropout;
    uint64_t seed; /* of the dropout masks */
} model_shape;

/* Adds the parameters of this shape to p, in the order of params.h, and finishes the list for a group of
 * `size` ranks. */
void model_params(const model_shape *s, params *p, int size);

typedef struct model {
    model_shape shape;
    const params *list;
    int T, B;
    embedding embedding;
    recurrent layer[LAYERS_MAX];
    linear_ce output;
    float *x;              /* (T,B,Ep) embedded input, after dropout */
    float *y[LAYERS_MAX];  /* (T,B,Hp) output of a layer after dropout; the layer's own h without dropout */
    float *gradient[2];    /* (T,B,max(Hp,Ep)) flowing down, in turns */
    embedding_rows summed; /* rows of the embedding's gradient that are summed in place after model_train */
} model;

/* Registers all memory in a.  training: backward and dropout will be used.  largest_shard_rows: of the
 * training rows (else 0). */
void model_plan(model *m, arena *a, team *t, const model_shape *s, const params *list, int T, int B,
                int largest_shard_rows, bool training);

/* Says which rank of how many this is: after each model_train the pieces that it owns (params.h) of node 0's
 * gradients may be overwritten with the sums over all ranks, and nothing else, so that only the rows of the window
 * need be visited in the embedding's.  Without this call any of its rows may be. */
void model_rank(model *m, int rank, int size);

/* Zeroes h, c of all rows. */
void model_zero_state(model *m);
/* The vectors that a row carries, number i of model_states(): (B, H) in rows of *stride floats; its name, as
 * in a checkpoint ("h_l0", "c_l0", "h_l1", ...). */
int model_states(const model *m);
float *model_state(model *m, int i, char name[16], int *stride);

/* One training window: loss and gradients.  x, y (T,B) input and target ids < V; step: optimiser steps
 * done so far (for the masks). gradient + n*stride: slab of gradients of node n, written.  nats[n]: loss
 * summed over node n's tokens. ready(arg, bucket) is called as soon as a wire bucket (params.h) is
 * complete, in the order in which they finish; may be NULL. */
typedef void (*model_ready)(void *arg, int bucket);
void model_train(model *m, team *t, const float *value, const uint32_t *x, const uint32_t *y, int T, int B,
                 const shards *p, uint32_t step, float *gradient, size_t stride, double *nats,
                 model_ready ready, void *arg);

/* log p(target) of each token, (T,B), without dropout; carries state. */
void model_score(model *m, team *t, const float *value, const uint32_t *x, const uint32_t *y, int T, int B,
                 float *logp);
/* Feeds x (T,B) and writes the distribution after the last step: (B,V) log-probabilities. */
void model_predict(model *m, team *t, const float *value, const uint32_t *x, int T, int B, float *logp);

#endif
