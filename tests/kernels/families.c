/* families.c - see families.h. */
#include "tests/kernels/families.h"

#include "kernels/activation.h"
#include "kernels/class_loss.h"
#include "kernels/dense.h"
#include "kernels/dmath.h"
#include "kernels/dropout.h"
#include "kernels/embedding.h"
#include "kernels/fill.h"
#include "kernels/gemm.h"
#include "kernels/linear_ce.h"
#include "kernels/optim.h"
#include "kernels/pooling.h"
#include "kernels/recurrent.h"
#include "kernels/sums.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GRID_STEP 16381 /* odd: every exponent, and all low bits */

/* ---- digests ---- */

digest digest_start(void)
{
    return (digest){.hash = 0xcbf29ce484222325u};
}

static void take_word(digest *d, uint32_t word)
{
    d->hash = (d->hash ^ word) * 0x100000001b3u;
    d->values++;
}

void digest_floats(digest *d, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, x + i, sizeof word);
        const uint32_t size = word & 0x7fffffffu;
        if (size > 0x7f800000u) {
            d->nans++;
            d->nans_other += word != 0x7fc00000u;
            word = 0x7fc00000u;
        } else if (d->flushed && size > 0 && size <= 0x00800000u) {
            d->edge++;
            word ^= size;
        }
        take_word(d, word);
    }
}

static void take_double(digest *d, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x != x) {
        d->nans++;
        d->nans_other += bits != (uint64_t)0x7ff8 << 48;
        bits = (uint64_t)0x7ff8 << 48;
    }
    take_word(d, (uint32_t)bits);
    take_word(d, (uint32_t)(bits >> 32));
}

/* ---- inputs ---- */

static uint32_t seed;

void draw_start(void)
{
    seed = 1;
}

float draw(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)((int32_t)seed >> 8) * 0x1p-23f;
}

static float *floats(size_t n, float scale)
{
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = scale * draw();
    return x;
}

/* (rows,PAD16(n)) with zeros behind the n. */
static float *padded(size_t rows, int n, float scale)
{
    const size_t ld = (size_t)PAD16(n);
    float *x = calloc(rows * ld, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < rows; i++)
        for (int j = 0; j < n; j++)
            x[i * ld + (size_t)j] = scale * draw();
    return x;
}

static void give_back(float *const *all, size_t n, arena *a, team *t)
{
    for (size_t i = 0; i < n; i++)
        free(all[i]);
    arena_free(a);
    team_close(t);
}

/* A grid over all floats, then what lies beside the ends of the functions' ranges. */
static float *grid(size_t *n)
{
    static const uint32_t special[] = {
        0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x807fffff, 0x00800000,
        0x80800000, 0x00800001, 0x3f800000, 0xbf800000, 0x7f7fffff, 0xff7fffff, 0x7f800000,
        0xff800000, 0x7fc00000, 0xffc00000, 0x7fc12345, 0x42b17217, 0x42b17218, 0x42b17219,
        0xc2aeac4f, 0xc2aeac50, 0xc2aeac51, 0xc2cff1b4, 0xc2cff1b5, 0xc2d00000,
    };
    const size_t specials = sizeof special / sizeof *special, whole = ((size_t)1 << 32) / GRID_STEP + 1;
    float *x = floats(whole + specials, 0);
    for (size_t i = 0; i < whole + specials; i++) {
        uint32_t bits = i < whole ? (uint32_t)(i * GRID_STEP) : special[i - whole];
        memcpy(x + i, &bits, sizeof bits);
    }
    *n = whole + specials;
    return x;
}

/* ---- families ---- */

typedef struct mapping {
    void (*f)(float *y, const float *x, size_t n);
    float *y;
    const float *x;
    size_t n;
} mapping;

static void map(member *m, void *arg)
{
    (void)m;
    mapping *job = arg;
    job->f(job->y, job->x, job->n);
}

static void functions(digest *d, const kernels *k, int which)
{
    void (*const of[])(float *, const float *, size_t) = {k->exp, k->log, k->tanh, k->sigmoid};
    size_t n;
    float *x = grid(&n), *y = floats(n, 0);
    mapping job = {of[which / 2], y, x, n};
    d->flushed = which % 2;
    if (d->flushed) {
        team *t = team_open(1, k);
        team_run(t, map, &job);
        team_close(t);
    } else {
        job.f(y, x, n);
    }
    digest_floats(d, y, n);
    free(x);
    free(y);
}

static void products(digest *d, const kernels *k, int which)
{
    (void)which;
    enum { ROWS = 13, PANELS = 3, DEPTH = 70 };
    static const int depths[] = {0, 1, 3, 4, 5, 17, DEPTH};
    float *a = floats(ROWS * DEPTH, 1), *w = floats((size_t)PANELS * 16 * DEPTH, 1),
          *bias = floats(PANELS * 16, 1);
    float *b = floats((size_t)PANELS * 16 * DEPTH, 0), *c = floats((size_t)ROWS * PANELS * 16, 1);
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        const size_t K = (size_t)depths[i];
        for (size_t p = 0; p < PANELS; p++)
            gemm_pack_rows(k, b + p * 16 * K, w + p * 16 * K, K, p == 2 ? 11 : 16, depths[i]);
        digest_floats(d, b, PANELS * 16 * K);
        for (int M = 1; M <= ROWS; M++)
            for (int start = GEMM_ZERO; start <= GEMM_CONTINUE; start++) {
                k->gemm(M, PANELS, depths[i], a, DEPTH, 1, b, 16 * K, c, PANELS * 16, (gemm_start)start,
                        bias);
                digest_floats(d, c, (size_t)M * PANELS * 16);
                k->gemm(M, PANELS, depths[i], a, 1, ROWS, b, 16 * K, c, PANELS * 16, (gemm_start)start, bias);
                digest_floats(d, c, (size_t)M * PANELS * 16);
            }
    }
    float *all[] = {a, w, bias, b, c};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void layer(digest *d, const kernels *k, int which)
{
    static const char *const cells[] = {"rnn_tanh", "rnn_relu", "lstm", "gru", "gru_before", "lstm"};
    enum { I = 19, H = 37, T = 5, B = 6, S = 3 };
    static const int begin[B] = {0, 2, 5, 4, 0, 1}, end[B] = {5, 5, 5, 5, 0, 3};
    d->flushed = true;
    const cell_kind *cell = cell_find(cells[which]);
    shards p;
    shards_init(&p, B, S, 0, 1);
    team *t = team_open(2, k);
    arena a = {0};
    recurrent l;
    recurrent_plan(&l, &a, t, cell, I, H, T, B, true);
    assert_true(arena_commit(&a));
    if (which == 5) { /* reversed, and rows are shorter than the window */
        l.reverse = true;
        l.begin = begin;
        l.end = end;
    }
    const size_t rows = (size_t)cell->gates * H, count = rows * (I + H + 2);
    float *w = floats(count, 0.3f), *x = padded(T * B, I, 1), *dh = padded(T * B, H, 1),
          *dx = padded(T * B, I, 0);
    float *g = floats((size_t)p.nodes * count, 0);
    for (int s = 0; s < cell->states; s++)
        for (int i = 0; i < B; i++)
            for (int j = 0; j < H; j++)
                l.state[s][i * l.Hp + j] = draw();
    recurrent_weights weights = {w, w + rows * I, w + rows * (I + H), w + rows * (I + H + 1)};
    recurrent_gradients to = {g, g + rows * I, g + rows * (I + H), g + rows * (I + H + 1), count};
    recurrent_forward(&l, t, &weights, x, T, B);
    digest_floats(d, l.h, (size_t)T * B * (size_t)l.Hp);
    recurrent_backward(&l, t, &weights, x, dh, dx, &p, &to);
    for (int s = 0; s < cell->states; s++)
        digest_floats(d, l.state[s], (size_t)B * (size_t)l.Hp);
    digest_floats(d, dx, (size_t)T * B * (size_t)l.Ip);
    digest_floats(d, g, (size_t)p.nodes * count);
    float *all[] = {w, x, dh, dx, g};
    give_back(all, sizeof all / sizeof *all, &a, t);
}

static void output(digest *d, const kernels *k, int which)
{
    (void)which;
    enum { V = 101, H = 29, T = 4, B = 6, S = 3, TOKENS = T * B };
    d->flushed = true;
    shards p;
    shards_init(&p, B, S, 0, 1);
    team *t = team_open(2, k);
    arena a = {0};
    linear_ce l;
    linear_ce_plan(&l, &a, t, V, H, T, B, 2, 0, true);
    assert_true(arena_commit(&a));
    float *W = floats(V * H, 0.5f), *b = floats(V, 1), *h = padded(TOKENS, H, 1), *dh = padded(TOKENS, H, 0);
    float *g = floats((size_t)p.nodes * (V * H + V), 0), *logp = floats(V * TOKENS, 0);
    double nats[SHARD_NODES_MAX];
    uint32_t target[TOKENS];
    for (uint32_t i = 0; i < TOKENS; i++)
        target[i] = i * 37 % V;
    linear_ce_train(&l, t, W, b, h, target, T, B, &p, dh, g, g + V * H, V * H + V, nats);
    digest_floats(d, dh, TOKENS * (size_t)PAD16(H));
    digest_floats(d, g, (size_t)p.nodes * (V * H + V));
    for (int i = 0; i < p.nodes; i++)
        take_double(d, nats[i]);
    linear_ce_score(&l, t, W, b, h, target, T, B, logp);
    digest_floats(d, logp, TOKENS);
    linear_ce_distribution(&l, t, W, b, h, TOKENS, logp);
    digest_floats(d, logp, V * TOKENS);
    float *all[] = {W, b, h, dh, g, logp};
    give_back(all, sizeof all / sizeof *all, &a, t);
}

static void softmax(digest *d, const kernels *k, int which)
{
    (void)which;
    enum { ROWS = 23, COLUMNS = 48 };
    float *x = floats(ROWS * COLUMNS, 60), *bias = floats(ROWS, 10), *y = floats(ROWS * COLUMNS, 0);
    float max[COLUMNS], sum[COLUMNS];
    x[5 * COLUMNS + 3] = NAN;
    x[7 * COLUMNS + 9] = INFINITY;
    x[8 * COLUMNS + 17] = -INFINITY;
    for (int i = 0; i < ROWS; i++)
        memcpy(y + i * 16, x + i * COLUMNS, 16 * sizeof *y);
    k->panel_bias_max(max, y, bias, ROWS);
    digest_floats(d, max, 16);
    digest_floats(d, y, ROWS * 16);
    k->columns_max(max, x, ROWS, COLUMNS, COLUMNS);
    k->columns_sum(sum, x, ROWS, COLUMNS, COLUMNS);
    digest_floats(d, max, COLUMNS);
    digest_floats(d, sum, COLUMNS);
    k->columns_exp(sum, y, x, max, ROWS, COLUMNS, COLUMNS);
    digest_floats(d, sum, COLUMNS);
    digest_floats(d, y, ROWS * COLUMNS);
    free(x);
    free(bias);
    free(y);
}

static const optim_settings settings[] = {
    {.kind = OPTIM_KIND_SGD, .clip_value = 0.5, .weight_decay = 0.01, .l1 = 0.001},
    {.kind = OPTIM_KIND_SGD, .momentum = 0.9, .nesterov = true},
    {.kind = OPTIM_KIND_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.02},
    {.kind = OPTIM_KIND_ADAM, .beta1 = 0.3, .beta2 = 0.9, .eps = 1e-3, .amsgrad = true},
    {.kind = OPTIM_KIND_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.1, .l1 = 0.01},
    {.kind = OPTIM_KIND_RMSPROP, .alpha = 0.95, .eps = 1e-2, .centered = true, .momentum = 0.9},
    {.kind = OPTIM_KIND_ADAGRAD, .eps = 1e-10, .lr_decay = 0.1, .initial_accumulator = 0.2},
    {.kind = OPTIM_KIND_SGD},
};

static void optimiser(digest *d, const kernels *k, int which)
{
    enum { N = 1003, STEPS = 4 };
    const optim_settings *s = &settings[which];
    const bool plain = s->kind == OPTIM_KIND_SGD && s->momentum == 0 && s->weight_decay == 0;
    const char *names[OPTIM_STATES_MAX];
    d->flushed = true;
    team *t = team_open(2, k);
    float *w = floats(N, 1), *g = floats(N, 0), *state[OPTIM_STATES_MAX] = {0};
    const int states = optim_states(s, names);
    for (int j = 0; j < states; j++) {
        state[j] = floats(N, 0);
        for (size_t i = 0; i < N; i++)
            state[j][i] = optim_state_start(s, j);
    }
    for (int step = 1; step <= STEPS; step++) {
        for (size_t i = 0; i < N; i++)
            g[i] = i % 7 == 3 ? 0.0f : 4.0f * draw();
        /* whole vectors without gradient, and gradients that end below 2^-126 */
        for (size_t i = 100; plain && i < 200; i++)
            g[i] = i < 150 ? 0.0f : 0x1p-126f;
        g[11] = step == STEPS ? NAN : g[11];
        optim_step(t, s, 0.5f, 0.75f,
                   &(optim_piece){.w = w,
                                  .grad = g,
                                  .state = {state[0], state[1], state[2]},
                                  .n = N,
                                  .step = step,
                                  .lr = 0.01,
                                  .decay = true},
                   1);
    }
    digest_floats(d, w, N);
    for (int j = 0; j < states; j++) {
        digest_floats(d, state[j], N);
        free(state[j]);
    }
    free(w);
    free(g);
    team_close(t);
}

static void sums(digest *d, const kernels *k, int which)
{
    (void)which;
    enum { N = 3 * BLOCK_FLOATS + 77, BLOCKS = 4, PARTS = 5 };
    d->flushed = true;
    team *t = team_open(2, k);
    float *part[PARTS], *out = floats(N, 0);
    shard_node node[PARTS];
    double block[BLOCKS];
    for (int i = 0; i < PARTS; i++) {
        part[i] = floats(N, 3);
        node[i] = (shard_node){i, i + 1};
    }
    k->add(out, part[0], part[1], N);
    digest_floats(d, out, N);
    sums_tree(t, out, (const float *const *)part, node, PARTS, PARTS, N);
    digest_floats(d, out, N);
    sums_squares(t, &(sums_piece){block, out, N, NULL}, 1, 0.37f);
    for (int i = 0; i < BLOCKS; i++)
        take_double(d, block[i]);
    take_double(d, sums_blocks(block, BLOCKS));
    for (size_t n = 0; n < 40; n++) {
        block[0] = 0.0;
        sums_squares(t, &(sums_piece){block, out, n, NULL}, 1, 1.25f);
        take_double(d, block[0]);
    }
    take_word(d, sums_all_finite(t, out, N));
    out[N - 1] = NAN;
    take_word(d, sums_all_finite(t, out, N));
    for (int i = 0; i < PARTS; i++)
        free(part[i]);
    free(out);
    team_close(t);
}

static void rows_of_table(digest *d, const kernels *k, int which)
{
    (void)which;
    enum { V = 31, E = 21, T = 7, B = 6, S = 3, TOKENS = T * B };
    d->flushed = true;
    shards p;
    shards_init(&p, B, S, 0, 1);
    team *t = team_open(2, k);
    arena a = {0};
    embedding m;
    embedding_plan(&m, &a, V, E, T, B);
    assert_true(arena_commit(&a));
    float *W = floats(V * E, 1), *x = padded(TOKENS, E, 0), *dx = padded(TOKENS, E, 1);
    float *dW = floats((size_t)p.nodes * V * E, 0);
    uint32_t id[TOKENS];
    for (uint32_t i = 0; i < TOKENS; i++)
        id[i] = i * i % V;
    embedding_gather(&m, t, W, id, T, B, x);
    embedding_scatter(&m, t, id, dx, T, B, &p, (embedding_rows){0, 0}, dW, V * E);
    digest_floats(d, x, TOKENS * (size_t)PAD16(E));
    digest_floats(d, dW, (size_t)p.nodes * V * E);
    float *all[] = {W, x, dx, dW};
    give_back(all, sizeof all / sizeof *all, &a, t);
}

static void masks(digest *d, const kernels *k, int which)
{
    (void)which;
    enum { T = 3, B = 4, N = 37 };
    d->flushed = true;
    team *t = team_open(2, k);
    float *x = padded(T * B, N, 1);
    dropout drop = {.p = 0.3, .seed = 0x123456789abcdefu, .step = 9, .layer = 2, .row0 = 3};
    dropout_apply(&drop, t, x, x, T, B, N, PAD16(N));
    digest_floats(d, x, (size_t)(T * B * PAD16(N)));
    free(x);
    team_close(t);
}

static void linear(digest *d, const kernels *k, int which)
{
    (void)which;
    enum { K = 37, N = 21, T = 2, B = 6, S = 3, TOKENS = T * B };
    d->flushed = true;
    shards p;
    shards_init(&p, B, S, 0, 1);
    team *t = team_open(2, k);
    arena a = {0};
    dense l;
    dense_plan(&l, &a, t, K, N, T, B, true);
    assert_true(arena_commit(&a));
    float *W = floats(N * K, 1), *b = floats(N, 1), *x = padded(TOKENS, K, 1), *y = padded(TOKENS, N, 0),
          *dy = padded(TOKENS, N, 1), *dx = padded(TOKENS, K, 1),
          *g = floats((size_t)p.nodes * (N * K + N), 0);
    const size_t outputs = TOKENS * (size_t)PAD16(N), inputs = TOKENS * (size_t)PAD16(K);
    dense_forward(&l, t, W, b, x, y, T, B);
    activation_relu(t, y, y, outputs);
    activation_relu_gradient(t, dy, dy, y, outputs);
    dense_backward(&l, t, W, x, dy, dx, T, &p, g, g + N * K, N * K + N);
    digest_floats(d, y, outputs);
    digest_floats(d, dx, inputs);
    digest_floats(d, g, (size_t)p.nodes * (N * K + N));
    activation_tanh(t, x, x, inputs);
    activation_tanh_add_gradient(t, dx, dx, x, inputs);
    digest_floats(d, dx, inputs);
    float *all[] = {W, b, x, y, dy, dx, g};
    give_back(all, sizeof all / sizeof *all, &a, t);
}

/* Concat has all but attention. */
static void pools(digest *d, const kernels *k, int which)
{
    enum { W = 38, T = 5, B = 6 };
    static const int begin[B] = {0, 2, 5, 4, 0, 1}, end[B] = {5, 5, 5, 5, 0, 3};
    const pool_kind kind = which ? POOL_ATTENTION : POOL_CONCAT;
    const int D = pooling_width(kind, W);
    d->flushed = true;
    team *t = team_open(2, k);
    arena a = {0};
    pooling p;
    pooling_plan(&p, &a, kind, W, true, B);
    assert_true(arena_commit(&a));
    float *y = padded(T * B, W, 1), *score = padded(T * B, 1, 4), *out = padded(B, D, 0),
          *dout = padded(B, D, 1), *dy = padded(T * B, W, 0), *dscore = padded(T * B, 1, 0);
    pooling_start(&p);
    for (int window = 0; window < 2; window++)
        pooling_add(&p, t, y, score, T, B, begin, end);
    pooling_result(&p, t, out, B);
    pooling_backward(&p, t, dout, y, score, dy, dscore, T, B, begin, end);
    digest_floats(d, out, B * (size_t)PAD16(D));
    digest_floats(d, dy, T * B * (size_t)PAD16(W));
    digest_floats(d, dscore, which ? (size_t)T * B * 16 : 0);
    float *all[] = {y, score, out, dout, dy, dscore};
    give_back(all, sizeof all / sizeof *all, &a, t);
}

static void classes(digest *d, const kernels *k, int which)
{
    (void)which;
    enum { C = 5, B = 7, S = 3 };
    static const float weight[C] = {1.0f, 0.5f, 2.0f, 0.25f, 3.0f};
    static const uint32_t label[B] = {0, 4, 1, CLASS_NONE, 1, 0, 1};
    d->flushed = true;
    shards p;
    shards_init(&p, B, S, 0, 1);
    team *t = team_open(2, k);
    for (int sigmoid = 0; sigmoid < 2; sigmoid++) {
        const class_loss l = {sigmoid ? 2 : C, sigmoid, 0.1, weight};
        float *z = padded(B, class_logits(&l), 8), *g = padded(B, class_logits(&l), 0), logp[B * C];
        double row[B], nats[SHARD_NODES_MAX];
        const uint32_t two[B] = {0, 1, 1, CLASS_NONE, 1, 0, 1};
        class_log_probabilities(&l, t, z, B, logp);
        class_loss_train(&l, t, z, sigmoid ? two : label, &p, g, row, nats);
        digest_floats(d, logp, (size_t)B * (size_t)l.classes);
        digest_floats(d, g, (size_t)B * (size_t)PAD16(class_logits(&l)));
        for (int i = 0; i < p.nodes; i++)
            take_double(d, nats[i]);
        free(z);
        free(g);
    }
    team_close(t);
}

static const rng_place place = {
    .seed = 0xfedcba9876543210u, .row = 5, .step = 7, .purpose = RNG_TEST, .layer = 3, .time = 11};

static void random_numbers(digest *d, const kernels *k, int which)
{
    (void)k;
    (void)which;
    float x[1000];
    rng_fill(&place, x, 1000);
    digest_floats(d, x, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t word[4];
        rng_block(&place, i, word);
        for (int j = 0; j < 4; j++)
            take_word(d, word[j]);
        take_double(d, rng_uniform53(&place, i));
    }
}

static void initial_values(digest *d, const kernels *k, int which)
{
    (void)k;
    (void)which;
    float x[1600];
    fill_uniform(place, 0.1, x, 1600);
    digest_floats(d, x, 1600);
    fill_normal(place, 0.1, x, 3, 1600);
    digest_floats(d, x, 1600);
    assert_true(fill_orthogonal(place, x, 5, 40));
    digest_floats(d, x, 1600);
}

static void double_functions(digest *d, const kernels *k, int which)
{
    (void)k;
    (void)which;
    static const double special[] = {0.0, -0.0,      1.0,       -1.0,   INFINITY, -INFINITY,
                                     NAN, 0x1p-1022, 0x1p-1074, 709.78, -745.1};
    const uint32_t specials = sizeof special / sizeof *special;
    for (uint32_t i = 0; i < 20000 + specials; i++) {
        const double u = rng_uniform53(&place, 2 * i), v = rng_uniform53(&place, 2 * i + 1);
        const double x = i < specials ? special[i] : u,
                     wide = i < specials ? special[i] : ldexp(v, (int)(i % 600) - 300);
        take_double(d, d_exp(i < specials ? x : 1500 * u - 750));
        take_double(d, d_log(wide));
        take_double(d, d_pow(x < 0 ? 0.5 : x, v * 300));
        take_double(d, d_cos(i < specials ? x : 2e5 * u - 1e5));
    }
}

const family families[] = {
    {"exp", functions, 0, false},
    {"exp_ftz", functions, 1, false},
    {"log", functions, 2, false},
    {"log_ftz", functions, 3, false},
    {"tanh", functions, 4, false},
    {"tanh_ftz", functions, 5, false},
    {"sigmoid", functions, 6, false},
    {"sigmoid_ftz", functions, 7, false},
    {"gemm", products, 0, false},
    {"rnn_tanh", layer, 0, false},
    {"rnn_relu", layer, 1, false},
    {"lstm", layer, 2, false},
    {"gru", layer, 3, false},
    {"gru_before", layer, 4, false},
    {"linear_ce", output, 0, false},
    {"softmax", softmax, 0, false},
    {"sgd", optimiser, 0, false},
    {"nesterov", optimiser, 1, false},
    {"adam", optimiser, 2, false},
    {"amsgrad", optimiser, 3, false},
    {"adamw", optimiser, 4, false},
    {"rmsprop", optimiser, 5, false},
    {"adagrad", optimiser, 6, false},
    {"plain_sgd", optimiser, 7, false},
    {"sums", sums, 0, false},
    {"embedding", rows_of_table, 0, false},
    {"dropout", masks, 0, false},
    {"lengths", layer, 5, false},
    {"dense", linear, 0, false},
    {"concat", pools, 0, false},
    {"attention", pools, 1, false},
    {"class_loss", classes, 0, false},
    {"rng", random_numbers, 0, true},
    {"fill", initial_values, 0, true},
    {"dmath", double_functions, 0, true},
};
const size_t families_count = sizeof families / sizeof *families;

digest family_run(const family *f, const kernels *k)
{
    digest d = digest_start();
    draw_start();
    f->run(&d, k, f->which);
    return d;
}
