/* grammar_corpus.h - what `unroll prepare grammar` does: derives the splits, writes them as a corpus,
 * measures the floor.
 *
 * train, valid and test get 90, 5 and 5 % of the tokens (rounded up to whole sentences).  The vocabulary is
 * the whole lexicon, in the order of every corpus (io/vocab.h).  Beside the ids the corpus holds the
 * agreement items of the test split (agreement.h), and its meta:
 *
 *   cross_entropy           nats per token of the test split under the grammar, exact
 *   trigram_cross_entropy   the same under an interpolated trigram (io/ngram.h)
 *   seed, tokens_wanted     what it was made from
 *
 * Errors: BAD_DATA when the corpus cannot be written.  Not collective, one thread; memory: some 6 bytes
 * for each token. */
#ifndef TRAINER_TASKS_GRAMMAR_CORPUS_H
#define TRAINER_TASKS_GRAMMAR_CORPUS_H

#include "io/corpus.h"
#include "io/status.h"
#include "trainer/tasks/agreement.h"

#include <stdint.h>

#define GRAMMAR_TOKENS_MIN 1000
#define GRAMMAR_TOKENS_MAX 100000000

typedef struct grammar_job {
    uint64_t seed, tokens; /* of all splits together */
    const char *out;
} grammar_job;

typedef struct grammar_report {
    uint64_t tokens[SPLIT_COUNT], sentences[SPLIT_COUNT];
    uint64_t verbs,
        far_crossed; /* of test; those 3 or more words from their subject, a noun of the other number between */
    double nats, trigram_nats; /* per token of test */
    agreement_score trigram;   /* its agreement on test */
} grammar_report;

status grammar_prepare(const grammar_job *job, grammar_report *report, error *e);

#endif
