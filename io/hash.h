/* hash.h - SHA-256 (OpenSSL) for files and what users compare, XXH3-128 (xxHash) for tensors.
 *
 * Two kinds, since SHA-256 is what a user can compare or sign, and XXH3, ten times faster, tells which
 * tensor is damaged.  Both are written as lower-case hexadecimal digits, XXH3-128 in its canonical order,
 * so that sha256sum and xxhsum -H2 print the same.
 *
 * Life: new -> add any number of times -> end, which frees.  Memory: a failing allocation is a BUG_IF (a
 * few hundred bytes).  Not collective; one hasher belongs to one thread. */
#ifndef IO_HASH_H
#define IO_HASH_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX 65 /* 64 digits and a NUL */
#define XXH128_HEX 33

typedef struct sha256 sha256;
sha256 *sha256_new(void);
void sha256_add(sha256 *h, const void *bytes, size_t n);
void sha256_end(sha256 *h, char hex[SHA256_HEX]); /* finishes and frees h */
void sha256_drop(sha256 *h);                      /* frees h without finishing; NULL is fine */
void sha256_of(const void *bytes, size_t n, char hex[SHA256_HEX]);

typedef struct xxh128 xxh128;
xxh128 *xxh128_new(void);
void xxh128_add(xxh128 *h, const void *bytes, size_t n);
void xxh128_end(xxh128 *h, char hex[XXH128_HEX]); /* finishes and frees h */
void xxh128_of(const void *bytes, size_t n, char hex[XXH128_HEX]);

#endif
