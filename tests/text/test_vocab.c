/* test_vocab.c - which words make up a vocabulary, in which order, and what is counted as out of it.
 *
 * Each row gives a text per split, the rules, and the vocabulary that follows from the definition by hand:
 * falling training count, ties by bytes, <unk> where the mapped training text puts it.  That many threads
 * may count in any order is the identity that tables merged in any order choose the same words. */
#include "io/text.h"
#include "io/vocab.h"
#include "tests/io/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void count_text(word_table *t, const char *text, int split)
{
    const uint8_t *word, *at = (const uint8_t *)text;
    size_t n;
    token_reader r = {at, at + strlen(text), LEVEL_WORD};
    while (token_next(&r, &word, &n))
        assert_true(word_table_add(t, word, n, split, 1));
}

static void join(char *out, const vocab *v)
{
    *out = 0;
    for (uint32_t i = 0; i < v->size; i++) {
        strncat(out, (const char *)v->blob + v->start[i], v->start[i + 1] - v->start[i]);
        strcat(out, i + 1 < v->size ? " " : "");
    }
}

typedef struct row {
    const char *train, *valid, *test;
    vocab_rules rules;
    const char *words;
    uint64_t oov[SPLIT_COUNT];
    bool unk_added;
} row;

static const row rows[] = {
    {"b a b\na c\n", "a b\n", "c\n", {.min_count = 1, .has_lines = true}, "<eos> a b c", {0}, false},
    /* ties: by bytes, a prefix first, bytes above 127 last, <eos> and <unk> like any other */
    {"b ab a <unk> \xc3\xa9 Z\n",
     "a\n",
     "a\n",
     {.min_count = 1, .has_lines = true},
     "<eos> <unk> Z a ab b \xc3\xa9",
     {0},
     false},
    /* a word of valid is unknown: <unk> joins, with training count 0 behind all others */
    {"a a b\n", "c a\n", "d d\n", {.min_count = 1, .has_lines = true}, "a <eos> b <unk>", {0, 1, 2}, true},
    /* with the usual scripts' habit the same words are in, in the order of training */
    {"a a b\n",
     "c a\n",
     "d d\n",
     {.min_count = 1, .from_all = true, .has_lines = true},
     "a <eos> b c d",
     {0},
     false},
    {"a a b\n",
     "c a\n",
     "d d\n",
     {.min_count = 2, .from_all = true, .has_lines = true},
     "a <eos> <unk> d",
     {1, 1, 0},
     true},
    /* rare words become <unk>, whose own count is theirs: 3 here, before b */
    {"a a a a b b x y z\n",
     "x\n",
     "b\n",
     {.min_count = 2, .has_lines = true},
     "a <unk> b <eos>",
     {3, 1, 0},
     true},
    /* the text has an <unk> of its own: it is no unknown word, and its count grows by the rare ones */
    {"a a a <unk> b b x\n",
     "<unk>\n",
     "y\n",
     {.min_count = 2, .has_lines = true},
     "a <unk> b <eos>",
     {1, 0, 1},
     false},
    /* at most so many, <eos> and <unk> included and never dropped */
    {"a a a a b b b c c d\n",
     "a\n",
     "a\n",
     {.min_count = 1, .max_size = 4, .has_lines = true},
     "a <unk> b <eos>",
     {3, 0, 0},
     true},
    {"a a b b c c\n",
     "a\n",
     "a\n",
     {.min_count = 1, .max_size = 3, .has_lines = true},
     "<unk> a <eos>",
     {4, 0, 0},
     true},
    {"a a b b c c\n",
     "a\n",
     "a\n",
     {.min_count = 1, .max_size = 2, .has_lines = true},
     "<unk> <eos>",
     {6, 1, 1},
     true},
    /* exactly as many as there are: nothing is dropped, no <unk> is needed */
    {"a a b\n", "a\n", "a\n", {.min_count = 1, .max_size = 3, .has_lines = true}, "a <eos> b", {0}, false},
    /* as many as there are, but one word of valid is unknown: the rarest makes room for <unk> */
    {"a a a b b c\n",
     "z\n",
     "a\n",
     {.min_count = 1, .max_size = 4, .has_lines = true},
     "a b <eos> <unk>",
     {1, 1, 0},
     true},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const row *r = &rows[i];
        word_table t = {0};
        vocab v;
        error e = {0};
        char got[256];
        count_text(&t, r->train, SPLIT_TRAIN);
        count_text(&t, r->valid, SPLIT_VALID);
        count_text(&t, r->test, SPLIT_TEST);
        assert_int_equal(vocab_choose(&v, &t, &r->rules, &e), STATUS_OK);
        join(got, &v);
        if (strcmp(got, r->words) != 0)
            fail_msg("row %zu: '%s', not '%s'", i, got, r->words);
        for (int s = 0; s < SPLIT_COUNT; s++)
            if (v.oov[s] != r->oov[s])
                fail_msg("row %zu: %d unknown words in split %d, not %d", i, (int)v.oov[s], s,
                         (int)r->oov[s]);
        assert_int_equal(v.unk_added, r->unk_added);
        vocab_free(&v);
        word_table_free(&t);
    }
}

static void choose_given(const char *list, const char *text, const char *want, uint64_t oov)
{
    const char *path = scratch_path("words");
    vocab words, v;
    vocabulary given;
    word_table t = {0};
    error e = {0};
    char got[256];
    scratch_write(path, list, strlen(list));
    assert_int_equal(vocab_read(&words, path, &e), STATUS_OK);
    assert_int_equal(
        vocabulary_view(&given, words.blob, words.start[words.size], words.start, words.size, path, &e),
        STATUS_OK);
    count_text(&t, text, SPLIT_TRAIN);
    assert_int_equal(vocab_choose(&v, &t, &(vocab_rules){.given = &given, .has_lines = true}, &e), STATUS_OK);
    join(got, &v);
    assert_string_equal(got, want);
    assert_int_equal(v.oov[SPLIT_TRAIN], oov);
    vocab_free(&v);
    vocabulary_free(&given);
    vocab_free(&words);
    word_table_free(&t);
    unlink(path);
}

static void test_given(void **state)
{
    (void)state;
    choose_given("c\n<eos>\na\n<unk>\n", "a b a\n", "c <eos> a <unk>",
                 1); /* its order is kept, words may be absent */
    choose_given("\xef\xbb\xbf"
                 "c\r\na\r\nb",
                 "a b a\n", "c a b <eos>", 0);
    choose_given("a\n", "a b a\n", "a <eos> <unk>", 1);
}

static void test_bad_lists(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *message;
    } bad[] = {
        {"a\nb\na\n", 6, ":3: word \"a\" stands here a second time"},
        {"a\n\nb\n", 5, ":2: empty line"},
        {"", 0, ""},
        {"a\n\xff\n", 4, ":2:1: byte 0xff"},
        {"a\n\0\n", 4, ":2:1: NUL byte"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = scratch_path("words");
        vocab v;
        error e = {0};
        scratch_write(path, bad[i].text, bad[i].n);
        assert_int_equal(vocab_read(&v, path, &e), STATUS_BAD_DATA);
        if (strstr(e.text, bad[i].message) == NULL)
            fail_msg("row %zu: %s", i, e.text);
        assert_null(v.blob);
        unlink(path);
    }
    vocab v;
    assert_int_equal(vocab_read(&v, scratch_path("absent"), NULL), STATUS_BAD_DATA);
    assert_int_equal(vocab_read(&v, scratch_path("absent.h5"), NULL), STATUS_BAD_DATA);
}

#define MANY 60000

static void fill(word_table *t, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        char word[16];
        int n = snprintf(word, sizeof word, "w%u", i * 2654435761u % MANY);
        assert_true(word_table_add(t, (const uint8_t *)word, (size_t)n, (int)(i % SPLIT_COUNT), i % 7));
    }
}

/* Three tables merged in three orders, and one that counted everything. */
static void test_merging(void **state)
{
    (void)state;
    static const uint32_t limits[] = {0, MANY, 5 * MANY / 2, 4 * MANY};
    static const int orders[4][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {-1}};
    vocab v[4];
    for (int k = 0; k < 4; k++) {
        word_table total = {0};
        for (int i = 0; i < 3 && orders[k][0] >= 0; i++) {
            word_table part = {0};
            fill(&part, limits[orders[k][i]], limits[orders[k][i] + 1]);
            assert_true(word_table_merge(&total, &part));
            word_table_free(&part);
        }
        if (orders[k][0] < 0)
            fill(&total, 0, limits[3]);
        assert_int_equal(vocab_choose(&v[k], &total, &(vocab_rules){.min_count = 4, .max_size = 20000}, NULL),
                         STATUS_OK);
        word_table_free(&total);
    }
    assert_int_equal(v[0].size, 20000);
    for (int k = 1; k < 4; k++) {
        assert_int_equal(v[k].size, v[0].size);
        assert_memory_equal(v[k].start, v[0].start, (v[0].size + 1) * sizeof(uint64_t));
        assert_memory_equal(v[k].blob, v[0].blob, v[0].start[v[0].size]);
        assert_memory_equal(v[k].oov, v[0].oov, sizeof v[0].oov);
    }
    for (int k = 0; k < 4; k++)
        vocab_free(&v[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_given),
        cmocka_unit_test(test_bad_lists),
        cmocka_unit_test(test_merging),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
