/* archives.h - makes the files that io/source reads: archives and compressed streams of every kind, written
 * by libarchive. */
#ifndef TESTS_TEXT_ARCHIVES_H
#define TESTS_TEXT_ARCHIVES_H

#include <stddef.h>

typedef struct archive_member {
    const char *name;
    const char *bytes; /* NULL: a folder */
    size_t n;
    const char *link;      /* a symbolic link to this, instead of a file */
    const char *hard_link; /* likewise */
} archive_member;

/* kind: "tar", "zip" or "raw" (a single stream), then "" or one of ".gz" ".bz2" ".xz" ".zst": "tar.gz",
 * "raw.xz". */
void archive_make(const char *path, const char *kind, const archive_member *members, size_t count);

#endif
