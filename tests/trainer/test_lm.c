/* Rows and windows: for any B, S, T and number of ranks, the windows of all ranks together hold every
 * token of the rows at its place, training drops exactly the remainder, and an evaluation predicts every
 * token but the first of each row (backward: the last) exactly once. */
#include "trainer/tasks/lm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TOKENS = 1009 };

static corpus fake_corpus(uint32_t *ids)
{
    corpus c;
    memset(&c, 0, sizeof c);
    for (uint32_t i = 0; i < TOKENS; i++)
        ids[i] = i; /* a token's id is its place */
    c.file.path = (char *)"fake.h5";
    c.vocab.size = TOKENS;
    c.ids[SPLIT_TRAIN] = ids;
    c.tokens[SPLIT_TRAIN] = TOKENS;
    return c;
}

/* Walks over all windows of all ranks; counts how often each token is a target, and checks that it follows
 * its input. */
static void walk(const corpus *c, lm_use use, bool backward, int B, int S, int T, int size, int *targets)
{
    uint64_t predicted = 0, claimed = 0, here = 0;
    memset(targets, 0, TOKENS * sizeof *targets);
    for (int rank = 0; rank < size; rank++) {
        lm_rows r;
        error e = {0};
        assert_int_equal(lm_rows_open(&r, c, SPLIT_TRAIN, use, B, S, T, rank, size, "data.batch_size", &e),
                         STATUS_OK);
        r.backward = backward;
        uint32_t *x = malloc((size_t)T * (size_t)(r.shards.rows + 1) * sizeof *x),
                 *y = malloc((size_t)T * (size_t)(r.shards.rows + 1) * sizeof *y);
        for (uint64_t w = 0; w < lm_windows(&r); w++) {
            int steps = lm_window_steps(&r, w);
            uint64_t counted = 0;
            assert_int_equal(lm_window(&r, w, x, y, &e), STATUS_OK);
            for (int t = 0; t < steps; t++)
                for (int b = 0; b < r.shards.rows; b++) {
                    uint32_t in = x[t * r.shards.rows + b], out = y[t * r.shards.rows + b];
                    bool beyond = r.longer && w + 1 == lm_windows(&r) && t + 1 == steps &&
                                  (uint64_t)(r.shards.row0 + b) >= r.longer;
                    if (beyond)
                        continue;
                    assert_int_equal(out, backward ? in - 1 : in + 1);
                    targets[out]++;
                    counted++;
                }
            assert_int_equal(counted, lm_window_tokens_here(&r, w));
            here += counted;
            if (rank == 0)
                claimed += lm_window_tokens(&r, w);
        }
        predicted = lm_predictions(&r);
        free(x);
        free(y);
        lm_rows_close(&r);
    }
    assert_int_equal(claimed, predicted);
    assert_int_equal(here, predicted);
}

static void test_every_token_once(void **state)
{
    (void)state;
    static uint32_t ids[TOKENS];
    static int targets[TOKENS];
    corpus c = fake_corpus(ids);
    static const int cases[][4] = {{1, 1, 7, 1},    {4, 4, 10, 3},   {20, 8, 35, 7}, {19, 4, 9, 2},
                                   {10, 16, 35, 5}, {7, 3, 1000, 3}, {504, 8, 1, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int backward = 0; backward < 2; backward++) {
            const int B = cases[i][0], S = cases[i][1], T = cases[i][2], size = cases[i][3];
            walk(&c, LM_EVALUATE, backward, B, S, T, size, targets);
            int starts = 0;
            for (int k = 0; k < TOKENS; k++) {
                assert_in_range(targets[k], 0, 1);
                starts += targets[k] == 0;
            }
            assert_int_equal(starts, B); /* where the reading of each row begins */
            assert_int_equal(targets[backward ? TOKENS - 1 : 0], 0);
            walk(&c, LM_TRAIN, backward, B, S, T, size, targets);
            int sum = 0;
            for (int k = 0; k < TOKENS; k++)
                sum += targets[k];
            assert_int_equal(sum, B * (TOKENS / B - 1));
        }
    }
}

static void test_too_many_rows_are_refused(void **state)
{
    (void)state;
    static uint32_t ids[TOKENS];
    corpus c = fake_corpus(ids);
    lm_rows r;
    error e = {0};
    assert_int_equal(lm_rows_open(&r, &c, SPLIT_TRAIN, LM_TRAIN, 505, 8, 9, 0, 1, "data.batch_size", &e),
                     STATUS_BAD_CONFIG);
    assert_non_null(strstr(e.text, "data.batch_size"));
    assert_non_null(strstr(e.text, "at most 504"));
    assert_int_equal(lm_rows_open(&r, &c, SPLIT_VALID, LM_EVALUATE, 1, 1, 9, 0, 1, "eval.batch_size", &e),
                     STATUS_BAD_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_token_once),
        cmocka_unit_test(test_too_many_rows_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
