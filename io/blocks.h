/* blocks.h - cuts the texts of a corpus into blocks that threads can work on, in the order of the text.
 *
 * A block is at most BLOCK_BYTES (plus a line end that the text forgot) and ends after a line end; inside a
 * longer line after white space; inside a longer word (or character, at level char) where no scalar value is
 * torn.  Where blocks end depends on the text alone, never on threads.
 *
 * Level word and char: a byte order mark at the start of a file is skipped; a last line without line end gets
 * one, unless it holds only white space, in which case it is no line.
 *
 * One file can be cut into the three splits at line ends: a split ends with the first line that reaches its
 * share of the bytes.  A file without line ends is cut at white space instead.  Threads: one at a time. */
#ifndef IO_BLOCKS_H
#define IO_BLOCKS_H

#include "io/source.h"
#include "io/status.h"
#include "io/text.h"

#include <stdbool.h>
#include <stdint.h>

#define BLOCK_BYTES ((size_t)1 << 20)

/* The texts of a corpus, in the order train, valid, test; one split may consist of several files. */
typedef struct text_part {
    source_place place;
    int split; /* split_name; where the file is cut: the first one */
} text_part;
typedef struct text_list {
    text_part *parts;
    size_t count;
    bool cut;        /* one part, cut into the three splits by share[] */
    double share[3]; /* sum 1 */
    text_level level;
} text_list;
void text_list_add(text_list *l, source_place place, int split); /* takes the place over */
void text_list_free(text_list *l);

typedef struct block_reader block_reader;
status block_open(block_reader **r, const text_list *texts, error *e);
/* The next block into b (its memory is allocated or reused); *more is false after the last one.  b->label
 * stays valid until block_close. */
status block_next(block_reader *r, text_block *b, bool *more, error *e);
void block_close(block_reader *r); /* NULL is fine */

/* Bytes on disk: read so far, and in all parts. */
uint64_t block_consumed(const block_reader *r);
uint64_t text_list_bytes(const text_list *l);

#endif
