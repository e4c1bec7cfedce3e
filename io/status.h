/* status.h - how a step that the world can disappoint (a file, a configuration, memory) reports it.
 *
 * Three kinds of error, three ways (trainer/README.md):
 *   1. the world disappoints: the function returns a `status` and fills the caller's `error` with one
 *      sentence that names the place (file:line or flag), what was found and what is allowed;
 *   2. we are wrong: BUG_IF (io/bug.h) prints and aborts;
 *   3. MPI itself fails: its own handler ends the job, which starts again from its last checkpoint.
 *
 * Each status carries the exit code of the program, so that the code is decided where the error is
 * understood: io/disk says IO_FAILED, and the caller that knows what was being written turns it into
 * BAD_DATA or BAD_CHECKPOINT with fail_as().
 * Threads: an `error` belongs to one thread.  Nothing here is collective (see comm_agree). */
#ifndef IO_STATUS_H
#define IO_STATUS_H

/* name, exit code, text.  Ordered by weight: comm_agree() hands every rank the largest. */
#define STATUS_LIST(X)                                                                      \
    X(OK, 0, "success")                                                                     \
    X(SAVED, 75, "saved on request, start again to go on")                                  \
    X(USAGE, 2, "command line is not usable")                                               \
    X(BAD_CONFIG, 2, "configuration is not usable")                                         \
    X(BAD_DATA, 3, "data is damaged, missing or of another kind")                           \
    X(BAD_CHECKPOINT, 4, "checkpoint is damaged, of another model or could not be written") \
    X(IO_FAILED, 1, "reading or writing failed")                                            \
    X(NO_MEMORY, 1, "out of memory")                                                        \
    X(LOST_RANK, 5, "a rank hung or vanished")                                              \
    X(INTERNAL, 1, "internal error")

typedef enum {
#define STATUS_ENUM(name, code, text) STATUS_##name,
    STATUS_LIST(STATUS_ENUM)
#undef STATUS_ENUM
} status;

/* Owned by the caller, usually on its stack; zero-initialise with {0}. `text` is one sentence without
 * newline. */
typedef struct error {
    status code;
    char text[2048];
} error;

/* The text of a status and its exit code; both are total (an unknown value gives INTERNAL's). */
const char *status_text(status s);
int status_exit_code(status s);

/* Writes the sentence into e (e may be NULL) and returns s, so that callers write `return fail(e, ...)`.
 * Control bytes, which file names and damaged files may hold, become '?'; a sentence too long is cut.
 * e->text itself may be among the arguments. */
status fail(error *e, status s, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Changes the status of an error that came from below and puts "prefix: " in front of its text. */
status fail_as(error *e, status s, const char *prefix_format, ...) __attribute__((format(printf, 3, 4)));

#endif
