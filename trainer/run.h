/* run.h - everything that a training run holds, set up before the loop, so that inside the loop only saving
 * can fail.
 *
 *   run_open    corpus, shapes, checks across ranks, one arena, the exchange's plan, initial or restored parameters, run directory, log
 *   train_run   the loop (train.h)
 *   run_close   waits for the write in flight and frees all
 *
 * Collective. */
#ifndef TRAINER_RUN_H
#define TRAINER_RUN_H

#include "io/config.h"
#include "io/corpus.h"
#include "io/log.h"
#include "kernels/arena.h"
#include "kernels/team.h"
#include "trainer/checkpoint.h"
#include "trainer/classifier.h"
#include "trainer/comm/comm.h"
#include "trainer/model.h"
#include "trainer/optimizer.h"
#include "trainer/progress.h"
#include "trainer/store.h"
#include "trainer/task.h"
#include "trainer/tasks/documents.h"
#include "trainer/tasks/lm.h"

typedef enum { RESUME_NEVER, RESUME_AUTO, RESUME_FILE } resume_mode;

typedef struct train_options {
    resume_mode resume;
    const char *resume_file; /* RESUME_FILE */
    bool overwrite;          /* a run directory that holds checkpoints may be emptied */
    bool dry_run;            /* sets everything up and writes nothing */
} train_options;

/* What only one task has. */
typedef struct lm_run {
    lm_rows train, valid, test;
    uint32_t *ids; /* x and y of a window */
    model model;   /* of training */
    model checker; /* of evaluation, on the same parameters */
} lm_run;

typedef struct classify_run {
    classifier_shape shape;
    documents train, valid, test;
    float *weights;   /* of classes; NULL: all 1 */
    uint32_t longest; /* document of all splits */
    classifier model, checker;
} classify_run;

typedef struct run {
    const config *config;
    comm *group;
    team *team;
    corpus corpus;
    bool corpus_open;
    const task *task;
    lm_run lm;
    classify_run classify;
    shards rows;              /* of training */
    int checked_rows;         /* of this rank in an evaluation; 0: none */
    trunk *carried;           /* whose rows carry state from step to step; NULL: none do */
    bool has_valid, has_test; /* a test wants a validation split, too: it is the best model's */
    model_shape shape;
    params list;
    arena memory;
    float *value;    /* slab of parameters */
    float *gradient; /* one slab of gradients per shard node of this rank */
    optimizer optimizer;
    train_progress progress;
    store *store; /* NULL unless rank 0 */
    run_log *log; /* NULL unless rank 0 */
    int lock;     /* of the run directory (io/disk.h); -1 unless rank 0 */
    bool resumed;
    int64_t steps_per_epoch;
    int frozen; /* groups of parameters below, that the step at hand leaves alone (trunk.h) */
} run;

/* Collective.  Every bucket of these parameters' gradients, for B rows in S shards. */
status run_plan_exchange(const params *list, comm *group, int B, int S, error *e);
status run_open(run *r, const config *c, comm *group, team *t, const train_options *o, error *e);
/* e is filled with the first failure of closing (a last write) if it returns one. */
status run_close(run *r, error *e);
/* The parts of r that a checkpoint holds. */
run_state_view run_view(run *r);
/* Behind an epoch's last step and its validation: on to the next one. */
void run_end_epoch(run *r);
/* All epochs done, or stopped early. */
bool run_finished(const run *r);

/* The shape of the trunk that a configuration and a vocabulary size ask for. */
status run_shape(const config *c, uint32_t V, model_shape *s, error *e);
/* Bytes of memory that rank `rank` of `size` would take for this configuration on this corpus, and of a checkpoint
 * (without its vocabulary); for doctor.  None of it is taken.  Errors are those that a run would begin with.  Not collective. */
typedef struct run_estimate {
    size_t parameters, gradients, optimizer, activations, exchange, total, checkpoint;
    uint64_t parameter_count;
} run_estimate;
status run_estimate_bytes(const config *c, const corpus *data, team *t, int rank, int size, run_estimate *out,
                          error *e);
/* For doctor: reads what model.init_from or model.vectors would give a fresh run, and keeps none of it.  Takes the
 * memory of all parameters for that time.  Not collective. */
status run_try_start(const config *c, const corpus *data, error *e);

#endif
