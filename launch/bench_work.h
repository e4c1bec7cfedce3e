/* bench_work.h - what bench repeats, of one shape: the steps that bench.c times. */
#ifndef LAUNCH_BENCH_WORK_H
#define LAUNCH_BENCH_WORK_H

#include "io/config.h"
#include "kernels/arena.h"
#include "launch/bench.h"
#include "trainer/classifier.h"
#include "trainer/model.h"
#include "trainer/optimizer.h"
#include "trainer/tasks/documents.h"

typedef struct bench_work bench_work;

/* How a kind of shape is set up and run. */
typedef struct bench_kind {
    /* Into w->config: what the shape asks for and a run's defaults do not have. */
    status (*configure)(bench_work *w, error *e);
    /* Plans and commits w->memory, and fills it. */
    status (*plan)(bench_work *w, error *e);
    /* A round begins; warms_up: of one step, which touches all memory. */
    void (*start)(bench_work *w, bool warms_up);
    /* One step, timed by w->trace from team_step to the end of its last phase. */
    void (*step)(bench_work *w);
} bench_kind;

/* Random tokens in windows: a training step of a language model. */
typedef struct bench_windows {
    uint32_t *ids;
    model model;
} bench_windows;

/* One layer alone. */
typedef struct bench_layer {
    recurrent layer;
    float *x, *dh, *dx;
} bench_layer;

/* Random documents: a training step of a classifier. */
typedef struct bench_documents {
    classifier_shape shape;
    classifier model;
    int longest;           /* document there can be */
    int *length;           /* (POOL_BATCHES * B) of the documents of the pool at hand, the shorter first */
    uint32_t *ids, *label; /* of the batch at hand */
    int64_t batch;         /* the next one, counted from the start of the round */
} bench_documents;

struct bench_work {
    const session *job;
    const bench_kind *kind;
    bench_shape shape;
    config config;
    shards rows;
    model_shape model_shape;
    arena memory;
    trace trace;
    int64_t step;    /* done so far */
    uint64_t places; /* computed in this round, padding included */
    params list;     /* none of a layer alone */
    float *value, *gradient;
    optimizer optimizer;
    bench_windows windows;
    bench_layer layer;
    bench_documents documents;
};

extern const bench_kind bench_of_windows, bench_of_layer, bench_of_documents;

/* ---- for the kinds ---- */

status bench_set(bench_work *w, const char *key, const char *value, error *e);
status bench_set_number(bench_work *w, const char *key, int value, error *e);
/* Parameters, gradients and optimiser of w->list, before arena_commit. */
void bench_plan_training(bench_work *w);
status bench_commit(bench_work *w, error *e);
/* After it: initial parameters, the exchange's plan. */
status bench_start_training(bench_work *w, error *e);
/* What follows the backward pass: buckets, sums, optimiser with gradients times 1/count. */
void bench_send_bucket(void *work, int bucket);
void bench_update(bench_work *w, double *node_nats, size_t count);

#endif
