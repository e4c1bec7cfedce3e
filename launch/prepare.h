/* prepare.h - what the formats of `unroll prepare` share: the command line, the place of the corpus. */
#ifndef LAUNCH_PREPARE_H
#define LAUNCH_PREPARE_H

#include "io/labelled.h"
#include "io/prepare.h"
#include "trainer/tasks/grammar_corpus.h"

/* Options with a long name only, in the order of the groups that formats take or refuse. */
enum {
    OPT_OVERWRITE = 256,
    OPT_LEVEL,
    OPT_SPLIT,
    OPT_THREADS,
    OPT_TRAIN,
    OPT_VALID,
    OPT_TEST,
    OPT_INVALID,
    OPT_VOCAB,
    OPT_VOCAB_FROM,
    OPT_MIN_COUNT,
    OPT_MAX_VOCAB,
    OPT_SEED,
    OPT_TOKENS,
    OPT_LOWER,
    OPT_VALID_SHARE,
    OPT_WITH_UNSUP,
    OPT_TEXT_COLUMN,
    OPT_LABEL_COLUMN,
    OPT_NO_HEADER
};

/* What the command line says. */
typedef struct prepare_options {
    prepare_job job; /* of min_count and max_size 0 is: not given */
    text_list named; /* --train, --valid, --test */
    const char *format, *level;
    double share[3];
    grammar_job grammar;
    uint64_t seed;
    labelled_settings columns;
    double valid_share; /* -1: not given */
    bool keep_case, with_unsup;
    bool overwrite;
    uint32_t given; /* bit k: the option OPT_OVERWRITE + k */
} prepare_options;
/* Was one of the options first .. last given? */
bool prepare_given(const prepare_options *o, int first, int last);

/* Formats imdb and labelled. */
status prepare_documents(prepare_options *o, char **sources, int count, error *e);

/* Refuses an output that is there, is one of o->job.texts, or cannot be written: said before an hour of
 * counting. */
status prepare_check_output(const prepare_options *o, error *e);
/* Removes what a killed one left beside the output. */
void prepare_sweep(const char *out);

/* On stderr, beside a corpus that is made. */
void prepare_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Warns of a vocabulary that has no word of the training split, of which so many tokens are unknown. */
void prepare_warn_vocabulary(uint32_t size, uint64_t unknown);

#endif
