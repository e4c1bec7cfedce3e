/* labelled.h - one document after another, with its label where there is one, from a table or a plain text.
 *
 *   LABELLED_LINES   one document a line                     a line may be empty: a document without text
 *   LABELLED_TSV     columns between tabs; a quote is a quote, so neither tab nor line end can stand in a text
 *   LABELLED_CSV     RFC 4180: columns between commas; "a field in quotes may hold , and "" and line ends"
 *   LABELLED_JSONL   one JSON object a line; other keys are passed over
 *
 * Lines end with LF or CRLF; an input whose lines all end with CR alone is refused (two CRs or more outside of quotes and
 * no LF; JSON may have them as white space).  A byte order mark at the start is skipped, and so are empty lines, except
 * where a line is a whole document (LINES, tables of one column, but not in front of their header).  Labels are texts
 * without the white space around them; JSON's integers, true and false are taken as they are written; an empty one, and
 * null, is none.
 *
 *   labelled_open(&r, &place, format, &settings, &e);
 *   while (labelled_next(r, &d, &more, &e) == STATUS_OK && more) ... d.text ...
 *   labelled_close(r);
 *
 * Memory: one record at a time, of at most LABELLED_RECORD_MAX bytes.  Errors: BAD_DATA with file:line (and a
 * column in bytes where one byte is wrong): wrong number of columns, a column that is not there, NUL, invalid
 * UTF-8, a quote without its partner, JSON that is no object or lacks a key.
 * Threads: a reader belongs to one thread at a time. */
#ifndef IO_LABELLED_H
#define IO_LABELLED_H

#include "io/source.h"
#include "io/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LABELLED_RECORD_MAX ((size_t)1 << 28)

typedef enum { LABELLED_LINES, LABELLED_TSV, LABELLED_CSV, LABELLED_JSONL } labelled_format;
/* What a file's name promises: .tsv, .csv, .jsonl or .ndjson, compressed or not; anything else is LINES. */
labelled_format labelled_format_of(const source_place *p);
/* LINES only because the name has another ending, which is not .txt either. */
bool labelled_is_guess(const source_place *p);
/* BAD_DATA where the name promises .json, which is none of them, or, where a `table` is wanted, LINES. */
status labelled_check_name(const source_place *p, bool table, error *e);

/* Texts are borrowed for the life of the reader.  A column is the name in the header, or a number from 1; of
 * JSON, the key. */
typedef struct labelled_settings {
    const char *text, *label; /* NULL: "text", "label"; without header 1, 2 */
    bool no_header;           /* the first line of a table is a document; columns are numbers */
    /* A table without the column has no labels, nor has one without header (unless the column was named). */
    bool label_optional;
    bool replace_invalid; /* invalid UTF-8 becomes U+FFFD */
} labelled_settings;

/* Borrowed until the next call. */
typedef struct labelled_document {
    const uint8_t *text, *label; /* label NULL: unlabelled */
    size_t text_bytes, label_bytes;
    const char *place; /* "file:line", for messages */
} labelled_document;

typedef struct labelled labelled;
/* place NULL: standard input.  Reads the header. */
status labelled_open(labelled **r, const source_place *place, labelled_format format,
                     const labelled_settings *settings, error *e);
status labelled_next(labelled *r, labelled_document *d, bool *more, error *e);
/* May documents have labels?  Never those of LINES, those of a table if it has the column, those of JSON always. */
bool labelled_has_labels(const labelled *r);
uint64_t labelled_replaced(const labelled *r); /* invalid parts that became U+FFFD so far */
void labelled_close(labelled *r);              /* NULL is fine */

#endif
