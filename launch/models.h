/* models.h - the models that `eval` and `predict` are given: one, or several classifiers whose probabilities are averaged.
 *
 *   average   log p = log(1/M sum_m exp(log p_m)),  sums in double in the order of the models, the logarithm rounded once;
 *             one model's log p is left as it is, so that it keeps its bits and needs no sums
 *
 * Threads: one at a time. */
#ifndef LAUNCH_MODELS_H
#define LAUNCH_MODELS_H

#include "launch/session.h"
#include "trainer/inference.h"

#include <stdbool.h>
#include <stddef.h>

#define MODELS_MAX 16

#define MODELS_ANY_TASK (-1)

/* What a command line names. */
typedef struct models_named {
    const char *name[MODELS_MAX]; /* checkpoints or run directories */
    int count;
    bool last; /* of run directories, the newest checkpoint instead of the best */
} models_named;

/* Collective.  Opens them all, of the given config_task or, MODELS_ANY_TASK, of the first one's, and tells their files on
 * stderr.  Ranks may look into a run directory while its training goes on, or at another copy: BAD_CHECKPOINT unless all
 * have found the same, so that they may go by what is in the files.  m: (MODELS_MAX), zero; models_close whatever the
 * result. */
status models_open(inference *m, const models_named *named, int task, const session *job, error *e);
void models_close(inference *m);

/* USAGE if the file of `option` (NULL: it was not given) is a checkpoint of one of these. */
status models_not_over(const inference *m, int count, const char *option, const char *path, error *e);

/* sum += exp(logp), both (n). */
void models_add(double *sum, const float *logp, size_t n);
/* logp (n): the average, of the sums of `count` models. */
void models_average(float *logp, const double *sum, size_t n, int count);

#endif
