/* eval.h - what `unroll eval` is asked, and its two halves: language models (cmd_eval.c) and classifiers
 * (eval_documents.c). */
#ifndef LAUNCH_EVAL_H
#define LAUNCH_EVAL_H

#include "launch/models.h"

#include <stdint.h>

typedef struct eval_arguments {
    models_named models;
    const char *data, *each, *json;
    uint64_t batch_size, threads; /* 0: the default */
    int split;
} eval_arguments;

/* Rank 0, before the work: the file of `option`, NULL if not asked for, must be writable, and not be what it is made
 * from, which is mapped into memory: one of `count` models, or the corpus. */
status eval_check_output(const char *option, const char *path, const inference *models, int count,
                         const corpus *c, error *e);

/* BAD_DATA names the splits that the corpus has, unless it has the one that is asked for. */
status eval_check_split(const eval_arguments *a, const corpus *c, error *e);

/* Collective.  BAD_DATA unless all ranks have the same corpus. */
status eval_same_corpus(const corpus *c, comm *g, error *e);

/* Collective.  Classifiers, open but not planned. */
status eval_documents(const eval_arguments *a, const session *job, inference *models, error *e);

#endif
