/* progress.h - how far a run is: all that a checkpoint says about it besides tensors.
 *
 * Everything here is a function of (configuration, corpus, seed, step): no times, ranks, threads, hosts or
 * paths. The fields of `interval` feed the next log line only, and depend on run.log_every_steps, a free
 * key; they are stored, so that a resumed run logs what the other would have logged, but they are no part
 * of the digest. */
#ifndef TRAINER_PROGRESS_H
#define TRAINER_PROGRESS_H

#include "io/record.h"
#include "io/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct train_progress {
    int64_t step;      /* optimiser steps done */
    int64_t epoch;     /* the epoch being trained, from 1; epochs + 1 when all are done */
    int64_t window;    /* windows of it done */
    int64_t tokens;    /* real tokens trained on, over all epochs */
    double best_nats;  /* best validation so far, as the task judges it (task.h); infinity before the first */
    int64_t best_step; /* where it stands; -1 before the first */
    int64_t stale;     /* validations since the best */
    int64_t waited;    /* plateau: validations without improvement since the factor last moved */
    double factor;     /* plateau's factor on the rate */
    double epoch_nats; /* loss of this epoch so far, and of how many tokens or documents */
    int64_t epoch_predicted; /* "epoch_tokens" in a file */
    struct {
        double nats;
        int64_t predicted; /* "interval_tokens" in a file */
    } interval;
} train_progress;

void train_progress_init(train_progress *p);
void train_progress_store(const train_progress *p, record *r);
status train_progress_load(train_progress *p, const record *r, const char *where, error *e);
/* The part that a digest covers, as canonical text; malloc'ed. */
char *train_progress_text(const train_progress *p);

#endif
