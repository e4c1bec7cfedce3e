/* test_agreement.c - bins, intervals and items that cannot be.
 *
 * The interval is compared with values worked out by hand from Wilson's formula and, by its defining
 * property, with the two shares p at which the observed one lies 1.96 standard errors away. */
#include "io/record.h"
#include "tests/io/scratch.h"
#include "trainer/tasks/agreement.h"

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

static void test_bins(void **state)
{
    (void)state;
    static const int want[] = {0, 0, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4};
    for (uint32_t d = 1; d < 12; d++)
        assert_int_equal(agreement_bin(d), want[d]);
    assert_int_equal(agreement_bin(UINT32_MAX), 4);
}

static void test_scores(void **state)
{
    (void)state;
    agreement_score s = {0};
    agreement_add(&s, 1, -1.0, -2.0);
    agreement_add(&s, 1, -2.0, -1.0);
    agreement_add(&s, 1, -1.0, -1.0); /* a tie is no knowledge */
    agreement_add(&s, 3, NAN, -1.0);
    agreement_add(&s, 4, -1.0, NAN);
    agreement_add(&s, 9, -1.0, -INFINITY);
    assert_int_equal(s.n[0], 3);
    assert_int_equal(s.right[0], 1);
    assert_int_equal(s.n[2], 2);
    assert_int_equal(s.right[2], 0);
    assert_int_equal(s.right[4], 1);
    assert_int_equal(s.n[1] + s.n[3], 0);
}

static void test_intervals(void **state)
{
    (void)state;
    agreement_score nine = {.n = {10}, .right = {9}};
    wilson_share a = agreement_result(&nine, 0);
    assert_true(fabs(a.low - 0.595850) < 1e-6 && fabs(a.high - 0.982124) < 1e-6);
    for (uint64_t n = 1; n < 400; n = 3 * n + 1)
        for (uint64_t right = 0; right <= n; right++) {
            agreement_score s = {.n = {n}, .right = {right}};
            a = agreement_result(&s, 0);
            assert_true(a.low >= 0 && a.low <= a.share && a.share <= a.high && a.high <= 1);
            double ends[2] = {a.low, a.high};
            for (int i = 0; i < 2; i++) { /* |share - p| = 1.96 sqrt(p (1-p) / n), squared */
                double p = ends[i], off = a.share - p;
                assert_true(fabs(off * off - 3.841458820694124 * p * (1 - p) / (double)n) < 1e-12);
            }
        }
    a = agreement_result(&nine, 1);
    assert_int_equal(a.n, 0);
    assert_true(isnan(a.share) && isnan(a.low) && isnan(a.high));
}

#define ITEMS 3
typedef struct table {
    uint64_t position[ITEMS];
    uint32_t right[ITEMS], wrong[ITEMS], distance[ITEMS];
    uint64_t count[4]; /* lengths of the four tensors */
} table;

/* Writes a corpus "a b c a b c ..." with these items and opens them; the corpus is closed again. */
static status open_items(const table *t, error *e)
{
    char path[256];
    static const uint64_t start[] = {0, 1, 2, 3}, starts = 4, bytes = 3, tokens = 9;
    static const uint32_t ids[] = {0, 1, 2, 0, 1, 2, 0, 1, 2};
    const tensor tensors[] = {
        tensor_of("vocab/bytes", DTYPE_U8, "abc", 1, &bytes),
        tensor_of("vocab/start", DTYPE_U64, start, 1, &starts),
        tensor_of("test", DTYPE_U32, ids, 1, &tokens),
        tensor_of("agreement/position", DTYPE_U64, t->position, 1, &t->count[0]),
        tensor_of("agreement/right", DTYPE_U32, t->right, 1, &t->count[1]),
        tensor_of("agreement/wrong", DTYPE_U32, t->wrong, 1, &t->count[2]),
        tensor_of("agreement/distance", DTYPE_U32, t->distance, 1, &t->count[3]),
    };
    record *meta = record_new();
    unsigned char *image;
    size_t n;
    corpus c;
    agreement a;
    record_set_text(meta, "level", "word");
    snprintf(path, sizeof path, "%s", scratch_path("c.h5"));
    assert_int_equal(container_image(&image, &n, "corpus", meta, tensors, t->count[0] == 0 ? 3 : 7, e),
                     STATUS_OK);
    scratch_write(path, image, n);
    free(image);
    record_free(meta);
    assert_int_equal(corpus_open(&c, path, CONTAINER_CHECK, e), STATUS_OK);
    status s = agreement_open(&c, &a, e);
    if (s == STATUS_OK)
        assert_int_equal(a.count, t->count[0]);
    corpus_close(&c);
    unlink(path);
    return s;
}

static void test_items(void **state)
{
    (void)state;
    const table good = {{1, 4, 8}, {1, 1, 2}, {0, 2, 1}, {1, 2, 8}, {3, 3, 3, 3}};
    error e = {0};
    assert_int_equal(open_items(&good, &e), STATUS_OK);
    table bad[9];
    for (int i = 0; i < 9; i++)
        bad[i] = good;
    bad[0].position[2] = 9; /* beyond the end */
    bad[1].position[1] = 1; /* twice */
    bad[2].position[0] = 0; /* nothing comes before it */
    bad[3].right[1] = 2;    /* not what stands there */
    bad[4].wrong[2] = 3;    /* no word */
    bad[5].wrong[2] = 2;    /* the right one */
    bad[6].distance[0] = 2; /* before the text */
    bad[7].distance[1] = 0;
    bad[8].count[3] = 2; /* lengths differ */
    for (int i = 0; i < 9; i++) {
        if (open_items(&bad[i], &e) != STATUS_BAD_DATA)
            fail_msg("row %d passed", i);
        assert_non_null(strstr(e.text, "agreement"));
    }
    const table absent = {.count = {0}}; /* a corpus of another kind */
    assert_int_equal(open_items(&absent, &e), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bins),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_items),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
