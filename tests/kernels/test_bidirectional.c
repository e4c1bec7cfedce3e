/* test_bidirectional - layers that read the window from its end, and both directions at once.
 *
 *   a reversed layer   ==  the layer on the window turned round        h, states, dx bit for bit; dW, db close (another order)
 *   both directions    ==  one call for each                           h, states, dW, db bit for bit; dx close (one chain)
 *
 *   an evaluation, and training without dx, the same
 *
 * for every cell, table, 1..8 threads, rows of one rank of several, windows shorter than planned, two in a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/recurrent.h"
#include "kernels/rng.h"
#include "tests/compare.h"
#include "tests/kernels/tables.h"

static const char *const cells[] = {"rnn_tanh", "rnn_relu", "lstm", "gru", "gru_before"};

typedef struct sizes {
    int I, H, T, B, S, rank, size;
} sizes;

/* One way to compute both directions, and what came out. */
typedef enum way { TURNED, ONE_BY_ONE, BOTH, WAYS } way;
typedef struct outcome {
    float *h[2], *state[2][2], *dx, *gradient[2];
} outcome;

static float *floats(size_t n, float scale, uint32_t row)
{
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    const rng_place place = {.seed = 7, .row = row, .purpose = RNG_TEST};
    rng_fill(&place, x, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        x[i] = (2 * x[i] - 1) * scale;
    return x;
}

/* (T,B,ld) with zeros behind n columns. */
static float *rows_of(int T, int B, int n, uint32_t row)
{
    float *x = floats((size_t)(T * B * PAD16(n)), 0.5f, row);
    for (int i = 0; i < T * B; i++)
        memset(x + i * PAD16(n) + n, 0, (size_t)(PAD16(n) - n) * sizeof *x);
    return x;
}

static float *turned(const float *x, int T, size_t step)
{
    float *y = malloc((size_t)T * step * sizeof *y + 1);
    assert_non_null(y);
    for (int t = 0; t < T; t++)
        memcpy(y + (size_t)t * step, x + (size_t)(T - 1 - t) * step, step * sizeof *y);
    return y;
}

static float *copied(const float *x, size_t n)
{
    return memcpy(floats(n, 0, 0), x, n * sizeof *x);
}

static void add(float *sum, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum[i] += x[i];
}

/* Two layers of one problem, planned for T + more steps of as many more rows, with weights and room for
 * gradients. */
typedef struct pair {
    shards p;
    team *t;
    arena memory;
    recurrent layer[2];
    recurrent_weights w[2];
    recurrent_gradients g[2];
    float *value[2], *gradient[2];
} pair;

static void open_pair(pair *q, const kernels *k, const cell_kind *cell, sizes z, int threads, int more,
                      bool training)
{
    const size_t I = (size_t)z.I, H = (size_t)z.H, GH = (size_t)cell->gates * H;
    const size_t w_hh = GH * I, b_ih = GH * (I + H), b_hh = b_ih + GH, all = b_hh + GH;
    *q = (pair){.t = team_open(threads, k)};
    shards_init(&q->p, z.B, z.S, z.rank, z.size);
    for (int i = 0; i < 2; i++) {
        recurrent_plan(&q->layer[i], &q->memory, q->t, cell, z.I, z.H, z.T + more, q->p.rows + more,
                       training);
        float *v = q->value[i] = floats(all, 0.4f, 1 + (uint32_t)i);
        float *d = q->gradient[i] = calloc((size_t)q->p.nodes * all, sizeof *d);
        assert_non_null(d);
        q->w[i] = (recurrent_weights){v, v + w_hh, v + b_ih, v + b_hh};
        q->g[i] = (recurrent_gradients){d, d + w_hh, d + b_ih, d + b_hh, all};
    }
    assert_true(arena_commit(&q->memory));
}

/* The gradients are the caller's. */
static void close_pair(pair *q)
{
    free(q->value[0]);
    free(q->value[1]);
    arena_free(&q->memory);
    team_close(q->t);
}

/* a beside b, which have `rows` rows of H columns. */
static float *joined(float *const part[2], int rows, int H)
{
    const size_t f = sizeof(float), n = (size_t)H;
    float *x = calloc((size_t)(rows * PAD16(2 * H)) + 1, f);
    assert_non_null(x);
    for (int i = 0; i < rows; i++) {
        memcpy(x + i * PAD16(2 * H), part[0] + i * PAD16(H), n * f);
        memcpy(x + i * PAD16(2 * H) + H, part[1] + i * PAD16(H), n * f);
    }
    return x;
}

/* The output is the directions' h side by side, padding zero. */
static void check_joined(const pair *q, const float *y, int rows, int H)
{
    float *want = joined((float *const[2]){q->layer[0].h, q->layer[1].h}, rows, H);
    assert_true(same_bits("y", y, want, (size_t)(rows * PAD16(2 * H))));
    free(want);
}

static outcome run(const kernels *k, const cell_kind *cell, sizes z, int threads, way how)
{
    pair q;
    open_pair(&q, k, cell, z, threads, z.H % 2, true); /* planned larger than used, or not */
    q.layer[1].reverse = how != TURNED;
    const int B = q.p.rows;
    const size_t step = (size_t)(B * PAD16(z.H)), in = (size_t)(B * PAD16(z.I));
    outcome y = {.dx = calloc((size_t)z.T * in, sizeof(float)), .gradient = {q.gradient[0], q.gradient[1]}};
    assert_non_null(y.dx);
    for (int window = 0; window < 2; window++) { /* the second continues from the states of the first */
        float *x = rows_of(z.T, B, z.I, 10 + (uint32_t)window), *back = turned(x, z.T, in);
        float *dh[2], *dx = calloc((size_t)z.T * in, sizeof(float));
        for (int i = 0; i < 2; i++)
            dh[i] = rows_of(z.T, B, z.H, 20 + (uint32_t)i);
        if (how == BOTH) {
            float *dy = joined(dh, z.T * B, z.H), *out = floats((size_t)(z.T * B * PAD16(2 * z.H)), 1, 99);
            recurrent_forward_both(q.layer, q.t, q.w, x, out, z.T, B);
            recurrent_backward_both(q.layer, q.t, q.w, x, dy, y.dx, &q.p, q.g);
            check_joined(&q, out, z.T * B, z.H);
            free(dy);
            free(out);
        }
        for (int i = 0; i < 2 && how != BOTH; i++) {
            const float *from = how == TURNED && i == 1 ? back : x;
            float *down =
                how == TURNED && i == 1 ? turned(dh[i], z.T, step) : copied(dh[i], (size_t)z.T * step);
            recurrent_forward(&q.layer[i], q.t, &q.w[i], from, z.T, B);
            recurrent_backward(&q.layer[i], q.t, &q.w[i], from, down, dx, &q.p, &q.g[i]);
            float *same_time = how == TURNED && i == 1 ? turned(dx, z.T, in) : copied(dx, (size_t)z.T * in);
            if (i == 0)
                memcpy(y.dx, same_time, (size_t)z.T * in * sizeof(float));
            else
                add(y.dx, same_time, (size_t)z.T * in);
            free(down);
            free(same_time);
        }
        free(x);
        free(back);
        free(dx);
        free(dh[0]);
        free(dh[1]);
    }
    for (int i = 0; i < 2; i++) {
        y.h[i] = how == TURNED && i == 1 ? turned(q.layer[i].h, z.T, step)
                                         : copied(q.layer[i].h, (size_t)z.T * step);
        for (int s = 0; s < cell->states; s++)
            y.state[i][s] = copied(q.layer[i].state[s], step);
    }
    close_pair(&q);
    return y;
}

/* What an evaluation runs, planned without backward, and training that wants no dx. */
static void check_others(const kernels *k, const cell_kind *cell, sizes z, const outcome *want)
{
    for (int training = 0; training < 2; training++) {
        pair q;
        open_pair(&q, k, cell, z, 3, 0, training);
        q.layer[1].reverse = true;
        const int B = q.p.rows;
        const size_t step = (size_t)(B * PAD16(z.H));
        float *dh[2] = {rows_of(z.T, B, z.H, 20), rows_of(z.T, B, z.H, 21)}, *dy = joined(dh, z.T * B, z.H);
        float *y = floats((size_t)(z.T * B * PAD16(2 * z.H)), 1, 99);
        for (int window = 0; window < 2; window++) {
            float *x = rows_of(z.T, B, z.I, 10 + (uint32_t)window);
            recurrent_forward_both(q.layer, q.t, q.w, x, y, z.T, B);
            check_joined(&q, y, z.T * B, z.H);
            if (training && window == 1)
                recurrent_backward_both(q.layer, q.t, q.w, x, dy, NULL, &q.p, q.g);
            free(x);
        }
        for (int i = 0; i < 2; i++) {
            assert_true(same_bits("h elsewhere", q.layer[i].h, want->h[i], (size_t)z.T * step));
            for (int s = 0; s < cell->states; s++)
                assert_true(same_bits("state elsewhere", q.layer[i].state[s], want->state[i][s], step));
            if (training)
                assert_true(same_bits("dW without dx", q.gradient[i], want->gradient[i],
                                      (size_t)q.p.nodes * q.g[i].stride));
            free(q.gradient[i]);
            free(dh[i]);
        }
        free(dy);
        free(y);
        close_pair(&q);
    }
}

static void free_outcome(outcome *y)
{
    free(y->dx);
    for (int i = 0; i < 2; i++) {
        free(y->h[i]);
        free(y->gradient[i]);
        free(y->state[i][0]);
        free(y->state[i][1]);
    }
}

static void assert_close(const char *what, const float *got, const float *want, size_t n)
{
    double *exact = malloc((n + 1) * sizeof *exact);
    assert_non_null(exact);
    for (size_t i = 0; i < n; i++)
        exact[i] = (double)want[i];
    assert_true(close_floats(what, got, exact, n, compare_largest(exact, n), 1e-5));
    free(exact);
}

static void check(const kernels *k, const cell_kind *cell, sizes z, int threads)
{
    outcome y[WAYS];
    for (int how = 0; how < WAYS; how++)
        y[how] = run(k, cell, z, threads, (way)how);
    shards p;
    shards_init(&p, z.B, z.S, z.rank, z.size);
    const size_t h = (size_t)(z.T * p.rows * PAD16(z.H)), dx = (size_t)(z.T * p.rows * PAD16(z.I));
    const size_t gradient = (size_t)(p.nodes * cell->gates * z.H * (z.I + z.H + 2));
    for (int i = 0; i < 2; i++) {
        assert_true(same_bits("h", y[ONE_BY_ONE].h[i], y[TURNED].h[i], h));
        assert_true(same_bits("h of both", y[BOTH].h[i], y[TURNED].h[i], h));
        for (int s = 0; s < cell->states; s++) {
            const size_t n = (size_t)(p.rows * PAD16(z.H));
            assert_true(same_bits("state", y[ONE_BY_ONE].state[i][s], y[TURNED].state[i][s], n));
            assert_true(same_bits("state of both", y[BOTH].state[i][s], y[TURNED].state[i][s], n));
        }
        assert_true(same_bits("dW of both", y[BOTH].gradient[i], y[ONE_BY_ONE].gradient[i], gradient));
    }
    assert_true(same_bits("dW forward", y[ONE_BY_ONE].gradient[0], y[TURNED].gradient[0], gradient));
    assert_close("dW reversed", y[ONE_BY_ONE].gradient[1], y[TURNED].gradient[1], gradient);
    assert_true(same_bits("dx", y[ONE_BY_ONE].dx, y[TURNED].dx, dx));
    assert_close("dx of both", y[BOTH].dx, y[TURNED].dx, dx);
    check_others(k, cell, z, &y[BOTH]);
    for (int how = 0; how < WAYS; how++)
        free_outcome(&y[how]);
}

static void test_directions(void **state)
{
    (void)state;
    static const sizes shapes[] = {{1, 1, 1, 1, 1, 0, 1},
                                   {5, 17, 4, 3, 2, 0, 1},
                                   {33, 16, 7, 13, 4, 0, 1},
                                   {16, 40, 3, 25, 5, 1, 2},
                                   {20, 31, 2, 11, 6, 1, 3}};
    int count;
    const kernels *const *all = kernels_all(&count);
    for (int k = 0; k < count; k++)
        for (size_t c = 0; table_usable(all[k]) && c < sizeof cells / sizeof *cells; c++)
            for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
                check(all[k], cell_find(cells[c]), shapes[i], 1 + (int)(3 * i + c) % 8);
}

/* So wide that blocks of rows share a task of a backward step and every other step goes back; no wider and
 * no longer, for an emulated processor takes minutes. */
static void test_wide(void **state)
{
    (void)state;
    check(kernels_select(NULL), cell_find("lstm"), (sizes){3, 800, 2, 37, 4, 0, 1}, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_directions), cmocka_unit_test(test_wide)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
