/* flops.h - the arithmetic that counts as work: two operations for each multiply-add of a product with the weights,
 * for real tokens only; recomputation, padding, and what is not a product do not count.
 *
 *   of a token       forward                 backward
 *   a layer          2 G H I + 2 G H H       the same for gradients by inputs and states, and once more by weights
 *   the output       2 V H                   the same by its input, and once more by weights
 *
 * so a training step is 6 operations for each weight of the products and token, G the gates of the cell, I the width of a
 * layer's input; of a bidirectional layer each direction counts, what reads it is 2 H wide, and dx of the second direction is
 * made along with dW.  The embedding is no product.
 *
 * Of a classifier's trunk V is 0, for its output layers are products of a document, not of a token (flops_of_document).  All
 * tokens of a document count alike, also those in front of its last classify.backprop_steps, through which no gradient
 * flows, and all steps alike, also those for which layers are frozen and not computed backward: there GFLOP/s of the backward
 * phases are too high. */
#ifndef TRAINER_FLOPS_H
#define TRAINER_FLOPS_H

#include "kernels/trace.h"
#include "trainer/classifier.h"
#include "trainer/model.h"

/* Operations of one token in this phase of a training step; 0 for a phase without products.  V 0: without an
 * output layer. */
double flops_of(const model_shape *s, trace_phase phase);
/* Of the whole step. */
double flops_step(const model_shape *s);
/* What a document adds to its tokens' share of a classifier's step: the linear layers behind the pooling.  The tokens are
 * those of s->trunk without an output layer. */
double flops_of_document(const classifier_shape *s, trace_phase phase);

#endif
