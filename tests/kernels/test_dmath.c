/* test_dmath - exp, log, pow and cos against libm's long double (64-bit mantissa on x86, so its own error
 * is below 0.001 units here).
 *
 * The numbers that the functions promise are asked for as limits, over dense and random arguments in the
 * ranges in which training uses them; limits and special values are asked for exactly; frozen bits catch a
 * compiler that contracts or reorders. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernels/dmath.h"
#include "kernels/rng.h"

/* Distance of got from want in units of the last place of want as a double; anything not finite is
 * infinitely far. */
static double ulps(double got, long double want)
{
    int e;
    (void)frexpl(want, &e);
    if (e < -1021)
        e = -1021;
    double u = (double)fabsl(((long double)got - want) / ldexpl(1.0L, e - 53));
    return u == u ? u : (double)INFINITY;
}

static double random_in(uint32_t *unit, double a, double b)
{
    rng_place p = {.seed = 20, .purpose = RNG_TEST};
    return a + (b - a) * rng_uniform53(&p, (*unit)++);
}

static void worst_is(const char *name, double worst, double at, double limit)
{
    printf("%-20s worst error %.4f ulp at %.17g\n", name, worst, at);
    assert_true(worst <= limit);
}

#define WORST(name, limit, n, draw, got, want)            \
    do {                                                  \
        double worst = 0, at = 0;                         \
        for (int i = 0; i < (n); i++) {                   \
            double x = (draw), off = ulps((got), (want)); \
            if (!(off <= worst)) {                        \
                worst = off;                              \
                at = x;                                   \
            }                                             \
        }                                                 \
        worst_is(name, worst, at, limit);                 \
    } while (0)

enum { N = 200000 };

static void test_exp(void **state)
{
    (void)state;
    uint32_t u = 0;
    WORST("exp near 0", 0.65, N, random_in(&u, -1, 1), d_exp(x), expl((long double)x));
    WORST("exp tiny", 0.65, N, random_in(&u, -1e-5, 1e-5), d_exp(x), expl((long double)x));
    WORST("exp normal", 0.65, N, random_in(&u, -708, 709.7), d_exp(x), expl((long double)x));
    WORST("exp denormal", 1.0, N / 10, random_in(&u, -745, -708), d_exp(x), expl((long double)x));
    assert_true(d_exp(0.0) == 1.0 && d_exp(-0.0) == 1.0 && d_exp(1e-300) == 1.0);
    assert_true(d_exp(709.79) == INFINITY && d_exp(INFINITY) == INFINITY);
    assert_true(d_exp(-746.0) == 0.0 && d_exp(-INFINITY) == 0.0);
    assert_true(isnan(d_exp(NAN)));
}

static void test_log(void **state)
{
    (void)state;
    uint32_t u = 1000000;
    WORST("log near 1", 0.52, N, random_in(&u, 0.5, 2), d_log(x), logl((long double)x));
    WORST("log beside 1", 0.52, N, random_in(&u, 1 - 1e-4, 1 + 1e-4), d_log(x), logl((long double)x));
    WORST("log wide", 0.52, N, exp2(random_in(&u, -1074, 1024)), d_log(x), logl((long double)x));
    assert_true(d_log(1.0) == 0.0 && d_log(0.0) == -INFINITY && d_log(-0.0) == -INFINITY);
    assert_true(d_log(INFINITY) == INFINITY && isnan(d_log(-1.0)) && isnan(d_log(-INFINITY)) &&
                isnan(d_log(NAN)));
    assert_true(d_log(2.0) == 0x1.62e42fefa39efp-1);
}

static void test_pow(void **state)
{
    (void)state;
    uint32_t u = 2000000;
    double y = 0;
    WORST("pow wide", 0.7, N, (y = random_in(&u, -40, 40), random_in(&u, 1e-6, 1e6)), d_pow(x, y),
          powl((long double)x, (long double)y));
    assert_true(d_pow(0.0, 2.0) == 0.0 && d_pow(0.0, -1.0) == INFINITY && d_pow(3.0, 0.0) == 1.0 &&
                d_pow(NAN, 0.0) == 1.0);
    assert_true(d_pow(1.0, INFINITY) == 1.0 && d_pow(INFINITY, 2.0) == INFINITY &&
                d_pow(INFINITY, -2.0) == 0.0);
    assert_true(d_pow(0.5, INFINITY) == 0.0 && d_pow(2.0, INFINITY) == INFINITY &&
                d_pow(0.5, -INFINITY) == INFINITY);
    assert_true(isnan(d_pow(-1.0, 2.0)) && isnan(d_pow(NAN, 1.0)) && isnan(d_pow(2.0, NAN)) &&
                isnan(d_pow(0.0, NAN)));
    assert_true(d_pow(2.0, 1023.0) == 0x1p1023 && d_pow(2.0, 1024.0) == INFINITY &&
                d_pow(2.0, -1022.0) == 0x1p-1022);
    assert_true(d_pow(10.0, 2.0) == 100.0 && d_pow(0.5, 3.0) == 0.125);
}

/* beta^step as Adam's bias corrections use it. */
static void test_pow_of_steps(void **state)
{
    (void)state;
    const double beta[] = {0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.999999, 1 - 0x1p-30};
    double worst = 0, at = 0;
    for (int i = 0; i < 8; i++)
        for (int step = 1; step <= 10000000; step += 1 + step / 50) {
            long double want = powl((long double)beta[i], step);
            if (want < 0x1p-1022L)
                break;
            double off = ulps(d_pow(beta[i], step), want);
            if (!(off <= worst)) {
                worst = off;
                at = step;
            }
        }
    worst_is("pow of steps", worst, at, 0.7);
    assert_true(fabs(d_pow(1 - 0x1p-30, 1073741824.0) - 0.3678794410001) <
                1e-12); /* (1-1/n)^n = (1 - 1/2n + ...)/e */
}

static void test_cos(void **state)
{
    (void)state;
    uint32_t u = 3000000;
    WORST("cos near 0", 0.75, N, random_in(&u, -4, 4), d_cos(x), cosl((long double)x));
    WORST("cos wide", 0.75, N, random_in(&u, -1e5, 1e5), d_cos(x), cosl((long double)x));
    /* the doubles nearest to odd multiples of pi/2, where every bit comes from the reduction */
    WORST("cos beside zeros", 0.75, 60000, (2 * i - 59999) * 1.5707963267948966, d_cos(x),
          cosl((long double)x));
    assert_true(d_cos(0.0) == 1.0 && isnan(d_cos(INFINITY)) && isnan(d_cos(NAN)) && isnan(d_cos(1.1e5)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp),          cmocka_unit_test(test_log), cmocka_unit_test(test_pow),
        cmocka_unit_test(test_pow_of_steps), cmocka_unit_test(test_cos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
