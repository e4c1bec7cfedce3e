/* test_narrow.c - gates of eight columns made 16 wide, and back, in every table:
 *
 *   widen     == the columns, and zeros behind them, and nothing else written
 *   in place  == the same, gate by gate from the last one
 *   narrow    == the first columns, and nothing else written; narrow(widen(x)) == x */
#include "kernels/simd/table.h"
#include "tests/compare.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROWS = 11, GATES = 4, LD = 16 * GATES + 3 };

static void wide_and_narrow(const kernels *k)
{
    for (int columns = 8; columns <= 16; columns += 8) {
        float *x = array_random(ROWS * LD, 1, 1), *wide = array_blank(ROWS * LD),
              *back = array_blank(ROWS * LD), *blank = array_blank(1);
        k->widen(wide, LD, x, LD, columns, ROWS);
        k->narrow(back, LD, wide, LD, columns, ROWS);
        for (int m = 0; m < ROWS; m++) {
            for (int j = 0; j < LD; j++) {
                const int at = m * LD + j;
                const float w = j < columns ? x[at] : j < 16 ? 0 : *blank, b = j < columns ? x[at] : *blank;
                assert_true(same_bits("widen", &wide[at], &w, 1));
                assert_true(same_bits("narrow", &back[at], &b, 1));
            }
        }
        array_check(wide, ROWS * LD);
        array_check(back, ROWS * LD);
        free(x);
        free(wide);
        free(back);
        free(blank);
    }
}

static void in_place(const kernels *k)
{
    float *x = array_random(ROWS * LD, 1, 2), *before = array_random(ROWS * LD, 1, 2);
    for (int g = GATES - 1; g >= 0; g--)
        k->widen(x + 16 * g, LD, x + 8 * g, LD, 8, ROWS);
    for (int m = 0; m < ROWS; m++) {
        for (int j = 0; j < LD; j++) {
            const float *row = before + m * LD, want = j >= 16 * GATES ? row[j]
                                                       : j % 16 < 8    ? row[j / 16 * 8 + j % 16]
                                                                       : 0;
            assert_true(same_bits("in place", &x[m * LD + j], &want, 1));
        }
    }
    array_check(x, ROWS * LD);
    free(x);
    free(before);
}

static void test_tables(void **state)
{
    (void)state;
    int tables;
    const kernels *const *k = kernels_all(&tables);
    for (int i = 0; i < tables; i++) {
        if (table_usable(k[i])) {
            wide_and_narrow(k[i]);
            in_place(k[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables)};
    return cmocka_run_group_tests_name("narrow", tests, NULL, NULL);
}
