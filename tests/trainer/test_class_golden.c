/* test_class_golden.c - three steps of SGD of small classifiers are PyTorch's (tests/golden/classifier.txt).
 *
 *   class_oracle.h, in double     ==  PyTorch's first loss          to 1e-10
 *   the program's, in float       ==  PyTorch's losses              to 3e-6, for every usable kernel table
 *                                     its parameters after them     to 1e-5, by two sums of each tensor
 *
 * A loss of step k depends on all gradients before it.  PyTorch packs the documents of unlike lengths, the program begins
 * them inside a window.  Weights and documents are drawn here as in make_classifier.py; nothing else is shared with it. */
#include "tests/compare.h"
#include "tests/trainer/class_net.h"
#include "tests/trainer/class_oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 23, E = 7, H = 9, C = 3, STEPS = 3, B = 6, LONGEST = 11, TENSORS_MAX = 24 };
static const double rate = 0.5;
static const int lengths[B] = {5, 11, 1, 8, 8, 3};
static const float class_weights[C] = {0.5f, 1.75f, 1.0f};

typedef struct golden {
    classifier_shape shape;
    char text[80];
    double loss[STEPS], sums[TENSORS_MAX][2];
    int tensors;
} golden;

static pool_kind pool_named(const char *name)
{
    const char *const names[] = {"last", "mean", "max", "concat", "attention"};
    int i = 0;
    while (i <= POOL_ATTENTION && strcmp(names[i], name) != 0)
        i++;
    assert_true(i <= POOL_ATTENTION);
    return (pool_kind)i;
}

/* The next case of the file; false at its end. */
static bool read_case(FILE *f, golden *g)
{
    char line[2048], cell[16], name[16];
    int head, layers, used = 0;
    double smoothing;
    do
        if (!fgets(line, sizeof line, f))
            return false;
    while (line[0] == '#');
    assert_int_equal(sscanf(line, "%15s %15s %d %d %lf%n", cell, name, &head, &layers, &smoothing, &used), 5);
    *g = (golden){.shape = {.trunk = {.cell = cell_find(cell), .layers = layers, .V = V, .E = E, .H = H},
                            .pooling = pool_named(name),
                            .hidden = head,
                            .loss = {.classes = C, .smoothing = smoothing, .weight = class_weights}}};
    g->shape.trunk.bidirectional = g->shape.pooling != POOL_ATTENTION;
    snprintf(g->text, sizeof g->text, "%s %s %d %d", cell, name, head, layers);
    char *rest = line + used, *end;
    double numbers[STEPS + 2 * TENSORS_MAX];
    int n = 0;
    for (double x; x = strtod(rest, &end), end != rest; rest = end) {
        assert_true(n < STEPS + 2 * TENSORS_MAX);
        numbers[n++] = x;
    }
    assert_true(n > STEPS && (n - STEPS) % 2 == 0);
    g->tensors = (n - STEPS) / 2;
    memcpy(g->loss, numbers, sizeof g->loss);
    memcpy(g->sums, numbers + STEPS, (size_t)(n - STEPS) * sizeof *numbers);
    return true;
}

static uint32_t draw(uint32_t *s)
{
    *s = 1664525U * *s + 1013904223U;
    return *s >> 8;
}

/* Parameters in the order of PyTorch's state_dict. */
static int named(const golden *g, const params *list, const param *out[TENSORS_MAX])
{
    const char *const kinds[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    const char *const others[] = {"attention.weight", "head.weight", "head.bias", "decoder.weight",
                                  "decoder.bias"};
    int n = 0;
    out[n++] = params_find(list, "encoder.weight");
    for (int l = 0; l < g->shape.trunk.layers; l++)
        for (int i = 0; i < (g->shape.trunk.bidirectional ? 8 : 4); i++) {
            char name[PARAM_NAME];
            snprintf(name, sizeof name, "rnn.%s_l%d%s", kinds[i % 4], l, i < 4 ? "" : "_reverse");
            out[n++] = params_find(list, name);
        }
    for (int i = 0; i < 5; i++)
        if (params_find(list, others[i]))
            out[n++] = params_find(list, others[i]);
    assert_int_equal(n, list->count);
    assert_int_equal(n, g->tensors);
    for (int i = 0; i < n; i++)
        assert_non_null(out[i]);
    return n;
}

static class_batch next_batch(const golden *g, uint32_t *s)
{
    class_batch batch = class_batch_open(&g->shape, lengths, B, LONGEST);
    for (int b = 0; b < B; b++) {
        for (int t = LONGEST - lengths[b]; t < LONGEST; t++)
            ((uint32_t *)batch.ids)[t * B + b] = (uint32_t)((uint64_t)draw(s) * V >> 24);
        ((uint32_t *)batch.label)[b] = (uint32_t)((uint64_t)draw(s) * C >> 24);
    }
    return batch;
}

static void check_oracle(const golden *g, const class_net *n, const class_batch *batch, double mean)
{
    double *value = malloc(n->list.floats * sizeof *value);
    assert_non_null(value);
    for (size_t i = 0; i < n->list.floats; i++)
        value[i] = (double)n->value[i];
    const class_oracle o = {.shape = &g->shape, .list = &n->list, .value = value, .T = LONGEST};
    assert_true(close_double(g->text, class_oracle_run(&o, batch, NULL) / mean, g->loss[0], 1e-10));
    free(value);
}

static void check_parameters(const golden *g, const class_net *n, const param *const *list)
{
    for (int i = 0; i < g->tensors; i++) {
        const float *x = n->value + list[i]->offset;
        double sums[2] = {0, 0};
        for (size_t k = 0; k < list[i]->count; k++) {
            sums[0] += (double)x[k];
            sums[1] += (double)x[k] * ((double)(k % 7) - 3);
        }
        char what[200];
        snprintf(what, sizeof what, "%s: %s", g->text, list[i]->name);
        assert_true(close_doubles(what, sums, g->sums[i], 2, 1.0, 1e-5));
    }
}

static void check_model(const golden *g, const kernels *table, int S)
{
    uint32_t s = 1;
    const param *list[TENSORS_MAX];
    class_net n;
    class_net_open(&n, &(class_plan){table, 2, LONGEST, B, S, 0, 1, false}, &g->shape, 0.0f);
    const int tensors = named(g, &n.list, list);
    for (int i = 0; i < tensors; i++)
        for (size_t k = 0; k < list[i]->count; k++)
            n.value[list[i]->offset + k] = (float)(((double)draw(&s) - 0x1p23) * 0x1p-25);
    for (int step = 0; step < STEPS; step++) {
        class_batch batch = next_batch(g, &s);
        double mean = 0, nats;
        for (int b = 0; b < B; b++)
            mean += (double)class_weights[batch.label[b]];
        if (step == 0)
            check_oracle(g, &n, &batch, mean);
        nats = class_net_train(&n, &batch, (uint32_t)step);
        assert_true(close_double(g->text, nats / mean, g->loss[step], 3e-6));
        float *gradient = class_net_sum(&n, 1, &nats);
        for (size_t i = 0; i < n.list.floats; i++)
            n.value[i] -= (float)(rate / mean) * gradient[i];
        free(gradient);
        class_batch_close(&batch);
    }
    check_parameters(g, &n, list);
    class_net_close(&n);
}

static void test_golden(void **unused)
{
    (void)unused;
    FILE *f = fopen(GOLDEN_DIR "/classifier.txt", "r");
    assert_non_null(f);
    int count, cases = 0;
    const kernels *const *all = kernels_all(&count);
    for (golden g; read_case(f, &g); cases++)
        for (int k = 0; k < count; k++)
            if (kernels_usable(all[k]))
                check_model(&g, all[k], 1 + k);
    fclose(f);
    assert_int_equal(cases, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
