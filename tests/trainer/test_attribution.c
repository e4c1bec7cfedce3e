/* test_attribution.c - integrated gradients against what they are defined by, on small random classifiers of every
 * pooling, with dropout, weights of classes and smoothing in their shapes, which must not count.
 *
 *   classifier_score of scaled rows          ==  of an embedding that is scaled itself, bit for bit    (powers of two)
 *   sum of the contributions                 ==  log-odds - log-odds of vectors of zero                to 1e-4 at 64 steps; where a
 *                                                maximum or relu bends the path, to 5e-3
 *   contribution of a word                   ==  the mean over the path of finite differences of the log-odds, when the word's
 *                                                vector gets longer and shorter                      to 2e-3 of the largest
 *   contribution of a word of zero vector    ==  0
 *   any number of points at a time, 1 and 3 threads, a larger plan      the same bits */
#include "kernels/kernels.h"
#include "trainer/attribution.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 11, E = 5, H = 7, N = 9, POINTS = 64, CLASSES_MAX = 3 };

/* Every word once, but for 10, so that a row of the embedding belongs to one place. */
static const uint32_t text[N] = {3, 7, 0, 9, 4, 1, 8, 2, 6};

static uint32_t seed;

static double draw(void) /* in [-1,1) */
{
    seed = seed * 1664525U + 1013904223U;
    return (double)(seed >> 8) * 0x1p-23 - 1.0;
}

typedef struct shape_case {
    const char *cell;
    int layers, hidden, classes;
    bool bidirectional, sigmoid;
    pool_kind pooling;
} shape_case;

static const shape_case cases[] = {
    {"lstm", 1, 0, 2, false, false, POOL_LAST},    {"gru", 2, 0, 3, true, false, POOL_MEAN},
    {"lstm", 2, 6, 2, true, true, POOL_CONCAT},    {"rnn_tanh", 1, 4, 3, false, false, POOL_CONCAT},
    {"gru", 1, 0, 2, true, false, POOL_ATTENTION}, {"lstm", 3, 5, 3, false, false, POOL_ATTENTION},
    {"lstm", 1, 0, 2, true, true, POOL_MAX}};
enum { CASES = sizeof cases / sizeof *cases };

static const float weights[CLASSES_MAX] = {3.0F, 0.5F, 7.0F};

typedef struct fixture {
    classifier_shape shape;
    params list;
    team *team;
    arena memory;
    classifier scorer; /* one row */
    float *value;
    const param *encoder;
} fixture;

static void make(fixture *f, const shape_case *c, int threads)
{
    memset(f, 0, sizeof *f);
    f->shape = (classifier_shape){
        .trunk = {.cell = cell_find(c->cell),
                  .layers = c->layers,
                  .V = V,
                  .E = E,
                  .H = H,
                  .bidirectional = c->bidirectional,
                  .dropout = 0.5,
                  .seed = 3},
        .pooling = c->pooling,
        .hidden = c->hidden,
        .dropout = 0.4,
        .loss = {.classes = c->classes, .sigmoid = c->sigmoid, .smoothing = 0.1, .weight = weights}};
    assert_non_null(f->shape.trunk.cell);
    f->team = team_open(threads, kernels_select(NULL));
    assert_non_null(f->team);
    classifier_params(&f->shape, &f->list, 1);
    classifier_plan(&f->scorer, &f->memory, f->team, &f->shape, &f->list, N, 1, false);
    arena_add(&f->memory, "value", (void **)&f->value, f->list.floats * sizeof(float));
    assert_true(arena_commit(&f->memory));
    seed = 17;
    for (int i = 0; i < f->list.count; i++)
        for (size_t k = 0; k < f->list.list[i].count; k++)
            f->value[f->list.list[i].offset + k] = (float)draw();
    f->encoder = params_find(&f->list, "encoder.weight");
    assert_non_null(f->encoder);
}

static void drop(fixture *f)
{
    params_free(&f->list);
    arena_free(&f->memory);
    team_close(f->team);
}

static void multiply(fixture *f, uint32_t first, uint32_t last, double by)
{
    for (size_t k = (size_t)first * E; k < (size_t)last * E; k++)
        f->value[f->encoder->offset + k] = (float)(by * (double)f->value[f->encoder->offset + k]);
}

static void score(fixture *f, const float *scale, float logp[CLASSES_MAX])
{
    static const int length = N;
    const class_batch batch = {.steps = N, .B = 1, .ids = text, .length = &length, .scale = scale};
    classifier_score(&f->scorer, f->team, f->value, &batch, logp);
}

/* log p/(1-p) of a class. */
static double odds(const float *logp, int C, uint32_t label)
{
    double others = 0.0;
    for (int c = 0; c < C; c++)
        others += (uint32_t)c == label ? 0.0 : exp((double)logp[c]);
    return (double)logp[label] - log(others);
}

static attribution_ends attribute(fixture *f, int T, int B, int steps, uint32_t label, double contribution[N])
{
    attribution x;
    attribution_ends ends;
    error e = {0};
    assert_int_equal(attribution_open(&x, f->team, &f->shape, &f->list, T, B, &e), STATUS_OK);
    attribution_words(&x, f->team, f->value, text, N, label, steps, contribution, &ends);
    attribution_close(&x);
    return ends;
}

static void test_scale(void **unused)
{
    (void)unused;
    for (int i = 0; i < CASES; i++) {
        fixture f;
        float scaled[CLASSES_MAX], other[CLASSES_MAX];
        make(&f, &cases[i], 1);
        score(&f, &(const float){0.25F}, scaled);
        score(&f, NULL, other);
        assert_memory_not_equal(scaled, other, (size_t)cases[i].classes * sizeof *scaled);
        multiply(&f, 0, V, 0.25);
        score(&f, NULL, other);
        assert_memory_equal(scaled, other, (size_t)cases[i].classes * sizeof *scaled);
        drop(&f);
    }
}

static void test_complete(void **unused)
{
    (void)unused;
    for (int i = 0; i < CASES; i++)
        for (uint32_t label = 0; label < (uint32_t)cases[i].classes; label++) {
            fixture f;
            double c[N], sum = 0.0;
            float all[CLASSES_MAX], none[CLASSES_MAX];
            const bool bends = cases[i].hidden > 0 || cases[i].pooling == POOL_MAX;
            make(&f, &cases[i], 1);
            const attribution_ends ends = attribute(&f, N, 16, POINTS, label, c);
            score(&f, NULL, all);
            multiply(&f, 0, V, 0.0);
            score(&f, NULL, none);
            assert_float_equal(ends.document, odds(all, cases[i].classes, label), 1e-6);
            assert_float_equal(ends.nothing, odds(none, cases[i].classes, label), 1e-6);
            for (int k = 0; k < N; k++)
                sum += c[k];
            assert_true(fabs(ends.document - ends.nothing) > 1e-3);
            if (!(fabs(sum - (ends.document - ends.nothing)) < (bends ? 5e-3 : 1e-4)))
                fail_msg("case %d, class %u: %g of %g", i, label, sum, ends.document - ends.nothing);
            drop(&f);
        }
}

/* The mean over the path of d F / d s at s = 1, where s multiplies the vector of one word: the word's vector of
 * length a_k s at the other words' a_k, over a_k. */
static double by_differences(fixture *f, uint32_t word, uint32_t label, int steps)
{
    const double h = 1.0 / 512;
    const int C = f->shape.loss.classes;
    float saved[E], up[CLASSES_MAX], down[CLASSES_MAX];
    float *row = f->value + f->encoder->offset + (size_t)word * E;
    memcpy(saved, row, sizeof saved);
    double sum = 0.0;
    for (int k = 0; k < steps; k++) {
        const float scale = (float)((k + 0.5) / steps);
        multiply(f, word, word + 1, 1 + h);
        score(f, &scale, up);
        memcpy(row, saved, sizeof saved);
        multiply(f, word, word + 1, 1 - h);
        score(f, &scale, down);
        memcpy(row, saved, sizeof saved);
        sum += (odds(up, C, label) - odds(down, C, label)) / (2 * h * (double)scale);
    }
    return sum / steps;
}

static void test_differences(void **unused)
{
    (void)unused;
    for (int i = 0; i < CASES; i++) {
        fixture f;
        double c[N], largest = 0.0;
        make(&f, &cases[i], 2);
        const uint32_t label = (uint32_t)i % (uint32_t)cases[i].classes;
        attribute(&f, N, 3, 8, label, c);
        for (int k = 0; k < N; k++)
            largest = fmax(largest, fabs(c[k]));
        for (int k = 0; k < N; k++) {
            const double want = by_differences(&f, text[k], label, 8);
            if (!(fabs(c[k] - want) < 1e-4 + 2e-3 * largest))
                fail_msg("case %d, word %d: %g, by differences %g", i, k, c[k], want);
        }
        drop(&f);
    }
}

static void test_zero_vector(void **unused)
{
    (void)unused;
    for (int i = 0; i < CASES; i++) {
        fixture f;
        double c[N];
        make(&f, &cases[i], 1);
        multiply(&f, text[4], text[4] + 1, 0.0);
        attribute(&f, N, 4, 4, 0, c);
        for (int k = 0; k < N; k++)
            assert_true((c[k] == 0.0) == (k == 4));
        drop(&f);
    }
}

static void test_bits(void **unused)
{
    (void)unused;
    static const struct {
        int threads, T, B;
    } ways[] = {{1, N, 1}, {1, N, 5}, {3, N, 13}, {3, 2 * N, 40}};
    for (int i = 0; i < CASES; i++) {
        double first[N], c[N];
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            fixture f;
            make(&f, &cases[i], ways[w].threads);
            attribute(&f, ways[w].T, ways[w].B, 13, 1, w ? c : first);
            if (w)
                assert_memory_equal(first, c, sizeof c);
            drop(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scale), cmocka_unit_test(test_complete),
                                       cmocka_unit_test(test_differences), cmocka_unit_test(test_zero_vector),
                                       cmocka_unit_test(test_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
