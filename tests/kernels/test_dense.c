/* test_dense - the linear layer against plain double precision, and against the order that dense.h states.
 *
 *   y, dx, dW, db  ==  the textbook in double                                       to 2e-6 of the largest element
 *   y, dx, dW, db  ==  chains of fmaf written out, leaves of shards added by the tree      bit for bit
 *
 * for every table, 1 to 8 threads, rows cut among any ranks, every width beside the blocks of 16 columns, primes; with
 * and without a bias; without dx; a plan that is larger than the call.  Every output array has a canary behind it. */
#include "kernels/dense.h"
#include "kernels/sums.h"
#include "tests/compare.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/tables.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RANKS = 8 };

typedef struct problem {
    int K, N, T, B, S;
    float *W, *b, *x, *dy; /* b NULL: no bias; x (T,B,Kp), dy (T,B,Np) */
} problem;

typedef struct answer { /* of all rows and shards */
    float *y, *dx, *dW, *db;
} answer;

static size_t rows_of(const problem *q)
{
    return (size_t)q->T * (size_t)q->B;
}

static problem open_problem(int K, int N, int T, int B, int S, bool bias)
{
    problem q = {.K = K, .N = N, .T = T, .B = B, .S = S};
    q.W = array_random((size_t)K * (size_t)N, 1.0f, 1);
    q.b = bias ? array_random((size_t)N, 1.0f, 2) : NULL;
    q.x = array_rows(rows_of(&q), K, 1.0f, 3);
    q.dy = array_rows(rows_of(&q), N, 1.0f, 4);
    return q;
}

static void close_problem(problem *q)
{
    free(q->W);
    free(q->b);
    free(q->x);
    free(q->dy);
}

static answer open_answer(const problem *q)
{
    return (answer){.y = array_blank(rows_of(q) * (size_t)PAD16(q->N)),
                    .dx = array_blank(rows_of(q) * (size_t)PAD16(q->K)),
                    .dW = array_blank((size_t)q->K * (size_t)q->N),
                    .db = array_blank((size_t)q->N)};
}

static void close_answer(answer *a)
{
    free(a->y);
    free(a->dx);
    free(a->dW);
    free(a->db);
}

/* ---- the layer ---- */

/* One rank's part: nodes' gradients, W and behind it b, and its rows of y and dx into all's. */
static void run_rank(const problem *q, const kernels *k, int threads, const shards *p, float *gradient,
                     answer *a)
{
    const int Kp = PAD16(q->K), Np = PAD16(q->N);
    const size_t rows = (size_t)(q->T * p->rows), weights = (size_t)q->K * (size_t)q->N,
                 stride = weights + (size_t)q->N;
    team *t = team_open(threads, k);
    arena memory = {0};
    dense d;
    dense_plan(&d, &memory, t, q->K, q->N, q->T + threads % 2, p->rows + threads % 2, true);
    assert_true(arena_commit(&memory));
    float *x = array_cut(q->x, q->T, q->B, Kp, p->row0, p->rows),
          *dy = array_cut(q->dy, q->T, q->B, Np, p->row0, p->rows), *y = array_blank(rows * (size_t)Np),
          *dx = array_blank(rows * (size_t)Kp);
    for (int twice = 0; twice < 2; twice++) { /* a second call must not see the first */
        dense_forward(&d, t, q->W, q->b, x, y, q->T, p->rows);
        dense_backward(&d, t, q->W, x, dy, twice ? NULL : dx, q->T, p, gradient,
                       q->b ? gradient + weights : NULL, stride);
    }
    array_check(y, rows * (size_t)Np);
    array_check(dx, rows * (size_t)Kp);
    array_put(a->y, y, q->T, q->B, Np, p->row0, p->rows);
    array_put(a->dx, dx, q->T, q->B, Kp, p->row0, p->rows);
    float *all[] = {x, dy, y, dx};
    for (int i = 0; i < 4; i++)
        free(all[i]);
    arena_free(&memory);
    team_close(t);
}

static answer run(const problem *q, const kernels *k, int threads, int ranks)
{
    const size_t weights = (size_t)q->K * (size_t)q->N, stride = weights + (size_t)q->N;
    answer a = open_answer(q);
    shard_node node[RANKS * SHARD_NODES_MAX];
    const float *part[RANKS * SHARD_NODES_MAX];
    float *gradient[RANKS], *sum = array_blank(stride);
    int nodes = 0;
    for (int r = 0; r < ranks; r++) {
        shards p;
        shards_init(&p, q->B, q->S, r, ranks);
        gradient[r] = array_blank((size_t)p.nodes * stride);
        run_rank(q, k, threads, &p, gradient[r], &a);
        array_check(gradient[r], (size_t)p.nodes * stride);
        for (int i = 0; i < p.nodes; i++, nodes++) {
            node[nodes] = p.node[i];
            part[nodes] = gradient[r] + (size_t)i * stride;
        }
    }
    team *t = team_open(1, k);
    sums_tree(t, sum, part, node, nodes, q->S, stride);
    team_close(t);
    memcpy(a.dW, sum, weights * sizeof *sum);
    memcpy(a.db, sum + weights, (size_t)q->N * sizeof *sum);
    for (int r = 0; r < ranks; r++)
        free(gradient[r]);
    free(sum);
    return a;
}

/* ---- the same in other words ---- */

/* dW[n][k], or db[n] for k < 0, of the shards [a,b). */
static float tree_of(const problem *q, int n, int k, int a, int b)
{
    if (b - a > 1) {
        const int middle = shard_split(a, b);
        return tree_of(q, n, k, a, middle) + tree_of(q, n, k, middle, b);
    }
    float sum = 0.0f;
    for (int t = 0; t < q->T; t++)
        for (int row = shard_row(q->B, q->S, a); row < shard_row(q->B, q->S, b); row++) {
            const int i = t * q->B + row;
            const float dy = q->dy[i * PAD16(q->N) + n];
            sum = k < 0 ? sum + dy : fmaf(dy, q->x[i * PAD16(q->K) + k], sum);
        }
    return sum;
}

static answer chains(const problem *q)
{
    const int Kp = PAD16(q->K), Np = PAD16(q->N), rows = q->T * q->B;
    answer a = open_answer(q);
    memset(a.y, 0, rows_of(q) * (size_t)Np * sizeof(float));
    memset(a.dx, 0, rows_of(q) * (size_t)Kp * sizeof(float));
    for (int i = 0; i < rows; i++) {
        for (int n = 0; n < q->N; n++) {
            float y = q->b ? q->b[n] : 0.0f;
            for (int k = 0; k < q->K; k++)
                y = fmaf(q->x[i * Kp + k], q->W[n * q->K + k], y);
            a.y[i * Np + n] = y;
        }
        for (int k = 0; k < q->K; k++) {
            float dx = 0.0f;
            for (int n = 0; n < q->N; n++)
                dx = fmaf(q->dy[i * Np + n], q->W[n * q->K + k], dx);
            a.dx[i * Kp + k] = dx;
        }
    }
    for (int n = 0; n < q->N; n++) {
        for (int k = 0; k < q->K; k++)
            a.dW[n * q->K + k] = tree_of(q, n, k, 0, q->S);
        if (q->b)
            a.db[n] = tree_of(q, n, -1, 0, q->S);
    }
    return a;
}

static void check_close(const char *what, const float *got, const double *want, size_t n)
{
    assert_true(close_floats(what, got, want, n, compare_largest(want, n), 2e-6));
}

static void check_plain(const problem *q, const answer *a)
{
    const int Kp = PAD16(q->K), Np = PAD16(q->N), rows = q->T * q->B;
    const size_t of_y = rows_of(q) * (size_t)Np, of_x = rows_of(q) * (size_t)Kp,
                 of_W = (size_t)q->K * (size_t)q->N;
    double *y = array_doubles(of_y), *dx = array_doubles(of_x), *dW = array_doubles(of_W),
           *db = array_doubles((size_t)q->N);
    for (int i = 0; i < rows; i++)
        for (int n = 0; n < q->N; n++) {
            const double dy = (double)q->dy[i * Np + n];
            y[i * Np + n] = q->b ? (double)q->b[n] : 0.0;
            db[n] += dy;
            for (int k = 0; k < q->K; k++) {
                const double w = (double)q->W[n * q->K + k], x = (double)q->x[i * Kp + k];
                y[i * Np + n] += w * x;
                dx[i * Kp + k] += w * dy;
                dW[n * q->K + k] += x * dy;
            }
        }
    check_close("y", a->y, y, of_y);
    check_close("dx", a->dx, dx, of_x);
    check_close("dW", a->dW, dW, of_W);
    if (q->b)
        check_close("db", a->db, db, (size_t)q->N);
    double *all[] = {y, dx, dW, db};
    for (int i = 0; i < 4; i++)
        free(all[i]);
}

static void check_same(const problem *q, const answer *got, const answer *want, const char *way)
{
    assert_true(same_bits(way, got->y, want->y, rows_of(q) * (size_t)PAD16(q->N)));
    assert_true(same_bits(way, got->dx, want->dx, rows_of(q) * (size_t)PAD16(q->K)));
    assert_true(same_bits(way, got->dW, want->dW, (size_t)q->K * (size_t)q->N));
    if (q->b)
        assert_true(same_bits(way, got->db, want->db, (size_t)q->N));
}

static void check(const problem *q, const kernels *k, const answer *want, int threads, int ranks)
{
    char way[100];
    snprintf(way, sizeof way, "%s K%d N%d T%d B%d S%d, %d threads, %d ranks", kernels_name(k), q->K, q->N,
             q->T, q->B, q->S, threads, ranks);
    answer got = run(q, k, threads, ranks);
    check_same(q, &got, want, way);
    close_answer(&got);
}

/* ---- tests ---- */

static void test_widths(void **state)
{
    (void)state;
    static const int widths[] = {1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 47, 48, 49};
    enum { WIDTHS = sizeof widths / sizeof *widths };
    int count;
    const kernels *const *all = kernels_all(&count);
    for (int i = 0; i < WIDTHS; i++)
        for (int j = 0; j < WIDTHS; j++) {
            problem q = open_problem(widths[i], widths[j], 1 + (i + j) % 3, 5, 3, (i + j) % 2);
            answer want = chains(&q);
            check_plain(&q, &want);
            for (int k = 0; k < count; k++)
                if (table_usable(all[k]))
                    check(&q, all[k], &want, 1 + (i + k) % 2, 1 + j % 3);
            close_answer(&want);
            close_problem(&q);
        }
}

/* Documents of a class each: N of 1, 2 and many, rows beside the tiles, more shards than some ranks like, and than
 * there are rows. */
static void test_threads_and_ranks(void **state)
{
    (void)state;
    static const int shapes[][5] = {
        {101, 2, 1, 19, 7}, {37, 1, 5, 13, 8}, {130, 67, 3, 25, 5}, {5, 131, 2, 1, 1}, {9, 18, 2, 3, 7}};
    int count;
    const kernels *const *all = kernels_all(&count);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int *z = shapes[i];
        problem q = open_problem(z[0], z[1], z[2], z[3], z[4], true);
        answer want = chains(&q);
        check_plain(&q, &want);
        for (int k = 0; k < count; k++) {
            for (int threads = 1; threads <= 8 && table_usable(all[k]); threads++)
                check(&q, all[k], &want, threads, 1);
            for (int ranks = 2; ranks <= q.S && ranks <= q.B && table_usable(all[k]); ranks++)
                check(&q, all[k], &want, 1 + ranks % 3, ranks);
        }
        close_answer(&want);
        close_problem(&q);
    }
}

/* Rows are counted in int; more of them are refused as memory is that cannot be had. */
static void test_too_many_rows(void **state)
{
    (void)state;
    team *t = team_open(1, kernels_select(NULL));
    arena memory = {0};
    dense d;
    dense_plan(&d, &memory, t, 1, 1, 1 << 16, 1 << 16, true);
    assert_false(arena_commit(&memory));
    arena_free(&memory);
    team_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_widths),
                                       cmocka_unit_test(test_threads_and_ranks),
                                       cmocka_unit_test(test_too_many_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
