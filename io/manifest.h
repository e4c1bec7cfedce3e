/* manifest.h - our block at the head of a container: a fixed header of 72 bytes and a JSON text.
 * io/README.md has it byte by byte.  Only container_*.c and manifest*.c include this.
 *
 * Parsing believes nothing: every number is bounded before use, products are checked for overflow, and
 * each tensor must lie inside the file, aligned, behind the user block, behind the tensor before it. */
#ifndef IO_MANIFEST_H
#define IO_MANIFEST_H

#include "io/container.h"

#define MANIFEST_HEADER      72u
#define MANIFEST_MAGIC       "\x89UNROLL\n" /* not text, and a line-end conversion damages it */
#define MANIFEST_DIGEST_AT   16u            /* 32 raw bytes of SHA-256 over all that follows them */
#define MANIFEST_DIGEST_FROM 48u            /* where "all that follows" begins */
#define MANIFEST_MAX         (16u << 20)    /* bytes of JSON: enough for hashes of 400 GiB of ids */
#define MANIFEST_HASH_BLOCK  (1u << 20)     /* bytes of token ids under one hash */

typedef struct manifest_entry {
    tensor t; /* data is not used */
    uint64_t offset, bytes;
    size_t hash_count;
    char (*hashes)[XXH128_HEX]; /* owned */
} manifest_entry;

typedef struct manifest {
    char kind[16];
    record *meta; /* owned when parsed, borrowed when written */
    manifest_entry *entries;
    size_t count;
} manifest;

/* Token ids (DTYPE_U32) lie on pages of their own and are hashed per MiB; all else is aligned to a cache
 * line and hashed whole. */
uint64_t manifest_alignment(dtype t);
uint64_t manifest_hash_block(dtype t);
size_t manifest_hash_count(dtype t, uint64_t bytes);

/* Is it a name that container.h allows, a type and a shape without zero whose bytes fit in 63 bits? */
bool manifest_tensor_ok(const tensor *t, uint64_t *bytes);
/* Do two tensors have one name, or is one's name a folder in another's?  Gives the first such name, or
 * NULL. */
const char *manifest_clash(const tensor *const *tensors, size_t count);

/* Entries with offsets 0 and empty hashes; free with manifest_free_entries. */
status manifest_prepare(manifest *m, const char *kind, const tensor *tensors, size_t count, error *e);
void manifest_free_entries(manifest *m);

/* The JSON text, malloc'ed; bound: as long as any text with these shapes can become, whatever offsets and
 * hashes. */
char *manifest_to_text(const manifest *m);
size_t manifest_bound(const manifest *m, size_t meta_bytes);

/* The file that a manifest must fit into. */
typedef struct manifest_frame {
    const char *path;    /* for messages */
    status code;         /* of errors */
    uint64_t user_block; /* tensors begin behind it */
    uint64_t file_bytes;
} manifest_frame;
status manifest_parse(manifest *m, const char *text, size_t n, const manifest_frame *frame, error *e);
void manifest_free(manifest *m); /* of manifest_parse */

#endif
