/* log.h - what a run says: lines on the terminal and in train.log, records in metrics.jsonl, its state in
 * status.json.
 *
 * One process speaks.  Rank 0 opens a run_log; every other rank keeps a NULL pointer, and every call here
 * does nothing with NULL, so the training loop needs no `if (rank == 0)`.
 *
 *   log_line, log_batches, log_epoch, log_end   stderr and DIR/train.log, one write(2) a line, escaped
 *   log_metrics                                 DIR/metrics.jsonl, one record per line, one write(2) each
 *   log_state                                   DIR/status.json, replaced atomically; scripts decide by it
 *
 * Results that a command was asked for (a perplexity, a sample) go to stdout and are not this module's
 * business.
 *
 * Errors: only log_open can fail.  Later a full disk or a closed pipe never ends the training: what could
 * not be written is counted, said once on the terminal at once, and again with the count by log_close. The
 * program ignores SIGPIPE.
 * Threads: one at a time.  Not collective. */
#ifndef IO_LOG_H
#define IO_LOG_H

#include "io/metrics.h"
#include "io/progress.h"
#include "io/record.h"
#include "io/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct run_log run_log;

/* What log_open needs.  `dir` exists already (disk_make_dir); NULL: the terminal only, as `unroll eval`
 * wants it. */
typedef struct log_setup {
    const char *dir;
    int64_t resume_step; /* METRICS_FRESH, or the checkpoint's: later metrics are dropped (io/metrics.h) */
    bool bits_per_char;  /* corpus of level char or byte: the lines below also carry "| bpc" */
    bool classes;        /* a classifier: no perplexity, but "| valid accuracy  88.12 %" */
} log_setup;
status log_open(run_log **l, const log_setup *setup, error *e); /* *l is NULL after a failure */
void log_close(run_log *l);

void log_line(run_log *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The lines of PyTorch's word_language_model, so that scripts which read those read ours:
 *   | epoch   1 |   200/ 2983 batches | lr 20.00 | ms/batch 12.34 | loss  7.63 | ppl  2056.12
 * Losses are nats per token.  A learning rate that two decimals would change by more than half a percent
 * is printed with three significant digits (0.001, 0.125, 3e-06). */
typedef struct log_batch {
    int64_t epoch, batch, batches; /* counted from 1 */
    double lr, ms_per_batch, nats;
} log_batch;
void log_batches(run_log *l, const log_batch *b);
/* A rule of 89 '-', "| end of epoch   1 | time: 36.30s | valid loss  5.80 | valid ppl   330.12", the rule
 * again. */
void log_epoch(run_log *l, int64_t epoch, double seconds, double valid_nats,
               double accuracy /* NaN: has none */);
/* A rule of 89 '=', "| End of training | test loss  4.75 | test ppl   115.91", the rule again. */
void log_end(run_log *l, double test_nats, double accuracy);

/* One record into metrics.jsonl; it must hold "type" (start, step, valid, save, stop) and the integer
 * "step". */
void log_metrics(run_log *l, const record *r);

/* status.json: {"state": running|saved|done|failed, "step", "code": the exit code that s gives, "reason",
 * "time": UTC}. */
typedef enum { RUN_RUNNING, RUN_SAVED, RUN_DONE, RUN_FAILED } run_state;
extern const char *const run_state_names[]; /* "running", "saved", "done", "failed" */
void log_state(run_log *l, run_state state, int64_t step, status s, const char *reason);

/* While a bar is attached, lines are written above it, and it draws nothing when stderr is no terminal
 * (the lines are enough). NULL detaches.  The bar stays the caller's and must outlive the attachment. */
void log_attach(run_log *l, progress *bar);

#endif
