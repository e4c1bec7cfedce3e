/* vocab.h - counts words and decides which of them make up a vocabulary.
 *
 * Ids go by falling training count, ties by bytes (as memcmp orders them); <eos> and <unk> stand where their
 * counts put them.  Word i of the result is blob[start[i]] .. blob[start[i+1]-1], as a corpus stores it.
 * Errors: NO_MEMORY; BAD_DATA from the choice.  Threads: a table belongs to one thread; tables are merged
 * afterwards, and since counts are integers and the order above is total, the result does not depend on who
 * counted what. */
#ifndef IO_VOCAB_H
#define IO_VOCAB_H

#include "io/corpus.h"
#include "io/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct word_count {
    uint64_t start; /* in the table's blob */
    uint32_t bytes, hash;
    uint64_t count[SPLIT_COUNT];
} word_count;

/* An open-addressing hash table; zero-initialise with {0}. */
typedef struct word_table {
    uint8_t *blob;
    uint64_t blob_bytes, blob_capacity;
    word_count *words;
    uint32_t size, capacity;
    uint32_t *slots; /* index into words, plus one */
    uint32_t slot_count;
} word_table;
void word_table_free(word_table *t);
bool word_table_add(word_table *t, const uint8_t *word, size_t n, int split,
                    uint64_t times); /* false: out of memory */
/* The place of a word in t->words, where it is put without being counted if it is new; false: out of memory. */
bool word_table_place(word_table *t, const uint8_t *word, size_t n, uint32_t *place);
bool word_table_merge(word_table *into, const word_table *from);
uint64_t word_table_tokens(const word_table *t, int split);

typedef struct vocab_rules {
    bool from_all;           /* words of valid and test enter too; order stays by training count */
    uint64_t min_count;      /* rarer words are left out (counted in the splits that words come from) */
    uint64_t max_size;       /* V at most, <eos> and <unk> included; 0: no limit */
    const vocabulary *given; /* NULL, or the vocabulary itself, whose order is kept */
    bool has_lines;          /* <eos> is always in (levels word and char) */
    bool needs_unk;          /* <unk> too: texts that come later have words that these lack */
} vocab_rules;

/* The words chosen.  Owned; free with vocab_free. */
typedef struct vocab {
    uint8_t *blob;
    uint64_t *start; /* size + 1 */
    uint32_t size;
    bool unk_added;            /* the text had no <unk> of its own */
    uint64_t oov[SPLIT_COUNT]; /* tokens that become <unk> though they are spelled otherwise */
} vocab;
status vocab_choose(vocab *v, const word_table *t, const vocab_rules *rules, error *e);
/* The same with the words of vocab_read(path) as the given ones; path NULL: as the rules say. */
status vocab_choose_from(vocab *v, const word_table *t, vocab_rules rules, const char *path, error *e);
void vocab_free(vocab *v);
/* Into a corpus's meta: where its words come from, the rules, and how many tokens of each split are not among them. */
void vocab_describe(record *meta, const vocab_rules *rules, bool from_file, const uint64_t oov[SPLIT_COUNT]);

/* Reads a list of words: a corpus of ours (its vocabulary), or a text of one word a line.  Duplicates and
 * empty lines are BAD_DATA with path:line.  Free the result with vocab_free. */
status vocab_read(vocab *v, const char *path, error *e);

#endif
