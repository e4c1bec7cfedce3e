/* disk_internal.h - what the parts of io/disk share; nobody else includes it. */
#ifndef IO_DISK_INTERNAL_H
#define IO_DISK_INTERNAL_H

#include "io/disk.h"

/* IO_FAILED from errno: "path: cannot <what>: No space left on device". */
status disk_failed(error *e, const char *path, const char *what);
/* open that goes on after EINTR. */
int disk_open(const char *path, int flags, mode_t mode);
/* malloc'ed: the directory that holds path, "." for a bare name. */
char *disk_directory_of(const char *path);
/* 8 hexadecimal digits and a NUL: host name and process-id namespace, hashed. */
#define DISK_HOST_TAG 9
void disk_host_tag(char tag[DISK_HOST_TAG]);
/* Around the life of a temporary file, for disk_clean_on_signals: the note, or 0 when there is no room for one. */
int disk_note_temporary(const char *name);
void disk_forget_temporary(int note);

#endif
