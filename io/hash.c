/* hash.c - thin wrappers that turn digests into text. */
#include "io/hash.h"

#include "io/bug.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <xxhash.h>

static void to_hex(const unsigned char *bytes, size_t n, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * n] = '\0';
}

struct sha256 {
    EVP_MD_CTX *context;
};

sha256 *sha256_new(void)
{
    sha256 *h = malloc(sizeof *h);
    BUG_IF(h == NULL, "no memory for a hasher");
    h->context = EVP_MD_CTX_new();
    BUG_IF(h->context == NULL || EVP_DigestInit_ex(h->context, EVP_sha256(), NULL) != 1,
           "libcrypto has no SHA-256");
    return h;
}

void sha256_add(sha256 *h, const void *bytes, size_t n)
{
    BUG_IF(EVP_DigestUpdate(h->context, bytes, n) != 1, "SHA-256 of %zu bytes failed", n);
}

void sha256_drop(sha256 *h)
{
    if (h != NULL)
        EVP_MD_CTX_free(h->context);
    free(h);
}

void sha256_end(sha256 *h, char hex[SHA256_HEX])
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    BUG_IF(EVP_DigestFinal_ex(h->context, raw, &n) != 1 || n != 32, "SHA-256 gave %u bytes", n);
    to_hex(raw, n, hex);
    sha256_drop(h);
}

void sha256_of(const void *bytes, size_t n, char hex[SHA256_HEX])
{
    sha256 *h = sha256_new();
    sha256_add(h, bytes, n);
    sha256_end(h, hex);
}

struct xxh128 {
    XXH3_state_t *state;
};

xxh128 *xxh128_new(void)
{
    xxh128 *h = malloc(sizeof *h);
    BUG_IF(h == NULL, "no memory for a hasher");
    h->state = XXH3_createState();
    BUG_IF(h->state == NULL || XXH3_128bits_reset(h->state) != XXH_OK, "no memory for a hasher");
    return h;
}

void xxh128_add(xxh128 *h, const void *bytes, size_t n)
{
    BUG_IF(XXH3_128bits_update(h->state, bytes, n) != XXH_OK, "XXH3 of %zu bytes failed", n);
}

static void xxh128_text(XXH128_hash_t hash, char hex[XXH128_HEX])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    to_hex(canonical.digest, sizeof canonical.digest, hex);
}

void xxh128_end(xxh128 *h, char hex[XXH128_HEX])
{
    xxh128_text(XXH3_128bits_digest(h->state), hex);
    XXH3_freeState(h->state);
    free(h);
}

void xxh128_of(const void *bytes, size_t n, char hex[XXH128_HEX])
{
    xxh128_text(XXH3_128bits(bytes, n), hex);
}
