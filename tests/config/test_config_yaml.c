/* test_config_yaml.c - the reader against texts: what of YAML is accepted, what is refused and where, and
 * bytes nobody meant.
 *
 * Each refusal is compared with its line and column, since a wrong place is worse than none. */
#include "io/config.h"
#include "tests/config/values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct example {
    const char *yaml, *place, *words; /* words: two fragments of the message, separated by '|' */
} example;

static const example refused[] = {
    {"data: {batch_size: 1}\nmodel: {batch_size: 2}\n", "2:9",
     "section 'model' has no key 'batch_size'|data.batch_size"},
    {"optim: {lr: 1, lr: 2}\n", "1:16", "already set in line 1|optim.lr"},
    {"optim: {lr: 1}\nmodel: {layers: 1}\noptim: {l1: 0}\n", "3:1",
     "'optim' was already begun in line 1|optim"},
    {"optm: {lr: 1}\n", "1:1", "no section 'optm'|did you mean 'optim'?"},
    {"optim.lr: 1\n", "1:1", "no section 'optim.lr'|write optim: {lr: ...}"},
    {"lr: 1\n", "1:1", "no section 'lr'|write optim: {lr: ...}"},
    {"OPTIM: {lr: 1}\n", "1:1", "no section 'OPTIM'|known are task, data"},
    {"<<: {lr: 1}\n", "1:1", "no section '<<'|known are"},
    {"optim:\n  lr: [1]\n", "2:7", "one value|list"},
    {"optim:\n  lr: {a: 1}\n", "2:7", "one value|map"},
    {"optim:\n  lr:\n", "2:6", "null|optim.lr"},
    {"optim:\n", "1:7", "takes keys|optim"},
    {"optim: 3\n", "1:8", "takes keys|single value"},
    {"optim: [lr]\n", "1:8", "takes keys|list"},
    {"- optim\n", "1:1", "expected sections|list"},
    {"optim\n", "1:1", "expected sections|single value"},
    {"---\n...\n", "2:1", "expected sections|nothing"},
    {"? [a]\n: 1\n", "1:3", "name of a section|list"},
    {"optim: {{a: 1}: 1}\n", "1:9", "name of a key|map"},
    {"\"\": 1\n", "1:1", "name of a section|empty"},
    {"optim: &a {lr: 1}\n", "1:8", "anchors are not allowed|"},
    {"&a optim: {lr: 1}\n", "1:1", "anchors are not allowed|"},
    {"optim: {lr: &a 1}\n", "1:13", "anchors are not allowed|"},
    {"optim: *a\n", "1:8", "aliases are not allowed|"},
    {"optim: {*a : 1}\n", "1:9", "aliases are not allowed|"},
    {"optim: !!map {lr: 1}\n", "1:8", "tags are not allowed|"},
    {"optim: {lr: !!float 1}\n", "1:13", "tags are not allowed|"},
    {"%YAML 1.1\n---\noptim: {lr: 1}\n", "1:1", "directives|"},
    {"%TAG ! tag:x,2000:\n---\noptim: {lr: 1}\n", "1:1", "directives|"},
    {"optim: {lr: 1}\n---\nmodel: {layers: 1}\n", "2:1", "second document|"},
    {"optim: {lr: 1\n", "2:1", "not valid YAML|"},
    {"optim:\n\tlr: 1\n", "2:1", "not valid YAML|"},
    {"optim: {lr: 1}}\n", "1:15", "not valid YAML|"},
    {"optim: {lr: \"1}\n", "2:1", "not valid YAML|"},
    {"data:\n  corpus: \xff\xfe.h5\n", "2:11", "not valid YAML in UTF-8|"},
    {"data:\n  corpus: a\x01.h5\n", "2:12", "not valid YAML in UTF-8|"},
    {"data: {corpus: x}\n# \xc3\n", "2:4", "not valid YAML in UTF-8|"},
    {"model:\n  hidden: 12 # width\n  layers: two\n", "3:11", "model.layers|'two'"},
    {"model:\n  hidden: 0\n", "2:11", "from 1 to 65536 (units)|out of range"},
    {"model: {dropout: 1}\n", "1:18", "to below 1|out of range"},
    {"model: {cell: LSTM}\n", "1:15", "rnn_tanh, rnn_relu, lstm, gru|'LSTM'"},
    {"model: {tied: yes}\n", "1:15", "true or false|'yes'"},
    {"train: {seed: \"1\"}\n", "1:15", "quoted text '1'|train.seed"},
};

static void test_refusals_have_places(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const example *x = &refused[i];
        config c;
        error e = {0};
        char begin[32], first[128];
        config_init(&c);
        status s = config_read_text(&c, x->yaml, strlen(x->yaml), "f.yaml", &e);
        snprintf(begin, sizeof begin, "f.yaml:%s: ", x->place);
        size_t n = strcspn(x->words, "|");
        snprintf(first, sizeof first, "%.*s", (int)n, x->words);
        if (s != STATUS_BAD_CONFIG || strncmp(e.text, begin, strlen(begin)) != 0 || !strstr(e.text, first) ||
            !strstr(e.text, x->words + n + 1))
            fail_msg("%s gives %d: %s", x->yaml, s, e.text);
        config_free(&c);
    }
}

/* The same configuration in the forms that users write. */
static void test_forms_of_the_same(void **state)
{
    (void)state;
    static const char *const same[] = {
        "data: {corpus: a b.h5, bptt: 20}\nmodel: {cell: gru}\n",
        "{\"data\": {\"corpus\": \"a b.h5\", \"bptt\": 20}, \"model\": {\"cell\": \"gru\"}}",
        "---\nmodel:\n  cell: 'gru'\ndata:\n  # where\n  corpus: a b.h5   # here\n  bptt: 20\n...\n",
        "\xef\xbb\xbf---\ndata: {corpus: a b.h5, bptt: 20}\r\nmodel: {cell: gru}\r\n",
        "data:\n    corpus: >-\n        a\n        b.h5\n    bptt: 20\nmodel: {cell: gru}",
        "data: {corpus: \"a\\x20b.h5\", bptt: 20}\nmodel: {cell: gru}\neval: {}\n",
    };
    char *expected = NULL;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        config c;
        error e = {0};
        config_init(&c);
        if (config_read_text(&c, same[i], strlen(same[i]), "f", &e) != STATUS_OK)
            fail_msg("%s: %s", same[i], e.text);
        assert_string_equal(c.data.corpus, "a b.h5");
        char *yaml = config_to_yaml(&c, false);
        if (expected)
            assert_string_equal(yaml, expected);
        free(expected);
        expected = yaml;
        config_free(&c);
    }
    free(expected);
}

/* No implicit typing: a text stays the text that was written. */
static void test_texts_stay_texts(void **state)
{
    (void)state;
    static const char *const texts[] = {"123",        "1.50", "true", "no",
                                        "2001-01-01", "0x10", "nul",  "\xc3\xa4/\xe4\xb8\xad"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        config c;
        error e = {0};
        char yaml[64];
        config_init(&c);
        snprintf(yaml, sizeof yaml, "run: {dir: %s}", texts[i]);
        assert_int_equal(config_read_text(&c, yaml, strlen(yaml), "f", &e), STATUS_OK);
        assert_string_equal(c.run.dir, texts[i]);
        config_free(&c);
    }
}

static void test_empty_files_change_nothing(void **state)
{
    (void)state;
    static const char *const empty[] = {"", "\n", "# only a comment\n"};
    for (int i = 0; i < 3; i++) {
        config c;
        error e = {0};
        config_init(&c);
        assert_int_equal(config_read_text(&c, empty[i], strlen(empty[i]), "f", &e), STATUS_OK);
        assert_null(c.data.corpus);
        config_free(&c);
    }
}

/* A text may not be larger than 1 MiB, and what is below must not take long: open brackets, long names,
 * deep maps. */
static void test_size_and_depth_are_bounded(void **state)
{
    (void)state;
    size_t n = (1u << 20) + 1;
    char *text = malloc(n);
    static const char *const patterns[] = {"[",  "{",       "- ", "a: ", "? ",  "&a ",
                                           "\"", "data: {", "x",  "\n",  "!!a "};
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
        size_t length = strlen(patterns[p]);
        for (size_t i = 0; i < n; i++)
            text[i] = patterns[p][i % length];
        config c;
        error e = {0};
        config_init(&c);
        assert_int_equal(config_read_text(&c, text, n, "f", &e), STATUS_BAD_CONFIG);
        assert_non_null(strstr(e.text, "at most 1048576"));
        if (patterns[p][0] != '\n')
            assert_int_equal(config_read_text(&c, text, n - 1, "f", &e), STATUS_BAD_CONFIG);
        config_free(&c);
    }
    free(text);
}

/* Bytes changed, dropped, doubled and cut in a valid text: accepted or refused with a sentence, and
 * nothing else. */
static void test_damaged_texts(void **state)
{
    (void)state;
    uint64_t seed = 3;
    config whole;
    config_init(&whole);
    assert_int_equal(config_set(&whole, "data.corpus=x.h5", NULL), STATUS_OK);
    char *yaml = config_to_yaml(&whole, true);
    size_t n = strlen(yaml), refusals = 0;
    unsigned char *text = malloc(n + 64);
    for (int round = 0; round < 1500; round++) {
        size_t length = n;
        memcpy(text, yaml, n);
        for (int k = (int)(values_random(&seed) % 4); k >= 0; k--) {
            size_t at = values_random(&seed) % length, run = 1 + values_random(&seed) % 16;
            if (values_random(&seed) % 3 == 0)
                text[at] = (unsigned char)values_random(&seed);
            else if (values_random(&seed) % 2 == 0)
                text[at] = (unsigned char)"{}[]:,#&*!|>'\"%@`-? \n\t\\"[values_random(&seed) % 23];
            else if (at + run < length) {
                memmove(text + at, text + at + run, length - at - run);
                length -= run;
            }
        }
        config c;
        error e = {0};
        config_init(&c);
        status s = config_read_text(&c, (char *)text, length, "f", &e);
        assert_true(s == STATUS_OK ||
                    (s == STATUS_BAD_CONFIG && strncmp(e.text, "f:", 2) == 0 && !strchr(e.text, '\n')));
        refusals += s != STATUS_OK;
        config_free(&c);
    }
    assert_true(refusals > 300);
    for (size_t cut = 0; cut < n; cut += 7) { /* a file that a full disk cut short */
        config c;
        config_init(&c);
        status s = config_read_text(&c, yaml, cut, "f", NULL);
        assert_true(s == STATUS_OK || s == STATUS_BAD_CONFIG);
        config_free(&c);
    }
    free(text);
    free(yaml);
    config_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals_have_places),       cmocka_unit_test(test_forms_of_the_same),
        cmocka_unit_test(test_texts_stay_texts),           cmocka_unit_test(test_empty_files_change_nothing),
        cmocka_unit_test(test_size_and_depth_are_bounded), cmocka_unit_test(test_damaged_texts),
    };
    return cmocka_run_group_tests_name("config_yaml", tests, NULL, NULL);
}
