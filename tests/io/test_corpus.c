/* test_corpus.c - splits and vocabulary as they were written, and corpora that are not what they say. */
#include "tests/io/scratch.h"

#include "io/corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char words[] = "the<eos><unk>catsat";
static const uint64_t starts[] = {0, 3, 8, 13, 16, 19};
enum { V = 5 };
static const uint32_t ids[] = {0, 3, 4, 1, 2, 2, 0, 1, 4, 3, 3, 1};

static record *meta_of(const char *level)
{
    record *meta = record_new();
    if (level != NULL)
        record_set_text(meta, "level", level);
    record_set_int(meta, "eos", 1);
    record_set_int(meta, "unk", 2);
    record_set_double(meta, "cross_entropy", 2.5);
    return meta;
}

static status write_corpus(const uint64_t tokens[SPLIT_COUNT], const uint32_t *from, const record *meta,
                           error *e)
{
    corpus_writer w;
    status s = corpus_create(&w, scratch_path("c.h5"), tokens, (const uint8_t *)words, starts, V, e);
    if (s != STATUS_OK)
        return s;
    for (int split = 0; s == STATUS_OK && split < SPLIT_COUNT; split++) {
        uint64_t half = tokens[split] / 2; /* in two pieces, the later one first */
        s = corpus_write(&w, (split_name)split, half, from + half, tokens[split] - half, e);
        if (s == STATUS_OK)
            s = corpus_write(&w, (split_name)split, 0, from, half, e);
    }
    if (s == STATUS_OK)
        return corpus_finish(&w, meta, e);
    corpus_abandon(&w);
    return s;
}

static void test_round_trip(void **state)
{
    (void)state;
    error e = {0};
    record *meta = meta_of("word");
    assert_int_equal(write_corpus((uint64_t[]){12, 0, 5}, ids, meta, &e), STATUS_OK);
    record_free(meta);
    for (int trust = CONTAINER_CHECK; trust <= CONTAINER_TRUST; trust++) {
        corpus c;
        assert_int_equal(corpus_open(&c, scratch_path("c.h5"), (container_trust)trust, &e), STATUS_OK);
        assert_string_equal(c.level, "word");
        assert_int_equal(strlen(c.digest), 64);
        assert_int_equal(c.tokens[SPLIT_TRAIN], 12);
        assert_int_equal(c.tokens[SPLIT_VALID], 0);
        assert_int_equal(c.tokens[SPLIT_TEST], 5);
        assert_null(c.ids[SPLIT_VALID]);
        assert_memory_equal(c.ids[SPLIT_TRAIN], ids, sizeof ids);
        assert_int_equal(c.vocab.size, V);
        assert_int_equal(c.vocab.eos, 1);
        assert_int_equal(c.vocab.unk, 2);
        double floor;
        assert_true(record_get_double(c.file.meta, "cross_entropy", &floor) && floor == 2.5);
        uint32_t window[12];
        for (uint64_t first = 0; first <= 12; first++)
            for (uint64_t n = 0; n <= 12 - first; n++) {
                memset(window, 0xFF, sizeof window);
                assert_int_equal(corpus_window(&c, SPLIT_TRAIN, first, n, window, &e), STATUS_OK);
                assert_memory_equal(window, ids + first, n * sizeof ids[0]);
                assert_true(n == 12 || window[n] == UINT32_MAX);
            }
        corpus_close(&c);
    }
}

/* Found by position, named by file, split and position, though the file's digests are right: `prepare` may
 * be wrong too. */
static void test_id_out_of_range(void **state)
{
    (void)state;
    error e = {0};
    uint32_t bad[12];
    memcpy(bad, ids, sizeof ids);
    bad[7] = V;
    record *meta = meta_of("word");
    assert_int_equal(write_corpus((uint64_t[]){12, 3, 0}, bad, meta, &e), STATUS_OK);
    record_free(meta);
    corpus c;
    uint32_t window[12];
    assert_int_equal(corpus_open(&c, scratch_path("c.h5"), CONTAINER_CHECK, &e), STATUS_OK);
    assert_int_equal(corpus_window(&c, SPLIT_TRAIN, 0, 7, window, &e), STATUS_OK);
    assert_int_equal(corpus_window(&c, SPLIT_TRAIN, 8, 4, window, &e), STATUS_OK);
    assert_int_equal(corpus_window(&c, SPLIT_TRAIN, 3, 6, window, &e), STATUS_BAD_DATA);
    assert_non_null(strstr(e.text, "c.h5: token 7 of train is id 5, but the vocabulary has 5 words"));
    corpus_close(&c);
}

static void test_meta(void **state)
{
    (void)state;
    error e = {0};
    corpus c;
    static const char *const levels[] = {NULL, "sentence", ""};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        record *meta = meta_of(levels[i]);
        assert_int_equal(write_corpus((uint64_t[]){1, 0, 0}, ids, meta, &e), STATUS_OK);
        record_free(meta);
        assert_int_equal(corpus_open(&c, scratch_path("c.h5"), CONTAINER_CHECK, &e), STATUS_BAD_DATA);
        assert_non_null(strstr(e.text, "level"));
    }
    record *meta = meta_of("word");
    record_set_int(meta, "unk", 3);
    assert_int_equal(write_corpus((uint64_t[]){1, 0, 0}, ids, meta, &e), STATUS_OK);
    record_free(meta);
    assert_int_equal(corpus_open(&c, scratch_path("c.h5"), CONTAINER_CHECK, &e), STATUS_BAD_DATA);
    assert_non_null(strstr(e.text, "<unk> is word 3, its vocabulary says 2"));
}

/* Tensors of a corpus that are missing or of another type or shape. */
static void test_structure(void **state)
{
    (void)state;
    enum { BLOB, START, TRAIN, TENSORS };
    const tensor good[TENSORS] = {tensor_of("vocab/bytes", DTYPE_U8, words, 1, (uint64_t[]){19}),
                                  tensor_of("vocab/start", DTYPE_U64, starts, 1, (uint64_t[]){V + 1}),
                                  tensor_of("train", DTYPE_U32, ids, 1, (uint64_t[]){12})};
    static const float real[12] = {0};
    for (int i = -1; i < 6; i++) {
        tensor t[TENSORS];
        memcpy(t, good, sizeof t);
        size_t count = TENSORS;
        if (i == 0)
            snprintf(t[BLOB].name, sizeof t[0].name, "vocab/other");
        if (i == 1)
            snprintf(t[START].name, sizeof t[0].name, "vocab/other");
        if (i == 2)
            t[TRAIN] = tensor_of("train", DTYPE_F32, real, 1, (uint64_t[]){12});
        if (i == 3)
            t[TRAIN] = tensor_of("train", DTYPE_U32, ids, 2, (uint64_t[]){3, 4});
        if (i == 4)
            t[START] = tensor_of("vocab/start", DTYPE_U64, starts, 1, (uint64_t[]){1}); /* no word at all */
        if (i == 5)
            t[BLOB].shape[0] = 18;
        record *meta = meta_of("word");
        unsigned char *image;
        size_t n;
        assert_int_equal(container_image(&image, &n, "corpus", meta, t, count, NULL), STATUS_OK);
        scratch_write(scratch_path("c.h5"), image, n);
        free(image);
        record_free(meta);
        corpus c;
        error e = {0};
        assert_int_equal(corpus_open(&c, scratch_path("c.h5"), CONTAINER_CHECK, &e),
                         i < 0 ? STATUS_OK : STATUS_BAD_DATA);
        if (i < 0)
            corpus_close(&c);
        else
            assert_non_null(strstr(e.text, "c.h5: "));
    }
}

static void test_wrong_kind(void **state)
{
    (void)state;
    error e = {0};
    corpus c;
    unsigned char *image;
    size_t n;
    record *meta = meta_of("word");
    assert_int_equal(container_image(&image, &n, "checkpoint", meta, NULL, 0, &e), STATUS_OK);
    record_free(meta);
    scratch_write(scratch_path("c.h5"), image, n);
    free(image);
    assert_int_equal(corpus_open(&c, scratch_path("c.h5"), CONTAINER_CHECK, &e), STATUS_BAD_DATA);
    assert_non_null(strstr(e.text, "is a checkpoint; a corpus is wanted"));
    scratch_write(scratch_path("c.h5"), "some text\n", 10);
    assert_int_equal(corpus_open(&c, scratch_path("c.h5"), CONTAINER_CHECK, &e), STATUS_BAD_DATA);
    assert_int_equal(corpus_open(&c, scratch_path("none.h5"), CONTAINER_CHECK, &e), STATUS_BAD_DATA);
    corpus_close(&c); /* a failed open leaves an empty corpus */
}

static void test_vocabulary(void **state)
{
    (void)state;
    vocabulary v;
    error e = {0};
    const uint8_t *blob = (const uint8_t *)words;
    assert_int_equal(vocabulary_view(&v, blob, 19, starts, V, "here", &e), STATUS_OK);
    for (uint32_t i = 0; i < V; i++) {
        size_t n;
        const char *word = vocabulary_word(&v, i, &n);
        assert_int_equal(n, starts[i + 1] - starts[i]);
        assert_int_equal(vocabulary_find(&v, word, n), i);
        assert_int_equal(vocabulary_find(&v, word, n - 1), -1);
    }
    assert_int_equal(vocabulary_find(&v, "", 0), -1);
    assert_int_equal(vocabulary_find(&v, "dog", 3), -1);
    vocabulary_free(&v);

    static const struct {
        uint64_t start[V + 1];
        uint32_t size;
        const char *reason;
    } bad[] = {{{0, 3, 8, 13, 16, 19}, 0, "1 to"},           {{0, 3, 8, 13, 16, 19}, UINT32_MAX, "1 to"},
               {{1, 3, 8, 13, 16, 19}, V, "do not cover"},   {{0, 3, 8, 13, 16, 18}, V, "do not cover"},
               {{0, 3, 8, 13, 16, 20}, V, "do not cover"},   {{0, 3, 3, 13, 16, 19}, V, "word 1"},
               {{0, 8, 3, 13, 16, 19}, V, "word 1"},         {{0, 3, 1000, 13, 16, 19}, V, "word 1"},
               {{0, UINT64_MAX, 8, 13, 16, 19}, V, "word 0"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(vocabulary_view(&v, blob, 19, bad[i].start, bad[i].size, "here", &e),
                         STATUS_BAD_DATA);
        assert_non_null(strstr(e.text, "here: "));
        assert_non_null(strstr(e.text, bad[i].reason));
    }
    assert_int_equal(vocabulary_view(&v, (const uint8_t *)"abab", 4, (uint64_t[]){0, 2, 4}, 2, "here", &e),
                     STATUS_BAD_DATA);
    assert_non_null(strstr(e.text, "words 0 and 1"));
}

/* Thousands of words, so that the index meets collisions and its last slot. */
static void test_large_vocabulary(void **state)
{
    (void)state;
    enum { SIZE = 20000 };
    char *blob = malloc(SIZE * 6);
    uint64_t *start = calloc(SIZE + 1, sizeof *start);
    for (uint32_t i = 0; i < SIZE; i++)
        start[i + 1] = start[i] + (uint64_t)sprintf(blob + start[i], "%u", i);
    vocabulary v;
    assert_int_equal(vocabulary_view(&v, (const uint8_t *)blob, start[SIZE], start, SIZE, "here", NULL),
                     STATUS_OK);
    char text[16];
    for (uint32_t i = 0; i < 2 * SIZE; i++) {
        int n = sprintf(text, "%u", i);
        assert_int_equal(vocabulary_find(&v, text, (size_t)n), i < SIZE ? (int64_t)i : -1);
    }
    assert_int_equal(v.eos, -1);
    assert_int_equal(v.unk, -1);
    vocabulary_free(&v);
    free(blob);
    free(start);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),      TEST(test_id_out_of_range), TEST(test_meta),
        TEST(test_structure),       TEST(test_wrong_kind),      TEST(test_vocabulary),
        TEST(test_large_vocabulary)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
