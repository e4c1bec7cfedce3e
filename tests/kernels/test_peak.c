/* test_peak.c - the operations that a ceiling counts are done; its rates are numbers.
 *
 * Every lane of every chain of fma_chains converges to 1 (x = x/2 + 1/2, exactly in floats), so the first lane of
 * their sum is the number of chains, and operations = 2 * lanes * chains * rounds.  A chain that the compiler has
 * dropped is missing in the sum. */
#include "kernels/peak.h"
#include "kernels/simd/table.h"
#include "tests/kernels/tables.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_chains(void **state)
{
    (void)state;
    static const struct {
        const char *isa;
        int lanes;
    } tables[] = {{"scalar", 1}, {"avx2", 8}, {"avx512", 16}, {"neon", 4}};
    int count, found = 0;
    const kernels *const *all = kernels_all(&count);
    for (int i = 0; i < count; i++)
        for (size_t j = 0; j < sizeof tables / sizeof tables[0]; j++) {
            if (strcmp(kernels_name(all[i]), tables[j].isa) != 0 || !table_usable(all[i]))
                continue;
            float out[1] = {0.5f};
            const double operations = all[i]->fma_chains(out, 1000);
            assert_true(out[0] >= 8.0f && out[0] <= 32.0f);
            assert_true(operations == 2.0 * tables[j].lanes * (double)out[0] * 1000);
            found++;
        }
    assert_true(found > 0);
}

static void test_rates(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads += 2) {
        team *t = team_open(threads, kernels_select(NULL));
        peak p;
        arena memory = {0};
        assert_non_null(t);
        assert_true(peak_open(&p, &memory, t));
        for (int i = 0; i < 2; i++) {
            const double fma = peak_fma(&p, t, 0.002), kernel = peak_kernel(&p, t, 0.002),
                         weights = peak_weights(&p, t, 0.002);
            assert_true(isfinite(fma) && fma > 0 && isfinite(kernel) && kernel > 0);
            assert_true(isfinite(weights) && weights > 0);
            for (int j = 0; j < threads; j++)
                assert_true(p.rate[j] > 0); /* every thread took part */
        }
        const double bytes = peak_memory(t, 0.002);
        assert_true(isfinite(bytes) && bytes > 0);
        arena_free(&memory);
        team_close(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_rates),
    };
    return cmocka_run_group_tests_name("peak", tests, NULL, NULL);
}
