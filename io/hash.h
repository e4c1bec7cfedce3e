/* hash.h - SHA-256 (OpenSSL) for whole files and digests that users compare, XXH3-128 (xxHash) for tensors.
 * Not collective; one hasher belongs to one thread. */
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
void sha256_of(const void *bytes, size_t n, char hex[SHA256_HEX]);
void xxh128_of(const void *bytes, size_t n, char hex[XXH128_HEX]);

#endif
