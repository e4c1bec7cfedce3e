/* vocabulary.c - words as views into one blob, and a hash index from word to id.
 *
 * The blob comes from a file that may lie: every offset is checked once here, so that nobody needs to
 * check again. */
#include "io/bug.h"
#include "io/corpus.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { VOCABULARY_MAX = 1 << 30 }; /* so that 2 V slots fit in 32 bits */

static status check_offsets(const uint64_t *start, uint32_t size, uint64_t blob_bytes, const char *where,
                            error *e)
{
    if (size == 0 || size > VOCABULARY_MAX)
        return fail(e, STATUS_BAD_DATA, "%s: a vocabulary of %" PRIu32 " words; 1 to %d are allowed", where,
                    size, VOCABULARY_MAX);
    if (start[0] != 0 || start[size] != blob_bytes)
        return fail(e, STATUS_BAD_DATA, "%s: the vocabulary's offsets do not cover its %" PRIu64 " bytes",
                    where, blob_bytes);
    for (uint32_t i = 0; i < size; i++)
        if (start[i + 1] <= start[i] || start[i + 1] > blob_bytes)
            return fail(e, STATUS_BAD_DATA,
                        "%s: word %" PRIu32 " of the vocabulary is empty or runs backwards", where, i);
    return STATUS_OK;
}

/* The slot that holds the word, or the free one where it belongs. */
static uint32_t slot_of(const vocabulary *v, const char *word, size_t n)
{
    uint32_t mask = v->slots - 1, slot = (uint32_t)XXH3_64bits(word, n) & mask;
    for (; v->by_word[slot] != 0; slot = (slot + 1) & mask) {
        size_t m;
        const char *other = vocabulary_word(v, v->by_word[slot] - 1, &m);
        if (m == n && memcmp(word, other, n) == 0)
            break;
    }
    return slot;
}

static status build_index(vocabulary *v, const char *where, error *e)
{
    for (v->slots = 4; v->slots < 2 * v->size; v->slots *= 2)
        ;
    v->by_word = calloc(v->slots, sizeof *v->by_word);
    if (v->by_word == NULL)
        return fail(e, STATUS_NO_MEMORY, "%s: no memory for an index of %" PRIu32 " words", where, v->size);
    for (uint32_t id = 0; id < v->size; id++) {
        size_t n;
        const char *word = vocabulary_word(v, id, &n);
        uint32_t *slot = &v->by_word[slot_of(v, word, n)];
        if (*slot != 0)
            return fail(e, STATUS_BAD_DATA,
                        "%s: words %" PRIu32 " and %" PRIu32 " of the vocabulary are the same", where,
                        *slot - 1, id);
        *slot = id + 1;
    }
    return STATUS_OK;
}

status vocabulary_view(vocabulary *v, const uint8_t *blob, uint64_t blob_bytes, const uint64_t *start,
                       uint32_t size, const char *where, error *e)
{
    *v = (vocabulary){.size = size, .blob = blob, .start = start, .eos = -1, .unk = -1};
    status s = check_offsets(start, size, blob_bytes, where, e);
    if (s == STATUS_OK)
        s = build_index(v, where, e);
    if (s != STATUS_OK) {
        vocabulary_free(v);
        return s;
    }
    v->eos = vocabulary_find(v, "<eos>", 5);
    v->unk = vocabulary_find(v, "<unk>", 5);
    return STATUS_OK;
}

void vocabulary_free(vocabulary *v)
{
    free(v->by_word);
    *v = (vocabulary){.eos = -1, .unk = -1};
}

int64_t vocabulary_find(const vocabulary *v, const char *word, size_t n)
{
    return (int64_t)v->by_word[slot_of(v, word, n)] - 1;
}

const char *vocabulary_word(const vocabulary *v, uint32_t id, size_t *n)
{
    BUG_IF(id >= v->size, "word %" PRIu32 " of %" PRIu32, id, v->size);
    *n = (size_t)(v->start[id + 1] - v->start[id]);
    return (const char *)v->blob + v->start[id];
}

bool vocabulary_same(const vocabulary *a, const vocabulary *b)
{
    const uint64_t bytes = a->size == b->size ? a->start[a->size] : 0;
    return a->size == b->size && bytes == b->start[b->size] && memcmp(a->blob, b->blob, bytes) == 0 &&
           memcmp(a->start, b->start, (a->size + 1) * sizeof *a->start) == 0;
}
