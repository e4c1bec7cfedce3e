/* test_hash.c - known answers (FIPS 180-4's examples for SHA-256; xxhsum -H2 for XXH3-128), and that
 * pieces give what the whole gives. */
#include "io/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void test_sha256_known(void **state)
{
    (void)state;
    char hex[SHA256_HEX];
    sha256_of("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_of("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_xxh128_known(void **state)
{
    (void)state;
    char hex[XXH128_HEX];
    xxh128_of("", 0, hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
    xxh128_of("abc", 3, hex);
    assert_string_equal(hex, "06b05ab6733a618578af5f94892f3950");
}

/* Pieces of every length, so that block borders fall everywhere. */
static void test_pieces(void **state)
{
    (void)state;
    unsigned char bytes[1000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * i + i / 7);
    char whole_sha[SHA256_HEX], whole_xxh[XXH128_HEX], hex[SHA256_HEX];
    sha256_of(bytes, sizeof bytes, whole_sha);
    xxh128_of(bytes, sizeof bytes, whole_xxh);
    for (size_t piece = 1; piece <= 300; piece++) {
        sha256 *s = sha256_new();
        xxh128 *x = xxh128_new();
        for (size_t at = 0; at < sizeof bytes; at += piece) {
            size_t n = sizeof bytes - at < piece ? sizeof bytes - at : piece;
            sha256_add(s, bytes + at, n);
            xxh128_add(x, bytes + at, n);
        }
        sha256_end(s, hex);
        assert_string_equal(hex, whole_sha);
        xxh128_end(x, hex);
        assert_string_equal(hex, whole_xxh);
    }
    bytes[500] ^= 1;
    sha256_of(bytes, sizeof bytes, hex);
    assert_string_not_equal(hex, whole_sha);
    xxh128_of(bytes, sizeof bytes, hex);
    assert_string_not_equal(hex, whole_xxh);
    sha256_drop(sha256_new());
    sha256_drop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sha256_known),
                                       cmocka_unit_test(test_xxh128_known), cmocka_unit_test(test_pieces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
