/* test_grammar_corpus.c - what the default corpus promises, measured on the file as it was written.
 *
 * The stated cross-entropy is worked out again from the test split by a parser that knows only words
 * (parse.h); the items of agreement are compared with the verbs that it finds.  So neither rests on what
 * the generator remembers.  The bounds on the trigram are those that make the corpus worth learning: a
 * model that looks two words back must stay above the floor and must not know far subjects. */
#include "io/disk.h"
#include "tests/io/scratch.h"
#include "tests/text/parse.h"
#include "trainer/tasks/grammar.h"
#include "trainer/tasks/grammar_corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[256];
static corpus c;
static grammar_report report;
static agreement items;

static int make(void **state)
{
    (void)state;
    scratch_make();
    snprintf(path, sizeof path, "%s", scratch_path("grammar.h5"));
    error e = {0};
    grammar_job job = {
        .seed = 1, .tokens = 1000000, .out = path}; /* the defaults of `unroll prepare grammar` */
    bool fine = grammar_prepare(&job, &report, &e) == STATUS_OK &&
                corpus_open(&c, path, CONTAINER_CHECK, &e) == STATUS_OK &&
                agreement_open(&c, &items, &e) == STATUS_OK;
    if (!fine)
        print_error("%s\n", e.text);
    return !fine;
}

static int clean(void **state)
{
    (void)state;
    corpus_close(&c);
    unlink(path);
    scratch_remove();
    return 0;
}

/* The word of the grammar that an id of the corpus stands for. */
static uint8_t grammar_word(uint32_t id)
{
    size_t n;
    const char *word = vocabulary_word(&c.vocab, id, &n);
    for (int i = 0; i < GRAMMAR_WORDS; i++)
        if (strlen(grammar_words[i]) == n && memcmp(grammar_words[i], word, n) == 0)
            return (uint8_t)i;
    fail_msg("%.*s is no word of the grammar", (int)n, word);
    return 0;
}

static void test_floor_and_items(void **state)
{
    (void)state;
    uint8_t word_of[GRAMMAR_WORDS], words[GRAMMAR_LENGTH_MAX];
    assert_int_equal(c.vocab.size, GRAMMAR_WORDS);
    for (uint32_t id = 0; id < GRAMMAR_WORDS; id++)
        word_of[id] = grammar_word(id);
    double nats = 0, stated = 0;
    uint64_t item = 0;
    int n = 0;
    for (uint64_t i = 0; i < c.tokens[SPLIT_TEST]; i++) {
        words[n++] = word_of[c.ids[SPLIT_TEST][i]];
        if (words[n - 1] != WORD_EOS)
            continue;
        parse p;
        uint64_t first = i + 1 - (uint64_t)n;
        assert_true(parse_sentence(&p, words, n));
        nats += p.nats;
        for (int v = 0; v < p.verbs; v++, item++) {
            assert_true(item < items.count);
            assert_int_equal(items.position[item], first + (uint64_t)p.position[v]);
            assert_int_equal(items.distance[item], p.position[v] - p.subject[v]);
            assert_int_equal(word_of[items.right[item]], words[p.position[v]]);
            assert_int_equal(word_of[items.wrong[item]], words[p.position[v]] ^ 1);
        }
        n = 0;
    }
    assert_int_equal(n, 0); /* the split ends with a sentence */
    assert_int_equal(item, items.count);
    assert_true(record_get_double(c.file.meta, "cross_entropy", &stated));
    nats /= (double)c.tokens[SPLIT_TEST];
    assert_true(fabs(nats - stated) < 1e-10 * nats);
    assert_true(stated == report.nats);
}

static void test_promises(void **state)
{
    (void)state;
    uint64_t all = c.tokens[SPLIT_TRAIN] + c.tokens[SPLIT_VALID] + c.tokens[SPLIT_TEST];
    assert_true(all >= 1000000 && all < 1000000 + 3 * GRAMMAR_LENGTH_MAX);
    assert_true(c.vocab.size >= 200 && c.vocab.size <= 400);
    assert_true(4 * report.far_crossed >= report.verbs);
    assert_true(report.trigram_nats >= 1.08 * report.nats);
    for (int bin = 0; bin < AGREEMENT_BINS; bin++) {
        wilson_share a = agreement_result(&report.trigram, bin);
        print_message("distance %s: %d items, trigram %.3f\n", agreement_bin_names[bin], (int)a.n, a.share);
        assert_true(a.n >= 300);
        assert_true(bin < 2 || a.share < 0.75);
        assert_true(bin >= 2 || a.share > 0.75); /* it does know what it can see: the measure is not broken */
    }
    double stated;
    assert_true(record_get_double(c.file.meta, "trigram_cross_entropy", &stated));
    assert_true(fabs(stated - report.trigram_nats) < 1e-6);
}

static void test_vocabulary_order(void **state)
{
    (void)state;
    uint64_t count[GRAMMAR_WORDS] = {0};
    for (uint64_t i = 0; i < c.tokens[SPLIT_TRAIN]; i++)
        count[c.ids[SPLIT_TRAIN][i]]++;
    for (uint32_t id = 1; id < GRAMMAR_WORDS; id++) {
        size_t n, m;
        const char *before = vocabulary_word(&c.vocab, id - 1, &n), *word = vocabulary_word(&c.vocab, id, &m);
        int order = memcmp(before, word, n < m ? n : m);
        assert_true(count[id - 1] > count[id] ||
                    (count[id - 1] == count[id] && (order < 0 || (order == 0 && n < m))));
    }
    assert_true(c.vocab.eos >= 0 && c.vocab.unk < 0);
}

static void digest_of(uint64_t seed, uint64_t tokens, char hex[SHA256_HEX])
{
    char out[256];
    unsigned char *bytes;
    size_t n;
    grammar_report r;
    snprintf(out, sizeof out, "%s", scratch_path("again.h5"));
    grammar_job job = {.seed = seed, .tokens = tokens, .out = out};
    assert_int_equal(grammar_prepare(&job, &r, NULL), STATUS_OK);
    assert_int_equal(disk_read_file(out, (uint64_t)1 << 30, &bytes, &n, NULL), STATUS_OK);
    sha256_of(bytes, n, hex);
    free(bytes);
    unlink(out);
}

static void test_same_seed_same_bytes(void **state)
{
    (void)state;
    char a[SHA256_HEX], b[SHA256_HEX], other[SHA256_HEX], longer[SHA256_HEX];
    digest_of(5, GRAMMAR_TOKENS_MIN, a);
    digest_of(5, GRAMMAR_TOKENS_MIN, b);
    digest_of(6, GRAMMAR_TOKENS_MIN, other);
    digest_of(5, GRAMMAR_TOKENS_MIN + 1000, longer);
    assert_string_equal(a, b);
    assert_string_not_equal(a, other);
    assert_string_not_equal(a, longer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floor_and_items),
        cmocka_unit_test(test_promises),
        cmocka_unit_test(test_vocabulary_order),
        cmocka_unit_test(test_same_seed_same_bytes),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
