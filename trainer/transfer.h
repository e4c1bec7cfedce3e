/* transfer.h - a fresh run that begins with another model's parameters (model.init_from), or with word vectors
 * (model.vectors).
 *
 *   encoder.weight   by word: what the source knows gets its row there, all other words the mean of its rows
 *                    (kernels/fill.h); how many is reported.  Tied or not, here or there
 *   decoder.*        the source's where both are of the same task, both vocabularies are the same word by word, and a
 *                    classifier's labels too, and the shapes agree; another output layer keeps its initial values
 *   all others       the source's where it has one of that name; another shape is an error that names the key
 *                    that makes it so, or both shapes; what this run has no place for is left out, and counted
 *
 * What the source lacks keeps its initial values.  Nothing else of it is taken: no optimiser state, carried rows or
 * progress.  Its kind of cell must be the run's, which shapes do not tell (tanh or relu; a GRU's reset).
 *
 * Of word vectors (io/vectors.h) the embedding gets the rows of the words that both have, byte by byte the same; all
 * others keep their initial values, drawn row by row, for one mean row would make all of them one word.
 *
 * Only a fresh run reads either source, so that it may be gone when the run is resumed. */
#ifndef TRAINER_TRANSFER_H
#define TRAINER_TRANSFER_H

#include "io/config.h"
#include "io/corpus.h"
#include "io/hash.h"
#include "io/log.h"
#include "io/vectors.h"
#include "trainer/params.h"
#include "trainer/store.h"

typedef enum { TRANSFER_TAKEN, TRANSFER_ABSENT, TRANSFER_OTHER_OUTPUT } transfer_fate;

typedef struct transfer_report {
    char path[STORE_PATH];         /* the file that was read; "" if none was */
    char digest[SHA256_HEX];       /* its identity (io/container.h) */
    bool turned;                   /* it reads in the other direction */
    const char *rule, *rule_there; /* how the texts of the run were cut, and of the source (io/tokenizer.h) */
    int left;                      /* its parameters that this run has no place for, and the first of them */
    char left_first[PARAM_NAME];
    uint32_t words, unknown;        /* of this run's vocabulary; those that the source does not know */
    transfer_fate fate[PARAMS_MAX]; /* of parameter i of the list */
    vectors_report vectors; /* of the file of word vectors, if that was read; `digest` is then of all rows */
} transfer_report;

/* Not collective.  Reads c->model.init_from (a checkpoint, or a run directory, whose best is taken) over `value`, which
 * is laid out by `list` and holds the initial values; data: the corpus of the run.  On failure `value` may hold some
 * of it. */
status transfer_parameters(const config *c, const corpus *data, const params *list, float *value,
                           transfer_report *report, error *e);
/* The same for c->model.vectors, which must hold vectors of model.embedding numbers and one word of `mine` at
 * least: BAD_DATA. */
status transfer_vectors(const config *c, const vocabulary *mine, const params *list, float *value,
                        transfer_report *report, error *e);
/* What was taken and what was not, as lines of the log; nothing if neither function was called. */
void transfer_say(const transfer_report *report, const params *list, run_log *log);

#endif
