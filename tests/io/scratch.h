/* scratch.h - a temporary folder per test program, and small questions about what lies in it. */
#ifndef TESTS_IO_SCRATCH_H
#define TESTS_IO_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

/* Life: scratch_make -> scratch_path ... -> scratch_remove, which deletes the folder and the files in it. */
void scratch_make(void);
void scratch_remove(void);
/* The same as fixtures of a cmocka group. */
int scratch_setup(void **state);
int scratch_teardown(void **state);
const char *scratch_folder(void);
/* The path of a name in the folder; one of eight buffers, used in turn. */
const char *scratch_path(const char *name);

void scratch_write(const char *path, const void *bytes, size_t n); /* plain write, not through io/disk */
bool scratch_holds(const char *path, const void *bytes, size_t n); /* exactly these bytes? */
size_t scratch_entries(void);                                      /* names in the folder */
size_t scratch_descriptors(void);                                  /* open file descriptors of this process */

#endif
