/* classify.h - from a configuration and the labels of a corpus to the shape of a classifier; what training and
 * inference share.  Not collective. */
#ifndef TRAINER_CLASSIFY_H
#define TRAINER_CLASSIFY_H

#include "io/config.h"
#include "trainer/classifier.h"
#include "trainer/tasks/documents.h"

extern const char *const classify_pooling_names[]; /* by pool_kind */

/* Without weights of classes.  BAD_CONFIG where the labels do not suit the output. */
status classify_shape(const config *c, const vocabulary *labels, uint32_t V, classifier_shape *s, error *e);
documents_cut classify_cut(const config *c);
/* Can these documents be trained on?  BAD_CONFIG if one has more steps than dropout has masks for, and if
 * classify.train_documents leaves a label without an example. */
status classify_check(const config *c, const documents *train, error *e);
/* classify.class_weights, for the documents of training: malloc'ed, NULL when all are 1.  Balanced: n / (C n_c), as
 * scikit-learn has it. */
status classify_weights(const config *c, const documents *train, float **weights, error *e);

/* Time steps of a window, for documents of at most `longest` tokens: what gradient may flow through, all if
 * bidirectional. */
int classify_window(const config *c, uint32_t longest);

#endif
