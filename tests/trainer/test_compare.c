/* test_compare.c - the comparator can fail.
 *
 * Every other test trusts it, so what matters is that it says no: to one wrong element among many,
 * wherever it stands, to a NaN on either side, to infinities that differ, to signs of zero where bits are
 * asked for; and that it names the worst place. */
#include "tests/compare.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define N 37

static void fill(double *want, float *got)
{
    for (int i = 0; i < N; i++) {
        want[i] = (i - 18) * 0.25;
        got[i] = (float)want[i];
    }
}

static void test_equal_passes(void **state)
{
    (void)state;
    double want[N];
    float got[N];
    fill(want, got);
    difference d = compare_floats(got, want, N, 1.0, 0.0);
    assert_int_equal(d.bad, 0);
    assert_true(d.error == 0.0);
}

/* One wrong element fails at every position, first and last included, and is the one that is named. */
static void test_one_wrong_element(void **state)
{
    (void)state;
    for (size_t at = 0; at < N; at++) {
        double want[N];
        float got[N];
        fill(want, got);
        got[at] += 0.5F;
        difference d = compare_floats(got, want, N, 1.0, 1e-3);
        assert_int_equal(d.bad, 1);
        assert_int_equal(d.worst, at);
        assert_true(d.got == (double)got[at] && d.want == want[at]);
        assert_true(fabs(d.error - 0.5 / (1.0 + fabs(want[at]))) < 1e-12);
    }
}

/* A NaN or an infinity fails whatever the tolerance, in got, in want and in both. */
static void test_not_finite(void **state)
{
    (void)state;
    const double odd[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
    for (int k = 0; k < 3; k++)
        for (size_t at = 0; at < N; at++) {
            double want[N];
            float got[N];
            fill(want, got);
            got[at] = (float)odd[k];
            difference d = compare_floats(got, want, N, 1.0, 1e300);
            assert_true(d.bad == 1 && d.worst == at && isinf(d.error));
            fill(want, got);
            want[at] = odd[k];
            d = compare_floats(got, want, N, 1.0, 1e300);
            assert_true(d.bad == 1 && d.worst == at && isinf(d.error));
        }
    double nan = (double)NAN, inf = (double)INFINITY, minus = -inf;
    assert_int_equal(compare_doubles(&nan, &nan, 1, 1.0, 1e300).bad, 1);
    assert_int_equal(compare_doubles(&inf, &inf, 1, 1.0, 0.0).bad, 0);
    assert_int_equal(compare_doubles(&inf, &minus, 1, 1.0, 1e300).bad, 1);
}

/* A later, smaller error does not hide a NaN, and an earlier one does not either. */
static void test_worst_is_kept(void **state)
{
    (void)state;
    double want[N];
    float got[N];
    fill(want, got);
    got[3] += 1.0F;
    got[7] = NAN;
    got[9] += 100.0F;
    difference d = compare_floats(got, want, N, 1.0, 1e-3);
    assert_int_equal(d.bad, 3);
    assert_int_equal(d.worst, 7);
}

/* With floor 0 the error is relative, and nothing but 0 is close to 0. */
static void test_floor(void **state)
{
    (void)state;
    double want[2] = {0.0, 1e-20}, got[2] = {1e-30, 1.001e-20};
    assert_int_equal(compare_doubles(got, want, 2, 0.0, 1e-2).bad, 1);
    assert_int_equal(compare_doubles(got, want, 2, 1.0, 1e-2).bad, 0);
    assert_true(compare_largest(want, 2) == 1e-20);
    assert_true(compare_largest(want, 1) > 0.0);
}

static void test_bits(void **state)
{
    (void)state;
    float a[3] = {1.0F, 0.0F, NAN}, b[3] = {1.0F, 0.0F, NAN};
    assert_true(same_bits("a", a, b, 3));
    b[1] = -0.0F;
    assert_false(same_bits("+0 against -0, expected here", a, b, 3));
    b[1] = 0.0F;
    b[0] = nextafterf(1.0F, 2.0F);
    assert_false(same_bits("one bit, expected here", a, b, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_passes), cmocka_unit_test(test_one_wrong_element),
        cmocka_unit_test(test_not_finite),   cmocka_unit_test(test_worst_is_kept),
        cmocka_unit_test(test_floor),        cmocka_unit_test(test_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
