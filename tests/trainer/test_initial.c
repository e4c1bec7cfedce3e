/* Initial parameters: each rule's distribution, told by its bounds and its moments, and that nothing but
 * configuration and seed has a part in them.  Moments suffice beside the bounds: a wrong tensor, width or
 * offset moves a mean or a bound by far more than the few standard errors allowed here, and the generator
 * itself is tested in kernels. */
#include "kernels/rng.h"
#include "trainer/classifier.h"
#include "trainer/initial.h"
#include "trainer/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 90, E = 24, H = 40, LAYERS = 2 };

typedef struct made {
    params list;
    float *value;
} made;

static config with(int init, int cell)
{
    config c = {0};
    c.model.init = init;
    c.model.cell = cell;
    c.model.hidden = H;
    c.model.init_scale = 0.25;
    c.train.seed = 5;
    return c;
}

static made make(const config *c, int size)
{
    made m;
    model_shape shape = {.cell = cell_find(c->model.cell == CELL_LSTM ? "lstm" : "gru"),
                         .layers = LAYERS,
                         .V = V,
                         .E = E,
                         .H = H};
    model_params(&shape, &m.list, size);
    m.value = calloc(m.list.floats, sizeof *m.value);
    error e = {0};
    assert_non_null(m.value);
    assert_int_equal(initial_parameters(c, &m.list, m.value, &e), STATUS_OK);
    return m;
}

static void drop(made *m)
{
    free(m->value);
    params_free(&m->list);
}

static const float *tensor_at(const made *m, const char *name, size_t *n)
{
    const param *p = params_find(&m->list, name);
    assert_non_null(p);
    *n = p->count;
    return m->value + p->offset;
}

/* U(centre - s, centre + s): inside the bounds, and mean and variance within 5 standard errors. */
static void expect_uniform(const float *x, size_t n, double centre, double s, const char *what)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - centre;
        if (!(fabs(d) <= s * (1 + 1e-6)))
            fail_msg("%s[%zu] is %g, outside of %g +- %g", what, i, (double)x[i], centre, s);
        sum += d;
        squares += d * d;
    }
    double mean = sum / (double)n, variance = squares / (double)n, wanted = s * s / 3;
    if (!(fabs(mean) <= 5 * sqrt(wanted / (double)n)))
        fail_msg("%s: mean %g around %g", what, mean, centre);
    if (!(fabs(variance - wanted) <= 5 * wanted * sqrt(0.8 / (double)n))) /* fourth moment s^4/5 */
        fail_msg("%s: variance %g, wanted %g", what, variance, wanted);
}

static void expect_tensor_uniform(const made *m, const char *name, double s)
{
    size_t n;
    const float *x = tensor_at(m, name, &n);
    expect_uniform(x, n, 0, s, name);
}

static void test_uniform(void **state)
{
    (void)state;
    config c = with(INIT_UNIFORM, CELL_GRU);
    made m = make(&c, 1);
    for (int i = 0; i < m.list.count; i++)
        expect_tensor_uniform(&m, m.list.list[i].name, 0.25);
    drop(&m);
}

static void test_pytorch(void **state)
{
    (void)state;
    config c = with(INIT_PYTORCH, CELL_GRU);
    made m = make(&c, 1);
    size_t n;
    const float *x = tensor_at(&m, "encoder.weight", &n);
    double sum = 0, squares = 0, fourth = 0;
    for (size_t i = 0; i < n; i++) {
        double d = x[i];
        sum += d;
        squares += d * d;
        fourth += d * d * d * d;
    }
    assert_true(fabs(sum / (double)n) <= 5 * sqrt(1 / (double)n));
    assert_true(fabs(squares / (double)n - 1) <= 5 * sqrt(2 / (double)n));
    assert_true(fabs(fourth / (double)n - 3) <=
                5 * sqrt(96 / (double)n)); /* a normal one has 3, a uniform one 1.8 */
    for (int i = 0; i < m.list.count; i++)
        if (strcmp(m.list.list[i].name, "encoder.weight") != 0)
            expect_tensor_uniform(&m, m.list.list[i].name, 1 / sqrt(H));
    drop(&m);
}

/* A layer's inputs bound it, torch.nn.Linear's weight and bias alike. */
static void test_pytorch_classifier(void **state)
{
    (void)state;
    enum { HEAD = 130, W = 2 * H, POOLED = 3 * W };
    const classifier_shape shapes[] = {
        {.pooling = POOL_CONCAT, .hidden = HEAD, .loss = {.classes = 70}},
        {.pooling = POOL_ATTENTION, .loss = {.classes = 70}},
    };
    for (int way = 0; way < 2; way++) {
        classifier_shape shape = shapes[way];
        shape.trunk = (model_shape){
            .cell = cell_find("gru"), .layers = LAYERS, .V = V, .E = E, .H = H, .bidirectional = true};
        config c = with(INIT_PYTORCH, CELL_GRU);
        error e = {0};
        made m;
        classifier_params(&shape, &m.list, 1);
        m.value = calloc(m.list.floats, sizeof *m.value);
        assert_non_null(m.value);
        assert_int_equal(initial_parameters(&c, &m.list, m.value, &e), STATUS_OK);
        expect_tensor_uniform(&m, "decoder.weight", 1 / sqrt(way ? W : HEAD));
        expect_tensor_uniform(&m, "decoder.bias", 1 / sqrt(way ? W : HEAD));
        expect_tensor_uniform(&m, way ? "attention.weight" : "head.weight", 1 / sqrt(way ? W : POOLED));
        if (!way)
            expect_tensor_uniform(&m, "head.bias", 1 / sqrt(POOLED));
        expect_tensor_uniform(&m, "rnn.weight_ih_l1_reverse", 1 / sqrt(H));
        expect_tensor_uniform(&m, "rnn.bias_hh_l0", 1 / sqrt(H));
        drop(&m);
    }
}

static void test_word_language_model(void **state)
{
    (void)state;
    config c = with(INIT_WORD_LANGUAGE_MODEL, CELL_GRU);
    made m = make(&c, 1);
    size_t n;
    const float *x = tensor_at(&m, "decoder.bias", &n);
    for (size_t i = 0; i < n; i++)
        assert_true(x[i] == 0);
    expect_tensor_uniform(&m, "encoder.weight", 0.25);
    expect_tensor_uniform(&m, "decoder.weight", 0.25);
    expect_tensor_uniform(&m, "rnn.weight_ih_l0", 1 / sqrt(H));
    expect_tensor_uniform(&m, "rnn.bias_hh_l1", 1 / sqrt(H));
    drop(&m);
}

/* Rows H..2H-1 of bias_ih, in every layer, are moved by the bias; everything else is as without it, bit for
 * bit. */
static void test_forget_bias(void **state)
{
    (void)state;
    config c = with(INIT_UNIFORM, CELL_LSTM);
    made plain = make(&c, 1);
    c.model.forget_bias = 1.5;
    made moved = make(&c, 1);
    for (int i = 0; i < plain.list.count; i++) {
        const param *p = &plain.list.list[i];
        bool is_bias = strncmp(p->name, "rnn.bias_ih", 11) == 0;
        for (size_t j = 0; j < p->count; j++) {
            float before = plain.value[p->offset + j], after = moved.value[p->offset + j];
            assert_true(after == (is_bias && j / H == 1 ? before + 1.5f : before));
        }
    }
    drop(&plain);
    drop(&moved);
}

/* Each gate's block of weight_hh times its transpose is the identity; the blocks differ; the rest is as
 * without. */
static void test_orthogonal(void **state)
{
    (void)state;
    config c = with(INIT_UNIFORM, CELL_GRU);
    c.model.init_recurrent = INIT_ORTHOGONAL;
    made m = make(&c, 1);
    size_t n;
    const float *w = tensor_at(&m, "rnn.weight_hh_l1", &n);
    assert_int_equal(n, 3 * H * H);
    for (size_t gate = 0; gate < 3; gate++)
        for (size_t i = 0; i < H; i++)
            for (size_t j = 0; j < H; j++) {
                double dot = 0;
                for (size_t k = 0; k < H; k++)
                    dot += (double)w[gate * H * H + i * H + k] * (double)w[gate * H * H + j * H + k];
                assert_true(fabs(dot - (i == j)) < 1e-6);
            }
    assert_memory_not_equal(w, w + H * H, H * H * sizeof *w);
    expect_tensor_uniform(&m, "rnn.weight_ih_l1", 0.25);
    drop(&m);
}

/* The number of ranks moves owners and no bit; the seed moves every tensor; no two tensors begin alike. */
static void test_what_matters(void **state)
{
    (void)state;
    config c = with(INIT_UNIFORM, CELL_LSTM);
    made one = make(&c, 1), three = make(&c, 3);
    c.train.seed = 6;
    made other = make(&c, 1);
    assert_memory_equal(one.value, three.value, one.list.floats * sizeof(float));
    for (int i = 0; i < one.list.count; i++) {
        const param *p = &one.list.list[i];
        assert_memory_not_equal(one.value + p->offset, other.value + p->offset, H * sizeof(float));
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(one.value + p->offset, one.value + one.list.list[j].offset,
                                    H * sizeof(float));
    }
    drop(&one);
    drop(&three);
    drop(&other);
}

/* Element i of tensor number k is drawn at row k under the purpose INIT, which nothing else uses: were it
 * another's, the masks of the first step would be the signs of the weights.  The documented place in the
 * random numbers is the whole rule. */
static void test_place_of_random_numbers(void **state)
{
    (void)state;
    config c = with(INIT_UNIFORM, CELL_GRU);
    made m = make(&c, 1);
    for (int k = 0; k < m.list.count; k++) {
        rng_place place = {.seed = 5, .row = (uint32_t)k, .purpose = RNG_INIT};
        for (uint32_t i = 0; i < H; i++)
            assert_true(m.value[m.list.list[k].offset + i] ==
                        (float)((2.0 * (double)rng_uniform(&place, i) - 1.0) * 0.25));
    }
    drop(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_pytorch),
        cmocka_unit_test(test_pytorch_classifier),
        cmocka_unit_test(test_word_language_model),
        cmocka_unit_test(test_forget_bias),
        cmocka_unit_test(test_orthogonal),
        cmocka_unit_test(test_what_matters),
        cmocka_unit_test(test_place_of_random_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
