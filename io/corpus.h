/* corpus.h - token ids of the splits and their vocabulary, as made by `unroll prepare`, memory-mapped; in a
 * corpus of documents also where each document begins, and its label.
 *
 * Ids are uint32, 0..V-1, by falling training count, ties by bytes; <eos> and <unk> are sorted like any
 * other.  The file is read-only and shared between the ranks of a host by the page cache.  Ids are
 * range-checked where a window is read (corpus_window), so that a file that lies cannot index outside a
 * table.
 *
 * Not collective; a corpus may be read by several threads. */
#ifndef IO_CORPUS_H
#define IO_CORPUS_H

#include "io/container.h"
#include "io/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum { SPLIT_TRAIN, SPLIT_VALID, SPLIT_TEST, SPLIT_COUNT } split_name;
extern const char *const split_names[SPLIT_COUNT]; /* "train", "valid", "test" */

/* Words are byte strings in one blob; word i is blob[start[i]] .. blob[start[i+1]-1].  No word is empty,
 * none stands twice.  blob and start are borrowed (from a container or from the caller, who keeps them as
 * long as the view). */
typedef struct vocabulary {
    uint32_t size; /* V */
    const uint8_t *blob;
    const uint64_t *start; /* V+1 */
    uint32_t *by_word; /* open-addressing index for vocabulary_find, owned; a slot holds id + 1, 0 = free */
    uint32_t slots;    /* a power of two, at least 2 V */
    int64_t eos, unk;  /* ids of the words "<eos>" and "<unk>", -1 when absent */
} vocabulary;
/* Checks the offsets and that words are distinct, builds the index; BAD_DATA naming `where`.  On failure
 * *v is empty. */
status vocabulary_view(vocabulary *v, const uint8_t *blob, uint64_t blob_bytes, const uint64_t *start,
                       uint32_t size, const char *where, error *e);
void vocabulary_free(vocabulary *v);
int64_t vocabulary_find(const vocabulary *v, const char *word, size_t n); /* -1 if unknown */
bool vocabulary_same(const vocabulary *a, const vocabulary *b); /* the same words under the same ids */
const char *vocabulary_word(const vocabulary *v, uint32_t id, size_t *n); /* not NUL-terminated */

/* The documents of a split, which follow one another in its tokens without a gap: document i is tokens
 * start[i] .. start[i+1]-1, of which the last one is <eos>.  So a language model reads the same ids as a plain
 * stream. */
#define LABEL_NONE UINT32_MAX /* an unlabelled document: for language models only */
typedef struct corpus_documents {
    uint64_t count;        /* n; 0 where a split is absent, or the corpus holds no documents */
    const uint64_t *start; /* n+1: rises from 0 to the tokens of the split; NULL when n is 0 */
    const uint32_t *label; /* n: an index into the labels, or LABEL_NONE */
} corpus_documents;

/* The tensors of a corpus: "train", "valid", "test" (u32, absent when empty), "vocab/bytes" (u8),
 * "vocab/start" (u64, V+1); of documents "documents/<split>/start" (u64, n+1),
 * "documents/<split>/label" (u32, n), "labels/bytes" (u8) and "labels/start" (u64), like those of the words;
 * labels are sorted by bytes.  Its meta, written by `prepare`: "level" is required, "eos" and "unk" must
 * agree with the words when present; the rest (format, counts of out-of-vocabulary tokens, cross_entropy
 * of a grammar, ...) is for people and for tests. */
typedef struct corpus {
    container file;
    vocabulary vocab;
    const uint32_t *ids[SPLIT_COUNT]; /* NULL when a split is absent or empty */
    uint64_t tokens[SPLIT_COUNT];
    corpus_documents documents[SPLIT_COUNT];
    vocabulary labels;     /* size 0: no documents */
    const char *level;     /* "word", "char" or "byte" */
    const char *tokenizer; /* "words": cut by io/tokenizer.h; NULL: tokens stand between white space */
    bool lower;            /* the tokeniser wrote lower case */
    const char *digest;    /* SHA-256, identity of the content; stands in checkpoints */
} corpus;
/* Checks manifest and structure, of documents every start and label (and that <eos> ends each); the digests of the ids are checked too unless trust (ranks other than the
 * first of a host). */
status corpus_open(corpus *c, const char *path, container_trust trust, error *e);
void corpus_close(corpus *c);

/* Copies n ids of a split from position `first` (the range must lie in the split); an id >= V is BAD_DATA
 * naming file, split and position. */
status corpus_window(const corpus *c, split_name split, uint64_t first, uint64_t n, uint32_t *out, error *e);

/* Writing, for `prepare`: create with the counts of a first pass and the vocabulary, write ids in any
 * order (from several threads if ranges do not overlap), finish with meta or abandon.  Nothing stands
 * under `path` before corpus_finish succeeds. */
typedef struct corpus_writer {
    container_writer *file;
    size_t index[SPLIT_COUNT]; /* of the split's tensor; SIZE_MAX when the split is empty */
} corpus_writer;
status corpus_create(corpus_writer *w, const char *path, const uint64_t tokens[SPLIT_COUNT],
                     const uint8_t *blob, const uint64_t *start, uint32_t size, error *e);
/* The same for a corpus of documents: starts and labels are written at once.  Where tokens[s] is 0 the count
 * of documents must be too.  The views lend blob, start and size. */
status corpus_create_documents(corpus_writer *w, const char *path, const uint64_t tokens[SPLIT_COUNT],
                               const vocabulary *words, const vocabulary *labels,
                               const corpus_documents documents[SPLIT_COUNT], error *e);
status corpus_write(corpus_writer *w, split_name split, uint64_t first, const uint32_t *ids, uint64_t n,
                    error *e);
status corpus_finish(corpus_writer *w, const record *meta, error *e);
void corpus_abandon(corpus_writer *w);

#endif
