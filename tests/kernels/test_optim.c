/* test_optim - optimiser steps against the formulas in double precision, and against themselves.
 *
 *   parameters and states after 50 steps  ==  the same steps in double, to float's rounding
 *   any table, any threads, any length and place in the array  ==  the scalar table: bit for bit
 *
 * That the formulas are torch's is shown by the recordings that tests/trainer compares with.
 * Gradients change sign and size from step to step and some are zero, so that every branch of every
 * formula is passed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/optim.h"
#include "kernels/rng.h"
#include "tests/compare.h"
#include "tests/kernels/tables.h"

enum { N = 61, STEPS = 50, LONG = 40000, CANARY = 16 };

static const optim_settings settings[] = {
    {.kind = OPTIM_KIND_SGD},
    {.kind = OPTIM_KIND_SGD, .momentum = 0.9, .weight_decay = 0.01, .l1 = 0.003},
    {.kind = OPTIM_KIND_SGD, .momentum = 0.8, .dampening = 0.3, .clip_value = 0.25},
    {.kind = OPTIM_KIND_SGD, .momentum = 0.7, .nesterov = true},
    {.kind = OPTIM_KIND_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.02},
    {.kind = OPTIM_KIND_ADAM, .beta1 = 0.3, .beta2 = 0.9, .eps = 1e-3, .amsgrad = true},
    {.kind = OPTIM_KIND_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.1, .l1 = 0.01},
    {.kind = OPTIM_KIND_RMSPROP, .alpha = 0.99, .eps = 1e-8},
    {.kind = OPTIM_KIND_RMSPROP, .alpha = 0.9, .eps = 1e-2, .momentum = 0.5, .weight_decay = 0.01},
    {.kind = OPTIM_KIND_RMSPROP, .alpha = 0.4, .eps = 1e-2, .centered = true},
    {.kind = OPTIM_KIND_RMSPROP, .alpha = 0.95, .eps = 1e-2, .centered = true, .momentum = 0.9},
    {.kind = OPTIM_KIND_ADAGRAD, .eps = 1e-10, .lr_decay = 0.1, .initial_accumulator = 0.2},
    {.kind = OPTIM_KIND_ADAGRAD, .eps = 1e-3, .weight_decay = 0.05},
};
enum { SETTINGS = sizeof settings / sizeof *settings };
static const double lr = 0.01;
static const float scale = 0.5f, clip = 0.75f;

static float gradient_at(int step, size_t i)
{
    if (i % 7 == 3 && step % 3)
        return 0.0f;
    rng_place p = {.seed = 10, .step = (uint32_t)step, .purpose = RNG_TEST};
    return (float)(1 << i % 4) * (rng_uniform(&p, (uint32_t)i) - 0.45f);
}

static float weight_at(size_t i)
{
    rng_place p = {.seed = 11, .purpose = RNG_TEST};
    return i % 11 == 5 ? 0.0f : rng_uniform(&p, (uint32_t)i) - 0.5f;
}

typedef struct exact { /* one element in double; which of s are used, and for what, as in optim.h */
    double w, buffer, m, v, max, mean, sum;
} exact;

static void exact_step(const optim_settings *s, exact *e, int step, double gradient, bool decay)
{
    double g = gradient * (double)scale * (double)clip, wd = decay ? s->weight_decay : 0;
    if (s->clip_value > 0)
        g = fmax(-s->clip_value, fmin(s->clip_value, g));
    if (s->kind != OPTIM_KIND_ADAMW)
        g += wd * e->w;
    if (decay)
        g += s->l1 * ((e->w > 0) - (e->w < 0));
    double d;
    switch (s->kind) {
    case OPTIM_KIND_SGD:
        e->buffer = step == 1 ? g : s->momentum * e->buffer + (1 - s->dampening) * g;
        g = s->nesterov ? g + s->momentum * e->buffer : s->momentum != 0 ? e->buffer : g;
        e->w -= lr * g;
        break;
    case OPTIM_KIND_ADAM:
    case OPTIM_KIND_ADAMW:
        if (s->kind == OPTIM_KIND_ADAMW)
            e->w *= 1 - lr * wd;
        e->m = s->beta1 * e->m + (1 - s->beta1) * g;
        e->v = s->beta2 * e->v + (1 - s->beta2) * g * g;
        e->max = fmax(e->max, e->v);
        d = sqrt(s->amsgrad ? e->max : e->v) / sqrt(1 - pow(s->beta2, step)) + s->eps;
        e->w -= lr / (1 - pow(s->beta1, step)) * e->m / d;
        break;
    case OPTIM_KIND_RMSPROP:
        e->v = s->alpha * e->v + (1 - s->alpha) * g * g;
        e->mean = s->alpha * e->mean + (1 - s->alpha) * g;
        d = sqrt(s->centered ? fmax(0, e->v - e->mean * e->mean) : e->v) + s->eps;
        e->buffer = s->momentum * e->buffer + g / d;
        e->w -= lr * e->buffer;
        break;
    case OPTIM_KIND_ADAGRAD:
        e->sum += g * g;
        e->w -= lr / (1 + (step - 1) * s->lr_decay) * g / (sqrt(e->sum) + s->eps);
        break;
    }
}

static double exact_state(const exact *e, const char *name)
{
    const struct {
        const char *name;
        double value;
    } of[] = {{"momentum_buffer", e->buffer},
              {"exp_avg", e->m},
              {"exp_avg_sq", e->v},
              {"max_exp_avg_sq", e->max},
              {"square_avg", e->v},
              {"grad_avg", e->mean},
              {"sum", e->sum}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        if (strcmp(of[i].name, name) == 0)
            return of[i].value;
    fail_msg("no state is called %s", name);
    return 0;
}

typedef struct run {
    float *w, *grad, *state[OPTIM_STATES_MAX];
    const char *name[OPTIM_STATES_MAX];
    int states;
} run;

static float *floats(size_t n)
{
    float *x = malloc((n + CANARY) * sizeof *x);
    assert_non_null(x);
    for (size_t i = n; i < n + CANARY; i++)
        x[i] = -12345.0f;
    return x;
}

static void step_one(team *t, const optim_settings *s, float by, float clipped, optim_piece piece)
{
    optim_step(t, s, by, clipped, &piece, 1);
}

/* `steps` steps on n elements, as elements first..first+n-1 of a longer array would take them. */
static run train(const optim_settings *s, const char *name, int threads, size_t first, size_t n, int steps,
                 bool decay)
{
    team *t = team_open(threads, kernels_select(name));
    assert_non_null(t);
    run r = {.w = floats(n), .grad = floats(n)};
    r.states = optim_states(s, r.name);
    for (int k = 0; k < r.states; k++) {
        r.state[k] = floats(n);
        for (size_t i = 0; i < n; i++)
            r.state[k][i] = optim_state_start(s, k);
    }
    for (size_t i = 0; i < n; i++)
        r.w[i] = weight_at(first + i);
    for (int step = 1; step <= steps; step++) {
        for (size_t i = 0; i < n; i++)
            r.grad[i] = gradient_at(step, first + i);
        step_one(t, s, scale, clip,
                 (optim_piece){.w = r.w,
                               .grad = r.grad,
                               .state = {r.state[0], r.state[1], r.state[2]},
                               .n = n,
                               .step = step,
                               .lr = lr,
                               .decay = decay});
    }
    for (int k = -2; k < r.states; k++)
        for (size_t i = n; i < n + CANARY; i++)
            assert_true((k == -2 ? r.w : k == -1 ? r.grad : r.state[k])[i] == -12345.0f);
    team_close(t);
    return r;
}

static void free_run(run *r)
{
    free(r->w);
    free(r->grad);
    for (int k = 0; k < r->states; k++)
        free(r->state[k]);
}

static void assert_same_run(const char *what, const run *a, const run *b, size_t first, size_t n)
{
    assert_true(same_bits(what, a->w, b->w + first, n));
    for (int k = 0; k < a->states; k++)
        assert_true(same_bits(what, a->state[k], b->state[k] + first, n));
}

static void test_against_double(void **state)
{
    (void)state;
    for (int i = 0; i < SETTINGS; i++)
        for (int decay = 0; decay < 2; decay++) {
            run r = train(&settings[i], NULL, 1, 0, N, STEPS, decay);
            double w[N], of[OPTIM_STATES_MAX][N];
            for (size_t j = 0; j < N; j++) {
                exact e = {.w = (double)weight_at(j), .sum = settings[i].initial_accumulator};
                for (int step = 1; step <= STEPS; step++)
                    exact_step(&settings[i], &e, step, (double)gradient_at(step, j), decay);
                w[j] = e.w;
                for (int k = 0; k < r.states; k++)
                    of[k][j] = exact_state(&e, r.name[k]);
            }
            char what[40];
            snprintf(what, sizeof what, "setting %d", i);
            assert_true(close_floats(what, r.w, w, N, 0.5, 5e-6));
            for (int k = 0; k < r.states; k++)
                assert_true(close_floats(r.name[k], r.state[k], of[k], N, 0.5, 5e-6));
            free_run(&r);
        }
}

static void test_same_bits(void **state)
{
    (void)state;
    int count;
    const kernels *const *all = kernels_all(&count);
    for (int i = 0; i < SETTINGS; i++) {
        run want = train(&settings[i], "scalar", 1, 0, N, 5, true);
        run longer = train(&settings[i], "scalar", 2, 0, LONG, 3, true);
        for (int k = 0; k < count; k++) {
            if (!table_usable(all[k]))
                continue;
            for (size_t n = 1; n <= N;
                 n += n < 36 ? 1 : 12) { /* lengths around vectors, at another place in them */
                run r = train(&settings[i], kernels_name(all[k]), 1, N - n, n, 5, true);
                assert_same_run("a piece", &r, &want, N - n, n);
                free_run(&r);
            }
            run r = train(&settings[i], kernels_name(all[k]), 2 + (i + k) % 7, 0, LONG, 3, true);
            assert_same_run("threads", &r, &longer, 0, LONG);
            free_run(&r);
        }
        free_run(&want);
        free_run(&longer);
    }
}

static void test_states(void **state)
{
    (void)state;
    const int count[SETTINGS] = {0, 1, 1, 1, 2, 3, 2, 1, 2, 2, 3, 1, 1};
    const char *name[OPTIM_STATES_MAX];
    for (int i = 0; i < SETTINGS; i++) {
        assert_int_equal(optim_states(&settings[i], name), count[i]);
        assert_true(optim_state_start(&settings[i], 0) == (i == 11 ? 0.2f : 0.0f));
    }
}

/* A gradient that is not a number reaches the parameter even where values are clipped; a large one is
 * clipped. */
static void test_not_a_number(void **state)
{
    (void)state;
    team *t = team_open(1, kernels_select(NULL));
    const optim_settings s = {.kind = OPTIM_KIND_SGD, .clip_value = 0.5};
    float w[3] = {1, 1, 1};
    const float grad[3] = {NAN, INFINITY, -1e30f};
    step_one(t, &s, 1.0f, 1.0f, (optim_piece){.w = w, .grad = grad, .n = 3, .step = 1, .lr = 1.0});
    assert_true(isnan(w[0]) && w[1] == 0.5f && w[2] == 1.5f);
    team_close(t);
}

/* The centered variance of a constant gradient is rounding noise about its true value; its root must not
 * be NaN. */
static void test_centered_constant(void **state)
{
    (void)state;
    team *t = team_open(1, kernels_select(NULL));
    const optim_settings s = {.kind = OPTIM_KIND_RMSPROP, .alpha = 0.9, .eps = 1e-3, .centered = true};
    float w[8] = {0}, mean[8] = {0}, square[8] = {0}, grad[8];
    for (int i = 0; i < 8; i++)
        grad[i] = 0.1f + 0.37f * (float)i;
    for (int step = 1; step <= 400; step++)
        step_one(
            t, &s, 1.0f, 1.0f,
            (optim_piece){.w = w, .grad = grad, .state = {square, mean}, .n = 8, .step = step, .lr = 1e-6});
    for (int i = 0; i < 8; i++)
        assert_true(isfinite(w[i]) && w[i] < 0.0f);
    team_close(t);
}

/* Weights that plain gradient descent must leave as they are where there is no gradient. */
static const float kept[] = {1.5f, -0.0f, 1e-40f, -1e-39f, INFINITY, -INFINITY, 0.0f};

/* Calls check once for every usable table. */
static void each_team(int threads, void (*check)(team *t))
{
    int count;
    const kernels *const *all = kernels_all(&count);
    for (int k = 0; k < count; k++)
        if (table_usable(all[k])) {
            team *t = team_open(threads, all[k]);
            assert_non_null(t);
            check(t);
            team_close(t);
        }
}

static void check_no_gradient(team *t)
{
    enum { MOST = 100 };
    const optim_settings s = {.kind = OPTIM_KIND_SGD};
    for (int n = 1; n <= MOST; n++)
        /* have one: none; the first; the last; every third; all, but scaling makes it 0 */
        for (int given = 0; given < 5; given++) {
            const float by = given == 4 ? 0x1p-31f : 1.0f;
            float w[MOST], before[MOST], grad[MOST];
            for (int i = 0; i < n; i++) {
                const bool has =
                    (given == 1 && i == 0) || (given == 2 && i == n - 1) || (given == 3 && i % 3 == 0);
                before[i] = w[i] = has ? 1.5f : kept[i % 7];
                grad[i] = given == 4 ? 0x1p-120f : has ? 0.5f : i % 2 && n % 2 ? -0.0f : 0.0f;
            }
            step_one(t, &s, by, 1.0f,
                     (optim_piece){.w = w, .grad = grad, .n = (size_t)n, .step = 1, .lr = 0.25});
            for (int i = 0; i < n; i++) {
                const float want = grad[i] * by != 0 ? before[i] - 0.125f : before[i];
                assert_memory_equal(&w[i], &want, sizeof want);
            }
        }
    float w[] = {INFINITY, -INFINITY};
    step_one(t, &s, 1.0f, 1.0f,
             (optim_piece){.w = w, .grad = (float[]){0.5f, -0.5f}, .n = 2, .step = 1, .lr = 0.25});
    assert_true(w[0] == INFINITY && w[1] == -INFINITY);
}

/* Plain gradient descent leaves an element without gradient as it is, whatever stands beside it: a whole
 * vector of such elements is skipped, which must not show. */
static void test_no_gradient(void **state)
{
    (void)state;
    each_team(2, check_no_gradient);
}

enum { COLUMNS = 37, ROWS = 60, ALL = COLUMNS * ROWS };

/* One step of all rows, of which one in `apart` (0: none) has a gradient, told so and not told. Plain sgd reads no
 * other gradients when told; the others move all rows. */
static void check_rows(team *t, const optim_settings *s, int apart, bool plain)
{
    float w[2][ALL], grad[ALL], state_of[2][2][ALL] = {0};
    uint32_t row[ROWS];
    sums_rows only = {.row = row, .columns = COLUMNS};
    for (int v = 0; apart && v < ROWS; v++)
        if (v % apart == apart / 2)
            row[only.rows++] = (uint32_t)v;
    for (int told = 0; told < 2; told++) {
        for (int i = 0; i < ALL; i++) {
            const bool has = apart && i / COLUMNS % apart == apart / 2;
            w[told][i] = has || !plain ? weight_at((size_t)i) : kept[i % 7];
            grad[i] = has ? gradient_at(1, (size_t)i) : told && plain ? NAN : 0.0f;
        }
        step_one(t, s, 1.0f, 1.0f,
                 (optim_piece){.w = w[told],
                               .grad = grad,
                               .state = {state_of[told][0], state_of[told][1]},
                               .n = ALL,
                               .step = 1,
                               .lr = 0.25,
                               .decay = true,
                               .only = told ? &only : NULL});
    }
    assert_memory_equal(w[0], w[1], sizeof w[0]);
    assert_memory_equal(state_of[0], state_of[1], sizeof state_of[0]);
}

static void check_few_rows(team *t)
{
    static const optim_settings cases[] = {
        {.kind = OPTIM_KIND_SGD},
        {.kind = OPTIM_KIND_SGD, .momentum = 0.9},
        {.kind = OPTIM_KIND_SGD, .weight_decay = 0.1},
        {.kind = OPTIM_KIND_SGD, .l1 = 0.1},
        {.kind = OPTIM_KIND_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int apart = 0; apart <= 27; apart = apart ? 3 * apart : 1)
            check_rows(t, &cases[c], apart, c == 0);
}

static void test_few_rows(void **state)
{
    (void)state;
    each_team(8, check_few_rows);
}

enum { PIECES = 150, MOST = 70 * PIECES }; /* more pieces than go at once */

/* Rows of 9 elements that have a gradient in piece i, which is told so; 0: all may. */
static sums_rows rows_of(int i)
{
    static const uint32_t row[] = {0, 2, 3, 5, 6};
    return (sums_rows){row + i % 2, i % 4 && i != 97 && i % 71 >= 63 ? 4 : 0, 9};
}

static bool has_gradient(const sums_rows *rows, size_t element)
{
    bool has = rows->rows == 0;
    for (int r = 0; r < rows->rows; r++)
        has |= element / rows->columns == rows->row[r];
    return has;
}

/* Pieces of no element to a few thousand, each with its own rate, step, decay and rows: as if each were alone and
 * nothing known of its rows. */
static void check_pieces(team *t)
{
    static float w[2][MOST], grad[MOST], state_of[2][OPTIM_STATES_MAX][MOST];
    for (size_t c = 0; c < sizeof settings / sizeof *settings; c++) {
        optim_piece piece[PIECES];
        sums_rows rows[PIECES];
        for (int alone = 0; alone < 2; alone++) {
            for (size_t i = 0; i < MOST; i++) {
                w[alone][i] = weight_at(i);
                grad[i] = gradient_at(1, i);
                for (int k = 0; k < OPTIM_STATES_MAX; k++)
                    state_of[alone][k][i] = 0.5f;
            }
            size_t at = 0;
            for (int i = 0; i < PIECES; i++) {
                piece[i] = (optim_piece){.w = w[alone] + at,
                                         .grad = grad + at,
                                         .n = i == 97 ? 3001 : (size_t)i % 71,
                                         .step = 1 + i % 5,
                                         .lr = 0.01 * (1 + i % 3),
                                         .decay = i % 2 == 0};
                for (int k = 0; k < OPTIM_STATES_MAX; k++)
                    piece[i].state[k] = state_of[alone][k] + at;
                rows[i] = rows_of(i);
                for (size_t k = 0; k < piece[i].n; k++)
                    grad[at + k] = has_gradient(&rows[i], k) ? grad[at + k] : 0.0f;
                if (rows[i].rows && !alone)
                    piece[i].only = &rows[i];
                at += piece[i].n;
            }
            assert_true(at < MOST);
            for (int i = 0; alone && i < PIECES; i++)
                step_one(t, &settings[c], 0.5f, 0.75f, piece[i]);
            if (!alone)
                optim_step(t, &settings[c], 0.5f, 0.75f, piece, PIECES);
        }
        assert_memory_equal(w[0], w[1], sizeof w[0]);
        assert_memory_equal(state_of[0], state_of[1], sizeof state_of[0]);
    }
}

static void test_pieces(void **state)
{
    (void)state;
    each_team(5, check_pieces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_double),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_centered_constant),
        cmocka_unit_test(test_no_gradient),
        cmocka_unit_test(test_few_rows),
        cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
