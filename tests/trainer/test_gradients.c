/* test_gradients.c - the program's model against the oracle: losses, all gradients and carried state.
 *
 *   model_train on any table, rows and shards, 1 or 2 ranks  ==  the double-precision oracle          to 3e-6
 *   model_score of every token                               ==  the oracle's loss without dropout    to 3e-6
 *
 * for every cell, tied and untied, 1 to 3 layers, with and without dropout, two windows of which the second
 * is shorter and starts from carried state.  Sizes are odd so that padding, tails and ragged shards are used;
 * one is larger than any register tile.  Errors are measured against the largest element of a tensor: a wrong
 * term of backward is of that order, rounding was seen to be a third of the tolerance at most.
 *
 * The masks are made here a second time, from the words of kernels/rng.h and with a Philox of our own. */
#include "kernels/rng.h"
#include "tests/compare.h"
#include "tests/oracle.h"
#include "tests/trainer/net.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOLERANCE 3e-6

typedef struct sizes {
    int layers, V, E, H, T, T_last, B, S;
} sizes;

static uint32_t seed;

static double draw(void) /* in [-1,1) */
{
    seed = seed * 1664525U + 1013904223U;
    return (double)(seed >> 8) * 0x1p-23 - 1.0;
}

/* Philox 4x32-10 (Salmon et al. 2011): ten rounds of two 32x32 products, keys advanced by the Weyl
 * constants. */
static uint32_t philox(uint64_t key, const uint32_t counter[4], int word)
{
    uint32_t x[4], k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    memcpy(x, counter, sizeof x);
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9U, k1 += 0xBB67AE85U) {
        uint64_t a = (uint64_t)0xD2511F53U * x[0], b = (uint64_t)0xCD9E8D57U * x[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ x[1] ^ k0, (uint32_t)b, (uint32_t)(a >> 32) ^ x[3] ^ k1,
                            (uint32_t)a};
        memcpy(x, next, sizeof x);
    }
    return x[word];
}

typedef struct masks {
    uint64_t seed;
    uint32_t step;
    double p;
} masks;

static double mask_of(void *arg, int layer, int t, int row, int unit)
{
    const masks *m = arg;
    uint32_t counter[4] = {(uint32_t)unit / 4, (uint32_t)row, m->step,
                           (uint32_t)RNG_DROPOUT << 24 | (uint32_t)layer << 16 | (uint32_t)t};
    double u = (double)(philox(m->seed, counter, unit % 4) >> 8) * 0x1p-24;
    return u >= m->p ? (double)(float)(1.0 / (1.0 - m->p)) : 0.0;
}

static double *doubles(size_t n)
{
    double *x = calloc(n, sizeof(double));
    assert_non_null(x);
    return x;
}

/* The oracle gets weights that are floats, so that both sides start equal. */
static void oracle_start(oracle *o, oracle_cell cell, const sizes *s, bool tied)
{
    seed = (uint32_t)cell + 7U * (uint32_t)s->layers + 100U * (uint32_t)tied;
    oracle_init(o, cell, s->layers, s->V, tied ? s->H : s->E, s->H, tied);
    for (int i = 0; i < o->tensors;
         i++) /* about 1/sqrt(H) times two, so that gates leave their linear range */
        for (size_t k = 0; k < o->tensor[i].n; k++)
            o->tensor[i].value[k] = (double)(float)(2.0 / sqrt(s->H) * draw());
}

static uint32_t *token_ids(const sizes *s)
{
    size_t n = (size_t)(s->T + s->T_last) * (size_t)s->B;
    uint32_t *id = malloc(n * sizeof *id);
    assert_non_null(id);
    for (size_t i = 0; i < n; i++)
        id[i] = (uint32_t)((draw() + 1.0) * 0.5 * s->V);
    return id;
}

#define RANKS_MAX  2
#define TABLES_MAX 8

/* One oracle, and beside it the model on each usable table, cut among the ranks. */
typedef struct problem {
    oracle o;
    masks masks;
    uint32_t *x, *y;
    double *state; /* the oracle's */
    net rank[TABLES_MAX][RANKS_MAX];
    int tables, ranks;
    char name[100];
} problem;

static void compare_window(problem *p, net *rank, double nats, double want)
{
    char what[200];
    const char *table = kernels_name(team_kernels(rank[0].team));
    snprintf(what, sizeof what, "%s: %s, loss", table, p->name);
    assert_true(close_double(what, nats, want, TOLERANCE));
    for (int i = 0; i < p->o.tensors; i++) {
        const oracle_tensor *w = &p->o.tensor[i];
        double *got = doubles(w->n), largest = compare_largest(w->gradient, w->n);
        for (int r = 0; r < p->ranks; r++)
            net_add_gradient(&rank[r], w->name, got);
        snprintf(what, sizeof what, "%s: %s, gradient of %s", table, p->name, w->name);
        assert_true(largest > 1e-6);
        assert_true(close_doubles(what, got, w->gradient, w->n, largest, TOLERANCE));
        free(got);
    }
    size_t n = oracle_state_size(&p->o, rank[0].rows.B);
    double *got = doubles(n);
    for (int r = 0; r < p->ranks; r++)
        net_read_state(&rank[r], &p->o, got);
    snprintf(what, sizeof what, "%s: %s, carried state", table, p->name);
    assert_true(close_doubles(what, got, p->state, n, 1.0, TOLERANCE));
    free(got);
}

static void problem_open(problem *p, oracle_cell cell, const sizes *s, bool tied, double dropout, int ranks)
{
    *p = (problem){.masks = {.seed = 0x123456789ABCDEF0U, .p = dropout}, .ranks = ranks};
    snprintf(p->name, sizeof p->name, "%s%s, %d layers of %d, dropout %g, %d ranks", oracle_cell_names[cell],
             tied ? " tied" : "", s->layers, s->H, dropout, ranks);
    oracle_start(&p->o, cell, s, tied);
    p->x = token_ids(s);
    p->y = token_ids(s);
    p->state = doubles(oracle_state_size(&p->o, s->B));
    int all;
    const kernels *const *table = kernels_all(&all);
    for (int i = 0; i < all; i++) {
        if (!kernels_usable(table[i]))
            continue;
        assert_true(p->tables < TABLES_MAX);
        for (int r = 0; r < ranks; r++) {
            net_plan plan = {.table = table[i],
                             .threads = 1 + p->tables % 3,
                             .T = s->T,
                             .B = s->B,
                             .S = s->S,
                             .rank = r,
                             .size = ranks,
                             .dropout = dropout,
                             .seed = p->masks.seed};
            net_open(&p->rank[p->tables][r], &plan, &p->o);
        }
        p->tables++;
    }
}

static void problem_close(problem *p)
{
    for (int i = 0; i < p->tables; i++)
        for (int r = 0; r < p->ranks; r++)
            net_close(&p->rank[i][r]);
    oracle_free(&p->o);
    free(p->x);
    free(p->y);
    free(p->state);
}

static void check(oracle_cell cell, const sizes *s, bool tied, double dropout, int ranks)
{
    problem p;
    problem_open(&p, cell, s, tied, dropout, ranks);
    for (int k = 0, at = 0; k < 2; k++, at += s->T * s->B) {
        int T = k == 0 ? s->T : s->T_last;
        p.masks.step = (uint32_t)k + 5U;
        double want = oracle_loss_and_gradients(&p.o, p.x + at, p.y + at, T, s->B, p.state,
                                                dropout > 0.0 ? mask_of : NULL, &p.masks, true);
        for (int i = 0; i < p.tables; i++) {
            double nats = 0.0;
            for (int r = 0; r < ranks; r++)
                nats += net_train(&p.rank[i][r], p.x + at, p.y + at, T, p.masks.step);
            compare_window(&p, p.rank[i], nats, want);
        }
    }
    problem_close(&p);
}

static void check_all(const sizes *s, double dropout, int ranks)
{
    for (int cell = 0; cell < ORACLE_CELLS; cell++)
        for (int tied = 0; tied < 2; tied++)
            check((oracle_cell)cell, s, tied, dropout, ranks);
}

static void test_layers(void **unused)
{
    (void)unused;
    for (int layers = 1; layers <= 3; layers++)
        check_all(&(sizes){.layers = layers, .V = 37, .E = 19, .H = 21, .T = 6, .T_last = 3, .B = 7, .S = 3},
                  0.0, 1);
}

static void test_dropout(void **unused)
{
    (void)unused;
    for (int layers = 1; layers <= 3; layers += 2)
        check_all(&(sizes){.layers = layers, .V = 29, .E = 18, .H = 13, .T = 5, .T_last = 4, .B = 5, .S = 1},
                  0.35, 1);
}

/* Two ranks, whose shares are ragged and cover several nodes of the tree, sum up to the whole. */
static void test_ranks(void **unused)
{
    (void)unused;
    check_all(&(sizes){.layers = 2, .V = 23, .E = 9, .H = 17, .T = 4, .T_last = 1, .B = 11, .S = 6}, 0.25, 2);
}

static void test_larger_than_tiles(void **unused)
{
    (void)unused;
    check_all(&(sizes){.layers = 1, .V = 301, .E = 67, .H = 131, .T = 6, .T_last = 2, .B = 19, .S = 4}, 0.0,
              1);
}

static void test_one_row(void **unused)
{
    (void)unused;
    check_all(&(sizes){.layers = 2, .V = 5, .E = 1, .H = 5, .T = 5, .T_last = 2, .B = 1, .S = 1}, 0.0, 1);
}

/* Evaluation: from zero state, no dropout, the sum over tokens of -log p is the loss. */
static void test_score(void **unused)
{
    (void)unused;
    const sizes s = {.layers = 2, .V = 41, .E = 20, .H = 23, .T = 7, .T_last = 0, .B = 5, .S = 1};
    int tables;
    const kernels *const *all = kernels_all(&tables);
    for (int i = 0; i < tables; i++)
        for (int cell = 0; cell < ORACLE_CELLS && kernels_usable(all[i]); cell++) {
            oracle o;
            oracle_start(&o, (oracle_cell)cell, &s, false);
            uint32_t *x = token_ids(&s), *y = token_ids(&s);
            double *state = doubles(oracle_state_size(&o, s.B));
            double want = oracle_loss_and_gradients(&o, x, y, s.T, s.B, state, NULL, NULL, false), sum = 0.0;
            net n;
            net_open(
                &n,
                &(net_plan){
                    .table = all[i], .threads = 2, .T = s.T, .B = s.B, .S = 1, .size = 1, .dropout = 0.5},
                &o);
            float logp[7 * 5];
            model_score(&n.model, n.team, n.value, x, y, s.T, s.B, logp);
            for (int k = 0; k < s.T * s.B; k++)
                sum -= (double)logp[k];
            assert_true(close_double(oracle_cell_names[cell], sum, want, TOLERANCE));
            net_close(&n);
            oracle_free(&o);
            free(x);
            free(y);
            free(state);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),  cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_ranks),   cmocka_unit_test(test_larger_than_tiles),
        cmocka_unit_test(test_one_row), cmocka_unit_test(test_score),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
