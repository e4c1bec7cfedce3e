/* progress.h - how far a long step is and how long it will take, on stderr.
 *
 *   counting  [############----------------]  43%  1.2/2.8 GB  310 MB/s  5 s left
 *
 * On a terminal: one line, redrawn in place at most ten times a second, cut to the terminal's width, no
 * colours.  When stderr is no terminal or TERM is "dumb": plain lines, one for each tenth of the total but
 * none within a second of the last, and one at the end, so that a job's output stays readable.
 * Unit "bytes" is printed as kB, MB, GB (powers of 1000); any other unit as it is given ("steps",
 * "lines").
 * NULL is a bar that shows nothing; every call takes it, so only the speaking rank needs to open one.
 * Errors: none; what cannot be written is dropped.  Threads: one at a time. */
#ifndef IO_PROGRESS_H
#define IO_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct progress progress;

/* total 0: unknown; then only the amount and the speed are shown.  Never NULL unless memory is out. */
progress *progress_open(const char *label, uint64_t total, const char *unit);
void progress_at(progress *p, uint64_t done); /* cheap: reads a clock, draws only when it is time to */
void progress_close(progress *p);             /* the last state, a newline; frees p */

/* The first `done` of a resumed job was not earned now: speed and time left are reckoned from there.
 * Default 0. */
void progress_start_at(progress *p, uint64_t done);

/* For who writes lines to stderr while a bar stands there (io/log): erase, write, show.  Quiet: no plain
 * lines, for the log's own are enough. */
void progress_erase(progress *p);
void progress_show(progress *p);
void progress_quiet(progress *p, bool quiet);
/* For a handler of signals that ends the process: erases the bar that stands there, if one does. */
void progress_abandon(void);

#endif
