/* class_oracle.h - a classifier of documents in plain double precision, one document after the other, written from the
 * equations: what the program's is compared with.  Parameters are found by PyTorch's names, so that nothing here
 * depends on the order in which the program keeps them; of the program only the descriptions of shapes are used.
 *
 *   x_0 = encoder.weight[id],  x_l+1[k] = h_l[k], or [h_l[k], h_l_reverse[k]],  h the cell's of oracle.h
 *   pooled = last | mean | max | [last, max, mean] | sum_k a_k y_k, a = softmax over k of attention.weight . tanh(y_k)
 *   hidden = relu(head.weight pooled + head.bias),  logits = decoder.weight hidden + decoder.bias
 *   loss   = -(1-e) w_y log p_y - e/C sum_c w_c log p_c
 *
 * Memory is malloc'ed and never short (abort).  Any thread. */
#ifndef TESTS_TRAINER_CLASS_ORACLE_H
#define TESTS_TRAINER_CLASS_ORACLE_H

#include "trainer/classifier.h"

/* What dropout multiplies with; place 0 is the embedding's output, l that of layer l-1; back: steps from this one to the
 * document's end, 1 for the last one. */
typedef double (*class_mask)(void *arg, int place, int row, int back, int unit);
enum { CLASS_MASK_POOLED = LAYERS_MAX + 1, CLASS_MASK_HIDDEN }; /* where back is 0 */

typedef struct class_oracle {
    const classifier_shape *shape;
    const params *list;
    const double *value; /* a slab like the program's */
    const double
        *early; /* the same for all but the last T steps, NULL: value; differences of a truncated gradient
                            vary `value` alone */
    int T;
    class_mask mask; /* NULL: no dropout */
    void *arg;
} class_oracle;

/* The loss summed over documents; logp (B,C), unless NULL. */
double class_oracle_run(const class_oracle *o, const class_batch *batch, double *logp);

#endif
