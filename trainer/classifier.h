/* classifier.h - a model that gives each document a class: the trunk (trunk.h), one vector from all its outputs, one
 * or two linear layers.
 *
 *   ids -> embedding -> layers -> pooling -> dropout -> [linear -> relu -> dropout ->] linear -> softmax | sigmoid
 *                                                        head.*                         decoder.*
 *
 * Documents of unlike lengths stand in a batch with their ends in one line, so that the last T steps of each are its
 * own last ones:
 *
 *      row 0   . . . . a b c d e f          '.': outside of the document: no state, no gradient, no part in the pooling
 *      row 1   g h i j k l m n o p          (recurrent.h), so that a document's result has the bits that it has alone
 *      row 2   . . q r s t u v w x
 *              |__ window __|__ T _|        gradient flows through the last T steps and their share of the pooling
 *                                           (Howard & Ruder 2018: BPT3C); what is before them is read window by window
 *
 * A bidirectional trunk reads whole documents: no batch may be longer than T.
 * Memory: arena.  Threads: call from outside a parallel region.  Not collective: sums are per shard node of this
 * rank. */
#ifndef TRAINER_CLASSIFIER_H
#define TRAINER_CLASSIFIER_H

#include "kernels/class_loss.h"
#include "kernels/dense.h"
#include "kernels/pooling.h"
#include "trainer/trunk.h"

typedef struct classifier_shape {
    model_shape trunk;
    pool_kind pooling;
    int hidden;     /* units of the first linear layer; 0: there is one layer only */
    double dropout; /* in front of each linear layer */
    class_loss loss;
} classifier_shape;

/* Adds the parameters of this shape to p, in the order of params.h, and finishes the list for a group of `size`
 * ranks. */
void classifier_params(const classifier_shape *s, params *p, int size);

typedef struct classifier {
    classifier_shape shape;
    trunk trunk;
    pooling pooling;
    dense attention, head, decoder;
    int *begin, *end;                /* (B) of the window at hand */
    float *squashed, *score;         /* attention: (T,B,Wp) tanh of the outputs, (T,B,16) */
    float *pooled, *hidden, *logits; /* (B,Dp), (B,PAD16(hidden)), (B,PAD16(logits)) */
    float *dpooled, *dhidden, *dlogits, *dscore, *dsquashed;
    double *row_nats; /* (B) */
} classifier;

/* Registers all memory in a, for B rows and windows of T steps. */
void classifier_plan(classifier *m, arena *a, team *t, const classifier_shape *s, const params *list, int T,
                     int B, bool training);

typedef struct class_batch {
    int steps, B;          /* of the longest document or more, at least 1; rows */
    const uint32_t *ids;   /* (steps,B); what is outside of a document is any id < V */
    const int *length;     /* (B), 0 to steps */
    const uint32_t *label; /* (B), CLASS_NONE: not looked at */
    const float *scale;    /* (B), as a trunk_window's; NULL: nothing is scaled */
} class_batch;

/* One step of training: loss and gradients, both as sums over documents.  step: optimiser steps done so far (for the
 * masks).  gradient, stride, ready: as trunk_backward's.  nats[n]: loss summed over node n's documents. */
void classifier_train(classifier *m, team *t, const float *value, const class_batch *batch, const shards *p,
                      uint32_t step, float *gradient, size_t stride, double *nats, model_ready ready,
                      void *arg);
/* log p of each class, (B,C), without dropout. */
void classifier_score(classifier *m, team *t, const float *value, const class_batch *batch, float *logp);

#endif
