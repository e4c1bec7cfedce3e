/* test_rng - Philox 4x32-10 against the known answers published with Random123, and the layout of counters
 * against frozen numbers.
 *
 * The known answers fix the generator and which field stands where in counter and key; the frozen numbers
 * fix how words become uniforms.  Together they pin every bit of every mask and initial weight: if one
 * changes, RNG_LAYOUT must change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernels/rng.h"

static const struct answer {
    rng_place place;
    uint32_t unit4, out[4];
} answers[] = {
    {{0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{.seed = UINT64_MAX, .row = UINT32_MAX, .step = UINT32_MAX, .purpose = 255, .layer = 255, .time = 65535},
     UINT32_MAX,
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    /* digits of pi: counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0 */
    {{.seed = 0x299f31d0a4093822,
      .row = 0x85a308d3,
      .step = 0x13198a2e,
      .purpose = 0x03,
      .layer = 0x70,
      .time = 0x7344},
     0x243f6a88,
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void test_known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        uint32_t out[4];
        rng_block(&answers[i].place, answers[i].unit4, out);
        for (int j = 0; j < 4; j++)
            assert_int_equal(out[j], answers[i].out[j]);
    }
}

/* A uniform is the top 24 (or 53) bits of the words at its unit. */
static void test_uniforms(void **state)
{
    (void)state;
    rng_place p = {.seed = 7, .row = 3, .step = 5, .purpose = RNG_TEST, .layer = 2, .time = 11};
    for (uint32_t unit = 0; unit < 1000; unit++) {
        uint32_t a[4], b[4];
        rng_block(&p, unit / 4, a);
        assert_true((double)rng_uniform(&p, unit) == (double)(a[unit % 4] / 256) / 16777216.0);
        rng_block(&p, 2 * unit / 4, b);
        uint64_t high = b[2 * unit % 4] / 32, low = b[(2 * unit + 1) % 4] / 64;
        assert_true(rng_uniform53(&p, unit) == (double)(high * 67108864 + low) / 9007199254740992.0);
    }
}

/* The first known answer once more, through the uniforms: 0x6627e8 / 2^24 and so on. */
static void test_frozen(void **state)
{
    (void)state;
    rng_place zero = {0};
    assert_true(rng_uniform(&zero, 0) == 0x6627e8p-24f);
    assert_true(rng_uniform(&zero, 1) == 0xe169c5p-24f);
    assert_true(rng_uniform(&zero, 3) == 0x9b00dbp-24f);
    assert_true(rng_uniform53(&zero, 0) == 0x1.989fa370b4e2cp-2);
    assert_true(rng_uniform(&zero, UINT32_MAX) < 1.0f);
    assert_int_equal(RNG_LAYOUT, 1);
    assert_int_equal(RNG_INIT, 1);
    assert_int_equal(RNG_DROPOUT, 2);
    assert_int_equal(RNG_SAMPLE, 3);
    assert_int_equal(RNG_GRAMMAR, 4);
}

static void test_fill(void **state)
{
    (void)state;
    rng_place p = {.seed = 9, .purpose = RNG_TEST};
    for (uint32_t n = 0; n <= 70; n++) {
        float out[80];
        for (int i = 0; i < 80; i++)
            out[i] = -1.0f;
        rng_fill(&p, out, n);
        for (uint32_t i = 0; i < 80; i++)
            assert_true(out[i] == (i < n ? rng_uniform(&p, i) : -1.0f));
    }
}

/* Every field of the place matters, and the numbers are uniform enough to be trusted with a mean and a
 * variance. */
static void test_places_differ(void **state)
{
    (void)state;
    rng_place p = {.purpose = RNG_TEST}, q[6];
    for (int i = 0; i < 6; i++)
        q[i] = p;
    q[0].seed = 1;
    q[1].seed = (uint64_t)1 << 32;
    q[2].row = 1;
    q[3].step = 1;
    q[4].layer = 1;
    q[5].time = 1;
    for (int i = 0; i < 6; i++)
        assert_true(rng_uniform53(&p, 0) != rng_uniform53(&q[i], 0));
    double sum = 0, squares = 0;
    const uint32_t n = 100000;
    for (uint32_t i = 0; i < n; i++) {
        double u = (double)rng_uniform(&p, i) - 0.5;
        sum += u;
        squares += u * u;
    }
    assert_true(sum / n > -0.004 && sum / n < 0.004); /* four standard errors */
    assert_true(squares / n > 1.0 / 12 - 0.001 && squares / n < 1.0 / 12 + 0.001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers), cmocka_unit_test(test_uniforms),
        cmocka_unit_test(test_frozen),        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_places_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
