/* text.h - from bytes to tokens: what a token is at each level, and what is no text.
 *
 *   level   token                                        end of line        vocabulary entry
 *   word    a run of bytes between white space           <eos>              its UTF-8 bytes
 *   char    a Unicode scalar value, white space too      <eos>              its UTF-8 bytes
 *   byte    a byte                                       the byte 0x0A      one byte
 *
 * White space is what Python's str.split() cuts at: Unicode's White_Space and the separators U+001C to
 * U+001F.  A line ends with "\n" or "\r\n"; every line gives one <eos>, empty ones too.  At the level of
 * bytes nothing is interpreted: no line, no byte order mark, no encoding.  Nothing is normalised, lower-cased
 * or otherwise improved.  Threads: every function may be called from any, on its own data. */
#ifndef IO_TEXT_H
#define IO_TEXT_H

#include "io/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_EOS      "<eos>"
#define TEXT_UNK      "<unk>"
#define TEXT_WORD_MAX 65536 /* bytes; a longer "word" is no word, and the file no text */

typedef enum { LEVEL_WORD, LEVEL_CHAR, LEVEL_BYTE } text_level;
extern const char *const text_level_names[3]; /* "word", "char", "byte" */

/* A piece of a split, cut by io/blocks.h where no token is torn. */
typedef struct text_block {
    uint8_t *bytes;
    size_t n, capacity;
    int split;             /* split_name */
    const char *label;     /* of the source, for messages */
    uint64_t line, column; /* of the first byte, both from 1, columns in bytes */
} text_block;

/* Checks that a block is text: no NUL, valid UTF-8, no word beyond TEXT_WORD_MAX; the message says
 * label:line:column.  With `replace` each maximal invalid part becomes U+FFFD (the block may grow) and
 * *replaced counts them.  Level byte: everything is fine. */
status text_check(text_block *b, text_level level, bool replace, uint64_t *replaced, error *e);

/* Bytes of the scalar value *c at `at` (before `end`).  At what is not UTF-8, the length of the maximal
 * invalid part, and *c is U+FFFD: as if it had been replaced. */
size_t text_scalar(const uint8_t *at, const uint8_t *end, uint32_t *c);

/* Length of the white space at `at` (before `end`), 0 if there is none. */
size_t text_space(const uint8_t *at, const uint8_t *end);

/* Walks over the tokens of a checked block: while (token_next(&t, &word, &n)) ...  An end of line gives
 * TEXT_EOS. */
typedef struct token_reader {
    const uint8_t *at, *end;
    text_level level;
} token_reader;
bool token_next(token_reader *t, const uint8_t **word, size_t *n);

#endif
