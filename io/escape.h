/* escape.h - makes bytes that we did not write fit to be shown: on a terminal, in a log line, in an error
 * message.
 *
 * Control characters (C0, DEL, C1, line and paragraph separators) and bytes that are not UTF-8 become
 * \xNN; all other UTF-8 passes unchanged.  So one line stays one line and a hostile name cannot drive a
 * terminal.  Threads: any. */
#ifndef IO_ESCAPE_H
#define IO_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Length of the UTF-8 character at text[0..n), n > 0; 0 when it is none that may be shown (see above). */
size_t escape_printable(const char *text, size_t n);
/* Every character is printable in that sense. */
bool escape_clean(const char *text, size_t n);
/* malloc'ed, NUL-terminated; NULL when memory is out.  At most `most` characters are kept, then "..."
 * follows. */
char *escape_text(const char *text, size_t n, size_t most);

/* Bytes of the longest beginning of text[0..n) that fits into `most` columns of a terminal; *columns: how many it takes.
 * Columns are counted as terminals do: two for a Chinese character, none for a combining accent.  The text has been
 * escaped. */
size_t escape_fit(const char *text, size_t n, int most, int *columns);
/* In a table: the text, escaped, in |width| such columns, flush left (negative: right).  Of a text that needs more of
 * them the beginning is shown, and "..." behind it. */
void escape_print(FILE *out, const char *text, size_t n, int width);

#endif
