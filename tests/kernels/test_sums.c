/* test_sums - the tree over partials, norms over blocks, the search for what is not finite.
 *
 *   sums_tree of any cut of [0,S) into ranks' partials  ==  the tree of all leaves, as a recursion: same bits
 *   sums_squares, sums_blocks  ==  their definition (16 lanes, one tree) written apart: same bits
 *   and close to the plain sum; one bad element anywhere is found;
 *   of a matrix with few rows that are not zero, told which  ==  not told: same bits, and what is far from them is
 *   not read.
 *
 * The partials are random, so that another order of additions gives other bits (asked for below: the test
 * can fail). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/rng.h"
#include "kernels/sums.h"
#include "tests/compare.h"
#include "tests/kernels/tables.h"

enum { SMAX = 20, N = 3000, RAGGED = 2 * BLOCK_FLOATS + 77, LONG = 5 * BLOCK_FLOATS + 77 };

static float leaf[SMAX][N + 1], made[SMAX][N + 1], out[N + 16];
static double leaf_double[SMAX];

static void fill(float *x, size_t n, uint32_t row)
{
    rng_place p = {.seed = 5, .row = row, .purpose = RNG_TEST};
    for (size_t i = 0; i < n; i++)
        x[i] = 2.0f * rng_uniform(&p, (uint32_t)i) - 1.0f;
}

static void tree(float *to, int a, int b)
{
    if (b - a == 1) {
        memcpy(to, leaf[a], sizeof leaf[a]);
        return;
    }
    float *right = malloc(sizeof leaf[0]);
    assert_non_null(right);
    tree(to, a, shard_split(a, b));
    tree(right, shard_split(a, b), b);
    for (int i = 0; i < N + 1; i++)
        to[i] += right[i];
    free(right);
}

static double tree_double(int a, int b)
{
    int m = b - a > 1 ? shard_split(a, b) : a;
    return b - a == 1 ? leaf_double[a] : tree_double(a, m) + tree_double(m, b);
}

/* Calls check once for every usable table, with one thread more each time. */
static void each_team(void (*check)(team *t))
{
    int count;
    const kernels *const *all = kernels_all(&count);
    for (int k = 0; k < count; k++)
        if (table_usable(all[k])) {
            team *t = team_open(1 + k, all[k]);
            assert_non_null(t);
            check(t);
            team_close(t);
        }
}

static void check_tree(team *t)
{
    static float want[N + 1];
    for (int S = 1; S <= SMAX; S++) {
        tree(want, 0, S);
        for (int size = 1; size <= S; size++) {
            shard_node node[SMAX];
            const float *part[SMAX];
            double part_double[SMAX];
            int nodes = 0;
            for (int r = 0; r < size; r++) {
                shards p;
                shards_init(&p, S, S, r, size);
                for (int i = 0; i < p.nodes; i++, nodes++) {
                    node[nodes] = p.node[i];
                    tree(made[nodes], p.node[i].first, p.node[i].last);
                    part[nodes] = made[nodes];
                    part_double[nodes] = tree_double(p.node[i].first, p.node[i].last);
                }
            }
            for (int i = 0; i < N + 16; i++)
                out[i] = 7.0f;
            sums_tree(t, out, part, node, nodes, S, N);
            assert_true(same_bits("tree", out, want, N));
            for (int i = N; i < N + 16; i++)
                assert_true(out[i] == 7.0f);
            assert_true(sums_tree_double(part_double, node, nodes, S) == tree_double(0, S));
            sums_tree(t, made[0], part, node, nodes, S, N); /* in place */
            assert_true(same_bits("tree in place", made[0], want, N));
        }
    }
}

static void test_tree(void **state)
{
    (void)state;
    for (int s = 0; s < SMAX; s++) {
        fill(leaf[s], N + 1, (uint32_t)s);
        leaf_double[s] = (double)leaf[s][0] / 3;
    }
    each_team(check_tree);
}

/* The order matters with these numbers: a plain chain gives other bits somewhere. */
static void test_order_shows(void **state)
{
    (void)state;
    static float want[N + 1], chain[N + 1];
    tree(want, 0, 8);
    memset(chain, 0, sizeof chain);
    for (int s = 0; s < 8; s++)
        for (int i = 0; i < N; i++)
            chain[i] += leaf[s][i];
    assert_memory_not_equal(chain, want, N * sizeof(float));
}

/* Denormals are flushed, as everywhere where a parameter can be reached (rule R8). */
static void check_flush(team *t)
{
    const float a[2] = {1e-39f, 1.5e-38f}, b[2] = {1e-39f, -1.4e-38f};
    const float *part[2] = {a, b};
    const shard_node node[2] = {{0, 1}, {1, 2}};
    sums_tree(t, out, part, node, 2, 2, 2);
    assert_true(out[0] == 0.0f && out[1] == 0.0f);
}

static void test_flush(void **state)
{
    (void)state;
    each_team(check_flush);
}

static double squares(const float *x, size_t n, float scale)
{
    double lane[16] = {0};
    for (size_t i = 0; i < n; i++) {
        float g = x[i] * scale;
        lane[i % 16] += (double)g * (double)g;
    }
    for (int half = 8; half; half /= 2)
        for (int j = 0; j < half; j++)
            lane[j] += lane[j + half];
    return lane[0];
}

static float ragged[RAGGED];

static void check_squares(team *t)
{
    for (size_t n = 1; n <= RAGGED; n += n < 70 ? 1 : n / 3) {
        double block[3] = {-1, -1, -1}, plain = 0;
        sums_squares(t, &(sums_piece){block, ragged, n, NULL}, 1, 0.3f);
        for (size_t i = 0, b = 0; i < n; i += BLOCK_FLOATS, b++)
            assert_true(block[b] == squares(ragged + i, n - i < BLOCK_FLOATS ? n - i : BLOCK_FLOATS, 0.3f));
        for (size_t i = 0; i < n; i++)
            plain += 0.09 * (double)ragged[i] * (double)ragged[i];
        assert_true(
            close_double("squares", sums_blocks(block, (n + BLOCK_FLOATS - 1) / BLOCK_FLOATS), plain, 1e-6));
    }
}

static void test_squares(void **state)
{
    (void)state;
    fill(ragged, RAGGED, 99);
    each_team(check_squares);
}

/* Pieces of no block to three, all at once, of some told that all of it is one row: each as if alone. */
static void check_pieces(team *t)
{
    enum { PIECES = 90 };
    double block[PIECES][4], alone[4];
    sums_piece piece[PIECES];
    sums_rows only[PIECES];
    const uint32_t first = 0;
    for (size_t i = 0; i < PIECES; i++) {
        for (int b = 0; b < 4; b++)
            block[i][b] = -1;
        piece[i] = (sums_piece){block[i], ragged + i, i * i % (RAGGED - PIECES), NULL};
        only[i] = (sums_rows){&first, 1, piece[i].n};
        if (i % 5 == 2)
            piece[i].only = &only[i];
    }
    sums_squares(t, piece, PIECES, 0.3f);
    for (int i = 0; i < PIECES; i++) {
        for (int b = 0; b < 4; b++)
            alone[b] = -1;
        sums_squares(t, &(sums_piece){alone, piece[i].x, piece[i].n, NULL}, 1, 0.3f);
        assert_memory_equal(block[i], alone, sizeof alone);
    }
}

static void test_pieces(void **state)
{
    (void)state;
    fill(ragged, RAGGED, 99);
    each_team(check_pieces);
}

/* A share of many arrays: all tasks together have each unit once. */
static void mark(member *m, void *arg)
{
    atomic_int(*seen)[100] = arg;
    sums_share share;
    while (sums_claim(m, &share))
        for (size_t n = 0; n < 100; n++) {
            size_t from, to;
            sums_cut(&share, n, &from, &to);
            for (size_t i = from; i < to; i++)
                atomic_fetch_add(&seen[n][i], 1);
        }
    team_barrier(m);
}

static void test_shares(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 8; threads++) {
        static atomic_int seen[100][100];
        memset(seen, 0, sizeof seen);
        team *t = team_open(threads, kernels_select(NULL));
        assert_non_null(t);
        team_run(t, mark, seen);
        for (int n = 0; n < 100; n++)
            for (int i = 0; i < 100; i++)
                assert_int_equal(seen[n][i], i < n);
        team_close(t);
    }
}

/* n elements in rows of `columns`: one row in `apart`, or none. What is further than 16 from any of them is NaN
 * when the sums are told. */
static void check_rows(team *t, size_t n, size_t columns, int apart)
{
    static float x[LONG];
    static bool near[LONG];
    uint32_t row[RAGGED];
    sums_rows only = {.row = row, .columns = columns};
    memset(x, 0, sizeof x);
    memset(near, 0, sizeof near);
    for (uint32_t v = 0; apart && v < n / columns; v++)
        if (v % (uint32_t)apart == (uint32_t)apart / 2) {
            row[only.rows++] = v;
            fill(x + v * columns, columns, v);
            const size_t from = v * columns < 16 ? 0 : v * columns - 16;
            for (size_t i = from; i < (v + 1) * columns + 16 && i < n; i++)
                near[i] = true;
        }
    double told[6] = {-1, -1, -1, -1, -1, -1}, all[6] = {-1, -1, -1, -1, -1, -1};
    sums_squares(t, &(sums_piece){all, x, n, NULL}, 1, 0.3f);
    for (size_t i = 0; i < n; i++)
        x[i] = near[i] ? x[i] : NAN;
    sums_squares(t, &(sums_piece){told, x, n, &only}, 1, 0.3f);
    assert_memory_equal(told, all, sizeof all);
}

/* Rows of less than a lane to more than two blocks; those of 5000 and 9000 begin and end inside blocks and cover
 * whole ones. */
static void check_few_rows(team *t)
{
    static const size_t columns[] = {1, 3, 16, 50, 128, 650, 4096, 5000, 9000};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        for (int apart = 0; apart < 40; apart = apart < 4 ? apart + 1 : 2 * apart) {
            const size_t most = columns[i] < 16 ? RAGGED : LONG;
            check_rows(t, most / columns[i] * columns[i], columns[i], apart);
        }
}

static void test_few_rows(void **state)
{
    (void)state;
    each_team(check_few_rows);
}

static void test_blocks(void **state)
{
    (void)state;
    for (int n = 1; n <= SMAX; n++)
        assert_true(sums_blocks(leaf_double, (size_t)n) == tree_double(0, n));
    assert_true(sums_blocks(leaf_double, 0) == 0.0);
}

static void check_finite(team *t)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t n = 1; n <= RAGGED; n += n < 70 ? 1 : n / 3) {
        assert_true(sums_all_finite(t, ragged, n));
        for (size_t i = 0; i < n; i += 1 + n / 50) {
            float keep = ragged[i];
            ragged[i] = bad[i % 3];
            assert_false(sums_all_finite(t, ragged, n));
            ragged[i] = keep;
        }
        ragged[n - 1] = 3.4e38f; /* large is finite */
        assert_true(sums_all_finite(t, ragged, n));
    }
}

static void test_finite(void **state)
{
    (void)state;
    fill(ragged, RAGGED, 99);
    each_team(check_finite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),     cmocka_unit_test(test_order_shows), cmocka_unit_test(test_flush),
        cmocka_unit_test(test_squares),  cmocka_unit_test(test_blocks),      cmocka_unit_test(test_finite),
        cmocka_unit_test(test_few_rows), cmocka_unit_test(test_pieces),      cmocka_unit_test(test_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
