/* test_linear_ce - the output layer with cross-entropy against plain double precision, finite differences,
 * and itself.
 *
 *   loss, dh, dW, db     ==  the textbook in double, for shapes beside every block size and for primes
 *   the gradients        ==  finite differences of the loss (in double): the formulas above are right
 *   any chunks, ranks, threads, table  ==  one chunk, one rank, one thread, scalar: bit for bit
 *   a token alone        ==  the token among others, in training, score and distribution: bit for bit
 *   dW, dh where the softmax is exact  ==  chains over tokens and words, written apart: bit for bit
 *   logits of 1e4, -inf, NaN  ->  right, right, NaN
 *
 * Every output array has a canary behind it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/linear_ce.h"
#include "kernels/rng.h"
#include "tests/compare.h"
#include "tests/kernels/tables.h"

enum { CANARY = 16, RANKS = 8 };
static const float canary = -12345.0f;

typedef struct problem {
    int V, H, T, B, S;
    float *W, *b, *h; /* h (T,B,Hp) of all rows */
    uint32_t *target;
} problem;

typedef struct answer {
    float *dh, *dW, *db; /* dh (T,B,Hp) of all rows, dW and db of all shards */
    double nats;
} answer;

static float *floats(size_t n)
{
    float *x = malloc((n + CANARY) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n + CANARY; i++)
        x[i] = canary;
    return x;
}

static void assert_canary(const float *x, size_t n)
{
    for (size_t i = n; i < n + CANARY; i++)
        assert_true(x[i] == canary);
}

static float *random_floats(size_t n, uint32_t row, float scale)
{
    rng_place place = {.seed = 3, .row = row, .purpose = RNG_TEST};
    float *x = floats(n);
    for (size_t i = 0; i < n; i++)
        x[i] = scale * (2.0f * rng_uniform(&place, (uint32_t)i) - 1.0f);
    return x;
}

static problem make_problem(int V, int H, int T, int B, int S)
{
    problem q = {.V = V, .H = H, .T = T, .B = B, .S = S};
    size_t rows = (size_t)T * (size_t)B, Hp = (size_t)PAD16(H);
    q.W = random_floats((size_t)V * (size_t)H, 1, 0.5f);
    q.b = random_floats((size_t)V, 2, 1.0f);
    q.h = random_floats(rows * Hp, 3, 1.0f);
    for (size_t i = 0; i < rows; i++)
        memset(q.h + i * Hp + H, 0, (Hp - (size_t)H) * sizeof(float));
    q.target = malloc(rows * sizeof *q.target);
    assert_non_null(q.target);
    rng_place place = {.seed = 3, .row = 4, .purpose = RNG_TEST};
    for (size_t i = 0; i < rows; i++)
        q.target[i] = (uint32_t)(rng_uniform(&place, (uint32_t)i) * (float)V);
    return q;
}

static void free_problem(problem *q)
{
    free(q->W);
    free(q->b);
    free(q->h);
    free(q->target);
}

static answer make_answer(const problem *q)
{
    return (answer){.dh = floats((size_t)q->T * (size_t)q->B * (size_t)PAD16(q->H)),
                    .dW = floats((size_t)q->V * (size_t)q->H),
                    .db = floats((size_t)q->V)};
}

static void free_answer(answer *a)
{
    free(a->dh);
    free(a->dW);
    free(a->db);
}

static const kernels *table(const char *name)
{
    const kernels *k = kernels_select(name);
    assert_non_null(k);
    return k;
}

/* The tree over [a,b), from whichever nodes the ranks have made. */
static void sum_above(float *out, int a, int b, const shard_node *node, float *const *part, int nodes,
                      size_t n)
{
    for (int i = 0; i < nodes; i++)
        if (node[i].first == a && node[i].last == b) {
            memcpy(out, part[i], n * sizeof(float));
            return;
        }
    float *right = floats(n);
    int m = shard_split(a, b);
    sum_above(out, a, m, node, part, nodes, n);
    sum_above(right, m, b, node, part, nodes, n);
    for (size_t i = 0; i < n; i++)
        out[i] += right[i];
    free(right);
}

static double nats_above(int a, int b, const shard_node *node, const double *part, int nodes)
{
    for (int i = 0; i < nodes; i++)
        if (node[i].first == a && node[i].last == b)
            return part[i];
    int m = shard_split(a, b);
    return nats_above(a, m, node, part, nodes) + nats_above(m, b, node, part, nodes);
}

/* Rows [row0, row0+rows) of a (T,B,width) array, as (T,rows,width), and back. */
static void *cut_rows(const void *x, size_t bytes, int T, int B, int row0, int rows)
{
    char *out = malloc((size_t)T * (size_t)rows * bytes + 1);
    assert_non_null(out);
    for (int t = 0; t < T; t++)
        memcpy(out + (size_t)t * (size_t)rows * bytes,
               (const char *)x + ((size_t)t * (size_t)B + (size_t)row0) * bytes, (size_t)rows * bytes);
    return out;
}

typedef struct way { /* of computing, that must not matter */
    const char *table;
    int ranks, threads;
    size_t logit_bytes;
} way;

/* One rank's part: nodes' partials into part and nats, rows of dh into all's. */
static void run_rank(const problem *q, const way *w, const shards *p, float **part, double *nats, float *dh)
{
    const size_t Hp = (size_t)PAD16(q->H), weights = (size_t)q->V * (size_t)q->H,
                 stride = weights + (size_t)q->V;
    int largest = 0;
    for (int s = 0; s < q->S; s++) {
        int rows = shard_row(q->B, q->S, s + 1) - shard_row(q->B, q->S, s);
        largest = rows > largest ? rows : largest;
    }
    team *t = team_open(w->threads, table(w->table));
    arena a = {0};
    linear_ce l;
    linear_ce_plan(&l, &a, t, q->V, q->H, q->T, p->rows, largest, w->logit_bytes, true);
    assert_true(arena_commit(&a));
    float *h = cut_rows(q->h, Hp * sizeof(float), q->T, q->B, p->row0, p->rows);
    uint32_t *target = cut_rows(q->target, sizeof(uint32_t), q->T, q->B, p->row0, p->rows);
    float *mine = floats((size_t)q->T * (size_t)p->rows * Hp), *gradients = floats((size_t)p->nodes * stride);
    for (int twice = 0; twice < 2; twice++) /* a second window must not see the first */
        linear_ce_train(&l, t, q->W, q->b, h, target, q->T, p->rows, p, mine, gradients, gradients + weights,
                        stride, nats);
    assert_canary(mine, (size_t)q->T * (size_t)p->rows * Hp);
    assert_canary(gradients, (size_t)p->nodes * stride);
    for (int i = 0; i < p->nodes; i++)
        memcpy(part[i] = floats(stride), gradients + (size_t)i * stride, stride * sizeof(float));
    for (int i = 0; i < q->T; i++)
        memcpy(dh + ((size_t)i * (size_t)q->B + (size_t)p->row0) * Hp,
               mine + (size_t)i * (size_t)p->rows * Hp, (size_t)p->rows * Hp * sizeof(float));
    free(h);
    free(target);
    free(mine);
    free(gradients);
    arena_free(&a);
    team_close(t);
}

static answer train(const problem *q, const way *w)
{
    answer out = make_answer(q);
    shard_node node[RANKS * SHARD_NODES_MAX];
    float *part[RANKS * SHARD_NODES_MAX];
    double nats[RANKS * SHARD_NODES_MAX];
    int nodes = 0;
    for (int r = 0; r < w->ranks; r++) {
        shards p;
        shards_init(&p, q->B, q->S, r, w->ranks);
        run_rank(q, w, &p, part + nodes, nats + nodes, out.dh);
        memcpy(node + nodes, p.node, (size_t)p.nodes * sizeof *node);
        nodes += p.nodes;
    }
    size_t weights = (size_t)q->V * (size_t)q->H;
    float *sum = floats(weights + (size_t)q->V);
    sum_above(sum, 0, q->S, node, part, nodes, weights + (size_t)q->V);
    memcpy(out.dW, sum, weights * sizeof(float));
    memcpy(out.db, sum + weights, (size_t)q->V * sizeof(float));
    out.nats = nats_above(0, q->S, node, nats, nodes);
    free(sum);
    for (int i = 0; i < nodes; i++)
        free(part[i]);
    assert_canary(out.dh, (size_t)q->T * (size_t)q->B * (size_t)PAD16(q->H));
    return out;
}

typedef struct reference {
    double nats, *dh, *dW, *db;
} reference;

static double *doubles(size_t n)
{
    double *x = calloc(n, sizeof *x);
    assert_non_null(x);
    return x;
}

/* The textbook, one token after the other. */
static reference plain(const problem *q)
{
    const size_t rows = (size_t)q->T * (size_t)q->B, H = (size_t)q->H, Hp = (size_t)PAD16(q->H),
                 V = (size_t)q->V;
    reference r = {0, doubles(rows * Hp), doubles(V * H), doubles(V)};
    double *l = doubles(V);
    for (size_t i = 0; i < rows; i++) {
        double max = -INFINITY, sum = 0;
        for (size_t v = 0; v < V; v++) {
            l[v] = (double)q->b[v];
            for (size_t k = 0; k < H; k++)
                l[v] += (double)q->W[v * H + k] * (double)q->h[i * Hp + k];
            max = fmax(max, l[v]);
        }
        for (size_t v = 0; v < V; v++)
            sum += exp(l[v] - max);
        r.nats += log(sum) + max - l[q->target[i]];
        for (size_t v = 0; v < V; v++) {
            double dl = exp(l[v] - max) / sum - (v == q->target[i]);
            r.db[v] += dl;
            for (size_t k = 0; k < H; k++) {
                r.dW[v * H + k] += dl * (double)q->h[i * Hp + k];
                r.dh[i * Hp + k] += dl * (double)q->W[v * H + k];
            }
        }
    }
    free(l);
    return r;
}

static void free_reference(reference *r)
{
    free(r->dh);
    free(r->dW);
    free(r->db);
}

static void assert_close_answer(const problem *q, const answer *a, const reference *r, const char *what)
{
    const size_t dh = (size_t)q->T * (size_t)q->B * (size_t)PAD16(q->H), dW = (size_t)q->V * (size_t)q->H;
    char text[100];
    snprintf(text, sizeof text, "%s V%d H%d T%d B%d S%d", what, q->V, q->H, q->T, q->B, q->S);
    assert_true(close_double(text, a->nats, r->nats, 2e-6));
    assert_true(close_floats(text, a->dh, r->dh, dh, compare_largest(r->dh, dh), 4e-6));
    assert_true(close_floats(text, a->dW, r->dW, dW, compare_largest(r->dW, dW), 4e-6));
    assert_true(close_floats(text, a->db, r->db, (size_t)q->V, compare_largest(r->db, (size_t)q->V), 4e-6));
}

static void assert_same_answer(const problem *q, const answer *a, const answer *b, const way *w)
{
    char text[100];
    snprintf(text, sizeof text, "%s, %d ranks, %d threads, %zu bytes", w->table, w->ranks, w->threads,
             w->logit_bytes);
    assert_true(same_bits(text, a->dh, b->dh, (size_t)q->T * (size_t)q->B * (size_t)PAD16(q->H)));
    assert_true(same_bits(text, a->dW, b->dW, (size_t)q->V * (size_t)q->H));
    assert_true(same_bits(text, a->db, b->db, (size_t)q->V));
    assert_memory_equal(&a->nats, &b->nats, sizeof a->nats);
}

/* Shapes beside the blocks of 16, 32 and 64 columns, 48, 96 and 120 words, 96 and 512 tokens, and primes. */
static const int shapes[][5] = {
    {1, 1, 1, 1, 1},       {2, 3, 1, 2, 2},      {47, 15, 3, 5, 2},  {48, 16, 4, 8, 4},
    {49, 17, 5, 7, 3},     {97, 31, 7, 3, 3},    {96, 32, 6, 16, 8}, {95, 33, 11, 9, 4},
    {97, 64, 6, 16, 8}, /* whole groups of dW's columns, chunks of two shards, a last block of one word */
    {241, 47, 13, 15, 2},  {251, 64, 2, 101, 5}, {53, 130, 3, 2, 1}, {500, 20, 35, 6, 4},
    {130, 125, 20, 20, 4}, {130, 70, 27, 20, 4}, /* five strips in two tasks, two pieces of tokens */
    {60, 21, 16, 8, 4}, /* as many panels of tokens as one tile of logits has at most */
    {130, 1, 3, 2, 2},  /* columns of W that are rows */
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static problem shape_problem(int i)
{
    return make_problem(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], shapes[i][4]);
}

/* q is freed. */
static void check_plain(problem q, int threads)
{
    int count;
    const kernels *const *all = kernels_all(&count);
    reference r = plain(&q);
    for (int k = 0; k < count; k++)
        if (table_usable(all[k])) {
            answer a = train(&q, &(way){kernels_name(all[k]), 1, threads, 0});
            assert_close_answer(&q, &a, &r, kernels_name(all[k]));
            free_answer(&a);
        }
    free_reference(&r);
    free_problem(&q);
}

static void test_against_plain(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        check_plain(shape_problem(i), 1);
    check_plain(make_problem(10000, 200, 2, 3, 2), 2); /* the benchmark's words and units */
}

/* The formulas of plain() against differences of its own loss, which share nothing with them. */
static void test_finite_differences(void **state)
{
    (void)state;
    problem q = make_problem(7, 5, 3, 2, 1);
    reference r = plain(&q);
    const float e = 0x1p-10f;
    struct {
        float *x;
        const double *gradient;
        size_t n;
    } of[] = {{q.W, r.dW, 35}, {q.b, r.db, 7}, {q.h, r.dh, 5}};
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < of[k].n; i++) {
            float keep = of[k].x[i];
            of[k].x[i] = keep + e;
            reference up = plain(&q);
            double width = (double)of[k].x[i];
            of[k].x[i] = keep - e;
            reference down = plain(&q);
            width -= (double)of[k].x[i];
            of[k].x[i] = keep;
            assert_true(fabs((up.nats - down.nats) / width - of[k].gradient[i]) < 1e-5);
            free_reference(&up);
            free_reference(&down);
        }
    free_reference(&r);
    free_problem(&q);
}

/* Ranks, threads, tables and chunks (from one shard at a time to the whole window) change no bit. */
static void test_same_bits(void **state)
{
    (void)state;
    int count;
    const kernels *const *all = kernels_all(&count);
    for (int i = 0; i < SHAPES; i++) {
        problem q = shape_problem(i);
        answer want = train(&q, &(way){"scalar", 1, 1, 0});
        for (int k = 0; k < count; k++) {
            if (!table_usable(all[k]))
                continue;
            for (int ranks = 1; ranks <= q.S && ranks <= RANKS; ranks++) {
                size_t bound = (size_t)q.V * sizeof(float) * (size_t)(ranks * 20); /* other chunks for each */
                way ways[] = {{kernels_name(all[k]), ranks, 1 + (i + ranks) % 8, 0},
                              {kernels_name(all[k]), ranks, 2, 1},
                              {kernels_name(all[k]), ranks, 1, bound}};
                for (int w = 0; w < 3; w++) {
                    answer a = train(&q, &ways[w]);
                    assert_same_answer(&q, &a, &want, &ways[w]);
                    free_answer(&a);
                }
            }
        }
        free_answer(&want);
        free_problem(&q);
    }
}

/* More shards than tokens fit a chunk, and fewer rows than shards: empty shards are zeros in the tree. */
static void test_empty_shards(void **state)
{
    (void)state;
    problem q = make_problem(50, 18, 4, 3, 7);
    reference r = plain(&q);
    answer want = train(&q, &(way){"scalar", 1, 1, 0});
    assert_close_answer(&q, &want, &r, "empty shards");
    for (int ranks = 1; ranks <= 7; ranks++)
        for (size_t bytes = 0; bytes < 2; bytes++) {
            way w = {NULL, ranks, 2, bytes};
            answer a = train(&q, &w);
            w.table = "best";
            assert_same_answer(&q, &a, &want, &w);
            free_answer(&a);
        }
    free_answer(&want);
    free_reference(&r);
    free_problem(&q);
}

/* A shard's leaf of dW[v][k] when every e is 1 and every sum V: a chain over time, then row; and the tree. */
static float weight_chain(const problem *q, uint32_t v, int k, int a, int b)
{
    if (b - a > 1)
        return weight_chain(q, v, k, a, shard_split(a, b)) + weight_chain(q, v, k, shard_split(a, b), b);
    float sum = 0.0f;
    for (int t = 0; t < q->T; t++)
        for (int row = shard_row(q->B, q->S, a); row < shard_row(q->B, q->S, b); row++) {
            int token = t * q->B + row;
            float e = q->target[token] == v ? 1.0f - (float)q->V : 1.0f;
            sum = fmaf(e, q->h[token * PAD16(q->H) + k] / (float)q->V, sum);
        }
    return sum;
}

/* The orders of arithmetic that linear_ce.c states.  With V a power of two and logits of 0 the softmax and
 * its sum are exact, so that nothing but the order of a chain decides the bits. */
static void test_order(void **state)
{
    (void)state;
    problem q = make_problem(128, 21, 6, 11, 3);
    const int Hp = PAD16(q.H);
    float *keep = q.W;
    memset(q.b, 0, (size_t)q.V * sizeof(float));
    q.W = calloc((size_t)(q.V * q.H), sizeof(float));
    assert_non_null(q.W);
    answer a = train(&q, &(way){NULL, 1, 2, 0});
    for (int v = 0; v < q.V; v++)
        for (int k = 0; k < q.H; k++)
            assert_true(a.dW[v * q.H + k] == weight_chain(&q, (uint32_t)v, k, 0, q.S));
    free_answer(&a);
    free(q.W);

    q.W = keep;
    memset(q.h, 0, (size_t)(q.T * q.B * Hp) * sizeof(float));
    a = train(&q, &(way){NULL, 1, 2, 0});
    for (int token = 0; token < q.T * q.B; token++)
        for (int k = 0; k < q.H; k++) {
            float sum = 0.0f;
            for (int v = 0; v < q.V; v++)
                sum = fmaf(q.W[v * q.H + k], q.target[token] == (uint32_t)v ? 1.0f - (float)q.V : 1.0f, sum);
            assert_true(a.dh[token * Hp + k] == sum / (float)q.V);
        }
    free_answer(&a);
    free_problem(&q);
}

typedef struct scorer {
    team *t;
    arena a;
    linear_ce l;
} scorer;

static void open_scorer(scorer *s, const char *name, int threads, const problem *q, size_t logit_bytes)
{
    memset(s, 0, sizeof *s);
    s->t = team_open(threads, table(name));
    linear_ce_plan(&s->l, &s->a, s->t, q->V, q->H, q->T, q->B, 0, logit_bytes, false);
    assert_true(arena_commit(&s->a));
}

static void close_scorer(scorer *s)
{
    arena_free(&s->a);
    team_close(s->t);
}

/* The loss of shards [a,b) as rule R3 orders it: a chain over time, then row, in double, and the tree. */
static double nats_from(const problem *q, const float *logp, int a, int b)
{
    if (b - a > 1)
        return nats_from(q, logp, a, shard_split(a, b)) + nats_from(q, logp, shard_split(a, b), b);
    double sum = 0;
    for (int t = 0; t < q->T; t++)
        for (int row = shard_row(q->B, q->S, a); row < shard_row(q->B, q->S, b); row++)
            sum += -(double)logp[t * q->B + row];
    return sum;
}

/* Every token's log-probability is the same bits alone, among all, in any chunk, in training and in the
 * whole distribution; and the distribution sums to one. */
static void test_token_alone(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        problem q = shape_problem(i);
        const int n = q.T * q.B, Hp = PAD16(q.H);
        float *want = floats((size_t)n), *got = floats((size_t)n), *whole = floats((size_t)n * (size_t)q.V);
        scorer s;
        open_scorer(&s, NULL, 2, &q, 0);
        linear_ce_score(&s.l, s.t, q.W, q.b, q.h, q.target, q.T, q.B, want);
        linear_ce_distribution(&s.l, s.t, q.W, q.b, q.h, n, whole);
        assert_canary(want, (size_t)n);
        assert_canary(whole, (size_t)n * (size_t)q.V);
        for (int token = 0; token < n; token++) {
            linear_ce_score(&s.l, s.t, q.W, q.b, q.h + (size_t)token * (size_t)Hp, q.target + token, 1, 1,
                            got + token);
            double sum = 0;
            for (int v = 0; v < q.V; v++)
                sum += exp((double)whole[(size_t)token * (size_t)q.V + (size_t)v]);
            assert_true(fabs(sum - 1) < 3e-6);
            assert_memory_equal(whole + (size_t)token * (size_t)q.V + q.target[token], want + token,
                                sizeof(float));
        }
        assert_true(same_bits("tokens alone", got, want, (size_t)n));
        close_scorer(&s);
        open_scorer(&s, "scalar", 1, &q, 1);
        linear_ce_score(&s.l, s.t, q.W, q.b, q.h, q.target, q.T, q.B, got);
        assert_true(same_bits("small chunks", got, want, (size_t)n));
        close_scorer(&s);

        for (int token = 0; token < n; token += 1 + n / 7) {
            problem one = {q.V, q.H, 1, 1, 1, q.W, q.b, q.h + (size_t)token * (size_t)Hp, q.target + token};
            answer a = train(&one, &(way){NULL, 1, 1, 0});
            assert_true(a.nats == -(double)want[token]);
            free_answer(&a);
        }
        answer all = train(&q, &(way){NULL, 1, 1, 0});
        assert_true(all.nats == nats_from(&q, want, 0, q.S));
        free_answer(&all);
        free(want);
        free(got);
        free(whole);
        free_problem(&q);
    }
}

static double nats_of(const problem *q, answer *a)
{
    *a = train(q, &(way){NULL, 1, 2, 0});
    return a->nats;
}

/* Large logits neither overflow nor lose the loss; impossible words have probability 0; what is not a
 * number is seen. */
static void test_extremes(void **state)
{
    (void)state;
    problem q = make_problem(100, 16, 2, 3, 2);
    answer a;
    for (int v = 0; v < q.V; v++)
        q.b[v] *= 1e4f;
    reference r = plain(&q);
    assert_true(fabs(nats_of(&q, &a) - r.nats) < 1e-5 * r.nats);
    assert_close_answer(&q, &a, &r, "large logits");
    free_answer(&a);
    free_reference(&r);

    for (int v = 0; v < q.V; v++)
        q.b[v] = v == (int)q.target[0] ? 0.0f : -INFINITY;
    for (int i = 1; i < 6; i++)
        q.target[i] = q.target[0];
    assert_true(nats_of(&q, &a) == 0.0); /* certain */
    free_answer(&a);
    q.target[5] = (q.target[0] + 1) % 100;
    assert_true(nats_of(&q, &a) == (double)INFINITY);
    free_answer(&a);

    memset(q.b, 0, 100 * sizeof(float));
    const float bad[] = {NAN, INFINITY, -NAN};
    for (int i = 0; i < 3; i++)
        for (int v = 0; v < 100; v += 33) {
            q.b[v] = bad[i];
            assert_true(isnan(nats_of(&q, &a)));
            q.b[v] = 0.0f;
            free_answer(&a);
        }
    free_problem(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_plain), cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_same_bits),     cmocka_unit_test(test_empty_shards),
        cmocka_unit_test(test_order),         cmocka_unit_test(test_token_alone),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
