/* test_recurrent.c - the layer of every cell against a plain double-precision form of its equations, and the
 * bits that must not change.
 *
 * Identities:
 *   reference's gradients == its finite differences          so that the reference may be trusted
 *   forward, backward     == the reference                   every cell and table, sizes around the tiles
 *   any table, any number of threads                         bit for bit
 *   rows alone            == the same rows among others      bit for bit: any rank, any evaluation
 *   two windows           == one long window                 bit for bit: carried state
 *   any split of shards over ranks, summed by the tree       bit for bit: rule R2
 *   denormal inputs       == zeros                           bit for bit: flushed in every thread; times are printed
 *   padding stays zero, a NaN stays in its row, nothing is written beyond what is ours */
#include "tests/compare.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/recurrent_run.h"
#include "tests/kernels/tables.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const char *const cells[] = {"rnn_tanh", "rnn_relu", "lstm", "gru", "gru_before"};
#define CELLS 5

/* ---- the reference: true shapes, no padding, double ---- */

typedef struct answer {
    double *h, *c; /* (T+1,B,H), row 0 the state before */
    double *dx, *dw_ih, *dw_hh, *db_ih, *db_hh;
    double loss; /* sum of dh * h */
} answer;

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* W row . v */
static double dot(const float *row, const double *v, int n)
{
    double s = 0;
    for (int i = 0; i < n; i++)
        s += (double)row[i] * v[i];
    return s;
}

enum { RNN_TANH, RNN_RELU, LSTM, GRU, GRU_BEFORE };

static int kind_of(const problem *p)
{
    for (int i = 0; i < CELLS; i++)
        if (p->cell == cell_find(cells[i]))
            return i;
    fail();
    return -1;
}

/* One row b: forward over all steps, keeping gate g of unit j at step t in a[(t*4+g)*H+j] (slot 3 of a
 * GRU: recurrent part of n). */
static void row_forward(const problem *p, answer *y, int b, double *a)
{
    const int H = p->H, kind = kind_of(p), G = p->cell->gates;
    const size_t step = (size_t)p->B * (size_t)H;
    double *x = array_doubles((size_t)p->I), *rh = array_doubles((size_t)H);
    for (int t = 0; t < p->T; t++) {
        const double *before = y->h + (size_t)t * step + (size_t)b * (size_t)H;
        double *h = y->h + (size_t)(t + 1) * step + (size_t)b * (size_t)H,
               *at = a + (size_t)t * 4 * (size_t)H;
        for (int i = 0; i < p->I; i++)
            x[i] = (double)p->x[((size_t)t * (size_t)p->B + (size_t)b) * (size_t)p->I + (size_t)i];
        for (int g = 0; g < G; g++) {
            for (int j = 0; j < H; j++) {
                const size_t row = (size_t)(g * H + j);
                double u = dot(p->w_ih + row * (size_t)p->I, x, p->I) + (double)p->b_ih[row];
                const double *times = kind == GRU_BEFORE && g == 2 ? rh : before;
                double v = dot(p->w_hh + row * (size_t)H, times, H) + (double)p->b_hh[row];
                double *gate = &at[g * H + j];
                if (kind == RNN_TANH)
                    *gate = tanh(u + v);
                else if (kind == RNN_RELU)
                    *gate = u + v > 0 ? u + v : 0;
                else if (kind == LSTM)
                    *gate = g == 2 ? tanh(u + v) : sigmoid(u + v);
                else if (g < 2)
                    *gate = sigmoid(u + v);
                else {
                    *gate = tanh(u + (kind == GRU ? at[j] : 1.0) * v);
                    at[3 * H + j] = v;
                }
            }
            if (g == 1)
                for (int j = 0; j < H; j++)
                    rh[j] = at[j] * before[j];
        }
        for (int j = 0; j < H; j++) {
            if (kind == LSTM) {
                double *c = y->c + (size_t)(t + 1) * step + (size_t)b * (size_t)H + j;
                *c = at[H + j] * c[-(ptrdiff_t)step] + at[j] * at[2 * H + j];
                h[j] = at[3 * H + j] * tanh(*c);
            } else {
                h[j] = kind < LSTM ? at[j] : (1 - at[H + j]) * at[2 * H + j] + at[H + j] * before[j];
            }
        }
    }
    free(x);
    free(rh);
}

/* Adds gradient d by the input part and e by the recurrent part of gate row `row` at step t. */
static void row_spread(const problem *p, answer *y, int t, int b, size_t row, double d, double e,
                       const double *times, double *dtimes)
{
    const size_t xt = ((size_t)t * (size_t)p->B + (size_t)b) * (size_t)p->I;
    for (int i = 0; i < p->I; i++) {
        y->dw_ih[row * (size_t)p->I + (size_t)i] += d * (double)p->x[xt + (size_t)i];
        y->dx[xt + (size_t)i] += d * (double)p->w_ih[row * (size_t)p->I + (size_t)i];
    }
    for (int j = 0; j < p->H; j++) {
        y->dw_hh[row * (size_t)p->H + (size_t)j] += e * times[j];
        dtimes[j] += e * (double)p->w_hh[row * (size_t)p->H + (size_t)j];
    }
    y->db_ih[row] += d;
    y->db_hh[row] += e;
}

static void row_backward(const problem *p, answer *y, int b, const double *a)
{
    const int H = p->H, kind = kind_of(p);
    const size_t step = (size_t)p->B * (size_t)H;
    double *dh = array_doubles((size_t)H), *dc = array_doubles((size_t)H), *next = array_doubles((size_t)H),
           *drh = array_doubles((size_t)H), *rh = array_doubles((size_t)H);
    for (int t = p->T - 1; t >= 0; t--) {
        const double *before = y->h + (size_t)t * step + (size_t)b * (size_t)H,
                     *at = a + (size_t)t * 4 * (size_t)H;
        const double *c = y->c ? y->c + (size_t)(t + 1) * step + (size_t)b * (size_t)H : NULL;
        memset(next, 0, (size_t)H * sizeof *next);
        memset(drh, 0, (size_t)H * sizeof *drh);
        for (int j = 0; j < H; j++) {
            dh[j] += (double)p->dh[(size_t)t * step + (size_t)(b * H + j)];
            rh[j] = at[j] * before[j];
        }
        for (int j = 0; j < H; j++) {
            const double g0 = at[j], g1 = at[H + j], g2 = at[2 * H + j], g3 = at[3 * H + j], d = dh[j];
            const size_t r0 = (size_t)j, r1 = (size_t)(H + j), r2 = (size_t)(2 * H + j),
                         r3 = (size_t)(3 * H + j);
            if (kind < LSTM) {
                double e = kind == RNN_TANH ? d * (1 - g0 * g0) : g0 > 0 ? d : 0;
                row_spread(p, y, t, b, r0, e, e, before, next);
            } else if (kind == LSTM) {
                double th = tanh(c[j]), cell = d * g3 * (1 - th * th) + dc[j];
                double e[4] = {cell * g2 * g0 * (1 - g0), cell * c[j - (ptrdiff_t)step] * g1 * (1 - g1),
                               cell * g0 * (1 - g2 * g2), d * th * g3 * (1 - g3)};
                row_spread(p, y, t, b, r0, e[0], e[0], before, next);
                row_spread(p, y, t, b, r1, e[1], e[1], before, next);
                row_spread(p, y, t, b, r2, e[2], e[2], before, next);
                row_spread(p, y, t, b, r3, e[3], e[3], before, next);
                dc[j] = cell * g1;
            } else {
                double dz = d * (before[j] - g2) * g1 * (1 - g1), dn = d * (1 - g1) * (1 - g2 * g2);
                next[j] += d * g1;
                row_spread(p, y, t, b, r1, dz, dz, before, next);
                row_spread(p, y, t, b, r2, dn, kind == GRU ? dn * g0 : dn, kind == GRU ? before : rh,
                           kind == GRU ? next : drh);
                if (kind == GRU) {
                    double dr = dn * g3 * g0 * (1 - g0);
                    row_spread(p, y, t, b, r0, dr, dr, before, next);
                }
            }
        }
        for (int j = 0; kind == GRU_BEFORE && j < H; j++) {
            double dr = drh[j] * before[j] * at[j] * (1 - at[j]);
            row_spread(p, y, t, b, (size_t)j, dr, dr, before, next);
            next[j] += drh[j] * at[j];
        }
        memcpy(dh, next, (size_t)H * sizeof *dh);
    }
    free(dh);
    free(dc);
    free(next);
    free(drh);
    free(rh);
}

static answer solve(const problem *p)
{
    const size_t G = (size_t)p->cell->gates, H = (size_t)p->H, step = (size_t)p->B * H, T = (size_t)p->T;
    answer y = {.h = array_doubles((T + 1) * step),
                .c = array_doubles((T + 1) * step),
                .dx = array_doubles(T * (size_t)p->B * (size_t)p->I)};
    y.dw_ih = array_doubles(G * H * (size_t)p->I);
    y.dw_hh = array_doubles(G * H * H);
    y.db_ih = array_doubles(G * H);
    y.db_hh = array_doubles(G * H);
    for (size_t i = 0; i < step; i++) {
        y.h[i] = (double)p->h0[i];
        y.c[i] = (double)p->c0[i];
    }
    double *a = array_doubles(T * 4 * H);
    for (int b = 0; b < p->B; b++) {
        row_forward(p, &y, b, a);
        row_backward(p, &y, b, a);
    }
    free(a);
    for (size_t i = 0; i < T * step; i++)
        y.loss += (double)p->dh[i] * y.h[step + i];
    return y;
}

static void answer_free(answer *y)
{
    double *all[] = {y->h, y->c, y->dx, y->dw_ih, y->dw_hh, y->db_ih, y->db_hh};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

/* ---- tests ---- */

/* The tree over [a,b) from the nodes of `results`, as rule R2 writes it. */
static void tree(const result *results, int n, int a, int b, float *sum, size_t floats_each)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < results[i].p.nodes; j++)
            if (results[i].p.node[j].first == a && results[i].p.node[j].last == b) {
                memcpy(sum, results[i].gradient + (size_t)j * results[i].stride, floats_each * sizeof *sum);
                return;
            }
    assert_true(b - a >= 2);
    float *right = array_blank(floats_each);
    tree(results, n, a, shard_split(a, b), sum, floats_each);
    tree(results, n, shard_split(a, b), b, right, floats_each);
    for (size_t i = 0; i < floats_each; i++)
        sum[i] += right[i];
    free(right);
}

static void loss_difference(const problem *p, float *value, double gradient)
{
    const float was = *value, step = 1e-3f;
    *value = was + step;
    float up = *value;
    answer a = solve(p);
    *value = was - step;
    answer b = solve(p);
    double slope = (a.loss - b.loss) / ((double)up - (double)*value);
    *value = was;
    answer_free(&a);
    answer_free(&b);
    assert_true(fabs(slope - gradient) <= 1e-4 * (1 + fabs(gradient)));
}

static void test_reference_gradient(void **state)
{
    (void)state;
    for (int c = 0; c < CELLS; c++) {
        problem p = problem_make(cells[c], 3, 4, 4, 2, 1);
        answer y = solve(&p);
        const int rows = p.cell->gates * p.H;
        for (int i = 0; i < rows; i++) {
            loss_difference(&p, &p.b_ih[i], y.db_ih[i]);
            loss_difference(&p, &p.b_hh[i], y.db_hh[i]);
            loss_difference(&p, &p.w_ih[i * 3 + i % 3], y.dw_ih[i * 3 + i % 3]);
            loss_difference(&p, &p.w_hh[i * 4 + i % 4], y.dw_hh[i * 4 + i % 4]);
        }
        for (int i = 0; i < p.T * p.B * p.I; i++)
            loss_difference(&p, &p.x[i], y.dx[i]);
        answer_free(&y);
        problem_free(&p);
    }
}

/* (T,rows,ld) padded floats against (T,rows,n) doubles; padding must be zero. */
static void check_padded(const char *what, const float *got, const double *want, size_t rows, int n, int ld,
                         double floor, double tolerance)
{
    for (size_t i = 0; i < rows; i++) {
        assert_true(
            close_floats(what, got + i * (size_t)ld, want + i * (size_t)n, (size_t)n, floor, tolerance));
        for (int j = n; j < ld; j++)
            assert_true(got[i * (size_t)ld + (size_t)j] == 0.0f);
    }
}

static void check_against_reference(const problem *p, const answer *y, const kernels *k)
{
    result r = run(p, k, 2, 0, 1, 0, true);
    const size_t rows = (size_t)p->T * (size_t)p->B, GH = (size_t)(p->cell->gates * p->H),
                 step = (size_t)p->B * (size_t)p->H;
    check_padded("h", r.h, y->h + step, rows, p->H, r.Hp, 1, 2e-6);
    check_padded("h at the end", r.h_end, y->h + (size_t)p->T * step, (size_t)p->B, p->H, r.Hp, 1, 2e-6);
    if (p->cell->states == 2)
        check_padded("c at the end", r.c_end, y->c + (size_t)p->T * step, (size_t)p->B, p->H, r.Hp, 1, 2e-6);
    check_padded("dx", r.dx, y->dx, rows, p->I, r.Ip, compare_largest(y->dx, rows * (size_t)p->I), 1e-5);
    const double *want[4] = {y->dw_ih, y->dw_hh, y->db_ih, y->db_hh};
    const size_t n[4] = {GH * (size_t)p->I, GH * (size_t)p->H, GH, GH};
    float *sum = array_blank(r.at[4]);
    tree(&r, 1, 0, p->S, sum, r.at[4]);
    for (int i = 0; i < 4; i++)
        assert_true(
            close_floats("gradient", sum + r.at[i], want[i], n[i], compare_largest(want[i], n[i]), 1e-5));
    free(sum);
    result_free(&r);
}

/* All tables, or the vectors' only: the scalar one takes half a minute for a wide layer under the address checker. */
static void check_tables(const problem *p, bool scalar)
{
    int tables;
    const kernels *const *k = kernels_all(&tables);
    answer y = solve(p);
    for (int j = !scalar; j < tables; j++)
        if (table_usable(k[j]))
            check_against_reference(p, &y, k[j]);
    answer_free(&y);
}

static void test_reference(void **state)
{
    (void)state;
    static const int sizes[][5] = {{1, 1, 1, 1, 1},   {5, 7, 3, 2, 2},    {16, 16, 4, 5, 3},
                                   {3, 33, 5, 13, 4}, {40, 50, 3, 25, 5}, {97, 20, 2, 37, 7},
                                   {8, 128, 2, 3, 1}, {16, 24, 3, 5, 2},  {136, 25, 2, 3, 2}};
    for (int c = 0; c < CELLS; c++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            problem p =
                problem_make(cells[c], sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], sizes[i][4]);
            check_tables(&p, true);
            problem_free(&p);
        }
}

/* Every number of units and of inputs to beyond three of the widest vectors; and the benchmark's layer. */
static void test_all_sizes(void **state)
{
    (void)state;
    for (int H = 1; H <= 49; H++)
        for (int c = LSTM; c <= GRU; c++) {
            problem p = problem_make(cells[c], 50 - H, H, 2, 3, 2);
            check_tables(&p, true);
            problem_free(&p);
        }
    problem p = problem_make("lstm", 650, 650, 2, 20, 4);
    check_tables(&p, false);
    problem_free(&p);
}

static void check_same(const result *a, const result *b)
{
    assert_int_equal(a->p.rows, b->p.rows);
    const size_t rows = (size_t)a->T * (size_t)a->p.rows;
    assert_true(same_bits("h", a->h, b->h, rows * (size_t)a->Hp));
    assert_true(same_bits("dx", a->dx, b->dx, rows * (size_t)a->Ip));
    assert_true(same_bits("h at the end", a->h_end, b->h_end, (size_t)a->p.rows * (size_t)a->Hp));
    assert_true(same_bits("c at the end", a->c_end, b->c_end, (size_t)a->p.rows * (size_t)a->Hp));
    assert_true(same_bits("gradients", a->gradient, b->gradient, (size_t)a->p.nodes * a->stride));
}

static void test_tables_and_threads(void **state)
{
    (void)state;
    int tables;
    const kernels *const *k = kernels_all(&tables);
    for (int c = 0; c < CELLS; c++) {
        problem p = problem_make(cells[c], 35, 71, 5, 26, 6);
        result first = run(&p, k[0], 1, 0, 1, 0, true);
        for (int j = 0; j < tables; j++)
            for (int threads = 1; threads <= 8 && table_usable(k[j]); threads++) {
                result r = run(&p, k[j], threads, 0, 1, 0, true);
                check_same(&r, &first);
                result_free(&r);
            }
        result_free(&first);
        problem_free(&p);
    }
}

/* Rank `rank` of `size` alone against its rows among those of all. */
static void check_rows(const problem *p, const kernels *k, const result *all, int rank, int size)
{
    result r = run(p, k, 2, rank, size, 0, true), bare = run(p, k, 1, rank, size, 0, false);
    const size_t h = (size_t)r.p.rows * (size_t)r.Hp, x = (size_t)r.p.rows * (size_t)r.Ip;
    for (int t = 0; t < p->T; t++) {
        const size_t mine = (size_t)t * (size_t)r.p.rows, among = (size_t)t * (size_t)p->B + (size_t)r.p.row0;
        const float *h_all = all->h + among * (size_t)r.Hp;
        assert_true(same_bits("h", r.h + mine * (size_t)r.Hp, h_all, h));
        assert_true(same_bits("dx", r.dx + mine * (size_t)r.Ip, all->dx + among * (size_t)r.Ip, x));
        assert_true(same_bits("h without backward", bare.h + mine * (size_t)r.Hp, h_all, h));
    }
    assert_true(same_bits("c", bare.c_end, all->c_end + (size_t)r.p.row0 * (size_t)r.Hp, h));
    result_free(&r);
    result_free(&bare);
}

static void test_rows_alone(void **state)
{
    (void)state;
    const kernels *k = kernels_select(NULL);
    for (int c = 0; c < CELLS; c++) {
        problem p = problem_make(cells[c], 20, 39, 4, 24, 6);
        result all = run(&p, k, 2, 0, 1, 0, true);
        for (int size = 2; size <= 6; size++)
            for (int rank = 0; rank < size; rank++)
                check_rows(&p, k, &all, rank, size);
        result_free(&all);
        problem_free(&p);
    }
}

/* Layers so wide that blocks of rows share a task, all 76 rows in two runs of blocks; 19 rows are too few for that. */
static void test_wide(void **state)
{
    (void)state;
    static const struct {
        const char *cell;
        int H;
    } wide[] = {{"lstm", 1540}, {"gru_before", 1050}, {"gru", 1050}};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        problem p = problem_make(wide[i].cell, 3, wide[i].H, 2, 76, 4);
        result all = run(&p, kernels_select(NULL), 3, 0, 1, 0, true);
        check_rows(&p, kernels_select(NULL), &all, 1, 4);
        result_free(&all);
        problem_free(&p);
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void scale_to(float *x, size_t n, float scale)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= scale;
}

/* What a denormal costs where it is not flushed is a hundred cycles for each instruction that meets one. */
static void test_denormal_inputs(void **state)
{
    (void)state;
    static const float scales[] = {1.0f, 1e-40f, 0.0f};
    int tables;
    const kernels *const *k = kernels_all(&tables);
    for (int j = 0; j < tables; j++) {
        if (!table_usable(k[j]))
            continue;
        result r[3];
        double seconds[3];
        for (int i = 0; i < 3; i++) {
            problem p = problem_make("lstm", 64, 96, 20, 24, 4);
            scale_to(p.x, (size_t)(p.T * p.B * p.I), scales[i]);
            scale_to(p.dh, (size_t)(p.T * p.B * p.H), scales[i]);
            scale_to(p.h0, (size_t)(p.B * p.H), scales[i]);
            scale_to(p.c0, (size_t)(p.B * p.H), scales[i]);
            const double begin = now();
            r[i] = run(&p, k[j], 3, 0, 1, 0, true);
            seconds[i] = now() - begin;
            problem_free(&p);
        }
        print_message("%s: denormal inputs take %.2f of the time of normal ones\n", kernels_name(k[j]),
                      seconds[1] / seconds[0]);
        check_same(&r[1], &r[2]);
        for (int i = 0; i < 3; i++)
            result_free(&r[i]);
    }
}

static void test_two_windows(void **state)
{
    (void)state;
    const kernels *k = kernels_select(NULL);
    for (int c = 0; c < CELLS; c++) {
        problem p = problem_make(cells[c], 18, 33, 9, 7, 2);
        for (int training = 0; training < 2; training++) {
            result one = run(&p, k, 2, 0, 1, 0, training), two = run(&p, k, 2, 0, 1, 4, training);
            const size_t rows = (size_t)p.T * (size_t)p.B;
            assert_true(same_bits("h", two.h, one.h, rows * (size_t)one.Hp));
            assert_true(same_bits("h at the end", two.h_end, one.h_end, (size_t)p.B * (size_t)one.Hp));
            assert_true(same_bits("c at the end", two.c_end, one.c_end, (size_t)p.B * (size_t)one.Hp));
            result_free(&one);
            result_free(&two);
        }
        problem_free(&p);
    }
}

static void test_any_ranks(void **state)
{
    (void)state;
    const kernels *k = kernels_select(NULL);
    for (int c = 0; c < CELLS; c++) {
        problem p = problem_make(cells[c], 17, 21, 3, 19, 7);
        float *whole = NULL;
        for (int size = 1; size <= 7; size++) {
            result r[7];
            for (int rank = 0; rank < size; rank++)
                r[rank] = run(&p, k, 1 + rank % 3, rank, size, 0, true);
            float *sum = array_blank(r[0].at[4]);
            tree(r, size, 0, p.S, sum, r[0].at[4]);
            if (whole)
                assert_true(same_bits("sum over ranks", sum, whole, r[0].at[4]));
            free(whole);
            whole = sum;
            for (int rank = 0; rank < size; rank++)
                result_free(&r[rank]);
        }
        free(whole);
        problem_free(&p);
    }
}

static void test_nan(void **state)
{
    (void)state;
    const kernels *k = kernels_select(NULL);
    for (int c = 0; c < CELLS; c++) {
        problem p = problem_make(cells[c], 6, 19, 3, 14, 2);
        result clean = run(&p, k, 2, 0, 1, 0, true);
        p.x[((size_t)1 * 14 + 5) * 6 + 2] = NAN; /* step 1, row 5 */
        result r = run(&p, k, 2, 0, 1, 0, true);
        for (int t = 0; t < 3; t++)
            for (int b = 0; b < 14; b++) {
                const size_t at = (size_t)(t * 14 + b) * (size_t)r.Hp;
                if (t >= 1 && b == 5)
                    for (size_t j = 0; j < 19; j++)
                        assert_true(isnan(r.h[at + j]));
                else
                    assert_true(same_bits("other rows", r.h + at, clean.h + at, (size_t)r.Hp));
            }
        assert_true(isnan(r.gradient[r.at[1]]) || isnan(r.gradient[r.stride + r.at[1]]));
        result_free(&clean);
        result_free(&r);
        problem_free(&p);
    }
}

static void test_unknown_cell(void **state)
{
    (void)state;
    assert_null(cell_find("lstn"));
    assert_string_equal(cell_find("lstm")->parts, "hc");
}

/* Rows are counted in int; more of them are refused as memory is that cannot be had. */
static void test_too_many_rows(void **state)
{
    (void)state;
    team *t = team_open(1, kernels_select(NULL));
    arena memory = {0};
    recurrent l;
    recurrent_plan(&l, &memory, t, cell_find("lstm"), 1, 1, 1 << 16, 1 << 16, true);
    assert_false(arena_commit(&memory));
    arena_free(&memory);
    team_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_gradient), cmocka_unit_test(test_reference),
        cmocka_unit_test(test_all_sizes),          cmocka_unit_test(test_tables_and_threads),
        cmocka_unit_test(test_rows_alone),         cmocka_unit_test(test_wide),
        cmocka_unit_test(test_denormal_inputs),    cmocka_unit_test(test_two_windows),
        cmocka_unit_test(test_any_ranks),          cmocka_unit_test(test_nan),
        cmocka_unit_test(test_unknown_cell),       cmocka_unit_test(test_too_many_rows),
    };
    return cmocka_run_group_tests_name("recurrent", tests, NULL, NULL);
}
