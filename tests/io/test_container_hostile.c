/* test_container_hostile.c - files that are damaged, or that lie.
 *
 * Damage: every length of truncation and every single bit flip of a small container must be refused.
 * Lies: manifests made by hand, with a right SHA-256, so that the rule under test is the only thing that
 * can refuse them; each must name its own reason. Then random damage with a right SHA-256: whatever is
 * accepted must lie inside the file. */
#include "tests/io/make_container.h"
#include "tests/io/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file in memory, so that a hundred thousand variants take seconds. */
static int memory = -1;
static char memory_path[64];

static int set_up(void **state)
{
    (void)state;
    memory = memfd_create("container", 0);
    snprintf(memory_path, sizeof memory_path, "/proc/self/fd/%d", memory);
    return memory < 0;
}

static int tear_down(void **state)
{
    (void)state;
    return close(memory);
}

static void put(const void *bytes, size_t n, off_t at)
{
    assert_int_equal(pwrite(memory, bytes, n, at), n);
}

static void put_whole(const void *bytes, size_t n)
{
    assert_int_equal(ftruncate(memory, 0), 0);
    put(bytes, n, 0);
}

static unsigned char *small_image(size_t *n)
{
    static const float x[5] = {1, 2, 3, 4, 5};
    tensor t = tensor_of("w", DTYPE_F32, x, 1, (uint64_t[]){5});
    record *meta = record_new();
    record_set_int(meta, "step", 3);
    unsigned char *image = NULL;
    assert_int_equal(container_image(&image, n, "checkpoint", meta, &t, 1, NULL), STATUS_OK);
    record_free(meta);
    return image;
}

static void refuse(const char *what, size_t at)
{
    container c;
    error e = {0};
    status s = container_open(&c, memory_path, "checkpoint", CONTAINER_CHECK, &e);
    if (s == STATUS_OK)
        print_error("accepted: %s %zu\n", what, at);
    assert_int_equal(s, STATUS_BAD_CHECKPOINT);
    assert_true(strlen(e.text) > strlen(memory_path));
}

static void test_every_length(void **state)
{
    (void)state;
    size_t n;
    unsigned char *image = small_image(&n);
    put_whole(image, n);
    container c;
    assert_int_equal(container_open(&c, memory_path, "checkpoint", CONTAINER_CHECK, NULL), STATUS_OK);
    container_close(&c);
    put("x", 1, (off_t)n);
    refuse("one byte too long", n + 1);
    for (size_t length = n; length-- > 0;) {
        assert_int_equal(ftruncate(memory, (off_t)length), 0);
        refuse("length", length);
    }
    free(image);
}

static void test_every_bit(void **state)
{
    (void)state;
    size_t n;
    unsigned char *image = small_image(&n);
    put_whole(image, n);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        unsigned char flipped = (unsigned char)(image[bit / 8] ^ (1u << bit % 8));
        put(&flipped, 1, (off_t)(bit / 8));
        refuse("bit", bit);
        put(&image[bit / 8], 1, (off_t)(bit / 8));
    }
    print_message("%zu lengths and %zu bits refused\n", n, 8 * n);
    free(image);
}

/* With a right SHA-256 a damaged tensor is still found, by its own hash, and named; so is one under a
 * wrong SHA-256. */
static void test_names_the_tensor(void **state)
{
    (void)state;
    size_t n;
    unsigned char *image = small_image(&n);
    container c;
    error e = {0};
    put_whole(image, n);
    assert_int_equal(container_open(&c, memory_path, "checkpoint", CONTAINER_CHECK, &e), STATUS_OK);
    size_t place = (size_t)((const unsigned char *)container_find(&c, "w")->data - c.map.bytes) + 7;
    container_close(&c);
    image[place] ^= 0x40;
    for (int sealed = 0; sealed <= 1; sealed++) {
        if (sealed)
            reseal(image, n);
        put_whole(image, n);
        assert_int_equal(container_open(&c, memory_path, "checkpoint", CONTAINER_CHECK, &e),
                         STATUS_BAD_CHECKPOINT);
        assert_non_null(strstr(e.text, "bytes of 'w'"));
    }
    free(image);
}

/* ---- manifests by hand ---- */

#define HASH "99aa06d3014798d86001c324468d497f" /* of nothing: right for no tensor, but of the right form */

/* Tensor text with a place for what is under test. */
#define TENSOR(name, type, shape, offset, bytes, hashes)                                 \
    "{\"name\": " name ", \"type\": " type ", \"shape\": " shape ", \"offset\": " offset \
    ", \"bytes\": " bytes ", \"xxh3_128\": " hashes "}"
#define FILE_OF(tensors) "{\"kind\": \"corpus\", \"meta\": {}, \"tensors\": [" tensors "]}"
#define ONE(name, type, shape, offset, bytes) \
    FILE_OF(TENSOR(name, type, shape, offset, bytes, "[\"" HASH "\"]"))
#define LONG_NAME \
    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""
#define ONES_16   "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"
#define MANY_ONES ONES_16 "," ONES_16 "," ONES_16 "," ONES_16 "," ONES_16 "," ONES_16 "," ONES_16 "," ONES_16

/* The user block of all these is 4,096 bytes; 8,192 bytes of data follow. */
static const struct {
    const char *manifest, *reason;
} lies[] = {
    {ONE("\"w\"", "\"f32\"", "[4]", "4096", "16"), NULL}, /* the form itself is accepted */
    {"", "not valid JSON"},
    {"[]", "not an object of kind"},
    {"{}", "not an object of kind"},
    {"{\"kind\": \"corpus\", \"meta\": {}, \"tensors\": []} x", "not valid JSON"},
    {"{\"kind\": \"corpus\", \"meta\": {}, \"tensors\": [], \"more\": 1}", "not an object of kind"},
    {"{\"kind\": \"corpus\", \"kind\": \"corpus\", \"meta\": {}, \"tensors\": []}", "not valid JSON"},
    {"{\"kind\": \"a kind of too many letters\", \"meta\": {}, \"tensors\": []}", "not an object of kind"},
    {"{\"kind\": \"\", \"meta\": {}, \"tensors\": []}", "not an object of kind"},
    {"{\"kind\": \"corpus\", \"meta\": {\"a\": {}}, \"tensors\": []}", "neither number"},
    {"{\"kind\": \"corpus\", \"meta\": [], \"tensors\": []}", "not a JSON object"},
    {"{\"kind\": \"corpus\", \"meta\": {}, \"tensors\": {}}", "not an object of kind"},
    {FILE_OF("3"), "not an object of name"},
    {FILE_OF("{\"name\": \"w\"}"), "not an object of name"},
    {"{\"kind\": \"model\", \"meta\": {}, \"tensors\": []}", "is a model; a corpus is wanted"},
    /* names */
    {ONE("7", "\"f32\"", "[4]", "4096", "16"), "not an object of name"},
    {ONE("\"\"", "\"f32\"", "[4]", "4096", "16"), "name"},
    {ONE("\"../w\"", "\"f32\"", "[4]", "4096", "16"), "name"},
    {ONE("\"a/./w\"", "\"f32\"", "[4]", "4096", "16"), "name"},
    {ONE("\"/w\"", "\"f32\"", "[4]", "4096", "16"), "name"},
    {ONE("\"w/\"", "\"f32\"", "[4]", "4096", "16"), "name"},
    {ONE("\"a//w\"", "\"f32\"", "[4]", "4096", "16"), "name"},
    {ONE("\"w\\n\"", "\"f32\"", "[4]", "4096", "16"), "name"},
    {ONE("\"w w\"", "\"f32\"", "[4]", "4096", "16"), "name"},
    {ONE(LONG_NAME, "\"f32\"", "[4]", "4096", "16"), "name"},
    {FILE_OF(TENSOR("\"w\"", "\"u8\"", "[4]", "4096", "4",
                    "[\"" HASH "\"]") ", " TENSOR("\"w\"", "\"u8\"", "[4]", "4160", "4", "[\"" HASH "\"]")),
     "uses the name 'w' twice"},
    {FILE_OF(TENSOR("\"w/a\"", "\"u8\"", "[4]", "4096", "4",
                    "[\"" HASH "\"]") ", " TENSOR("\"w\"", "\"u8\"", "[4]", "4160", "4", "[\"" HASH "\"]")),
     "inside another"},
    {FILE_OF(TENSOR("\"a\"", "\"u8\"", "[4]", "4096", "4", "[\"" HASH "\"]") ", " TENSOR(
         "\"a.b\"", "\"u8\"", "[4]", "4160", "4",
         "[\"" HASH "\"]") ", " TENSOR("\"a/c\"", "\"u8\"", "[4]", "4224", "4", "[\"" HASH "\"]")),
     "inside another"}, /* '.' sorts before '/' */
    /* types and shapes */
    {ONE("\"w\"", "\"f16\"", "[4]", "4096", "16"), "type"},
    {ONE("\"w\"", "4", "[4]", "4096", "16"), "type"},
    {ONE("\"w\"", "\"f32\"", "4", "4096", "16"), "shape"},
    {ONE("\"w\"", "\"f32\"", "[-4]", "4096", "16"), "shape"},
    {ONE("\"w\"", "\"f32\"", "[4.0]", "4096", "16"), "shape"},
    {ONE("\"w\"", "\"f32\"", "[\"4\"]", "4096", "16"), "shape"},
    {ONE("\"w\"", "\"f32\"", "[0]", "4096", "0"), "shape"},
    {ONE("\"w\"", "\"f32\"", "[1,1,1,1,4]", "4096", "16"), "shape"},
    {ONE("\"w\"", "\"f32\"", "[" MANY_ONES "]", "4096", "4"),
     "shape"}, /* more sizes than an entry has room for */
    {ONE("\"w\"", "\"f32\"", "[4294967296,4294967296]", "4096", "0"), "shape"}, /* 2^66 bytes: 0 mod 2^64 */
    {ONE("\"w\"", "\"f32\"", "[2147483648,2147483649,2]", "4096", "17179869184"),
     "shape"}, /* wraps to a small one */
    {ONE("\"w\"", "\"f32\"", "[4611686018427387904]", "4096", "0"), "shape"},
    {ONE("\"w\"", "\"u8\"", "[9223372036854775808]", "4096", "16"), "not valid JSON"},
    {ONE("\"w\"", "\"f32\"", "[1099511627776]", "4096", "4398046511104"), "beyond the end"}, /* 4 TiB */
    {ONE("\"w\"", "\"f32\"", "[4]", "4096", "15"), "length"},
    {ONE("\"w\"", "\"f32\"", "[4]", "4096", "-16"), "length"},
    {ONE("\"w\"", "\"f32\"", "[4]", "4096", "16.0"), "length"},
    /* places */
    {ONE("\"w\"", "\"f32\"", "[4]", "4100", "16"), "aligned"},
    {ONE("\"w\"", "\"u32\"", "[4]", "4160", "16"), "aligned"},
    {ONE("\"w\"", "\"f32\"", "[4]", "-64", "16"), "aligned"},
    {ONE("\"w\"", "\"f32\"", "[4]", "\"4096\"", "16"), "aligned"},
    {ONE("\"w\"", "\"f32\"", "[4]", "0", "16"), "overlaps"},    /* our own header */
    {ONE("\"w\"", "\"f32\"", "[4]", "4032", "16"), "overlaps"}, /* the manifest's block */
    {ONE("\"w\"", "\"f32\"", "[4]", "12288", "16"), "beyond the end"},
    {ONE("\"w\"", "\"u8\"", "[8193]", "4096", "8193"), "beyond the end"},
    {ONE("\"w\"", "\"u8\"", "[64]", "9223372036854775744", "64"),
     "beyond the end"}, /* the last aligned place of all */
    {FILE_OF(TENSOR("\"v\"", "\"u8\"", "[65]", "4096", "65",
                    "[\"" HASH "\"]") ", " TENSOR("\"w\"", "\"u8\"", "[4]", "4160", "4", "[\"" HASH "\"]")),
     "overlaps"},
    {FILE_OF(TENSOR("\"v\"", "\"u8\"", "[4]", "4160", "4",
                    "[\"" HASH "\"]") ", " TENSOR("\"w\"", "\"u8\"", "[4]", "4096", "4", "[\"" HASH "\"]")),
     "overlaps"}, /* out of order counts as overlap */
    /* hashes */
    {FILE_OF(TENSOR("\"w\"", "\"f32\"", "[4]", "4096", "16", "[]")), "hashes"},
    {FILE_OF(TENSOR("\"w\"", "\"f32\"", "[4]", "4096", "16", "[\"" HASH "\", \"" HASH "\"]")), "hashes"},
    {FILE_OF(TENSOR("\"w\"", "\"f32\"", "[4]", "4096", "16", "[\"99\"]")), "hashes"},
    {FILE_OF(TENSOR("\"w\"", "\"f32\"", "[4]", "4096", "16", "[\"99AA06D3014798D86001C324468D497F\"]")),
     "hashes"},
    {FILE_OF(TENSOR("\"w\"", "\"f32\"", "[4]", "4096", "16", "[7]")), "hashes"},
    {FILE_OF(TENSOR("\"w\"", "\"f32\"", "[4]", "4096", "16", "\"" HASH "\"")), "hashes"},
};

static void test_lies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        size_t n, data;
        unsigned char *bytes = forge(lies[i].manifest, strlen(lies[i].manifest), 8192, &n, &data);
        assert_int_equal(data, 4096);
        put_whole(bytes, n);
        free(bytes);
        container c;
        error e = {0};
        /* Trusting spares the digests, never the structure. */
        status s = container_open(&c, memory_path, "corpus", CONTAINER_TRUST, &e);
        if (lies[i].reason == NULL) {
            assert_int_equal(s, STATUS_OK);
            container_close(&c);
            s = container_open(&c, memory_path, "corpus", CONTAINER_CHECK, &e);
            assert_non_null(strstr(e.text, "bytes of 'w'"));
        } else if (strstr(e.text, lies[i].reason) == NULL) {
            print_error("%s\n  gave: %s\n  not: %s\n", lies[i].manifest, e.text, lies[i].reason);
            assert_true(false);
        }
        assert_int_equal(s, STATUS_BAD_DATA);
    }
}

/* 1 MiB of opening brackets, and a list of 30,000 empty tensors: bounded time and memory, no stack
 * overflow. */
static void test_bombs(void **state)
{
    (void)state;
    size_t room = 1 << 20, n, data;
    char *text = malloc(room);
    container c;
    error e = {0};
    memset(text, '[', room);
    unsigned char *bytes = forge(text, room, 64, &n, &data);
    put_whole(bytes, n);
    free(bytes);
    assert_int_equal(container_open(&c, memory_path, "corpus", CONTAINER_CHECK, &e), STATUS_BAD_DATA);
    assert_non_null(strstr(e.text, "not valid JSON"));

    size_t used = (size_t)snprintf(text, room, "{\"kind\": \"corpus\", \"meta\": {}, \"tensors\": [{}");
    for (int i = 0; i < 30000; i++)
        used += (size_t)snprintf(text + used, room - used, ", {}");
    used += (size_t)snprintf(text + used, room - used, "]}");
    bytes = forge(text, used, 64, &n, &data);
    put_whole(bytes, n);
    free(bytes);
    free(text);
    assert_int_equal(container_open(&c, memory_path, "corpus", CONTAINER_CHECK, &e), STATUS_BAD_DATA);
    assert_non_null(strstr(e.text, "not an object of name"));
}

static void put_u64(unsigned char *to, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

static void test_header(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint64_t value;
        const char *reason;
    } lies_there[] = {{0, 0x0A1A0A0D46444889, "first bytes are not ours"}, /* a plain HDF5 file */
                      {8, 0, "no format version 0"},
                      {8, 2, "format version 2; this program reads versions up to 1: use a newer one"},
                      {8, UINT64_MAX, "use a newer one"},
                      {48, 0, "truncated or damaged"},
                      {48, UINT64_MAX, "truncated or damaged"},
                      {56, 0, "user block"},
                      {56, 256, "user block"},
                      {56, 4097, "user block"},
                      {56, 16384, "user block"}, /* behind the end */
                      {56, UINT64_MAX / 2 + 1, "user block"},
                      {64, 4096 - 71, "user block"},
                      {64, UINT64_MAX, "user block"},
                      {64, UINT64_MAX - 71, "user block"},
                      {64, 0, "not valid JSON"}};
    const char *manifest = lies[0].manifest;
    for (size_t i = 0; i < sizeof lies_there / sizeof lies_there[0]; i++) {
        size_t n, data;
        unsigned char *bytes = forge(manifest, strlen(manifest), 8192, &n, &data);
        put_u64(bytes + lies_there[i].at, lies_there[i].value);
        reseal(bytes, n);
        put_whole(bytes, n);
        free(bytes);
        container c;
        error e = {0};
        assert_int_equal(container_open(&c, memory_path, "corpus", CONTAINER_TRUST, &e), STATUS_BAD_DATA);
        if (strstr(e.text, lies_there[i].reason) == NULL)
            print_error("%s\n", e.text);
        assert_non_null(strstr(e.text, lies_there[i].reason));
    }
}

/* ---- random damage ---- */

static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % n;
}

/* One change to a text: a byte, a number, a piece doubled or taken out. */
static size_t mutate(char *text, size_t n, size_t room)
{
    static const char *const numbers[] = {
        "0",  "-1", "1",    "64",  "4096", "4294967296", "9223372036854775807", "1e9", "18446744073709551615",
        "[]", "{}", "\"\"", "null"};
    size_t at = random_below(n), length = 1 + random_below(12);
    length = length < n - at ? length : n - at;
    switch (random_below(5)) {
    case 0:
        text[at] = (char)random_below(256);
        return n;
    case 1:
        text[at] ^= (char)(1 << random_below(8));
        return n;
    case 2:
        memmove(text + at, text + at + length, n - at - length);
        return n - length;
    case 3:
        if (n + length > room)
            return n;
        memmove(text + at + length, text + at, n - at);
        return n + length;
    default:
        break;
    }
    while (at < n && (text[at] < '0' || text[at] > '9'))
        at++;
    size_t end = at;
    while (end < n && text[end] >= '0' && text[end] <= '9')
        end++;
    const char *number = numbers[random_below(sizeof numbers / sizeof numbers[0])];
    length = strlen(number);
    if (at == n || n - (end - at) + length > room)
        return n;
    memmove(text + at + length, text + end, n - end);
    memcpy(text + at, number, length);
    return n - (end - at) + length;
}

/* What was accepted must be true: inside, in order, as long as its shape says. */
static void check_accepted(const container *c)
{
    const unsigned char *floor = c->map.bytes + 512, *end = c->map.bytes + c->map.n;
    for (size_t i = 0; i < c->count; i++) {
        const tensor *t = &c->tensors[i];
        const unsigned char *from = t->data;
        assert_true(from >= floor && from <= end);
        assert_true(tensor_count(t) <= (size_t)(end - from) / dtype_bytes(t->type));
        floor = from + tensor_count(t) * dtype_bytes(t->type);
        assert_ptr_equal(container_find(c, t->name), t);
    }
}

static void test_random_damage(void **state)
{
    (void)state;
    const uint64_t seed = 20240229;
    const int trials = 30000;
    static const char whole[] =
        "{\"kind\": \"corpus\", \"meta\": {\"a\": 1, \"b\": [1.5, \"nan\"]}, \"tensors\": [" TENSOR(
            "\"v/a\"", "\"u8\"", "[64]", "4096", "64",
            "[\"" HASH "\"]") ", " TENSOR("\"v/b\"", "\"f64\"", "[2,4]", "4160", "64",
                                          "[\"" HASH "\"]") ", " TENSOR("\"w\"", "\"u32\"", "[100]", "8192",
                                                                        "400", "[\"" HASH "\"]") "]}";
    print_message("seed %llu, %d trials\n", (unsigned long long)seed, trials);
    random_state = seed;
    int accepted = 0;
    for (int i = 0; i < trials; i++) {
        char text[2048];
        size_t length = sizeof whole - 1, n, data;
        memcpy(text, whole, length);
        for (uint64_t k = random_below(4); k-- > 0;)
            length = mutate(text, length, sizeof text);
        unsigned char *bytes = forge(text, length, 8192, &n, &data);
        if (random_below(8) == 0) {
            bytes[48 + random_below(24)] ^= (unsigned char)(1 << random_below(8));
            reseal(bytes, n);
        }
        put_whole(bytes, n);
        free(bytes);
        container c;
        if (container_open(&c, memory_path, "corpus", CONTAINER_TRUST, NULL) == STATUS_OK) {
            check_accepted(&c);
            container_close(&c);
            accepted++;
        }
    }
    print_message("%d accepted\n", accepted);
    assert_true(accepted > trials / 10 &&
                accepted < trials * 9 / 10); /* else the damage reaches no rule, or no rule works */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_length), TEST(test_every_bit), TEST(test_names_the_tensor), TEST(test_lies),
        TEST(test_bombs),        TEST(test_header),    TEST(test_random_damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
