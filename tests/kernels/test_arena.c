/* test_arena.c - blocks are aligned, zero, apart, in order and as large as promised; too much is refused,
 * not attempted. */
#include "kernels/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BLOCKS 100

static void test_blocks(void **state)
{
    (void)state;
    arena a = {0};
    char *block[BLOCKS];
    size_t total = 0;
    for (size_t i = 0; i < BLOCKS; i++) { /* more than the first table of blocks holds */
        arena_add(&a, "block", (void **)&block[i], 37 * i);
        total += (37 * i + 63) / 64 * 64;
        assert_null(block[i]);
        assert_int_equal(arena_bytes(&a), total);
    }
    assert_true(arena_commit(&a));
    for (size_t i = 0; i < BLOCKS; i++) {
        assert_int_equal((uintptr_t)block[i] % 64, 0);
        if (i > 0)
            assert_ptr_equal(block[i], block[i - 1] + (37 * (i - 1) + 63) / 64 * 64);
        for (size_t j = 0; j < 37 * i; j++)
            assert_int_equal(block[i][j], 0);
        memset(block[i], 0xff, 37 * i);
    }
    arena_free(&a);
    assert_int_equal(arena_bytes(&a), 0);
}

static void test_nothing(void **state)
{
    (void)state;
    arena a = {0};
    assert_true(arena_commit(&a));
    arena_free(&a);
}

static void test_too_much(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{SIZE_MAX, 0},
                                      {SIZE_MAX - 63, 64},
                                      {SIZE_MAX / 2, SIZE_MAX / 2},
                                      {SIZE_MAX / 4 - 64, SIZE_MAX / 4 - 64}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        arena a = {0};
        void *p, *q;
        arena_add(&a, "one", &p, sizes[i][0]);
        arena_add(&a, "two", &q, sizes[i][1]);
        assert_false(arena_commit(&a));
        assert_true(p == NULL && q == NULL);
        arena_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_too_much),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
