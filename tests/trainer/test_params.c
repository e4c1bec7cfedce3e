/* The list of parameters: whatever the number of ranks, every element is owned by exactly one, pieces
 * begin at blocks, and blocks are numbered the same.  That is all that the optimiser and the exchange rely
 * on. */
#include "kernels/recurrent.h"
#include "kernels/sums.h"
#include "trainer/model.h"
#include "trainer/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static model_shape shape_of(bool tied)
{
    return (model_shape){.cell = cell_find("lstm"), .layers = 2, .V = 1234, .E = 50, .H = 50, .tied = tied};
}

static void test_names_and_shapes(void **state)
{
    (void)state;
    model_shape s = shape_of(false);
    s.E = 30;
    params p;
    model_params(&s, &p, 1);
    const param *w = params_find(&p, "rnn.weight_ih_l0"), *u = params_find(&p, "rnn.weight_ih_l1");
    assert_non_null(w);
    assert_int_equal(w->rows, 200);
    assert_int_equal(w->cols, 30);
    assert_int_equal(u->cols, 50);
    assert_int_equal(params_find(&p, "decoder.weight")->rows, 1234);
    assert_int_equal(params_find(&p, "decoder.bias")->cols, 0);
    assert_int_equal(params_find(&p, "encoder.weight")->cols, 30);
    assert_null(params_find(&p, "decoder.weigh"));
    assert_int_equal(p.count, 11);
    assert_int_equal(params_elements(&p), 1234 * (30 + 50 + 1) + 200 * (30 + 50 + 2) + 200 * (50 + 50 + 2));
    params_free(&p);
}

static void check_owners(bool tied, int size)
{
    model_shape s = shape_of(tied);
    params p;
    model_params(&s, &p, size);
    int *owners = calloc(p.floats, sizeof *owners);
    int *block_owners = calloc(p.blocks, sizeof *block_owners);
    for (int r = 0; r < size; r++) {
        piece list[PARAMS_MAX];
        int n = params_pieces(&p, r, list, PARAMS_MAX);
        size_t owned = 0;
        for (int i = 0; i < n; i++) {
            const param *q = &p.list[list[i].param];
            const params_bucket *b = &p.bucket[list[i].bucket];
            assert_true((list[i].offset - q->offset) % BLOCK_FLOATS == 0);
            assert_true(list[i].offset >= b->cut[r] && list[i].offset + list[i].count <= b->cut[r + 1]);
            for (size_t j = 0; j < list[i].count; j++)
                owners[list[i].offset + j]++;
            for (size_t j = 0; j < list[i].blocks; j++)
                block_owners[list[i].block0 + j]++;
            owned += list[i].count;
        }
        assert_int_equal(owned, params_owned_floats(&p, r));
    }
    for (int i = 0; i < p.count; i++)
        for (size_t j = 0; j < p.list[i].count; j++)
            assert_int_equal(owners[p.list[i].offset + j], 1);
    for (size_t j = 0; j < p.blocks; j++)
        assert_int_equal(block_owners[j], 1);
    free(owners);
    free(block_owners);
    params_free(&p);
}

static void test_every_element_has_one_owner(void **state)
{
    (void)state;
    for (int size = 1; size <= 40; size++) {
        check_owners(false, size);
        check_owners(true, size);
    }
}

/* The block numbers feed the norm's tree, so they may not depend on the number of ranks. */
static void test_blocks_do_not_depend_on_ranks(void **state)
{
    (void)state;
    model_shape s = shape_of(false);
    params one, seven;
    model_params(&s, &one, 1);
    model_params(&s, &seven, 7);
    assert_int_equal(one.blocks, seven.blocks);
    for (int i = 0; i < one.count; i++)
        assert_int_equal(one.list[i].block0, seven.list[i].block0);
    params_free(&one);
    params_free(&seven);
}

static void test_scatter_is_cut_as_its_tensor(void **state)
{
    (void)state;
    model_shape s = shape_of(true);
    params p;
    model_params(&s, &p, 3);
    const param *tied = params_find(&p, "encoder.weight");
    assert_int_equal(params_wire_buckets(&p), p.buckets + 1);
    assert_null(params_find(&p, "decoder.weight"));
    const params_bucket *of = &p.bucket[tied->bucket], *scatter = &p.bucket[p.buckets];
    for (int r = 0; r <= 3; r++)
        assert_int_equal(scatter->cut[r] - p.scatter, of->cut[r] - tied->offset);
    assert_int_equal(scatter->end, p.gradient_floats);
    params_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_shapes),
        cmocka_unit_test(test_every_element_has_one_owner),
        cmocka_unit_test(test_blocks_do_not_depend_on_ranks),
        cmocka_unit_test(test_scatter_is_cut_as_its_tensor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
