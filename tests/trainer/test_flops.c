/* test_flops.c - the work that is counted: by hand for two published shapes, and for others against the list of
 * parameters, which knows nothing of phases: a step is 6 operations for each element of a matrix that multiplies, a
 * third of them forward. */
#include "trainer/flops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_by_hand(void **state)
{
    (void)state;
    const cell_kind *lstm = cell_find("lstm");
    const model_shape medium = {.cell = lstm, .layers = 2, .V = 10000, .E = 650, .H = 650};
    const model_shape small = {.cell = lstm, .layers = 2, .V = 10000, .E = 200, .H = 200};
    const model_shape layer = {.cell = lstm, .layers = 1, .E = 650, .H = 650};
    /* 2 layers of 4 x 650 x (650 + 650) and 10000 x 650; 20 rows of 35 steps */
    assert_true(flops_step(&medium) * 700 == 6.0 * (2 * 3380000 + 6500000) * 700); /* 55.692e9 */
    assert_true(flops_step(&medium) * 700 == 55692000000.0);
    /* 2 layers of 4 x 200 x (200 + 200) and 10000 x 200; 20 rows of 20 steps */
    assert_true(flops_step(&small) * 400 == 6336000000.0);
    /* oneDNN's count for a layer: 16 H^2 forward, twice that backward */
    assert_true(flops_step(&layer) == 48.0 * 650 * 650);
    assert_true(flops_of(&layer, TRACE_FORWARD) == 8.0 * 650 * 650);
    assert_true(flops_of(&layer, TRACE_DW) == 16.0 * 650 * 650);
    assert_true(flops_of(&layer, TRACE_LOGITS) == 0 && flops_of(&layer, TRACE_OUTPUT) == 0);
    assert_true(flops_of(&medium, TRACE_LOGITS) == 13000000.0);
    assert_true(flops_of(&medium, TRACE_OUTPUT) == 26000000.0);
    assert_true(flops_of(&medium, TRACE_OPTIMIZER) == 0 && flops_of(&medium, TRACE_PACK) == 0);
}

static void test_by_the_list(void **state)
{
    (void)state;
    static const char *const cells[] = {"rnn_tanh", "lstm", "gru", "gru_before"};
    for (int i = 0; i < 4 * 3 * 2; i++) {
        const model_shape s = {.cell = cell_find(cells[i % 4]),
                               .layers = 1 + i / 4 % 3,
                               .V = 1234,
                               .E = i / 12 ? 40 : 24,
                               .H = 40,
                               .tied = i / 12 == 1};
        params p;
        model_params(&s, &p, 1);
        double weights = 0;
        for (int j = 0; j < p.count; j++) {
            const bool embedding_alone = !s.tied && j == p.count - 1;
            if (p.list[j].cols > 0 && !embedding_alone)
                weights += (double)p.list[j].rows * p.list[j].cols;
        }
        params_free(&p);
        assert_true(flops_step(&s) == 6 * weights);
        assert_true(flops_of(&s, TRACE_INPUT) + flops_of(&s, TRACE_FORWARD) + flops_of(&s, TRACE_LOGITS) ==
                    2 * weights);
        assert_true(flops_of(&s, TRACE_DX) + flops_of(&s, TRACE_BACKWARD) + flops_of(&s, TRACE_OUTPUT) / 2 ==
                    2 * weights);
        assert_true(flops_of(&s, TRACE_DW) + flops_of(&s, TRACE_OUTPUT) / 2 == 2 * weights);
    }
}

/* A classifier's products, of a token and of a document: the list of its parameters without attention and embedding. */
static void test_of_documents(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * 2 * 3; i++) {
        const classifier_shape s = {.trunk = {.cell = cell_find("gru"),
                                              .layers = 1 + i / 4,
                                              .V = 0,
                                              .E = 24,
                                              .H = 40,
                                              .bidirectional = i % 2 == 1},
                                    .pooling = i / 2 % 2 ? POOL_CONCAT : POOL_LAST,
                                    .hidden = i / 2 % 2 ? 9 : 0,
                                    .loss = {.classes = 3}};
        classifier_shape with_words = s;
        with_words.trunk.V = 1234;
        params p;
        classifier_params(&with_words, &p, 1);
        double of_token = 0, of_document = 0;
        for (int j = 0; j < p.count - 1; j++)
            if (p.list[j].cols > 0)
                *(p.list[j].bucket == 0 ? &of_document : &of_token) +=
                    (double)p.list[j].rows * p.list[j].cols;
        params_free(&p);
        assert_true(flops_step(&s.trunk) == 6 * of_token);
        assert_true(flops_of(&s.trunk, TRACE_INPUT) + flops_of(&s.trunk, TRACE_FORWARD) == 2 * of_token);
        assert_true(flops_of_document(&s, TRACE_LOGITS) == 2 * of_document);
        assert_true(flops_of_document(&s, TRACE_OUTPUT) == 4 * of_document);
        assert_true(flops_of_document(&s, TRACE_DW) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_by_the_list),
        cmocka_unit_test(test_of_documents),
    };
    return cmocka_run_group_tests_name("flops", tests, NULL, NULL);
}
