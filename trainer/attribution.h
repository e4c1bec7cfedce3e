/* attribution.h - what each word of a document contributes to a class: integrated gradients (Sundararajan, Taly & Yan
 * 2017).
 *
 *   F(a)     log p/(1-p), p the probability of the class for the document whose word vectors are multiplied by a
 *   c_i      = integral from 0 to 1 of  <v_i, dF/dv_i> at a v  da      v_i: vector of word i
 *            = 1/m sum over k of  <v_i, dF/dv_i> at a_k v,   a_k = (k + 1/2) / m            (the midpoint rule)
 *
 * The path is straight, from vectors of zero, which say nothing, to the document's own.  Completeness: the sum over
 * i of c_i is F(1) - F(0), up to the error of the rule; who shows contributions shows that difference, too.
 *
 * Log-odds and not log p: this hardly changes any more where p is near 1, at which the words that made it so would look
 * idle.  Of two classes, what a word contributes to one it takes from the other.
 *
 * The m points are rows of one batch or of several, each with its scale (classifier.h), and go through the step of
 * training without dropout, weights of classes and label smoothing.  A result's bits depend neither on B nor on the
 * threads.
 * Memory: one arena, beside the parameters that it is used with.  Threads: call from outside a parallel region.
 * Not collective. */
#ifndef TRAINER_ATTRIBUTION_H
#define TRAINER_ATTRIBUTION_H

#include "io/status.h"
#include "trainer/classifier.h"

typedef struct attribution {
    classifier model;
    arena memory;
    int T, B;
    float *gradient; /* of the parameters: not looked at */
    uint32_t *ids, *label;
    int *length;
    float *scale, *logp;
    double *slope; /* (T,B) */
} attribution;

/* Plans for documents of at most T tokens and B points at a time, B <= SHARDS_MAX.  The list, borrowed, is of a
 * classifier of this shape.  After a failure there is nothing to close. */
status attribution_open(attribution *x, team *t, const classifier_shape *s, const params *list, int T, int B,
                        error *e);
void attribution_close(attribution *x);

typedef struct attribution_ends {
    double document, nothing; /* F(1), F(0) */
} attribution_ends;

/* ids: n of them, 1 <= n <= T, in the order in which the model reads.  contribution (n) is written. */
void attribution_words(attribution *x, team *t, const float *value, const uint32_t *ids, int n,
                       uint32_t label, int steps, double *contribution, attribution_ends *ends);

#endif
