/* test_select.c - the choice of a table, and that no table has a hole. */
#include "kernels/kernels.h"

#include "kernels/simd/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_choice(void **state)
{
    (void)state;
    int tables;
    const kernels *const *k = kernels_all(&tables);
    assert_true(tables >= 1);
    assert_string_equal(kernels_name(k[0]), "scalar");
    assert_true(kernels_usable(k[0]));
    const kernels *best = k[0];
    for (int i = 0; i < tables; i++) {
        if (kernels_usable(k[i]))
            best = k[i];
        assert_ptr_equal(kernels_select(kernels_name(k[i])), kernels_usable(k[i]) ? k[i] : NULL);
    }
    assert_ptr_equal(kernels_select(NULL), best);
    assert_null(kernels_select("avx3"));
    assert_null(kernels_select(""));
}

/* A table is pointers and two ints side by side: read as words, none may be zero. */
static void test_no_holes(void **state)
{
    (void)state;
    int tables;
    const kernels *const *k = kernels_all(&tables);
    for (int i = 0; i < tables; i++) {
        uintptr_t word[sizeof(kernels) / sizeof(uintptr_t)];
        memcpy(word, k[i], sizeof word);
        for (size_t j = 0; j < sizeof word / sizeof word[0]; j++)
            if (word[j] == 0)
                fail_msg("table %s: word %zu is empty", kernels_name(k[i]), j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_no_holes),
    };
    return cmocka_run_group_tests_name("select", tests, NULL, NULL);
}
