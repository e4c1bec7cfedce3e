/* bench.h - how fast kernels and whole training steps are here, beside what this machine could do at most.
 *
 * A shape is measured in rounds, and what it is held against is measured around each of them:
 *
 *   memory, weights | warm-up | fma | kernel peak, steps | fma | kernel peak, steps | fma | ...        medians count
 *
 * A step is the trainer's own: model_train, the sums over shards, optimizer_step with clipping, on random words.  A
 * layer is one recurrent layer alone, forward and backward with all gradients, input as wide as the hidden
 * state.  Kernels are timed inside of it, from barrier to barrier (kernels/trace.h); the work counted is that of
 * trainer/flops.h.
 *
 * Documents: a step is classifier_train, with the last states of both directions, one linear layer to two classes,
 * softmax and Adam.  Lengths, batches and their order are those of tests/peers/torch_classify.py; each round begins with
 * the first batch.  Only the words of documents count, as tokens and as work, never padding. */
#ifndef LAUNCH_BENCH_H
#define LAUNCH_BENCH_H

#include "io/status.h"
#include "kernels/trace.h"
#include "launch/session.h"

#include <stdbool.h>
#include <stdio.h>

typedef enum {
    BENCH_WINDOWS,  /* training steps of a language model */
    BENCH_LAYER,    /* one recurrent layer alone; layers is 1, vocabulary 0 */
    BENCH_DOCUMENTS /* training steps of a classifier; bptt is 0 */
} bench_subject;

typedef struct bench_shape {
    bench_subject subject;
    const char *cell; /* as cell_find knows it */
    int layers, hidden, batch, bptt, vocabulary;
    int shards; /* 0: the default of data.shards */
    /* of documents; elsewhere embedding is hidden, the rest 0 */
    int embedding, mean_length;
    bool bidirectional;
} bench_shape;

typedef struct bench_settings {
    int rounds;
    double seconds; /* of a round, at least one step; and of each fma measurement */
} bench_settings;

typedef struct bench_result {
    bench_shape shape;
    int threads;
    const char *kernels;
    double fma, fma_least, fma_most, kernel; /* operations a second */
    double weights, memory;                  /* bytes a second (kernels/peak.h) */
    double tokens;                           /* of a step, on average */
    double padding;                          /* share of what was computed that is none of them */
    double seconds;                          /* of a step, and of its phases; 0: does not occur */
    double phase[TRACE_PHASES];
    double operations; /* of a step, and of its phases */
    double phase_operations[TRACE_PHASES];
} bench_result;

/* Fails when memory is out. */
status bench_run(const bench_shape *shape, const bench_settings *settings, const session *job,
                 bench_result *out, error *e);

/* The aligned table of one shape. */
void bench_print(FILE *out, const bench_result *r);
/* One JSON object a line: the peaks, each kernel, and the step or layer. */
void bench_print_json(FILE *out, const bench_settings *settings, const bench_result *r);

#endif
