/* eval.h - what `unroll eval` is asked, and its two halves: language models (cmd_eval.c) and classifiers
 * (eval_documents.c). */
#ifndef LAUNCH_EVAL_H
#define LAUNCH_EVAL_H

#include "launch/session.h"
#include "trainer/inference.h"

#include <stdbool.h>
#include <stdint.h>

#define EVAL_MODELS_MAX 16

typedef struct eval_arguments {
    const char *model[EVAL_MODELS_MAX];
    int models;
    const char *data, *each, *json;
    uint64_t batch_size, threads; /* 0: the default */
    int split;
    bool last;
} eval_arguments;

/* Rank 0, before the work: the file of `option`, NULL if not asked for, must be writable, and not be what it is made
 * from, which is mapped into memory: one of `count` models, or the corpus. */
status eval_check_output(const char *option, const char *path, const inference *models, int count,
                         const corpus *c, error *e);

/* Collective.  Classifiers, open but not planned. */
status eval_documents(const eval_arguments *a, const session *job, inference *models, error *e);

#endif
