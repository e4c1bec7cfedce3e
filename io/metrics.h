/* metrics.h - metrics.jsonl: the numbers of a run, one flat JSON object (io/record.h) per line, for
 * programs.
 *
 * Each line has "type" (start, step, valid, save, stop) and the integer "step".  The file is append-only
 * while a run lives, and a line is one write(2), so that a reader who follows it sees whole lines.  A
 * resumed run produces the steps after its checkpoint again; therefore metrics_open cuts the file there,
 * and a run that was killed and resumed leaves the lines that an uninterrupted run leaves, apart from
 * "start", "save" and "stop" lines and times.
 * Threads: one at a time.  Not collective: the speaking rank only. */
#ifndef IO_METRICS_H
#define IO_METRICS_H

#include "io/record.h"
#include "io/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct metrics metrics;

#define METRICS_FRESH (-1)
/* Opens DIR/metrics.jsonl.  METRICS_FRESH: empties it.  Otherwise keeps the lines whose step is at most
 * resume_step and drops later ones, a torn last line and lines that are no records, by an atomic
 * replacement (io/disk). */
status metrics_open(metrics **m, const char *dir, int64_t resume_step, error *e);
bool metrics_write(
    metrics *m,
    const record *r);           /* false: not written (disk full, ...); the file still ends in a whole line */
void metrics_close(metrics *m); /* NULL is fine */

#endif
