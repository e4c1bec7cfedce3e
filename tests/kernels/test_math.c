/* test_math.c - exp, log, tanh and sigmoid of every table, against libm in double precision and against each
 * other.
 *
 * Identities:
 *   every table  == the scalar table        bit for bit, NaN being NaN
 *   error        <= the bound below          in units in the last place of the exact result
 *   special      0, infinities, NaN, overflow and underflow
 * Inputs: every 509th of all 2^32 floats, which meets every exponent and, by an odd step, all low bits;
 * `--all` takes each of them. A polynomial's error is smooth, so that a sample this dense finds its
 * largest value to a few per cent. */
#include "kernels/simd/table.h"
#include "tests/kernels/tables.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CHUNK 4096

static uint64_t stride = 509;

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static bool same(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static double d_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* |got - want| in units of want's last place; results below the normal range may be 0, or count in units
 * of the smallest float. */
static double ulps(float got, double want)
{
    if (isnan(want))
        return isnan(got) ? 0 : INFINITY;
    if (fabs(want) > (double)INFINITY || fabs(want) >= 0x1.ffffffp127)
        return (double)got == (want > 0 ? INFINITY : -INFINITY) ? 0 : INFINITY;
    if ((double)got == want || (fabs(want) < 0x1p-126 && got == 0.0f))
        return 0;
    int exponent;
    frexp(want, &exponent);
    return fabs((double)got - want) / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

typedef struct function {
    const char *name;
    void (*of_table)(const kernels *k, float *y, const float *x, size_t n);
    double (*exact)(double x);
    double bound;
} function;

static void k_exp(const kernels *k, float *y, const float *x, size_t n)
{
    k->exp(y, x, n);
}
static void k_log(const kernels *k, float *y, const float *x, size_t n)
{
    k->log(y, x, n);
}
static void k_tanh(const kernels *k, float *y, const float *x, size_t n)
{
    k->tanh(y, x, n);
}
static void k_sigmoid(const kernels *k, float *y, const float *x, size_t n)
{
    k->sigmoid(y, x, n);
}

static const function functions[] = {
    {"exp", k_exp, exp, 1.03},
    {"log", k_log, log, 0.85},
    {"tanh", k_tanh, tanh, 1.21},
    {"sigmoid", k_sigmoid, d_sigmoid, 1.71},
};
#define FUNCTIONS (sizeof functions / sizeof functions[0])

static void test_sample(void **state)
{
    (void)state;
    static float x[CHUNK], first[CHUNK], y[CHUNK];
    double worst[FUNCTIONS] = {0};
    float where[FUNCTIONS] = {0};
    int tables;
    const kernels *const *k = kernels_all(&tables);
    for (uint64_t bits = 0; bits < (uint64_t)1 << 32;) {
        size_t n = 0;
        for (; n < CHUNK && bits < (uint64_t)1 << 32; bits += stride)
            x[n++] = from_bits((uint32_t)bits);
        for (size_t f = 0; f < FUNCTIONS; f++) {
            functions[f].of_table(k[0], first, x, n);
            for (int j = 1; j < tables; j++) {
                if (!table_usable(k[j]))
                    continue;
                functions[f].of_table(k[j], y, x, n);
                for (size_t i = 0; i < n; i++)
                    if (!same(y[i], first[i]))
                        fail_msg("%s(%a): %s gives %a, %s gives %a", functions[f].name, (double)x[i],
                                 kernels_name(k[j]), (double)y[i], kernels_name(k[0]), (double)first[i]);
            }
            for (size_t i = 0; i < n; i++) {
                double error = ulps(first[i], functions[f].exact((double)x[i]));
                if (error > worst[f]) {
                    worst[f] = error;
                    where[f] = x[i];
                }
            }
        }
    }
    for (size_t f = 0; f < FUNCTIONS; f++)
        print_message("%s: worst error %.3f ulp at %a\n", functions[f].name, worst[f], (double)where[f]);
    for (size_t f = 0; f < FUNCTIONS; f++)
        assert_true(worst[f] <= functions[f].bound);
}

static float one(const kernels *k, size_t f, float x)
{
    float y;
    functions[f].of_table(k, &y, &x, 1);
    return y;
}

static void test_special(void **state)
{
    (void)state;
    int tables;
    const kernels *const *k = kernels_all(&tables);
    for (int j = 0; j < tables; j++) {
        if (!table_usable(k[j]))
            continue;
        for (size_t f = 0; f < FUNCTIONS; f++)
            assert_true(isnan(one(k[j], f, NAN)) && isnan(one(k[j], f, -NAN)));
        assert_true(same(one(k[j], 0, INFINITY), INFINITY) && same(one(k[j], 0, -INFINITY), 0.0f));
        assert_true(same(one(k[j], 0, 0.0f), 1.0f) && same(one(k[j], 0, -0.0f), 1.0f));
        assert_true(same(one(k[j], 1, INFINITY), INFINITY) && isnan(one(k[j], 1, -1.0f)) &&
                    isnan(one(k[j], 1, -INFINITY)));
        assert_true(same(one(k[j], 1, 0.0f), -INFINITY) && same(one(k[j], 1, -0.0f), -INFINITY));
        assert_true(same(one(k[j], 1, 1.0f), 0.0f));
        assert_true(same(one(k[j], 2, INFINITY), 1.0f) && same(one(k[j], 2, -INFINITY), -1.0f));
        assert_true(same(one(k[j], 2, 0.0f), 0.0f) && same(one(k[j], 2, -0.0f), -0.0f));
        assert_true(same(one(k[j], 2, 0x1p-140f), 0x1p-140f) && same(one(k[j], 2, -0x1p-149f), -0x1p-149f));
        assert_true(same(one(k[j], 3, INFINITY), 1.0f) && same(one(k[j], 3, -INFINITY), 0.0f));
        assert_true(same(one(k[j], 3, 0.0f), 0.5f));
    }
}

/* All lengths around the vectors and four of them, in place; the elements after the last stay as they were. */
static void test_lengths(void **state)
{
    (void)state;
    int tables;
    const kernels *const *k = kernels_all(&tables);
    for (int j = 0; j < tables; j++)
        for (size_t n = 0; n <= 140 && table_usable(k[j]); n++)
            for (size_t f = 0; f < FUNCTIONS; f++) {
                float x[144], y[144];
                for (size_t i = 0; i < 144; i++)
                    x[i] = y[i] = 0.1f + 0.1f * (float)i;
                functions[f].of_table(k[j], y, y, n);
                for (size_t i = 0; i < 144; i++)
                    assert_true(same(y[i], i < n ? one(k[0], f, x[i]) : x[i]));
            }
}

int main(int count, char **argument)
{
    if (count > 1 && strcmp(argument[1], "--all") == 0)
        stride = 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_special),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests_name("math", tests, NULL, NULL);
}
