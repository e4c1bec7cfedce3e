/* prepare.h - makes a corpus from texts: counts in a first pass, writes ids in a second, without ever holding
 * the text.
 *
 *   texts --io/blocks--> blocks --io/text--> tokens --+--> counts           first pass
 *           one thread,         all threads           +--> ids --> corpus   second pass, in the blocks' order
 *           reading ahead
 *
 * Memory: the words' counts once per thread, and some 20 MB per thread for blocks and their ids.  The bytes
 * written are a function of the texts and the job alone: blocks are cut by the text, counts are integers, and
 * ids are written in the order of the blocks.
 * Errors: BAD_DATA (a text that is missing, empty, binary or not UTF-8; a corpus that cannot be written),
 * NO_MEMORY, IO_FAILED when asked to stop.  Nothing half-written stays. */
#ifndef IO_PREPARE_H
#define IO_PREPARE_H

#include "io/blocks.h"
#include "io/corpus.h"
#include "io/vocab.h"

typedef struct prepare_job {
    text_list texts;
    const char *format;     /* kept in the corpus */
    const char *level_name; /* likewise: "word", "char", "byte" */
    vocab_rules rules;      /* `given` is filled from vocab_path */
    const char *vocab_path; /* NULL: counted */
    bool replace_invalid;
    int threads; /* 0: as many as OpenMP would take */
    const char *out;
    bool progress;
} prepare_job;

typedef struct prepare_report {
    uint64_t tokens[SPLIT_COUNT], oov[SPLIT_COUNT];
    uint64_t replaced; /* invalid parts that became U+FFFD */
    uint32_t vocab_size;
    bool unk_added;
} prepare_report;

status prepare_run(const prepare_job *job, prepare_report *report, error *e);

#endif
