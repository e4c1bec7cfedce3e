/* labelled_lines.h - the records of a table or a text: lines, or lines whose ends may stand in quotes.  Only
 * labelled*.c include this. */
#ifndef IO_LABELLED_LINES_H
#define IO_LABELLED_LINES_H

#include "io/labelled.h"
#include "io/source.h"
#include "io/status.h"
#include "io/text.h"

typedef struct record_reader {
    source *from;
    bool quotes; /* CSV: a line end between quotes belongs to its record */
    bool json;   /* CR is white space, wherever it stands */
    bool replace_invalid;
    uint64_t replaced;
    uint8_t *bytes; /* read and not yet handed out: bytes[at] .. bytes[end-1] */
    size_t at, end, capacity;
    bool drained;      /* the source has ended */
    uint64_t line;     /* of bytes[at] */
    text_block record; /* the one handed out last: valid UTF-8, no NUL, without its line end */
} record_reader;

/* Takes the source over. */
void record_reader_init(record_reader *r, source *from, labelled_format format, bool replace_invalid);
/* The next record into r->record; BAD_DATA with file:line. */
status record_next(record_reader *r, bool *more, error *e);
void record_reader_free(record_reader *r);

#endif
