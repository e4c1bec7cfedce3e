/* make_container.h - small containers for tests, and the craft of forging them. */
#ifndef TESTS_IO_MAKE_CONTAINER_H
#define TESTS_IO_MAKE_CONTAINER_H

#include "io/container.h"

enum { SAMPLE_TENSORS = 7 };

/* One tensor of each type, dims 0 to 4, names with and without folders.  The data are static. */
void sample_tensors(tensor tensors[SAMPLE_TENSORS]);
record *sample_meta(void);

/* A file without the HDF5 part: header, this manifest, `data_bytes` zeros behind a user block just large
 * enough.  Its SHA-256 is right, so that whatever is refused is refused for the manifest's sake.
 * malloc'ed; *data is where the zeros begin. */
unsigned char *forge(const char *manifest, size_t manifest_bytes, size_t data_bytes, size_t *bytes,
                     size_t *data);
/* The user block that forge would take. */
size_t forge_user_block(size_t manifest_bytes);
/* Makes the SHA-256 right again after a change. */
void reseal(unsigned char *bytes, size_t n);

#endif
