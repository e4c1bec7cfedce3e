/* store.h - the checkpoints of a run directory: names, which is the newest good one, writing in the
 * background, what is kept.
 *
 *   DIR/ckpt-0000001200.h5   every so many steps, seconds, epochs, at pauses and at the end; the last keep_last stay
 *   DIR/best-0000001195.h5   when validation improves; the last keep_best stay
 *
 * The number is the step, so that names and not times say which is newest.  A file appears under its name
 * whole or not at all (io/disk.h); an older one is removed only after a newer one is on the disk.  Writing
 * happens on a thread of its own from an image in memory, so that training goes on; one write is in flight
 * at most. Rank 0 only; on other ranks a store is NULL and every call does nothing and returns OK. */
#ifndef TRAINER_STORE_H
#define TRAINER_STORE_H

#include "io/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { STORE_CHECKPOINT, STORE_BEST } store_kind;
typedef struct store store;

#define STORE_PATH 4096 /* bytes of a path; what is longer is cut, and not found */

status store_open(store **s, const char *dir, int64_t keep_last, int64_t keep_best, error *e);
/* Waits for the write in flight; its failure is the result. */
status store_close(store *s, error *e);

/* Takes the image (malloc'ed) and writes it.  wait = false: in the background; then the result is that of
 * the *previous* write, if it had not been asked for yet. wait = true: returns when the file is on the
 * disk.  On failure the earlier files are untouched. */
status store_save(store *s, store_kind kind, int64_t step, unsigned char *image, size_t bytes, bool wait,
                  error *e);

/* Waits for the write in flight, if any, and hands out its result once. */
status store_settle(store *s, error *e);

/* Where the file of a step is or would be. */
void store_path(const char *dir, store_kind kind, int64_t step, char path[STORE_PATH]);
/* Paths in dir, newest first, malloc'ed array of malloc'ed strings; a missing directory has none. */
status store_list(const char *dir, store_kind kind, char ***paths, size_t *count, error *e);
void store_list_free(char **paths, size_t count);
/* The newest checkpoint whose bytes are all right (*path malloc'ed; NULL if there is no file at all).
 * Damaged newer ones are told to `skipped` and left in place. Some, but no good one: BAD_CHECKPOINT. */
status store_newest_good(const char *dir, store_kind kind, char **path,
                         void (*skipped)(const char *line, void *arg), void *arg, error *e);
/* What a user names: a file, or a run directory (best, unless `last`, or newest where there is no best).
 * *path malloc'ed. */
status store_resolve(const char *what, bool last, char **path, error *e);

#endif
