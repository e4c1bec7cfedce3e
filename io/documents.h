/* documents.h - makes a corpus of documents: collects them, holds out a validation split, chooses words, writes.
 *
 *   document_tree, labelled --documents_add--> tokens of all documents, in memory  (4 bytes a token)
 *                                                  | documents_write
 *                     hold out, order, find duplicates, choose words --> corpus
 *
 * The bytes written are a function of texts and job alone.  Where something is drawn, it is by keys
 * XXH3(place, purpose; seed), equal keys by place.  The place of a document is its number in its split as it
 * was read: the labelled ones first, then the unlabelled ones, so that these change no draw by joining.
 *   held out    of each label's n documents of train the round(share n) with the smallest keys
 *   order       of each split by keys of another purpose
 * Labels are sorted by bytes.  Every document ends with <eos>.
 *
 * Errors: BAD_DATA, naming place or label; NO_MEMORY; IO_FAILED when asked to stop.  Nothing half-written
 * stays.  Threads: one.  Not collective. */
#ifndef IO_DOCUMENTS_H
#define IO_DOCUMENTS_H

#include "io/corpus.h"
#include "io/labelled.h"
#include "io/progress.h"
#include "io/status.h"
#include "io/vocab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOCUMENTS_VALID_SHARE 0.1
#define DOCUMENTS_LABELS_MAX  65536 /* beyond, a text was taken for a label */
#define DOCUMENTS_LABEL_BYTES 255

/* Seen from outside a document is a number: how many were added before it. */
typedef struct document_set document_set;
document_set *documents_new(bool lower);
void documents_free(document_set *set); /* NULL is fine */
size_t documents_count(const document_set *set);

typedef struct document_text {
    int split;            /* split_name; -1: to be told by documents_select */
    const uint8_t *label; /* NULL: unlabelled, in train only */
    size_t label_bytes;
    const uint8_t *text; /* valid UTF-8 */
    size_t bytes;
    const char *place; /* "file:line" or "archive:member", for messages */
} document_text;
/* Cuts the text into tokens and keeps these.  BAD_DATA: a text without a token, a label that is none. */
status documents_add(document_set *set, const document_text *t, error *e);

/* Adds what a table of io/labelled.h holds, with labels, to one split. */
typedef struct documents_table {
    const source_place *place;
    int split;
    const labelled_settings *settings;
    progress *bar; /* counts documents; NULL is fine */
} documents_table;
status documents_add_table(document_set *set, const documents_table *table, uint64_t *replaced, error *e);

/* Keeps of the documents from number `from` on those in order[0..n), in this order, and puts them into splits. */
void documents_select(document_set *set, size_t from, const size_t *order, const int *split, size_t n);

typedef struct documents_job {
    const char *format;     /* kept in the corpus */
    vocab_rules rules;      /* has_lines and needs_unk are set here */
    const char *vocab_path; /* NULL: counted */
    double valid_share;     /* below 0: DOCUMENTS_VALID_SHARE where there is no validation split; 0: none */
    uint64_t seed;
    uint64_t replaced; /* invalid parts that became U+FFFD, to be told */
    const char *out;
} documents_job;

typedef struct documents_report {
    uint64_t documents[SPLIT_COUNT], unlabelled[SPLIT_COUNT];
    uint64_t tokens[SPLIT_COUNT], longest[SPLIT_COUNT], oov[SPLIT_COUNT]; /* <eos> included */
    uint64_t
        repeated[SPLIT_COUNT]; /* documents whose text stood in the same split before, letter by letter */
    uint64_t
        shared[SPLIT_COUNT]; /* distinct texts in both: train and valid, train and test, valid and test */
    uint64_t contradicting;  /* distinct texts that have more than one label */
    uint64_t held_out;
    uint8_t *label_blob; /* names, as a corpus keeps them; owned */
    uint64_t *label_start;
    uint32_t labels;
    uint64_t (*by_label)[SPLIT_COUNT]; /* documents; owned */
    uint32_t vocab_size;
} documents_report;

status documents_write(document_set *set, const documents_job *job, documents_report *report, error *e);
void documents_report_free(documents_report *report);

#endif
