/* test_real_corpora.c - the published counts of Penn Treebank and WikiText-2.
 *
 * Tokens per split and the size of the vocabulary are the numbers that papers give; a tokeniser that
 * differs from the usual one in any habit (a line end, an empty line, a mark at the beginning) misses
 * them.  Needs UNROLL_DATA, a folder with ptb/, ptb-char/ and wikitext-2/. */
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

int main(void)
{
    if (getenv("UNROLL_DATA") == NULL) {
        puts("skipped: UNROLL_DATA does not name a folder with ptb/, ptb-char/ and wikitext-2/");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_penn_treebank),
        cmocka_unit_test(test_penn_treebank_in_characters),
        cmocka_unit_test(test_wikitext_2),
    };
    scratch_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_remove();
    return failed;
}
