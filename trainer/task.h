/* task.h - what a run trains: where its windows come from, what the loss is, what is reported.  One file in tasks/ for
 * each; everything else of a run (run.h) and its loop (train.h) is the same for all.
 *
 *   lm         tasks/lm_task.c: windows of token streams, the loss of each next token (tasks/lm.h, model.h)
 *   classify   tasks/classify_task.c: batches of labelled documents, the loss of each label (tasks/documents.h,
 *              classifier.h)
 *
 * A step is number progress.window (from 0) of progress.epoch (from 1). */
#ifndef TRAINER_TASK_H
#define TRAINER_TASK_H

#include "io/corpus.h"
#include "io/status.h"
#include "trainer/trunk.h"

#include <stdbool.h>
#include <stdint.h>

struct run;

/* A step, before it is done. */
typedef struct task_step {
    uint64_t tokens, tokens_here; /* real tokens that it trains on: all ranks', this one's */
    uint64_t predicted;           /* of what the loss is a sum over: tokens, or documents */
    double count;                 /* by which the sum of gradients is divided (rule R6) */
} task_step;

typedef struct task_result {
    double nats;        /* loss summed over what is predicted */
    uint64_t predicted; /* 0: nothing was evaluated */
    double
        accuracy; /* classify: the share of documents whose label is given the highest probability; lm: NaN */
} task_result;

typedef struct task {
    const char *name;
    /* Opens the rows or documents of all splits and fills r->shape, r->rows, has_valid and has_test,
     * steps_per_epoch.  Not collective; each rank fails for itself. */
    status (*open)(struct run *r, int rank, int size, error *e);
    void (*close)(struct run *r);
    /* The list of parameters, for a group of `size` ranks; then all memory that is the task's. */
    void (*parameters)(struct run *r, int size);
    void (*plan)(struct run *r, int rank, int size);
    /* Once after the arena is there and before a checkpoint is read; NULL: nothing to do. */
    void (*start)(struct run *r);
    task_step (*step)(struct run *r);
    /* The window or batch of the step. */
    status (*read)(struct run *r, error *e);
    /* Forward and backward: gradients but those of the r->frozen lowest groups (trunk.h), and losses of this rank's shard
     * nodes. */
    void (*compute)(struct run *r, double *node_nats, model_ready ready, void *arg);
    /* Around the steps of progress.epoch; NULL: nothing to do.  A run that resumes in its middle begins it again. */
    void (*begin_epoch)(struct run *r);
    void (*end_epoch)(struct run *r);
    /* Collective. */
    status (*evaluate)(struct run *r, split_name split, task_result *out, error *e);
    /* What a validation is judged by: the smaller the better. */
    double (*judged)(const struct run *r, const task_result *result);
    /* Lines of the log that describe the run. */
    void (*describe)(struct run *r);
} task;

extern const task task_lm, task_classify;

#endif
