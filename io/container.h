/* container.h - one format for corpora and checkpoints: an HDF5 file with our manifest in its user block.
 *
 *   our block   magic, version, SHA-256, sizes, manifest (JSON)   HDF5 skips it: its "user block"
 *   metadata    superblock, groups, object headers                for h5py, h5dump and others
 *   data        tensor 0, tensor 1, ...                           contiguous, little-endian, aligned
 *
 * io/README.md gives it byte by byte.  Readers of ours use the manifest only, check every number in it
 * against the size of the file and every byte against its digest before they believe, and never hand the
 * file to libhdf5.  Equal content gives equal bytes.  HDF5 itself never touches the disk: it lays files
 * out in memory, without the data (io/container_layout.h).
 *
 * Errors: reading a "corpus" (or a file of any kind) gives BAD_DATA, a "checkpoint" BAD_CHECKPOINT;
 * writing gives IO_FAILED or NO_MEMORY, and INTERNAL when HDF5 does what it should not.  A bad name, type
 * or shape handed in for writing is a BUG_IF.
 * Not collective.  Threads: HDF5 is used from one thread at a time (container_image, _create, _finish);
 * container_write may be called from several; an opened container is read by all. */
#ifndef IO_CONTAINER_H
#define IO_CONTAINER_H

#include "io/disk.h"
#include "io/hash.h"
#include "io/record.h"
#include "io/status.h"

#include <stddef.h>
#include <stdint.h>

#define CONTAINER_VERSION 1
#define TENSOR_DIMS       4

/* Stored as "f32", "f64", ...; DTYPE_U32 is for token ids: such tensors lie on pages of their own and are
 * hashed per MiB. */
typedef enum { DTYPE_F32, DTYPE_F64, DTYPE_U8, DTYPE_U32, DTYPE_U64, DTYPE_I64 } dtype;
size_t dtype_bytes(dtype t);
const char *dtype_name(dtype t);

/* A named array, as source when writing (data points to the caller's memory) and as view when reading
 * (data points into the mapped file, aligned to 64 bytes; valid until container_close).  Names are paths
 * of [A-Za-z0-9_.] parts joined by '/', unique, none a folder of another.  No size in a shape is 0; dims 0
 * is a single value. */
typedef struct tensor {
    char name[96];
    dtype type;
    int dims;
    uint64_t shape[TENSOR_DIMS];
    const void *data;
} tensor;
uint64_t tensor_count(const tensor *t); /* elements */
/* Fills name, type, shape (dims values of uint64_t); data follows. */
tensor tensor_of(const char *name, dtype type, const void *data, int dims, const uint64_t *shape);

/* Builds the whole file in memory.  kind: "corpus" or "checkpoint"; meta: flat record, stored in the
 * manifest and as HDF5 attributes of the root group (int64, double, text; true and false as 1 and 0; what
 * is longer than 60,000 bytes in the manifest only).  *image is malloc'ed and becomes the caller's. */
status container_image(unsigned char **image, size_t *bytes, const char *kind, const record *meta,
                       const tensor *tensors, size_t count, error *e);

/* A file too large for memory, written piece by piece: create with all shapes known (data ignored), write
 * elements of tensor i from `first` on in any order (from several threads if their ranges do not overlap;
 * each element once), finish (digests, manifest, sync, rename).  meta comes last and may have 64 keys and
 * 8 KiB of JSON. */
typedef struct container_writer container_writer;
status container_create(container_writer **w, const char *path, const char *kind, const tensor *tensors,
                        size_t count, error *e);
status container_write(container_writer *w, size_t tensor_index, uint64_t first, const void *data, uint64_t n,
                       error *e);
status container_finish(container_writer *w, const record *meta, error *e); /* frees w in any case */
void container_abandon(container_writer *w); /* leaves nothing behind; frees w */

/* An opened file.  container_open maps it, checks manifest, layout and - unless `trust` - all digests.
 * kind NULL: any.  On failure *c is empty and need not be closed.  The file must not change while it is
 * open; files that were committed never do, they are only replaced. */
typedef struct container {
    disk_map map;
    char kind[16];
    record *meta;
    tensor *tensors;
    size_t count;
    char digest[SHA256_HEX]; /* SHA-256 of all that follows it in the file: the identity of the content */
    char *path;
} container;
typedef enum { CONTAINER_CHECK, CONTAINER_TRUST } container_trust;
status container_open(container *c, const char *path, const char *kind, container_trust trust, error *e);
void container_close(container *c);
const tensor *container_find(const container *c, const char *name); /* NULL if absent */
/* Finds and demands type, dims and shape (a shape value of 0 means any); names file, tensor, both sides in
 * the message. */
status container_need(const container *c, const char *name, dtype type, int dims, const uint64_t *shape,
                      const tensor **out, error *e);

/* The HDF5 that lays files out, for --version: "1.10.8".  Static text. */
const char *container_library(void);

#endif
