/* test_ngram.c - the trigram is a probability, and it knows two words and no more.
 *
 *   sum over w of p(w | u v) == 1, for histories seen and unseen
 *   a text whose next word is u + v or u + v + 1 with equal chance costs ln 2;   one that depends on the word three back does not come below
 *   the frequencies of a text small enough to count by hand */
#include "io/ngram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#define V 11
#define N 60000

static uint32_t text[3][N];

static uint32_t coin(void)
{
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 40);
}

/* The next word is one of two, which the words `back` and 1 before it tell. */
static void fill(int back)
{
    for (int s = 0; s < 3; s++)
        for (int i = 0; i < N; i++)
            text[s][i] = i < back ? coin() % V : (text[s][i - 1] + 3 * text[s][i - back] + coin() % 2) % V;
}

static void test_sums_to_one(void **state)
{
    (void)state;
    static const uint32_t small[] = {1, 2, 3, 1, 2, 4, 1, 2, 3, 0};
    ngram *m = ngram_fit(small, 10, small, 10, V, 0);
    for (uint32_t u = 0; u < V; u++)
        for (uint32_t v = 0; v < V; v++) {
            double sum = 0;
            for (uint32_t w = 0; w < V; w++) {
                double p = ngram_probability(m, u, v, w);
                assert_true(p > 0 && p < 1);
                sum += p;
            }
            if (!(fabs(sum - 1) < 1e-12))
                fail_msg("after %u %u: %.15f", u, v, sum);
        }
    ngram_free(m);
}

/* Without a validation text the four weights stay a quarter each. */
static void test_frequencies(void **state)
{
    (void)state;
    static const uint32_t small[] = {1, 2, 3, 1, 2, 4, 1, 2, 3, 0};
    ngram *m = ngram_fit(small, 10, NULL, 0, 5, 0);
    /* after "1 2": 3 twice, 4 once; after "2": the same; 3 is 2 of 10 */
    assert_true(fabs(ngram_probability(m, 1, 2, 3) - (1 / 5.0 + 2 / 10.0 + 2 / 3.0 + 2 / 3.0) / 4) < 1e-15);
    /* "4 2" was never seen: "2" takes its place */
    assert_true(fabs(ngram_probability(m, 4, 2, 4) - (1 / 5.0 + 1 / 10.0 + 1 / 3.0 + 1 / 3.0) / 4) < 1e-15);
    /* 0 stands only at the end, but twice before the text: after it comes 1 once, then "0 1" is followed
     * by 2 */
    assert_true(fabs(ngram_probability(m, 0, 0, 1) - (1 / 5.0 + 3 / 10.0 + 1 + 1) / 4) < 1e-15);
    assert_true(fabs(ngram_probability(m, 0, 1, 2) - (1 / 5.0 + 3 / 10.0 + 1 + 1) / 4) < 1e-15);
    uint32_t u, v;
    ngram_history(m, small, 0, &u, &v);
    assert_true(u == 0 && v == 0);
    ngram_history(m, small, 1, &u, &v);
    assert_true(u == 0 && v == 1);
    ngram_history(m, small, 5, &u, &v);
    assert_true(u == 1 && v == 2);
    double nats = 0;
    for (uint64_t i = 0; i < 10; i++) {
        ngram_history(m, small, i, &u, &v);
        nats -= log(ngram_probability(m, u, v, small[i])) / 10;
    }
    assert_true(fabs(ngram_cross_entropy(m, small, 10) - nats) < 1e-12);
    ngram_free(m);
}

static double test_cost(int back, uint64_t valid_n)
{
    fill(back);
    ngram *m = ngram_fit(text[0], N, text[1], valid_n, V, 0);
    double nats = ngram_cross_entropy(m, text[2], N);
    ngram_free(m);
    return nats;
}

static void test_knows_two_words(void **state)
{
    (void)state;
    double two = test_cost(2, N), three = test_cost(3, N), unfitted = test_cost(2, 0);
    assert_true(two > log(2) && two < log(2) + 0.01);
    assert_true(three > log(V) - 0.1);
    assert_true(unfitted > two + 0.3); /* it is the fit that finds the right order */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_to_one),
        cmocka_unit_test(test_frequencies),
        cmocka_unit_test(test_knows_two_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
