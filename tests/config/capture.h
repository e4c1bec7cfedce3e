/* capture.h - what a module writes to stderr, and a folder for what it leaves on disk. */
#ifndef TESTS_CONFIG_CAPTURE_H
#define TESTS_CONFIG_CAPTURE_H

#include <stddef.h>

/* stderr goes to a file, to a pseudo-terminal of that width (0: of unknown width), or to the opened path,
 * until capture_end gives what was written, malloc'ed (NULL for a path).  One capture at a time.  A test
 * that fails meanwhile is silent: keep it short. */
void capture_file(void);
void capture_terminal(int columns);
void capture_path(const char *path);
char *capture_end(void);

/* A new folder, and away with it and the plain files in it. */
char *folder_make(void);
void folder_remove(char *folder); /* frees the name too */
/* The content of folder/name, malloc'ed, NUL-terminated; NULL if there is no such file. */
char *folder_read(const char *folder, const char *name);
void folder_write(const char *folder, const char *name, const char *text);
/* Files in the folder. */
int folder_count(const char *folder);

#endif
