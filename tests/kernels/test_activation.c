/* test_activation - element-wise functions and the join of two directions, against their definitions.
 *
 *   tanh       ==  the table's own, whole tensor at once (test_math holds that one against libm)     bit for bit
 *   gradients  ==  dy (1 - y^2) added; dy where y > 0                                                bit for bit
 *   join       ==  the two halves side by side, zeros behind; split is its inverse                   bit for bit
 *
 * for every table, 1 to 8 threads, sizes beside a task's and odd ones, in place, -0, infinities and NaN. */
#include "kernels/activation.h"
#include "kernels/join.h"
#include "kernels/simd/table.h"
#include "tests/compare.h"
#include "tests/kernels/arrays.h"

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

static void check_join(team *t, int rows, int H)
{
    const size_t narrow = (size_t)(rows * PAD16(H)), wide = (size_t)(rows * PAD16(2 * H));
    float *half[2] = {array_rows((size_t)rows, H, 1.0f, 4), array_rows((size_t)rows, H, 1.0f, 5)};
    float *back[2] = {array_blank(narrow), array_blank(narrow)}, *y = array_blank(wide);
    join_outputs(t, y, half[0], half[1], (size_t)rows, H);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < PAD16(2 * H); j++)
            assert_true(y[i * PAD16(2 * H) + j] == (j < 2 * H ? half[j / H][i * PAD16(H) + j % H] : 0.0f));
    split_gradients(t, back[0], back[1], y, (size_t)rows, H);
    array_check(y, wide);
    for (int d = 0; d < 2; d++) {
        assert_true(same_bits("apart again", back[d], half[d], narrow));
        array_check(back[d], narrow);
        free(half[d]);
        free(back[d]);
    }
    free(y);
}

static void test_all(void **state)
{
    (void)state;
    int count;
    const kernels *const *all = kernels_all(&count);
    for (int k = 0; k < count; k++)
        for (int threads = 1; threads <= 8 && kernels_usable(all[k]); threads++) {
            team *t = team_open(threads, all[k]);
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                check(t, sizes[i]);
            for (int H = 1; H <= 49; H++)
                check_join(t, 1 + (7 * H + threads) % 50, H);
            team_close(t);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
