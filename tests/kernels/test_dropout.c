/* test_dropout - masks are functions of their place.
 *
 *   y  ==  x * (rng_uniform(place of the element) >= p ? scale : 0)     everywhere, in place or not
 *
 * rng_uniform is Random123's generator, pinned by test_rng; the kernel has its own vector form of it.  Cut
 * by ranks: a rank's rows get the masks that they have in the whole batch.  Cut in time: a window that begins at time0
 * gets the masks of those times. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/dropout.h"
#include "kernels/rng.h"
#include "tests/compare.h"
#include "tests/kernels/tables.h"

enum { T = 3, B = 5, MOST = 300, CANARY = 16 };

static float x[T * B * PAD16(MOST) + CANARY], y[T * B * PAD16(MOST) + CANARY],
    want[T * B * PAD16(MOST) + CANARY];

static void fill(void)
{
    rng_place p = {.seed = 6, .purpose = RNG_TEST};
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
        x[i] = rng_uniform(&p, (uint32_t)i) - 0.5f;
        y[i] = want[i] = 99.0f;
    }
}

static void expected(const dropout *d, int n, int ld)
{
    const float scale = (float)(1.0 / (1.0 - d->p));
    for (int t = 0; t < T; t++)
        for (int b = 0; b < B; b++) {
            rng_place place = {d->seed,  d->row0 + (uint32_t)b,   d->step, RNG_DROPOUT,
                               d->layer, (uint16_t)(d->time0 + t)};
            for (int j = 0; j < n; j++) {
                int i = (t * B + b) * ld + j;
                want[i] = x[i] * ((double)rng_uniform(&place, (uint32_t)j) >= d->p ? scale : 0.0f);
            }
        }
}

static void check(team *t, const dropout *d, int n)
{
    const int ld = PAD16(n);
    const size_t size = (size_t)(T * B * ld) + CANARY;
    fill();
    expected(d, n, ld);
    dropout_apply(d, t, y, x, T, B, n, ld);
    assert_true(same_bits("dropout", y, want, size)); /* padding and canary included */
    for (size_t i = 0; i < size; i++)
        if (want[i] == 99.0f)
            want[i] = x[i];
    dropout_apply(d, t, x, x, T, B, n, ld);
    assert_true(same_bits("in place", x, want, size));
}

static void test_masks(void **state)
{
    (void)state;
    int count;
    const kernels *const *all = kernels_all(&count);
    for (int k = 0; k < count; k++) {
        if (!table_usable(all[k]))
            continue;
        team *t = team_open(1 + k, all[k]);
        for (int n = 1; n <= MOST; n += n < 70 ? 1 : 37) {
            double p[] = {0.5, 0.0, 0.2, 0x1p-24, 0.999, 1.0 / 3, 0.0};
            rng_place place = {
                0x123456789abcdef0u + (uint64_t)n, 70001, (uint32_t)n * 1000003u, RNG_DROPOUT, 3, 2};
            p[6] = (double)rng_uniform(&place, (uint32_t)n / 2); /* exactly at the limit: kept */
            for (int i = 0; i < 7; i++)
                check(t, &(dropout){p[i], place.seed, place.step, place.layer, 70000, (uint16_t)(n * i)}, n);
        }
        team_close(t);
    }
}

static void test_threads(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 8; threads++) {
        team *t = team_open(threads, kernels_select(NULL));
        for (int n = 1; n <= MOST; n += 23)
            check(t, &(dropout){.p = 0.3, .seed = 9, .step = 2, .layer = 1, .row0 = 5}, n);
        team_close(t);
    }
}

/* Rows 2 and 3 as a rank of their own. */
static void test_ranks(void **state)
{
    (void)state;
    enum { n = 33, ld = PAD16(n) };
    team *t = team_open(2, kernels_select(NULL));
    dropout d = {.p = 0.4, .seed = 8, .step = 5, .layer = 1, .row0 = 0};
    fill();
    dropout_apply(&d, t, y, x, T, B, n, ld);
    float mine[T * 2 * ld] = {0}, got[T * 2 * ld] = {0};
    for (int i = 0; i < T; i++)
        memcpy(mine + i * 2 * ld, x + (i * B + 2) * ld, 2 * ld * sizeof(float));
    d.row0 = 2;
    dropout_apply(&d, t, got, mine, T, 2, n, ld);
    for (int i = 0; i < T * 2; i++)
        assert_true(same_bits("a rank's rows", got + i * ld, y + ((i / 2) * B + 2 + i % 2) * ld, n));
    team_close(t);
}

/* Steps 1 and 2 as a window of their own; time counts modulo 2^16. */
static void test_windows(void **state)
{
    (void)state;
    enum { n = 33, ld = PAD16(n) };
    team *t = team_open(2, kernels_select(NULL));
    dropout d = {.p = 0.4, .seed = 8, .step = 5, .layer = 1, .time0 = 65534};
    fill();
    dropout_apply(&d, t, y, x, T, B, n, ld);
    d.time0 = 65535;
    dropout_apply(&d, t, x + B * ld, x + B * ld, T - 1, B, n, ld);
    for (int i = B; i < T * B; i++)
        assert_true(same_bits("a later window", x + i * ld, y + i * ld, n));
    d.time0 = 65533;
    dropout_apply(&d, t, x, x, 1, B, n, ld);
    assert_true(memcmp(x, y, n * sizeof *x) != 0);
    team_close(t);
}

/* As many are dropped as p says, kept ones are scaled, and what is not a number is not hidden by a mask. */
static void test_statistics(void **state)
{
    (void)state;
    enum { n = 250, ld = PAD16(n) };
    team *t = team_open(1, kernels_select(NULL));
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = 1.0f;
    int dropped = 0;
    for (uint32_t step = 0; step < 20; step++) {
        dropout_apply(&(dropout){.p = 0.3, .seed = 1, .step = step}, t, y, x, T, B, n, ld);
        for (int i = 0; i < T * B * ld; i++)
            if (i % ld < n) {
                assert_true(y[i] == 0.0f || y[i] == (float)(1 / 0.7));
                dropped += y[i] == 0.0f;
            }
    }
    double p = dropped / (20.0 * T * B * n);
    assert_true(fabs(p - 0.3) < 4 * sqrt(0.3 * 0.7 / (20.0 * T * B * n)));
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = NAN;
    dropout_apply(&(dropout){.p = 0.9}, t, y, x, T, B, n, ld);
    for (int i = 0; i < T * B * ld; i++)
        assert_true(i % ld >= n || isnan(y[i]));
    team_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks),   cmocka_unit_test(test_threads),    cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_windows), cmocka_unit_test(test_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
