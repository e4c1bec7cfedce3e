/* test_torch_golden.c - the first 20 losses of small word models are PyTorch's (tests/golden/lm_losses.txt).
 *
 *   the oracle, in double         ==  PyTorch in double   to 1e-9       so the oracle's equations are PyTorch's
 *   the program's model, in float ==  PyTorch in double   to 3e-6       for every usable kernel table
 *
 * A loss of step k depends on every gradient, update and carried state before it, so twenty of them leave
 * no room for a wrong sign, order of gates, scale or clip.  Weights and text are drawn here as in
 * make_lm_losses.py; nothing else is shared with it. */
#include "io/config.h"
#include "tests/compare.h"
#include "tests/oracle.h"
#include "tests/trainer/net.h"
#include "trainer/comm/comm.h"
#include "trainer/optimizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 31, H = 12, E_UNTIED = 10, LAYERS = 2, T = 5, B = 6, STEPS = 20, TOKENS = STEPS * T };

typedef struct golden {
    char cell[16], scale_name[16], optimizer[16];
    int tied;
    double lr, clip, loss[STEPS];
    double scale; /* what the sum's gradient is multiplied with */
} golden;

/* The next case of the file; false at its end. */
static bool read_case(FILE *f, golden *g)
{
    char line[1024];
    do
        if (!fgets(line, sizeof line, f))
            return false;
    while (line[0] == '#');
    int used = 0;
    assert_int_equal(sscanf(line, "%15s %d %15s %15s %lf %lf%n", g->cell, &g->tied, g->scale_name,
                            g->optimizer, &g->lr, &g->clip, &used),
                     6);
    char *rest = line + used;
    for (int k = 0; k < STEPS; k++) {
        char *number = rest;
        g->loss[k] = strtod(number, &rest);
        assert_true(rest != number);
    }
    g->scale = strcmp(g->scale_name, "time_sum") == 0 ? 1.0 / B : 1.0 / (T * B);
    return true;
}

static FILE *open_cases(void)
{
    FILE *f = fopen(GOLDEN_DIR "/lm_losses.txt", "r");
    assert_non_null(f);
    return f;
}

static oracle_cell cell_named(const char *name)
{
    int i = 0;
    while (i < ORACLE_CELLS && strcmp(oracle_cell_names[i], name) != 0)
        i++;
    assert_true(i < ORACLE_CELLS);
    return (oracle_cell)i;
}

static uint32_t draw(uint32_t *s)
{
    *s = 1664525U * *s + 1013904223U;
    return *s >> 8;
}

/* Weights into o, and windows of input and target: window k begins at k*T*B. */
static void start(const golden *g, oracle *o, uint32_t *x, uint32_t *y)
{
    uint32_t s = 1;
    oracle_init(o, cell_named(g->cell), LAYERS, V, g->tied ? H : E_UNTIED, H, g->tied);
    for (int i = 0; i < o->tensors; i++)
        for (size_t k = 0; k < o->tensor[i].n; k++)
            o->tensor[i].value[k] = ((double)draw(&s) - 0x1p23) * 0x1p-25;
    for (int b = 0; b < B; b++)
        for (int t = 0; t <= TOKENS; t++) {
            uint32_t first = (uint32_t)((uint64_t)draw(&s) * V >> 24),
                     second = (uint32_t)((uint64_t)draw(&s) * V >> 24);
            uint32_t id = first < second ? first : second;
            if (t < TOKENS)
                x[t * B + b] = id;
            if (t > 0)
                y[(t - 1) * B + b] = id;
        }
}

static void check_loss(const golden *g, const char *who, int k, double nats, double tolerance)
{
    char what[160];
    snprintf(what, sizeof what, "%s: %s%s %s %s, loss of step %d", who, g->cell, g->tied ? " tied" : "",
             g->scale_name, g->optimizer, k + 1);
    assert_true(close_double(what, nats / (T * B), g->loss[k], tolerance));
}

/* SGD or Adam with clipping by global norm, in double; moments holds two values per parameter. */
static void oracle_step(const golden *g, oracle *o, double *moments, int step)
{
    double square = 0.0;
    for (int i = 0; i < o->tensors; i++)
        for (size_t k = 0; k < o->tensor[i].n; k++)
            square += pow(o->tensor[i].gradient[k] * g->scale, 2.0);
    double clip = g->clip > 0.0 ? fmin(1.0, g->clip / (sqrt(square) + 1e-6)) : 1.0;
    for (int i = 0; i < o->tensors; i++)
        for (size_t k = 0; k < o->tensor[i].n; k++, moments += 2) {
            double *w = &o->tensor[i].value[k], d = o->tensor[i].gradient[k] * g->scale * clip;
            moments[0] = 0.9 * moments[0] + 0.1 * d;
            moments[1] = 0.999 * moments[1] + 0.001 * d * d;
            double m = moments[0] / (1.0 - pow(0.9, step)), v = moments[1] / (1.0 - pow(0.999, step));
            *w -= g->lr * (strcmp(g->optimizer, "adam") == 0 ? m / (sqrt(v) + 1e-8) : d);
        }
}

static void test_oracle_losses(void **unused)
{
    (void)unused;
    int cases = 0;
    FILE *f = open_cases();
    for (golden g; read_case(f, &g); cases++) {
        oracle o;
        uint32_t x[TOKENS * B], y[TOKENS * B];
        start(&g, &o, x, y);
        size_t n = 0;
        for (int i = 0; i < o.tensors; i++)
            n += o.tensor[i].n;
        double *moments = calloc(2 * n, sizeof(double)),
               *state = calloc(oracle_state_size(&o, B), sizeof(double));
        assert_true(moments && state);
        for (int k = 0; k < STEPS; k++) {
            size_t at = (size_t)k * T * B;
            double nats = oracle_loss_and_gradients(&o, x + at, y + at, T, B, state, NULL, NULL, true);
            check_loss(&g, "oracle", k, nats, 1e-9);
            oracle_step(&g, &o, moments, k + 1);
        }
        free(moments);
        free(state);
        oracle_free(&o);
    }
    fclose(f);
    assert_true(cases >= 30);
}

static void check_model(const golden *g, const kernels *table, int S, comm *alone)
{
    oracle o;
    uint32_t x[TOKENS * B], y[TOKENS * B];
    start(g, &o, x, y);
    net n;
    net_open(&n, &(net_plan){.table = table, .threads = 2, .T = T, .B = B, .S = S, .size = 1}, &o);
    config c = {.optim = {.name = strcmp(g->optimizer, "adam") == 0 ? OPTIM_ADAM : OPTIM_SGD,
                          .beta1 = 0.9,
                          .beta2 = 0.999,
                          .eps = 1e-8,
                          .clip_norm = g->clip}};
    optimizer opt;
    arena a = {0};
    optimizer_plan(&opt, &a, &c, &n.list, 0, 1);
    assert_true(arena_commit(&a));
    optimizer_start(&opt);
    for (int k = 0; k < STEPS; k++) {
        size_t at = (size_t)k * T * B;
        double nats = net_train(&n, x + at, y + at, T, (uint32_t)k);
        check_loss(g, kernels_name(table), k, nats, 3e-6);
        optimizer_pace pace = {.step = k + 1, .lr = g->lr, .layer_decay = 1};
        optimizer_step(&opt, alone, n.team, n.value, n.gradient, pace, (float)g->scale);
    }
    arena_free(&a);
    net_close(&n);
    oracle_free(&o);
}

static void test_model_losses(void **unused)
{
    (void)unused;
    comm *alone;
    assert_int_equal(comm_alone(&alone, NULL), STATUS_OK);
    int tables;
    const kernels *const *all = kernels_all(&tables);
    for (int i = 0; i < tables; i++) {
        if (!kernels_usable(all[i]))
            continue;
        FILE *f = open_cases();
        for (golden g; read_case(f, &g);)
            check_model(&g, all[i], 1 + i, alone);
        fclose(f);
    }
    comm_close(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oracle_losses),
        cmocka_unit_test(test_model_losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
