/* test_embedding - rows in, gradients back.
 *
 *   gather   ==  a copy of rows, padding zero
 *   scatter  ==  for every shard a dense leaf (chain over time, then row, from +0; then +0), then the
 *                dense tree: bit for bit, for any ranks, threads and tables
 *
 * The dense way is written here in full; the module never forms a dense leaf.
 * The gradients start as canaries, so that a row left unwritten shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/embedding.h"
#include "kernels/rng.h"
#include "tests/compare.h"
#include "tests/kernels/tables.h"

enum { RANKS = 6 };

typedef struct problem {
    int V, E, T, B, S;
    uint32_t *id;
    float *dx; /* (T,B,Ep) */
} problem;

static float *floats(size_t n)
{
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i <= n; i++)
        x[i] = -12345.0f;
    return x;
}

static problem make_problem(int V, int E, int T, int B, int S)
{
    problem q = {V,
                 E,
                 T,
                 B,
                 S,
                 malloc((size_t)T * (size_t)B * sizeof(uint32_t)),
                 floats((size_t)T * (size_t)B * (size_t)PAD16(E))};
    assert_non_null(q.id);
    rng_place place = {.seed = 4, .purpose = RNG_TEST};
    for (int i = 0; i < T * B; i++) {
        float u = rng_uniform(&place, (uint32_t)i);
        q.id[i] = (uint32_t)(u * u * (float)V); /* some words often, some never */
    }
    place.row = 1;
    for (int i = 0; i < T * B * PAD16(E); i++)
        q.dx[i] = 2.0f * rng_uniform(&place, (uint32_t)i) - 1.0f;
    return q;
}

static void free_problem(problem *q)
{
    free(q->id);
    free(q->dx);
}

/* The dense tree over shards [a,b). */
static void dense(const problem *q, float *out, int a, int b)
{
    const size_t E = (size_t)q->E, n = (size_t)q->V * E;
    if (b - a == 1) {
        memset(out, 0, n * sizeof(float));
        for (int t = 0; t < q->T; t++)
            for (int row = shard_row(q->B, q->S, a); row < shard_row(q->B, q->S, b); row++) {
                size_t token = (size_t)t * (size_t)q->B + (size_t)row;
                for (size_t e = 0; e < E; e++)
                    out[q->id[token] * E + e] += q->dx[token * (size_t)PAD16(q->E) + e];
            }
        return;
    }
    float *right = floats(n);
    dense(q, out, a, shard_split(a, b));
    dense(q, right, shard_split(a, b), b);
    for (size_t i = 0; i < n; i++)
        out[i] += right[i];
    free(right);
}

/* Rank r's rows of the problem. */
static problem cut_rows(const problem *q, const shards *p)
{
    problem mine = make_problem(q->V, q->E, q->T, p->rows ? p->rows : 1, q->S);
    const size_t Ep = (size_t)PAD16(q->E);
    for (int t = 0; t < q->T; t++)
        for (int b = 0; b < p->rows; b++) {
            size_t to = (size_t)t * (size_t)p->rows + (size_t)b,
                   from = (size_t)t * (size_t)q->B + (size_t)(p->row0 + b);
            mine.id[to] = q->id[from];
            memcpy(mine.dx + to * Ep, q->dx + from * Ep, Ep * sizeof(float));
        }
    return mine;
}

/* The rows that were written are those of the window's words, each once and rising. */
static void expect_words(const embedding *m, const float *dW, const uint32_t *id, int tokens)
{
    sums_rows rows;
    assert_true(embedding_written(m, dW, &rows));
    assert_int_equal(rows.columns, m->E);
    for (int v = 0, n = 0; v < m->V; v++) {
        bool met = false;
        for (int i = 0; i < tokens; i++)
            met = met || id[i] == (uint32_t)v;
        if (met)
            assert_true(n < rows.rows && rows.row[n++] == (uint32_t)v);
        if (v == m->V - 1)
            assert_int_equal(n, rows.rows);
    }
    assert_false(embedding_written(m, dW + 1, &rows));
}

static void check_rank(problem *q, team *t, const shards *p)
{
    const size_t n = (size_t)q->V * (size_t)q->E, stride = n + 3;
    problem mine = cut_rows(q, p);
    arena a = {0};
    embedding m;
    embedding_plan(&m, &a, q->V, q->E, q->T, mine.B);
    assert_true(arena_commit(&a));
    float *got = floats((size_t)p->nodes * stride), *want = floats(n);
    const embedding_rows changed = {q->V / 3, q->V - q->V / 4};
    for (int call = 0; call < 3; call++) { /* each with the words one further on: others leave and come */
        embedding_scatter(&m, t, mine.id, mine.dx, q->T, p->rows, p, changed, got, stride);
        for (int i = 0; i < p->nodes; i++) {
            dense(q, want, p->node[i].first, p->node[i].last);
            assert_true(same_bits("scatter", got + (size_t)i * stride, want, n));
            assert_true(got[(size_t)i * stride + n] == -12345.0f); /* beyond this node's gradient */
        }
        expect_words(&m, got, mine.id, q->T * p->rows);
        for (int e = changed.first * q->E; e < changed.last * q->E; e++)
            got[e] = 1.0f; /* must not survive */
        for (int i = 0; i < q->T * q->B; i++)
            q->id[i] = (q->id[i] + 1) % (uint32_t)q->V;
        for (int i = 0; i < q->T * mine.B; i++)
            mine.id[i] = (mine.id[i] + 1) % (uint32_t)q->V;
    }
    float *elsewhere = floats((size_t)p->nodes * stride); /* all of it unknown */
    embedding_scatter(&m, t, mine.id, mine.dx, q->T, p->rows, p, (embedding_rows){0, 0}, elsewhere, stride);
    for (int i = 0; i < p->nodes; i++) {
        dense(q, want, p->node[i].first, p->node[i].last);
        assert_true(same_bits("another gradient", elsewhere + (size_t)i * stride, want, n));
    }
    free(elsewhere);
    shards whole = *p; /* the first node alone, then all again: those behind it were left as they are */
    whole.nodes = 1;
    for (int i = 0; i < q->T * mine.B; i++)
        mine.id[i] = q->id[0];
    embedding_scatter(&m, t, mine.id, mine.dx, q->T, p->rows, &whole, (embedding_rows){0, 0}, got, stride);
    for (size_t i = 0; i < (size_t)q->T * (size_t)q->B; i++)
        q->id[i] = q->id[0];
    embedding_scatter(&m, t, mine.id, mine.dx, q->T, p->rows, p, (embedding_rows){0, 0}, got, stride);
    for (int i = 0; i < p->nodes; i++) {
        dense(q, want, p->node[i].first, p->node[i].last);
        assert_true(same_bits("other nodes", got + (size_t)i * stride, want, n));
    }
    free(got);
    free(want);
    arena_free(&a);
    free_problem(&mine);
}

/* V, E, T, B, S: beside the slices of 16 and 256 columns and 64 words, one word only, prime, empty shards; words of
 * one byte, two and three */
static const int shapes[][5] = {
    {1, 1, 1, 1, 1},    {1, 16, 5, 6, 3},    {63, 15, 7, 5, 4},    {64, 17, 4, 16, 8},
    {65, 255, 3, 7, 5}, {7, 257, 2, 3, 3},   {130, 33, 9, 4, 7},   {200, 520, 2, 12, 6},
    {256, 2, 9, 13, 4}, {257, 3, 20, 12, 4}, {70000, 2, 15, 8, 3},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void test_scatter(void **state)
{
    (void)state;
    int count;
    const kernels *const *all = kernels_all(&count);
    for (int i = 0; i < SHAPES; i++) {
        problem q = make_problem(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], shapes[i][4]);
        for (int k = 0; k < count; k++) {
            if (!table_usable(all[k]))
                continue;
            team *t = team_open(1 + (k == i % count ? i % 8 : k), all[k]); /* each number to 8 once */
            for (int ranks = 1; ranks <= q.S && ranks <= RANKS; ranks++)
                for (int r = 0; r < ranks; r++) {
                    shards p;
                    shards_init(&p, q.B, q.S, r, ranks);
                    check_rank(&q, t, &p);
                }
            team_close(t);
        }
        free_problem(&q);
    }
}

/* A sum that cancels below the normal numbers is flushed to zero, and no -0 is left: absent and zero must
 * be one. */
static void test_no_negative_zero(void **state)
{
    (void)state;
    team *t = team_open(1, kernels_select(NULL));
    float dx[4 * 16] = {-1.5e-38f, -0.0f};
    dx[16] = 1.4e-38f;
    const uint32_t id[4] = {0, 0, 1, 1};
    arena a = {0};
    embedding m;
    embedding_plan(&m, &a, 2, 2, 1, 4);
    assert_true(arena_commit(&a));
    for (int S = 1; S <= 4; S++) {
        shards p;
        shards_init(&p, 4, S, 0, 1);
        float dW[4], zero[4] = {0};
        embedding_scatter(&m, t, id, dx, 1, 4, &p, (embedding_rows){0, 2}, dW, 4);
        assert_true(same_bits("no -0", dW, zero, 4));
    }
    arena_free(&a);
    team_close(t);
}

static void test_gather(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        problem q = make_problem(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], shapes[i][4]);
        const size_t E = (size_t)q.E, Ep = (size_t)PAD16(q.E), tokens = (size_t)q.T * (size_t)q.B;
        team *t = team_open(1 + i % 8, kernels_select(NULL));
        arena a = {0};
        embedding m;
        embedding_plan(&m, &a, q.V, q.E, q.T, q.B);
        assert_true(arena_commit(&a));
        float *W = floats((size_t)q.V * E), *x = floats(tokens * Ep);
        for (size_t j = 0; j < (size_t)q.V * E; j++)
            W[j] = (float)j;
        embedding_gather(&m, t, W, q.id, q.T, q.B, x);
        for (size_t j = 0; j < tokens * Ep; j++)
            assert_true(x[j] == (j % Ep < E ? (float)(q.id[j / Ep] * E + j % Ep) : 0.0f));
        assert_true(x[tokens * Ep] == -12345.0f);
        free(W);
        free(x);
        arena_free(&a);
        team_close(t);
        free_problem(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scatter),
        cmocka_unit_test(test_no_negative_zero),
        cmocka_unit_test(test_gather),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
