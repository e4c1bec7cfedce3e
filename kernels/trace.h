/* trace.h - where the time of a run goes: phases, timed from barrier to barrier.
 *
 * At any moment one phase is timed; beginning another ends it, so that the phases of a stretch of time add up to
 * the stretch exactly:
 *
 *      trace_step(t, 7, ...)                                                            trace_step(t, 8, ...)
 *      | window read | embedding gather | pack weights | input product | recurrent forward | ... | optimizer | ...
 *
 * Marks stand behind barriers of a team, and member 0 alone sets them, so a phase lasts from the moment when all
 * threads were done with the one before to the moment when all are done with it: the time of a thread on its own
 * would leave out what the others still do for it.  A team has a trace or none (team.h); without one a mark is
 * one branch, with one it takes about 0.1 us, and a training step of two layers has 25 of them.
 *
 * Totals are kept of every phase; of the events themselves the last `capacity`, in a ring.
 * Memory: trace_open only.  Threads: one at a time, the one that calls team_run.  A NULL trace is one that records
 * nothing. */
#ifndef KERNELS_TRACE_H
#define KERNELS_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Name, text; in the order in which a training step comes to them. */
#define TRACE_LIST(X)                    \
    X(WINDOW, "window read")             \
    X(RANKS, "wait for all ranks")       \
    X(EMBEDDING, "embedding gather")     \
    X(DROPOUT, "dropout")                \
    X(PACK, "pack weights")              \
    X(INPUT, "input product")            \
    X(FORWARD, "recurrent forward")      \
    X(POOLING, "pooling")                \
    X(LOGITS, "logits")                  \
    X(SOFTMAX, "softmax")                \
    X(OUTPUT, "output gradients")        \
    X(BACKWARD, "recurrent backward")    \
    X(DX, "dx, db, operands of dW")      \
    X(DW, "dW")                          \
    X(SCATTER, "embedding gradient")     \
    X(REDUCE, "gradients to owners")     \
    X(NORM, "gradient norm")             \
    X(OPTIMIZER, "optimizer")            \
    X(PARAMETERS, "parameters to all")   \
    X(VALIDATION, "validation and test") \
    X(CHECKPOINT, "checkpoint")          \
    X(OTHER, "other")

typedef enum trace_phase {
#define TRACE_ENUM(name, text) TRACE_##name,
    TRACE_LIST(TRACE_ENUM)
#undef TRACE_ENUM
        TRACE_PHASES
} trace_phase;
extern const char *const trace_names[TRACE_PHASES];

typedef struct trace_event {
    uint64_t begin, end; /* nanoseconds of the monotonic clock */
    int64_t step;        /* -1: between steps */
    trace_phase phase;
} trace_event;

typedef struct trace {
    uint64_t ns[TRACE_PHASES];    /* of each phase, as far as it has ended */
    uint64_t count[TRACE_PHASES]; /* how many times it was timed */
    uint64_t steps, tokens;       /* of all steps that were begun */
    uint64_t events;              /* so far; number i of the last `capacity` stands at event[i % capacity] */
    trace_event *event;
    size_t capacity;
    /* what is being timed */
    bool timing;
    trace_phase phase;
    uint64_t begin;
    int64_t step;
} trace;

/* capacity 0: totals only.  false: no memory. */
bool trace_open(trace *t, size_t capacity);
void trace_close(trace *t);
/* Back to zero; capacity stays. */
void trace_reset(trace *t);

/* Ends the phase that is timed, if another, and begins this one. */
void trace_begin(trace *t, trace_phase phase);
/* Ends the phase that is timed; until the next trace_begin nothing is. */
void trace_end(trace *t);
/* Begins `phase` as the first of this step, in which this process treats so many tokens; step -1: what follows
 * belongs to none. */
void trace_step(trace *t, int64_t step, uint64_t tokens, trace_phase phase);

/* All that was timed. */
uint64_t trace_total(const trace *t);

#endif
