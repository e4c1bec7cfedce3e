/* options.h - values of command-line options: each parser names the option, what was found and what is
 * allowed (STATUS_USAGE). */
#ifndef LAUNCH_OPTIONS_H
#define LAUNCH_OPTIONS_H

#include "io/config.h"
#include "io/status.h"

#include <stdbool.h>
#include <stdint.h>

status option_count(uint64_t *out, const char *option, const char *text, uint64_t min, uint64_t max,
                    error *e);
status option_real(double *out, const char *option, const char *text, double min, double max, error *e);
/* The index of `text` among n names. */
status option_choice(int *out, const char *option, const char *text, const char *const *names, int n,
                     error *e);

/* --threads has its limit; what takes its place when it was not given (threads 0) has the same one.  More
 * threads than that is a slip, and one that OpenMP may answer by overrunning the stack. */
#define OPTION_THREADS_MAX 1024
status option_threads_check(uint64_t threads, error *e);

/* A whole configuration: files, then environment, then --set, in that order of precedence; c is initialised.
 * No file: USAGE. */
status option_config(config *c, char **files, int file_count, char **sets, int set_count, error *e);

/* Where a file stands or would stand: malloc'ed, "." without a slash. */
char *option_folder(const char *path);
/* Do both names lead to one regular file?  Of names where nothing is yet: would they? */
bool option_same_file(const char *a, const char *b);
/* What is written must not take the place of what is read: USAGE if the file of `option` (NULL: it was not given) is the
 * file `other`, which is `what`. */
status option_not_over(const char *option, const char *path, const char *other, const char *what, error *e);

/* Prints the help on stdout and returns true if it is asked for, wherever that stands. */
bool option_help(int argc, char **argv, const char *help);
/* Prints "unroll COMMAND: sentence" on stderr and returns the exit code of s. */
int option_failed(const char *command, status s, const error *e);
/* For what getopt_long could not take (`option` is '?' or ':'), with opterr = 0 and ":" in front of its
 * short options, so that it keeps silent: under mpirun every rank parses, and only one speaks.  Names what
 * was found and where help is. */
status option_refused(const char *command, char **argv, int option, error *e);

#endif
