/* tokenizer.h - raw text, as people write it, cut into words: the same for training and for what a model is
 * asked later.
 *
 *   word          a maximal run of letters, marks and numbers (Unicode L*, M*, N*), in which
 *                 - a single apostrophe between two letters stays:   don't   rock'n'roll
 *                 - '.' or ',' between two digits (Nd) stays:        10.5    1,000    1.2.3
 *   punctuation   a run of one and the same mark or symbol:          ...     !!      ?!  is two tokens
 *   nothing       white space, control and format characters, and the HTML line breaks <br>, <br/>, <br />
 *                 in any case, which separate
 *
 * U+2019 is read and written as ' wherever it stands: most keyboards give one, most editors the other.
 * A mark (M*) belongs to what stands before it, so a letter with accents is one letter.  Nothing else is
 * normalised: composed and decomposed accents stay different, for a model learns what its texts hold.
 * Scripts that write no spaces give long words; they want --level char.
 * With `lower`, each code point goes through Unicode's simple case mapping; valid UTF-8 in, valid out.
 *
 * A word longer than TEXT_WORD_MAX bytes is cut there: what follows begins the next token, nothing is lost.
 * Bytes that are not UTF-8 read as U+FFFD, as text_check would have replaced them.
 *
 * The tokens of two texts with white space between them are the tokens of the first and then of the second
 * (a blank inside "<br" and "/>" aside).  Threads: any, each with its own reader.  No allocation. */
#ifndef IO_TOKENIZER_H
#define IO_TOKENIZER_H

#include "io/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKENIZER_NAME "words" /* in a corpus's meta, under "tokenizer" */

/* How a corpus's texts were cut, by what it says of that (corpus.h): "into words, numbers and punctuation, in lower
 * case", for messages.  Corpora whose answers are the same text are cut alike. */
const char *tokenizer_rule(const char *level, const char *tokenizer, bool lower);

typedef struct word_reader {
    const uint8_t *at, *end;
    bool lower;
} word_reader;

/* The next token into word (TEXT_WORD_MAX bytes, not NUL-terminated); false at the end.
 *   word_reader r = {text, text + bytes, true};
 *   while (word_next(&r, word, &n)) ... */
bool word_next(word_reader *r, uint8_t *word, size_t *n);

#endif
