/* line_file.h - a text file that grows by whole lines: train.log and metrics.jsonl.
 *
 * Each line is one write(2) with O_APPEND, so a reader who follows the file sees whole lines, and what a
 * killed process has written stays.  Such a file is a report and not a result: nothing is synced, and
 * losing a line is counted instead of ending the run.  After a short write (disk full) the file is cut
 * back to its last whole line. This goes past io/disk, whose files appear whole or not at all.  Threads:
 * one at a time. */
#ifndef IO_LINE_FILE_H
#define IO_LINE_FILE_H

#include "io/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct line_file {
    int fd; /* -1: closed */
    char *path;
    off_t end; /* where the last whole line ends */
} line_file;

/* Opens for appending, creates if missing, and ends a line that a killed process left torn. */
status line_file_open(line_file *f, const char *path, error *e);
/* n bytes, the last of them a newline; false: not written, errno says why */
bool line_file_write(line_file *f, const char *line, size_t n);
void line_file_close(line_file *f); /* safe on {.fd = -1} */

#endif
