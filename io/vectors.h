/* vectors.h - word vectors that others have trained, from text files into rows of a table.
 *
 *   word2vec, fastText    a first line "words dimension", then a line for each word: it and its numbers
 *   GloVe                 the same without the first line
 *
 * The first line is taken for a header when it is two whole numbers and nothing else (so that vectors of one
 * number need one).  Fields are parted by blanks and tabs, at the end of a line they are ignored; lines end
 * with LF or CRLF; a byte order mark is skipped.  The last E fields of a line are the vector and what stands
 * in front of them is the word, which may hold blanks (GloVe's of Common Crawl do), but whose last part is no
 * number then.  Words are byte strings, compared as they are: nothing is lower-cased.  The file may be packed
 * as io/source.h allows, an archive of one member too; it is read once, as a stream (it may be a
 * pipe), in 1 MiB of memory.
 *
 * Numbers are decimal, as strtod reads them in the "C" locale, and are rounded once, to the nearest float.
 * What is too small for a normal float becomes 0, as the kernels would have it, so that nothing that follows
 * depends on whether the thread flushes denormals.
 *
 * Rule R8 (trainer/README.md) keeps arithmetic that can reach a parameter in kernels/.  Reading a decimal happens
 * here all the same, for it has one possible result: it is correctly rounded (glibc does it in whole numbers, on
 * every CPU alike).
 *
 * Errors: BAD_DATA with file:line, NO_MEMORY.  Threads: any.  Not collective. */
#ifndef IO_VECTORS_H
#define IO_VECTORS_H

#include "io/corpus.h"
#include "io/status.h"

#include <stdbool.h>
#include <stdint.h>

#define VECTORS_LINE_MAX ((size_t)1 << 20) /* bytes; a longer line is none of a word vector */

typedef struct vectors_report {
    uint64_t words;      /* of the file */
    uint32_t found;      /* words of the vocabulary that it has */
    uint64_t duplicates; /* lines that repeat a found word: the first one counts */
} vectors_report;

/* table (V,E), found (V).  Writes the rows of the words that the file has, and found for all words; other
 * rows are left alone.  BAD_DATA: a header that does not fit (its dimension is not E, its count not that of
 * the lines), a line of another number of numbers, a number that is none or not finite (whether it fits into
 * a float is asked for words of the vocabulary only), no word, an empty line, one too long, a file without
 * words.  On failure some rows may have been written. */
status vectors_read(const char *path, const vocabulary *v, int E, float *table, bool *found,
                    vectors_report *report, error *e);

#endif
