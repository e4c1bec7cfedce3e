/* documents_set.h - the inside of a document_set, for documents*.c only. */
#ifndef IO_DOCUMENTS_SET_H
#define IO_DOCUMENTS_SET_H

#include "io/documents.h"

#include <xxhash.h>

typedef struct document {
    uint64_t first; /* in ids */
    uint32_t tokens;
    uint32_t label; /* place in the label table, later the label's rank; LABEL_NONE */
    int split;
    uint64_t place; /* see documents.h */
    XXH128_hash_t text;
} document;

struct document_set {
    bool lower;
    word_table words, labels;
    uint32_t eos; /* place of <eos> in words */
    uint32_t *ids;
    uint64_t id_count, id_capacity; /* ids are places in words */
    document *all;
    size_t count, capacity;
    /* Of each label the first place seen with each split (+1; 0: split not told), NULL where there is none. */
    char *(*first_place)[SPLIT_COUNT + 1];
    uint32_t first_places;
};

#endif
