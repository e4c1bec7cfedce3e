/* source.h - one stream of bytes, wherever a corpus keeps it: a file, a file in a directory, a member of an
 * archive.
 *
 * Plain files, .gz .bz2 .xz .zst, .zip and .tar in any of these compressions are read through libarchive as a
 * stream: nothing is ever unpacked to disk and memory does not grow with the file.  What a file is, its
 * content decides; a name that promises something else (corpus.zip that is no archive) is an error.  Of an
 * archive only regular members count: links, devices and folders are passed over, and member names serve for
 * comparison only, never as paths.
 *
 * libarchive does not check the CRC at the end of a .gz; a truncated one is noticed.  The CRCs of .zip, .xz
 * and .zst are checked.
 *
 * Errors: BAD_DATA with the place.  Threads: a source belongs to one thread at a time.  Not collective. */
#ifndef IO_SOURCE_H
#define IO_SOURCE_H

#include "io/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_MEMBERS_MAX 1000000 /* members of one archive; one with more is called hostile */

/* Where a stream stands.  Both strings are owned; member is NULL for a file that is no archive. */
typedef struct source_place {
    char *path, *member;
    bool once; /* a pipe or device, which source_open reads as it comes, like standard input */
} source_place;
void source_place_free(source_place *p);

typedef enum { SOURCE_DIRECTORY, SOURCE_ARCHIVE, SOURCE_FILE } source_kind;
/* What path is, by its content; anything but a directory or a regular file is BAD_DATA (a corpus is read
 * twice). */
status source_classify(source_kind *kind, const char *path, error *e);

/* Looks in `where`, a directory or an archive, for the first of `names` (NULL-terminated, in order of
 * preference).  Directory: DIR/NAME, DIR/NAME.{gz,xz,zst,bz2}, then the same under DIR/data.  Archive: any
 * member whose last path component is NAME; two such members are an error.  *found is false, and the place
 * untouched, when none is there. */
status source_find(source_place *p, bool *found, const char *where, const char *const *names, error *e);

/* The place of a file given by name: itself, or the only regular member if it is an archive. */
status source_single(source_place *p, const char *path, error *e);

/* Does a pipe or character device stand there?  Then its place, for those who read once; source_single takes none. */
bool source_piped(source_place *p, const char *path);

typedef struct source source;
status source_open(source **s, const source_place *p, error *e);
/* Standard input, to its end; it may be compressed, but is never an archive. */
status source_open_input(source **s, error *e);

/* All of an archive in one pass: source_next stands before the next regular member, whose bytes source_read
 * then gives, or before the next folder.  *name is borrowed until the next call, without a '/' at its end.
 * What is no archive is BAD_DATA. */
status source_open_members(source **s, const char *path, error *e);
status source_next(source *s, const char **name, bool *folder, bool *more, error *e);

/* Reads up to `capacity` bytes; *n is less only at the end. */
status source_read(source *s, void *bytes, size_t capacity, size_t *n, error *e);
void source_close(source *s); /* NULL is fine */

/* "corpus.zip:wikitext-2/wiki.train.tokens", for messages; control bytes are shown as '?'. */
const char *source_label(const source *s);
/* Bytes of the file on disk that have been taken so far, and all of them: what a progress bar needs. */
uint64_t source_consumed(const source *s);
uint64_t source_file_bytes(const source_place *p);

#endif
