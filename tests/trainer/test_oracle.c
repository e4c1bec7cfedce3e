/* test_oracle.c - the oracle's gradients against finite differences of its own loss, and its loss against
 * itself.
 *
 *   d loss / d p  ==  (8 (f(p+h) - f(p-h)) - (f(p+2h) - f(p-2h))) / 12h  + O(h^4)      for every element of every tensor
 *   loss of a window of 2T steps  ==  losses of two windows of T steps with carried state
 *   gradient of a tied matrix     ==  encoder's plus decoder's of the untied model with equal matrices
 *
 * The first holds for any differentiable loss, so it proves backward right given forward; forward itself
 * is read beside its equations and compared with PyTorch (test_torch_golden.c).  The weights are large
 * enough for gates to leave their linear range. */
#include "tests/compare.h"
#include "tests/oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define V 7
#define T 4
#define B 3

static uint32_t seed = 1;

/* In [-1,1), from a linear congruential generator. */
static double draw(void)
{
    seed = seed * 1664525U + 1013904223U;
    return (double)(seed >> 8) * 0x1p-23 - 1.0;
}

static void draw_many(double *x, size_t n, double scale)
{
    for (size_t i = 0; i < n; i++)
        x[i] = scale * draw();
}

static void draw_tokens(uint32_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (uint32_t)((draw() + 1.0) * 0.5 * V);
}

/* Any function of place will do as a mask: half of the units are dropped, the others doubled. */
static double checkered(void *arg, int layer, int t, int row, int unit)
{
    (void)arg;
    return (layer * 5 + t * 3 + row * 7 + unit * 11 + (t * unit) / 2) % 4 < 2 ? 2.0 : 0.0;
}

typedef struct problem {
    oracle o;
    uint32_t x[2 * T * B], y[2 * T * B];
    double *carried, *state; /* state in; scratch that a call may change */
    size_t state_size;
    oracle_mask mask;
} problem;

static void problem_open(problem *p, oracle_cell cell, int layers, bool tied, oracle_mask mask)
{
    int E = tied ? 4 : 3, H = 4;
    seed = (uint32_t)cell * 97U + (uint32_t)layers * 13U + (uint32_t)tied;
    oracle_init(&p->o, cell, layers, V, E, H, tied);
    for (int i = 0; i < p->o.tensors; i++)
        draw_many(p->o.tensor[i].value, p->o.tensor[i].n, 0.9);
    draw_tokens(p->x, sizeof p->x / sizeof *p->x);
    draw_tokens(p->y, sizeof p->y / sizeof *p->y);
    p->state_size = oracle_state_size(&p->o, B);
    p->carried = calloc(p->state_size, sizeof(double));
    p->state = calloc(p->state_size, sizeof(double));
    assert_true(p->carried && p->state);
    draw_many(p->carried, p->state_size, 0.8);
    p->mask = mask;
}

static void problem_close(problem *p)
{
    oracle_free(&p->o);
    free(p->carried);
    free(p->state);
}

/* Loss of the first `steps` steps from the carried state. */
static double loss(problem *p, int steps, bool with_gradients)
{
    memcpy(p->state, p->carried, p->state_size * sizeof(double));
    return oracle_loss_and_gradients(&p->o, p->x, p->y, steps, B, p->state, p->mask, NULL, with_gradients);
}

static double loss_moved(problem *p, double *element, double by)
{
    double old = *element;
    *element = old + by;
    double nats = loss(p, T, false);
    *element = old;
    return nats;
}

static void check_gradients(problem *p)
{
    const double h =
        p->o.cell == ORACLE_RNN_RELU ? 1e-5 : 1e-3; /* small steps stay on one side of relu's corner */
    for (int i = 0; i < p->o.tensors; i++) {
        oracle_tensor *w = &p->o.tensor[i];
        double *numeric = calloc(w->n, sizeof(double));
        assert_non_null(numeric);
        loss(p, T, true);
        for (size_t k = 0; k < w->n; k++) {
            double *e = &w->value[k];
            double near = loss_moved(p, e, h) - loss_moved(p, e, -h);
            double far = loss_moved(p, e, 2 * h) - loss_moved(p, e, -2 * h);
            numeric[k] = (8.0 * near - far) / (12.0 * h);
        }
        char what[80];
        snprintf(what, sizeof what, "%s, %d layers: %s", oracle_cell_names[p->o.cell], p->o.layers, w->name);
        double size = compare_largest(numeric, w->n);
        assert_true(size > 1e-6); /* a gradient of zeros would prove nothing */
        assert_true(close_doubles(what, w->gradient, numeric, w->n, size, 1e-7));
        free(numeric);
    }
}

static void test_finite_differences(void **unused)
{
    (void)unused;
    for (int cell = 0; cell < ORACLE_CELLS; cell++)
        for (int layers = 1; layers <= 3; layers++)
            for (int tied = 0; tied < 2; tied++)
                for (int dropped = 0; dropped < 2; dropped++) {
                    problem p;
                    problem_open(&p, (oracle_cell)cell, layers, tied, dropped ? checkered : NULL);
                    check_gradients(&p);
                    problem_close(&p);
                }
}

/* The second window must continue where the first one ended, in every layer, h and c. */
static void test_carried_state(void **unused)
{
    (void)unused;
    for (int cell = 0; cell < ORACLE_CELLS; cell++) {
        problem p;
        problem_open(&p, (oracle_cell)cell, 2, false, NULL);
        double whole = loss(&p, 2 * T, false);
        double first = loss(&p, T, false); /* leaves its end in p.state */
        double second =
            oracle_loss_and_gradients(&p.o, p.x + T * B, p.y + T * B, T, B, p.state, NULL, NULL, false);
        assert_true(close_double(oracle_cell_names[cell], first + second, whole, 1e-13));
        double other =
            oracle_loss_and_gradients(&p.o, p.x + T * B, p.y + T * B, T, B, p.carried, NULL, NULL, false);
        assert_true(fabs(other - second) > 1e-3);
        problem_close(&p);
    }
}

static void test_tied(void **unused)
{
    (void)unused;
    problem tied, untied;
    problem_open(&tied, ORACLE_LSTM, 2, true, checkered);
    oracle_init(&untied.o, ORACLE_LSTM, 2, V, 4, 4, false);
    for (int i = 0; i < untied.o.tensors; i++) {
        oracle_tensor *w = &untied.o.tensor[i];
        const oracle_tensor *from = oracle_find(&tied.o, w->name);
        memcpy(w->value, from ? from->value : tied.o.tensor[0].value, w->n * sizeof(double));
    }
    memcpy(tied.state, tied.carried, tied.state_size * sizeof(double));
    double nats =
        oracle_loss_and_gradients(&untied.o, tied.x, tied.y, T, B, tied.state, checkered, NULL, true);
    assert_true(close_double("loss", loss(&tied, T, true), nats, 1e-14));
    oracle_tensor *sum = oracle_find(&untied.o, "encoder.weight"),
                  *d = oracle_find(&untied.o, "decoder.weight");
    for (size_t i = 0; i < sum->n; i++)
        sum->gradient[i] += d->gradient[i];
    assert_true(close_doubles("tied", tied.o.tensor[0].gradient, sum->gradient, sum->n, 1.0, 1e-13));
    problem_close(&tied);
    oracle_free(&untied.o);
}

/* Rows of a batch do not see each other: a row alone has the loss that it adds to the batch. */
static void test_rows_are_apart(void **unused)
{
    (void)unused;
    problem p;
    problem_open(&p, ORACLE_GRU, 2, false, NULL);
    memset(p.carried, 0, p.state_size * sizeof(double));
    double whole = loss(&p, T, false), sum = 0.0;
    for (int b = 0; b < B; b++) {
        uint32_t x[T], y[T];
        for (int t = 0; t < T; t++) {
            x[t] = p.x[t * B + b];
            y[t] = p.y[t * B + b];
        }
        memset(p.state, 0, p.state_size * sizeof(double));
        sum += oracle_loss_and_gradients(&p.o, x, y, T, 1, p.state, NULL, NULL, false);
    }
    assert_true(close_double("rows", sum, whole, 1e-13));
    problem_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_carried_state),
        cmocka_unit_test(test_tied),
        cmocka_unit_test(test_rows_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
