/* output.h - a result that goes where the user says, written from front to back with stdio.
 *
 *   output_open(&o, path) -> fprintf(o.stream, ...) ... output_flush() now and then -> output_close()
 *
 * A file stands under `path` only after output_close has succeeded; a device, a pipe and /dev/stdout get what is
 * flushed at once (disk_create_stream).  Errors: IO_FAILED, told by the next flush or close, with the sentence of the
 * first write that failed; nothing is written after it.  Memory: one buffer.
 * Threads: one at a time. */
#ifndef IO_OUTPUT_H
#define IO_OUTPUT_H

#include "io/disk.h"
#include "io/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Must not be moved or copied while it is open. */
typedef struct output {
    FILE *stream; /* NULL: not open */
    disk_file file;
    uint64_t bytes;
    char *buffer; /* the stream's */
    bool ended;   /* nothing more goes down: a write has failed, or the rest is not wanted */
    error why;    /* of the write that failed */
} output;

/* On failure there is nothing to discard. */
status output_open(output *o, const char *path, error *e);
status output_flush(output *o, error *e);
/* Finishes the file and frees o in any case. */
status output_close(output *o, error *e);
void output_discard(output *o); /* safe after any failure, twice, and on {0} */

#endif
