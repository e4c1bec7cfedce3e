/* Drawing tokens: over many places of one text, tokens come as often as the settings say (chi-square), and
 * the choice is a function of settings, distribution and place.  The draws of a text are independent only
 * if each place has its own random number: with one number for all places every draw of a fixed
 * distribution would be the same token. */
#include "kernels/rng.h"
#include "trainer/sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { V = 6, DRAWS = 20000 };
static const double probability[V] = {0.05, 0.30, 0.10, 0.30, 0.05, 0.20};
static float logp[V];

static int set_up(void **state)
{
    (void)state;
    for (int v = 0; v < V; v++)
        logp[v] = (float)log(probability[v]);
    return 0;
}

static sample_settings plain(void)
{
    return (sample_settings){.temperature = 1, .top_p = 1, .seed = 7, .banned = -1};
}

static void count(const sample_settings *s, int n[V])
{
    sample_candidate work[V];
    memset(n, 0, V * sizeof n[0]);
    for (uint32_t place = 0; place < DRAWS; place++)
        n[sample_draw(s, logp, V, place, work)]++;
}

/* Weights need not sum to one; a weight of 0 must never be drawn. */
static void expect_shares(const sample_settings *s, const double weight[V])
{
    int n[V];
    double sum = 0, chi = 0;
    count(s, n);
    for (int v = 0; v < V; v++)
        sum += weight[v];
    for (int v = 0; v < V; v++) {
        double want = DRAWS * weight[v] / sum;
        if (want == 0)
            assert_int_equal(n[v], 0);
        else
            chi += (n[v] - want) * (n[v] - want) / want;
    }
    if (!(chi < 25)) /* at most 5 degrees of freedom: once in 7,000 by chance, and the seed is fixed */
        fail_msg("chi-square %g; drawn %d %d %d %d %d %d of %d", chi, n[0], n[1], n[2], n[3], n[4], n[5],
                 DRAWS);
}

static void test_shares(void **state)
{
    (void)state;
    sample_settings s = plain();
    expect_shares(&s, probability);
}

static void test_temperature(void **state)
{
    (void)state;
    sample_settings s = plain();
    double weight[V];
    static const double temperatures[] = {0.5, 2};
    for (int i = 0; i < 2; i++) {
        s.temperature = temperatures[i];
        for (int v = 0; v < V; v++)
            weight[v] = pow(probability[v], 1 / s.temperature);
        expect_shares(&s, weight);
    }
}

/* Temperature 0 takes the most probable token; of the two that are equally so, the one with the lower id. */
static void test_most_probable(void **state)
{
    (void)state;
    sample_settings s = plain();
    sample_candidate work[V];
    s.temperature = 0;
    for (uint32_t place = 0; place < 100; place++)
        assert_int_equal(sample_draw(&s, logp, V, place, work), 1);
}

static void test_cuts(void **state)
{
    (void)state;
    static const double two[V] = {0, 0.3, 0, 0.3, 0, 0}, three[V] = {0, 0.3, 0, 0.3, 0, 0.2};
    static const double without[V] = {0.05, 0, 0.1, 0.3, 0.05, 0.2};
    sample_settings s = plain();
    s.top_k = 3;
    expect_shares(&s, three);
    s.top_k = 0;
    s.top_p = 0.55; /* the first reaches 0.3, the second 0.6 */
    expect_shares(&s, two);
    s.top_p = 0.65;
    expect_shares(&s, three);
    s = plain();
    s.banned = 1;
    expect_shares(&s, without);
}

static void test_seed(void **state)
{
    (void)state;
    sample_settings a = plain(), b = plain();
    sample_candidate work[V];
    b.seed = 8;
    int differ = 0;
    for (uint32_t place = 0; place < 200; place++) {
        uint32_t x = sample_draw(&a, logp, V, place, work);
        assert_int_equal(x, sample_draw(&a, logp, V, place, work));
        differ += x != sample_draw(&b, logp, V, place, work);
    }
    assert_in_range(differ, 100, 190); /* independent draws differ with probability 0.765 */
}

/* A draw takes the documented number and no other: the token in whose share u falls, the most probable
 * first. */
static void test_place_of_random_numbers(void **state)
{
    (void)state;
    static const uint32_t order[V] = {1, 3, 5, 2, 0, 4};
    sample_settings s = plain();
    sample_candidate work[V];
    for (uint32_t place = 0; place < 1000; place++) {
        rng_place at = {.seed = 7, .step = place, .purpose = RNG_SAMPLE};
        double u = rng_uniform53(&at, 0), above = 0, margin = 1;
        int i = -1;
        do {
            above += probability[order[++i]];
            margin = fmin(margin, fabs(u - above));
        } while (u >= above && i < V - 1);
        if (margin > 1e-6) /* a share's end is known to the rounding of logp */
            assert_int_equal(sample_draw(&s, logp, V, place, work), order[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),        cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_most_probable), cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_seed),          cmocka_unit_test(test_place_of_random_numbers),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
