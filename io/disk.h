/* disk.h - the only door to files that we write, and the seam where tests make the n-th call fail.
 *
 * Every write of a file that matters goes: create exclusively under a temporary name, reserve the space,
 * write, fsync, close, rename over the final name, fsync the directory.  The rename is the commit: a
 * reader sees the old file or the new one.  A failed fsync is never retried: the kernel forgets the dirty
 * pages, so the file is thrown away.
 *
 * Where a device, a pipe or a folder stands a file would take its place, so disk_create refuses; results that are
 * written from front to back may go there directly (disk_create_stream).
 *
 * All functions return IO_FAILED with path, call and errno's text.  A call that EINTR broke off is made
 * again, a short write goes on.  After a failure the old file is as it was and nothing new is left behind,
 * with two exceptions: a temporary that could not be unlinked, and a file whose directory could not be
 * synced after the rename (it is in place and whole, but a power cut may undo the rename; IO_FAILED says
 * so).
 *
 * Threads: disk_write_at and disk_read_at may run at once on one disk_file for ranges that do not overlap;
 * everything else on it belongs to one thread.  disk_calls is set before threads start. */
#ifndef IO_DISK_H
#define IO_DISK_H

#include "io/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* The system calls used for writing, in one table.  Tests point disk_calls at a table of their own; the
 * product never does. */
typedef struct disk_table {
    int (*open)(const char *path, int flags, mode_t mode);
    int (*fallocate)(int fd, off_t offset, off_t length); /* posix_fallocate: returns an errno value */
    ssize_t (*pwrite)(int fd, const void *bytes, size_t n, off_t offset);
    ssize_t (*pread)(int fd, void *bytes, size_t n, off_t offset);
    int (*fsync)(int fd);
    int (*close)(int fd);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    ssize_t (*write)(int fd, const void *bytes, size_t n); /* where there are no places: pipes, devices */
} disk_table;
extern const disk_table disk_system; /* the real ones */
extern const disk_table *disk_calls; /* &disk_system unless a test changed it */

/* A file being made.  `path` is the final name; the temporary one is path + ".tmp.<host>.<pid>.<random>",
 * where <host> is a hash of host name and process-id namespace: two containers that share a directory
 * count their processes separately. */
typedef struct disk_file {
    int fd;
    char *path, *temporary; /* temporary NULL: `path` itself is written */
    int note;               /* of `temporary`, for disk_clean_on_signals; 0: none */
} disk_file;

/* Mode 0666 less umask; a link or file of the temporary name is never followed or reused.  With reserve_bytes
 * above 0 the disk space is taken now (a full disk is found here), and the file has that length and reads as
 * zeros.  On failure *f is empty. */
status disk_create(disk_file *f, const char *path, uint64_t reserve_bytes, error *e);
/* The same for what is written from front to back: each disk_write_at goes on where the last one ended, and nothing is
 * read back.  A pipe or a character device that stands there is written itself; opening a pipe waits for its reader.
 * Where our stdout or stderr goes (/dev/stdout leads to it), a file too, the bytes go on behind what was written there:
 * stdout is flushed first, and what is printed later comes later.  The file that is our stdin is refused: it would be
 * read back. */
status disk_create_stream(disk_file *f, const char *path, error *e);
/* Would disk_create_stream be allowed to?  Leaves nothing behind and waits for nobody. */
status disk_check_stream(const char *path, error *e);
/* On failure the caller goes on to disk_discard. */
status disk_write_at(disk_file *f, const void *bytes, size_t n, uint64_t offset, error *e);
/* All n bytes, or IO_FAILED. */
status disk_read_at(disk_file *f, void *bytes, size_t n, uint64_t offset, error *e);
/* fsync, close, rename, fsync of the directory (of what is written itself: close); frees f in any case. */
status disk_commit(disk_file *f, error *e);
/* Closes and unlinks the temporary; frees f.  Safe after any failure, and twice. */
void disk_discard(disk_file *f);

/* From now on INT, TERM, HUP and PIPE remove the temporaries that are being made, erase a bar (io/progress.h), and then
 * end the process as they would have; XFSZ is ignored, so that beyond a limit on file sizes a write fails.  For commands
 * that have nothing to save: trainer/signals.h is for the others. */
void disk_clean_on_signals(void);

/* disk_create + disk_write_at + disk_commit. */
status disk_write_file(const char *path, const void *bytes, size_t n, error *e);

/* Reads a whole regular file of at most max_bytes into malloc'ed memory (plus a NUL beyond the end). */
status disk_read_file(const char *path, uint64_t max_bytes, unsigned char **bytes, size_t *n, error *e);

/* Maps a regular file for reading; disk_unmap when done.  An empty file is an error. */
typedef struct disk_map {
    const unsigned char *bytes;
    size_t n;
} disk_map;
status disk_map_file(disk_map *m, const char *path, error *e);
void disk_unmap(disk_map *m); /* safe twice */

/* mkdir -p; fine if it exists and is a writable directory. */
status disk_make_dir(const char *path, error *e);
/* Takes a directory for this process alone, until disk_unlock or the end of the process, however that comes;
 * waits at most `seconds` for another that has it.  Where the file system has no locks nobody is kept out. */
status disk_lock(const char *dir, int seconds, int *lock, error *e);
void disk_unlock(int *lock); /* safe twice; *lock -1 holds none */
/* unlink + fsync of the directory; a missing file is fine. */
status disk_remove(const char *path, error *e);
bool disk_exists(const char *path);
/* Removes temporaries (as named above) in dir whose process on this host is gone. */
status disk_sweep_temporaries(const char *dir, error *e);
uint64_t disk_free_bytes(const char *dir); /* 0 if it cannot be known */

#endif
