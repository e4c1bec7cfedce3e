/* test_activation - element-wise functions against their definitions.
 *
 *   tanh       ==  the table's own, whole tensor at once (test_math holds that one against libm)     bit for bit
 *   gradients  ==  dy (1 - y^2) added; dy where y > 0                                                bit for bit
 *
 * for every table, 1 to 8 threads, sizes beside a task's and odd ones, in place, -0, infinities and NaN. */
#include "kernels/activation.h"
#include "kernels/simd/table.h"
#include "tests/compare.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/tables.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const size_t sizes[] = {0, 1, 2, 15, 16, 17, 49, 4095, 4096, 4097, 12289};

/* All of x with what is special in front of it, as far as there is room. */
static float *inputs(size_t n, uint32_t which)
{
    static const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1.0f, -1.0f, 100.0f, -100.0f};
    float *x = array_random(n, 3.0f, which);
    for (size_t i = 0; i < n && i < sizeof special / sizeof *special; i++)
        x[i] = special[i];
    return x;
}

static void check(team *t, size_t n)
{
    float *x = inputs(n, 1), *dy = array_random(n, 1.0f, 2), *y = array_blank(n), *want = array_blank(n),
          *dx = array_random(n, 1.0f, 3);
    team_kernels(t)->tanh(want, x, n);
    activation_tanh(t, y, x, n);
    assert_true(same_bits("tanh", y, want, n));
    for (size_t i = 0; i < n; i++)
        want[i] = dx[i] + dy[i] * (1.0f - y[i] * y[i]);
    activation_tanh_add_gradient(t, dx, dy, y, n);
    assert_true(same_bits("gradient of tanh", dx, want, n));

    for (size_t i = 0; i < n; i++)
        want[i] = x[i] > 0.0f || isnan(x[i]) ? x[i] : 0.0f;
    activation_relu(t, x, x, n);
    assert_true(same_bits("relu", x, want, n));
    for (size_t i = 0; i < n; i++)
        want[i] = x[i] > 0.0f ? dy[i] : 0.0f;
    activation_relu_gradient(t, dy, dy, x, n);
    assert_true(same_bits("gradient of relu", dy, want, n));
    float *all[] = {x, dy, y, want, dx};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        array_check(all[i], n);
        free(all[i]);
    }
}

static void test_all(void **state)
{
    (void)state;
    int count;
    const kernels *const *all = kernels_all(&count);
    for (int k = 0; k < count; k++)
        for (int threads = 1; threads <= 8 && table_usable(all[k]); threads++) {
            team *t = team_open(threads, all[k]);
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                check(t, sizes[i]);
            team_close(t);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
