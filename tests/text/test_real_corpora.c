/* test_real_corpora.c - the published counts of Penn Treebank, WikiText-2 and the Large Movie Review Dataset.
 *
 * Tokens per split and the size of the vocabulary are the numbers that papers give; a tokeniser that
 * differs from the usual one in any habit (a line end, an empty line, a mark at the beginning) misses
 * them.  Needs UNROLL_DATA, a folder with ptb/, ptb-char/, wikitext-2/ and imdb/. */
#include "io/document_tree.h"
#include "io/documents.h"
#include "io/prepare.h"
#include "io/splits.h"
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

static void check(const char *folder, text_format format, text_level level,
                  const uint64_t tokens[SPLIT_COUNT], uint32_t V)
{
    char path[1024], out[256];
    snprintf(path, sizeof path, "%s/%s", getenv("UNROLL_DATA"), folder);
    snprintf(out, sizeof out, "%s", scratch_path("c.h5"));
    prepare_job job = {.texts = {.level = level},
                       .format = text_format_names[format],
                       .rules = {.min_count = 1, .has_lines = true},
                       .out = out};
    prepare_report report;
    error e = {0};
    char *sources[] = {path};
    if (splits_find(&job.texts, &job.level_name, format, sources, 1, &e) != STATUS_OK ||
        prepare_run(&job, &report, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    for (int s = 0; s < SPLIT_COUNT; s++) {
        assert_int_equal(report.tokens[s], tokens[s]);
        assert_int_equal(report.oov[s], 0);
    }
    assert_int_equal(report.vocab_size, V);
    assert_false(report.unk_added);
    assert_string_equal(job.level_name, text_level_names[level]); /* for bits per character */
    text_list_free(&job.texts);
    unlink(out);
}

static void test_penn_treebank(void **state)
{
    (void)state;
    check("ptb", FORMAT_PTB, LEVEL_WORD, (const uint64_t[]){929589, 73760, 82430}, 10000);
}

/* One <eos> a sentence; the last line, a blank without a line end, is none. */
static void test_penn_treebank_in_characters(void **state)
{
    (void)state;
    static const uint64_t tokens[] = {4975414 + 42068, 389672 + 3370, 438662 + 3761};
    check("ptb-char", FORMAT_PTB, LEVEL_CHAR, tokens, 50);
    check("ptb-char", FORMAT_PTB, LEVEL_WORD, tokens, 50);
}

static void test_wikitext_2(void **state)
{
    (void)state;
    check("wikitext-2", FORMAT_WIKITEXT, LEVEL_WORD, (const uint64_t[]){2088628, 217646, 245569}, 33278);
}

/* 25,000 / 25,000 reviews, half of each kind; 24,904, 24,801 and 49,507 distinct texts; 123 in both. */
static void check_reviews(double valid_share, bool with_unsup)
{
    char reviews_path[1024], unsup_path[1024];
    snprintf(reviews_path, sizeof reviews_path, "%s/imdb/aclImdb_labelled.tar.gz", getenv("UNROLL_DATA"));
    snprintf(unsup_path, sizeof unsup_path, "%s/imdb/aclImdb_unsup.tar.gz", getenv("UNROLL_DATA"));
    char *const sources[] = {reviews_path, unsup_path};
    const tree_rules rules = {.labels = tree_imdb_labels,
                              .unlabelled = with_unsup ? TREE_IMDB_UNLABELLED : NULL,
                              .must_split = true};
    const documents_job job = {.format = "imdb",
                               .rules = {.min_count = 2, .max_size = 30000},
                               .valid_share = valid_share,
                               .seed = 1,
                               .out = scratch_path("c.h5")};
    documents_report r;
    tree_report read;
    error e = {0};
    document_set *set = documents_new(true);
    if (tree_read(set, sources, with_unsup ? 2 : 1, &rules, &read, &e) != STATUS_OK ||
        documents_write(set, &job, &r, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    uint64_t held = valid_share > 0 ? 1250 : 0;
    assert_int_equal(r.labels, 2);
    assert_memory_equal(r.label_blob, "negpos", 6);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(r.by_label[i][SPLIT_TRAIN], 12500 - held);
        assert_int_equal(r.by_label[i][SPLIT_VALID], held);
        assert_int_equal(r.by_label[i][SPLIT_TEST], 12500);
    }
    assert_int_equal(r.unlabelled[SPLIT_TRAIN], with_unsup ? 50000 : 0);
    assert_int_equal(r.vocab_size, 30000);
    assert_int_equal(r.repeated[SPLIT_TEST], 25000 - 24801);
    if (!with_unsup && held == 0) {
        assert_int_equal(r.repeated[SPLIT_TRAIN], 25000 - 24904);
        assert_int_equal(r.shared[1], 123);
        assert_int_equal(r.contradicting, 0);
    }
    documents_report_free(&r);
    documents_free(set);
    unlink(job.out);
}

static void test_reviews(void **state)
{
    (void)state;
    check_reviews(0, false);
    check_reviews(0.1, true);
}

int main(void)
{
    if (getenv("UNROLL_DATA") == NULL) {
        puts("skipped: UNROLL_DATA does not name a folder with ptb/, ptb-char/, wikitext-2/ and imdb/");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_penn_treebank),
        cmocka_unit_test(test_penn_treebank_in_characters),
        cmocka_unit_test(test_wikitext_2),
        cmocka_unit_test(test_reviews),
    };
    scratch_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_remove();
    return failed;
}
