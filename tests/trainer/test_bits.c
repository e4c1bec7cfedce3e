/* test_bits.c - the bits of loss, gradients and carried state are a function of model, data and seed alone.
 *
 *   any kernel table  ==  any other  ==  any number of threads  ==  the rows cut among any ranks    bit for bit
 *   score of a row among others      ==  score of the same row alone                                bit for bit
 *   an update that is told the words of the window  ==  one that reads all rows                      bit for bit
 *
 * These are rules R1 to R4 of the trainer without MPI: each rank's partial sums, one per node of the tree,
 * are combined here as the communicator combines them.  Dropout is on, sizes are odd, seven shards make a
 * tree whose halves differ, the second window is shorter and starts from carried state, so that a
 * dependence on local rows, tiles or tails would show.  test_gradients.c says that the bits are also the
 * right numbers. */
#include "kernels/sums.h"
#include "tests/compare.h"
#include "tests/kernels/tables.h"
#include "tests/oracle.h"
#include "tests/trainer/net.h"
#include "trainer/optimizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LAYERS = 2, V = 67, E = 20, H = 33, T = 5, T_LAST = 2, B = 13, S = 7, STATES = 2 * LAYERS };

typedef struct bits {
    size_t floats;
    float *gradient; /* summed over all shards */
    double nats;
    float state[STATES][B * H];
} bits;

static uint32_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525U + 1013904223U;
    return (uint32_t)((uint64_t)(seed >> 8) * below >> 24);
}

/* Every other word is one of three, so that the same word stands in many shards. */
static void draw_ids(uint32_t *id, size_t n)
{
    for (size_t i = 0; i < n; i++)
        id[i] = draw(i % 2 ? V : 3);
}

static void oracle_start(oracle *o, int cell, bool tied)
{
    oracle_init(o, (oracle_cell)cell, LAYERS, V, tied ? H : E, H, tied);
    for (int i = 0; i < o->tensors; i++)
        for (size_t k = 0; k < o->tensor[i].n; k++)
            o->tensor[i].value[k] = ((double)draw(1U << 24) - 0x1p23) * 0x1p-25;
}

/* Adds up what the ranks have, as the communicator would. */
static void gather(bits *out, net *rank, int ranks)
{
    const float *part[S];
    double nats[S];
    shard_node node[S];
    int nodes = 0;
    for (int r = 0; r < ranks; r++)
        for (int i = 0; i < rank[r].rows.nodes; i++, nodes++) {
            node[nodes] = rank[r].rows.node[i];
            part[nodes] = rank[r].gradient + (size_t)i * rank[r].list.gradient_floats;
            nats[nodes] = rank[r].nats[i];
        }
    out->floats = rank[0].list.gradient_floats;
    out->gradient = calloc(out->floats, sizeof(float));
    assert_non_null(out->gradient);
    sums_tree(rank[0].team, out->gradient, part, node, nodes, S, out->floats);
    out->nats = sums_tree_double(nats, node, nodes, S);
    for (int r = 0; r < ranks; r++)
        for (int i = 0; i < trunk_states(&rank[r].model.trunk); i++) {
            char name[TRUNK_NAME];
            int stride;
            const float *x = trunk_state(&rank[r].model.trunk, i, name, &stride);
            for (int b = 0; b < rank[r].rows.rows; b++)
                memcpy(out->state[i] + (rank[r].rows.row0 + b) * H, x + (size_t)b * stride,
                       H * sizeof(float));
        }
}

/* The second of two windows, on `ranks` ranks. */
static void train(bits *out, const kernels *table, int threads, int ranks, const oracle *o)
{
    uint32_t x[(T + T_LAST) * B], y[(T + T_LAST) * B];
    net rank[S] = {0};
    seed = 3;
    draw_ids(x, sizeof x / sizeof *x);
    draw_ids(y, sizeof y / sizeof *y);
    *out = (bits){0};
    for (int r = 0; r < ranks; r++) {
        net_open(&rank[r],
                 &(net_plan){.table = table,
                             .threads = threads,
                             .T = T,
                             .B = B,
                             .S = S,
                             .rank = r,
                             .size = ranks,
                             .dropout = 0.25,
                             .seed = 99},
                 o);
        net_train(&rank[r], x, y, T, 7);
        net_train(&rank[r], x + T * B, y + T * B, T_LAST, 8);
    }
    gather(out, rank, ranks);
    for (int r = 0; r < ranks; r++)
        net_close(&rank[r]);
}

static void check(const bits *want, const kernels *table, int threads, int ranks, const oracle *o)
{
    bits got;
    char what[160];
    train(&got, table, threads, ranks, o);
    snprintf(what, sizeof what, "%s%s, %s, %d threads, %d ranks", oracle_cell_names[o->cell],
             o->tied ? " tied" : "", kernels_name(table), threads, ranks);
    assert_int_equal(got.floats, want->floats);
    assert_true(same_bits(what, got.gradient, want->gradient, want->floats));
    assert_true(same_bits(what, got.state[0], want->state[0], STATES * B * H));
    if (memcmp(&got.nats, &want->nats, sizeof(double)) != 0)
        fail_msg("%s: loss %a, want %a", what, got.nats, want->nats);
    free(got.gradient);
}

static void test_tables_threads_ranks(void **unused)
{
    (void)unused;
    static const int ranks[4] = {2, 3, 5, S}; /* shares of one to four shards, most of them several nodes */
    int tables;
    const kernels *const *all = kernels_all(&tables);
    for (int cell = 0; cell < ORACLE_CELLS; cell++)
        for (int tied = 0; tied < 2; tied++) {
            oracle o;
            bits want;
            seed = (uint32_t)(2 * cell + tied);
            oracle_start(&o, cell, tied);
            train(&want, all[0], 1, 1, &o);
            for (int i = 0; i < tables; i++) {
                if (!table_usable(all[i]))
                    continue;
                for (int threads = 1 + (tied + i) % 2; threads <= 8;
                     threads += 2) /* half of them each time */
                    check(&want, all[i], threads, 1, &o);
                for (int k = 0; k < 4; k++)
                    check(&want, all[i], 1, ranks[k], &o);
            }
            free(want.gradient);
            oracle_free(&o);
        }
}

/* The test above can fail: another step, that is other masks, gives other bits. */
static void test_bits_differ(void **unused)
{
    (void)unused;
    int tables;
    const kernels *const *all = kernels_all(&tables);
    uint32_t x[T * B], y[T * B];
    oracle o;
    net n;
    seed = 5;
    oracle_start(&o, ORACLE_LSTM, false);
    draw_ids(x, T * B);
    draw_ids(y, T * B);
    double nats[2];
    for (uint32_t step = 0; step < 2; step++) {
        net_plan plan = {.table = all[0], .threads = 1, .T = T, .B = B, .S = S, .size = 1, .dropout = 0.25};
        net_open(&n, &plan, &o);
        nats[step] = net_train(&n, x, y, T, step);
        net_close(&n);
    }
    assert_true(nats[0] != nats[1]);
    oracle_free(&o);
}

static void test_row_alone(void **unused)
{
    (void)unused;
    int tables;
    const kernels *const *all = kernels_all(&tables);
    for (int i = 0; i < tables; i++)
        for (int cell = 0; cell < ORACLE_CELLS && table_usable(all[i]); cell++) {
            uint32_t x[T * B], y[T * B], one_x[T], one_y[T];
            float together[T * B], alone[T];
            oracle o;
            net n;
            seed = 11;
            oracle_start(&o, cell, false);
            draw_ids(x, T * B);
            draw_ids(y, T * B);
            net_open(&n, &(net_plan){.table = all[i], .threads = 2, .T = T, .B = B, .S = S, .size = 1}, &o);
            model_score(&n.model, n.team, n.value, x, y, T, B, together);
            for (int b = 0; b < B; b++) {
                float row[T];
                for (int t = 0; t < T; t++) {
                    one_x[t] = x[t * B + b];
                    one_y[t] = y[t * B + b];
                    row[t] = together[t * B + b];
                }
                trunk_zero_state(&n.model.trunk);
                model_score(&n.model, n.team, n.value, one_x, one_y, T, 1, alone);
                assert_true(same_bits(oracle_cell_names[cell], alone, row, T));
            }
            net_close(&n);
            oracle_free(&o);
        }
}

enum { VALUES = 30000 }; /* at least those of an LSTM */

/* A window of words below 30, then a step of plain SGD. told: the optimiser knows the words, and the gradients of those
 * from 40 on, which nobody should read then, are NaN. */
static double step_of(const oracle *o, const uint32_t *x, comm *alone, bool told, float *value)
{
    net n;
    optimizer opt;
    arena a = {0};
    const config c = {.optim = {.name = OPTIM_SGD, .clip_norm = 0.01}};
    net_open(&n, &(net_plan){.table = kernels_select(NULL), .threads = 2, .T = T, .B = B, .S = S, .size = 1},
             o);
    assert_null(trunk_words(&n.model.trunk)); /* not before it is known that no other rank adds something */
    trunk_rank(&n.model.trunk, 0, 2);
    assert_null(trunk_words(&n.model.trunk));
    trunk_rank(&n.model.trunk, 0, 1);
    optimizer_plan(&opt, &a, &c, &n.list, 0, 1);
    optimizer_sparse(&opt, told ? trunk_words(&n.model.trunk) : NULL);
    assert_true(arena_commit(&a));
    optimizer_start(&opt);
    net_train(&n, x, x, T, 0);
    const param *p = params_find(&n.list, "encoder.weight");
    for (size_t i = 40 * (size_t)p->cols; told && i < p->count; i++)
        n.gradient[p->offset + i] = NAN;
    const optimizer_pace pace = {.step = 1, .lr = 0.5, .layer_decay = 1};
    const double norm = optimizer_step(&opt, alone, n.team, n.value, n.gradient, pace, 1.0f / (T * B));
    assert_true(n.list.floats <= VALUES);
    memcpy(value, n.value, n.list.floats * sizeof *value);
    arena_free(&a);
    net_close(&n);
    return norm;
}

static void test_words_of_window(void **unused)
{
    (void)unused;
    static float value[2][VALUES];
    uint32_t x[T * B];
    oracle o;
    comm *alone;
    error e;
    assert_int_equal(comm_alone(&alone, &e), STATUS_OK);
    seed = 3;
    oracle_start(&o, ORACLE_LSTM, false);
    for (int i = 0; i < T * B; i++)
        x[i] = draw(30);
    const double norm = step_of(&o, x, alone, false, value[0]), told = step_of(&o, x, alone, true, value[1]);
    assert_true(norm > 0.01 && norm == told);
    assert_memory_equal(value[0], value[1], sizeof value[0]);
    oracle_free(&o);
    comm_close(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_threads_ranks),
        cmocka_unit_test(test_bits_differ),
        cmocka_unit_test(test_row_alone),
        cmocka_unit_test(test_words_of_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
