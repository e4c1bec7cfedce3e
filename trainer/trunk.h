/* trunk.h - what all models have in common: embedding and recurrent layers.
 *
 *   ids (T,B) -> embedding -> x (T,B,E) -> dropout -> layer 0 -> dropout -> layer 1 -> ... -> output (T,B,width)
 *
 * Dropout stands on the non-recurrent connections only (Zaremba 2014): behind the embedding, between layers and, for
 * a model whose shape asks for it, behind the last one; a fresh mask each time step.  A bidirectional layer (Schuster &
 * Paliwal 1997) gives its directions' outputs side by side, 2 H wide.  This is the only place that branches on the
 * kind of cell; all that checkpoint, evaluation and sampling know of a row is trunk_state().
 *
 * A trunk is working memory for windows of at most T steps and B rows around a slab of parameters that it does not
 * own: the trainer has one for training and a smaller one for evaluation, on the same slab.
 * Memory: arena.  Threads: call from outside a parallel region.  Not collective: sums are per shard node of this
 * rank. */
#ifndef TRAINER_TRUNK_H
#define TRAINER_TRUNK_H

#include "kernels/arena.h"
#include "kernels/embedding.h"
#include "kernels/recurrent.h"
#include "kernels/shards.h"
#include "kernels/team.h"
#include "trainer/params.h"

#include <stdbool.h>
#include <stdint.h>

#define LAYERS_MAX 16
#define MASK_STEPS 65536 /* steps of a window that random numbers tell apart (kernels/rng.h) */
#define DIRECTIONS 2
#define TRUNK_NAME 32 /* of a carried vector */

typedef struct model_shape {
    const cell_kind *cell;
    int layers, V, E, H;
    bool tied, bidirectional;
    double dropout;
    uint64_t seed; /* of the dropout masks */
} model_shape;

int trunk_directions(const model_shape *s);
int trunk_width(const model_shape *s); /* of the output: H, or 2 H */

/* Adds the layers, the last one first, each in a bucket of its own from `bucket` on, and behind them the embedding
 * unless it is tied. */
void trunk_params(const model_shape *s, params *p, int bucket);

typedef struct trunk {
    model_shape shape;
    const params *list;
    bool drops_output;
    int T, B;
    embedding embedding;
    recurrent layer[LAYERS_MAX][DIRECTIONS];
    float *x;              /* (T,B,Ep) embedded input, after dropout */
    float *y[LAYERS_MAX];  /* output of a layer joined or after dropout; NULL: the layer's own h */
    float *gradient[2];    /* (T,B,max of the widths) flowing down, in turns; the first one is the output's */
    embedding_rows summed; /* rows of the embedding's gradient that are summed in place after a step */
    bool alone;            /* no other rank's parts are in the sums */
    int frozen;            /* embedding and layers, from below, whose gradients nobody wants */
} trunk;

/* The list holds what trunk_params added.  training: backward and dropout will be used. */
void trunk_plan(trunk *m, arena *a, team *t, const model_shape *s, const params *list, bool drops_output,
                int T, int B, bool training);

/* Says which rank of how many this is: after each step the pieces that it owns (params.h) of node 0's gradients may be
 * overwritten with the sums over all ranks, and nothing else, so that only the rows of the window need be visited in
 * the embedding's.  Without this call any of its rows may be. */
void trunk_rank(trunk *m, int rank, int size);

/* The embedding whose scatter tells in which rows encoder.weight's gradient, as this rank's optimiser sees it, is other
 * than zero; NULL where more is in the sums: other ranks' parts, what the output layer of a tied one adds.  NULL before
 * trunk_rank. */
const embedding *trunk_words(const trunk *m);

/* From the next trunk_backward on nobody wants the gradients of the lowest `groups`: embedding, layer 0, layer 1, ...; they
 * are not computed and the slabs keep what they hold there.  At start 0; groups may thaw, and not freeze again.  Of a tied
 * embedding that is the words' part; what the output layer adds goes its own way. */
void trunk_freeze(trunk *m, int groups);

/* Zeroes h, c of all rows. */
void trunk_zero_state(trunk *m);
/* The vectors that a row carries, number i of trunk_states(): (B, H) in rows of *stride floats; its name, as in a
 * checkpoint ("h_l0", "c_l0", "h_l1", ...). */
int trunk_states(const trunk *m);
float *trunk_state(trunk *m, int i, char name[TRUNK_NAME], int *stride);

/* Where the steps of a window come from. */
typedef struct trunk_window {
    const uint32_t *ids; /* (T,B) */
    int T, B;
    const int *begin, *end; /* NULL: all rows fill the window (recurrent.h) */
    const shards *p;        /* whose rows these are; training only */
    uint32_t step;          /* optimiser steps done so far, for the masks */
    uint16_t time0;         /* of the window in its sequence, likewise */
    bool trains;            /* dropout is on */
    const float *scale;     /* (B) multiplies the embedded input of each row; NULL: nothing does */
} trunk_window;

/* Carries state; returns the output (T,B,PAD16(width)), good until the next call. */
const float *trunk_forward(trunk *m, team *t, const float *value, const trunk_window *w);
/* After trunk_forward of the same window, which was for training.  m->gradient[0] holds the gradient by the output and is
 * overwritten, as is m->gradient[1].  gradient + n*stride: slab of gradients of node n, written.  ready(arg, bucket) is called as
 * soon as a wire bucket (params.h) is complete, in the order in which they finish; may be NULL.  Where the input was scaled the
 * embedding's gradient is left alone. */
typedef void (*model_ready)(void *arg, int bucket);
void trunk_backward(trunk *m, team *t, const float *value, const trunk_window *w, float *gradient,
                    size_t stride, model_ready ready, void *arg);
/* After trunk_backward of a window with these ids: slope (T,B) of the loss along each word's own vector
 * (embedding.h), with the gradient by the embedded input, scaled if it was. */
void trunk_slopes(const trunk *m, team *t, const float *value, const uint32_t *ids, int T, int B,
                  double *slope);

#endif
