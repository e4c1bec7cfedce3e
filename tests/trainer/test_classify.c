/* test_classify.c - from a configuration and documents to weights of classes, and what is refused.
 *
 *   balanced         ==  n / (C n_c)              on unequal counts, by hand
 *   a list           ==  its numbers;  a list of another length, or with another sign in it: refused
 *   documents        with a mask for each step and an example of each label: taken, others refused with a sentence */
#include "trainer/classify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CLASSES = 3, COUNT = 12, MASKS = 65536 };

typedef struct set {
    config c;
    corpus corpus;
    uint64_t start[CLASSES + 1];
    document_view list[COUNT];
    documents train;
} set;

/* 12 documents: 8 of the label a, 3 of b, 1 of c, which is the last one. */
static void open_set(set *x, const char *assignment)
{
    error e = {0};
    *x = (set){.start = {0, 1, 2, 3}};
    config_init(&x->c);
    assert_int_equal(config_set(&x->c, assignment, &e), STATUS_OK);
    assert_int_equal(
        vocabulary_view(&x->corpus.labels, (const uint8_t *)"abc", 3, x->start, CLASSES, "test", &e),
        STATUS_OK);
    for (uint32_t i = 0; i < COUNT; i++)
        x->list[i].label = i == COUNT - 1 ? 2 : i % 4 == 1;
    x->train = (documents){.corpus = &x->corpus, .count = COUNT, .list = x->list, .longest = 20};
}

static void close_set(set *x)
{
    vocabulary_free(&x->corpus.labels);
    config_free(&x->c);
}

/* want: NULL, or the weights; without `refused`. */
static void expect_weights(const char *value, uint32_t classes, const float *want, const char *refused)
{
    set x;
    error e = {0};
    float *weights;
    char assignment[64];
    snprintf(assignment, sizeof assignment, "classify.class_weights=%s", value);
    open_set(&x, assignment);
    x.corpus.labels.size = classes;
    status s = classify_weights(&x.c, &x.train, &weights, &e);
    assert_int_equal(s, refused ? STATUS_BAD_CONFIG : STATUS_OK);
    if (refused && !strstr(e.text, refused))
        fail_msg("\"%s\" is not in: %s", refused, e.text);
    if (!refused)
        assert_true(want ? memcmp(weights, want, classes * sizeof *want) == 0 : !weights);
    free(weights);
    x.corpus.labels.size = CLASSES;
    close_set(&x);
}

static void test_weights(void **state)
{
    (void)state;
    static const float balanced[] = {0.5F, (float)(12.0 / 9.0), 4}, numbers[] = {1, 2.5F, 1e6F};
    expect_weights("", 3, NULL, NULL);
    expect_weights("balanced", 3, balanced, NULL);
    expect_weights("1,2.5,1e6", 3, numbers, NULL);
    expect_weights("1,2.5", 2, numbers, NULL);
    static const char *const odd[] = {"1",    "1,",    "1,2,",  "1,2,3",   "1,,2",     ",1,2", "1;2",  "1,0",
                                      "1,-1", "1,nan", "1,inf", "1,1.1e6", "Balanced", ",",    "1,2 x"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        expect_weights(odd[i], 2, NULL, "allowed are balanced, or 2 comma-separated numbers");
}

static void expect_judged(uint32_t longest, double dropout, uint32_t count, const char *refused)
{
    set x;
    error e = {0};
    char assignment[64];
    snprintf(assignment, sizeof assignment, "classify.train_documents=%u", count);
    open_set(&x, assignment);
    x.c.model.dropout = dropout;
    x.train.longest = longest;
    x.train.count = count ? count : COUNT - 1; /* of all documents none may have the label */
    assert_int_equal(classify_check(&x.c, &x.train, &e), refused ? STATUS_BAD_CONFIG : STATUS_OK);
    if (refused && !strstr(e.text, refused))
        fail_msg("\"%s\" is not in: %s", refused, e.text);
    close_set(&x);
}

static void test_check(void **state)
{
    (void)state;
    expect_judged(MASKS, 0.5, 0, NULL);
    expect_judged(MASKS + 1, 0, 0, NULL);
    expect_judged(MASKS + 1, 0.5, 0, "the longest document has 65537 tokens");
    expect_judged(MASKS + 1, 0.5, 0, "set classify.max_length");
    expect_judged(20, 0, COUNT, NULL);
    expect_judged(20, 0, COUNT - 1,
                  "classify.train_documents = 11: none of these documents has the label c; take more");
    expect_judged(20, 0, 1, "has the label b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_weights), cmocka_unit_test(test_check)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
