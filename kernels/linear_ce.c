/* Vocabulary-major: W is never packed, its rows (logits) and columns (dh) are the operand that the kernel broadcasts,
 * and the tokens of a chunk, ordered by (shard, time, row), are the columns, in panels of 16:
 *
 *     logits    panel 0: [V][16 tokens]   panel 1: [V][16 tokens] ...    a tile: WORDS words of some panels
 *     input     panel 0: [H][16 tokens]   ...                               logits = W input + b
 *     scaled    panel 0: [tokens][16 columns of h/sum] ...               dW = d scaled,  dh^T = W^T d / sum
 *
 * Phases, a barrier after each:
 *
 *     pack h | logits, maxima of blocks | maxima | exponentials, sums of blocks | sums, loss, h/sum |
 *     dh, dW, db
 *
 * The softmax e/sum is never stored: d = e - sum*onehot stays where the logits were, and 1/sum goes into h
 * for dW = d (h/sum)^T and behind the product for dh = (W^T d) / sum.  1/sum also stands as column H of
 * h/sum: that column of dW is db.
 *
 * Order of arithmetic, for any chunk, team and table: a logit is a chain over h and then the bias; a sum
 * of exponentials is a chain of blocks of WORDS words, each a chain; dh is a chain over words; a leaf of
 * dW is a chain over the shard's tokens. */
#include "kernels/linear_ce_chunk.h"

#include "kernels/dmath.h"
#include "kernels/gemm.h"
#include "kernels/ints.h"
#include "kernels/simd/table.h"

#include <stdint.h>
#include <string.h>

/* Words of a block.  Its sum of exponentials is one link of a chain, so changing it changes bits; all
 * other sizes do not. */
#define WORDS        48
#define TASK_PANELS  6 /* panels of tokens of a task, where tasks are tiles of logits, more or less */
#define MOST_PANELS  (TASK_PANELS + TASK_PANELS / 2 - 1) /* of a task; one more are two tasks */
#define LOGITS_BYTES ((size_t)96 << 20)
#define MOST_TOKENS  4096 /* of a chunk, unless a shard is larger: a block of words must fit a core's cache */

/* Tokens of a chunk: what logit_bytes holds, but the largest shard must fit, and more than the window is
 * of no use. */
static int plan_capacity(int V, int T, int B, int largest_shard_rows, size_t logit_bytes)
{
    const size_t window = (size_t)T * (size_t)B, shard = (size_t)T * (size_t)largest_shard_rows;
    size_t n = logit_bytes / ((size_t)V * sizeof(float)) / 16 * 16;
    n = n < MOST_TOKENS ? n : MOST_TOKENS;
    n = n > shard ? n : shard;
    n = n < window ? n : window;
    return PAD16((int)(n ? n : 1));
}

/* Most subtrees that can stand finished in a node of so many shards that is not finished itself. */
static int plan_levels(int most_shards)
{
    int levels = 0;
    while (1 << levels < most_shards)
        levels++;
    return levels;
}

void linear_ce_plan(linear_ce *l, arena *a, team *t, int V, int H, int T, int B, int largest_shard_rows,
                    size_t logit_bytes, bool training)
{
    *l = (linear_ce){.V = V, .H = H, .Hp = PAD16(H), .T = T, .B = B};
    if (!training)
        largest_shard_rows = 0;
    l->capacity = plan_capacity(V, T, B, largest_shard_rows, logit_bytes ? logit_bytes : LOGITS_BYTES);
    l->blocks = pieces(V, WORDS);
    l->panels = H / 16 + 1;
    const size_t C = (size_t)l->capacity, window = (size_t)T * (size_t)B, f = sizeof(float);
    arena_add(a, "logits", (void **)&l->logits, C / 16 * gemm_panel(V) * f);
    arena_add(a, "output input", (void **)&l->input, C / 16 * gemm_panel(H) * f);
    arena_add(a, "logit blocks", (void **)&l->block_value, (size_t)l->blocks * C * f);
    arena_add(a, "logit maxima", (void **)&l->token_max, C * f);
    arena_add(a, "softmax sums", (void **)&l->token_sum, C * f);
    arena_add(a, "target logits", (void **)&l->token_logit, C * f);
    arena_add(a, "log sums", (void **)&l->token_lse, C * sizeof(double));
    size_t scratch = sizeof(float[WORDS * MOST_PANELS * 16]);
    if (training) {
        arena_add(a, "output input scaled", (void **)&l->scaled,
                  (size_t)l->panels * gemm_panel(l->capacity) * f);
        arena_add(a, "token losses", (void **)&l->nats, window * f);
        arena_add(a, "token order", (void **)&l->place, window * sizeof(uint32_t));
        if (window > C) {
            int levels = plan_levels(B / at_least(1, largest_shard_rows - 1));
            arena_add(a, "output partial sums", (void **)&l->open,
                      (size_t)levels * linear_ce_open_floats(l) * f);
        }
        scratch = linear_ce_gradient_scratch(l);
    }
    if (!team_reserve(t, scratch))
        arena_refuse(a);
}

/* The chunk after *c; false when no shard (or token) is left.  Starts from {0} with shard1 = first shard. */
static bool next_chunk(const ce_job *j, ce_chunk *c)
{
    c->first += c->n;
    c->shard0 = c->shard1;
    if (j->p) {
        const int end = j->p->first + j->p->count;
        if (c->shard0 == end)
            return false;
        c->shard1++;
        while (c->shard1 < end && shard_token(j, c->shard1 + 1) - c->first <= j->l->capacity)
            c->shard1++;
        c->n = shard_token(j, c->shard1) - c->first;
    } else {
        c->n = at_most(j->l->capacity, j->tokens - c->first);
        if (c->n == 0)
            return false;
    }
    c->panels = pieces(c->n, 16);
    return true;
}

static float *token_logit_of(const linear_ce *l, int i, uint32_t v)
{
    return panel_logits(l, i / 16, (int)v) + i % 16;
}

static float *block_values(const linear_ce *l, int block, int panel)
{
    return l->block_value + ((size_t)panel * (size_t)l->blocks + (size_t)block) * 16;
}

static int block_words(const linear_ce *l, int block)
{
    return at_most(WORDS, l->V - block * WORDS);
}

/* As even as can be: a tile of one or two panels is slow. */
static int tiles_across(const ce_chunk *c)
{
    return at_least(1, (c->panels + TASK_PANELS / 2) / TASK_PANELS);
}

/* The next tile of a phase over all logits: a block of words, panels [panel0, panel1). */
static bool claim_tile(member *m, const linear_ce *l, const ce_chunk *c, int *block, int *panel0, int *panel1)
{
    const int across = tiles_across(c);
    long i = team_claim(m, (long)l->blocks * across);
    if (i < 0)
        return false;
    *block = (int)(i / across);
    *panel0 = cut(c->panels, 1, i % across, across);
    *panel1 = cut(c->panels, 1, i % across + 1, across);
    return true;
}

/* ---- forward ---- */

static void pack_inputs(member *m, const ce_job *j, const ce_chunk *c)
{
    const linear_ce *l = j->l;
    for (long p; (p = team_claim(m, c->panels)) >= 0;) {
        const float *row[16];
        for (int i = 0; i < 16; i++) {
            int token = (int)p * 16 + i;
            row[i] = token < c->n ? j->h + token_place(j, c, token) * (size_t)l->Hp : NULL;
        }
        m->k->gemm_pack_rows(l->input + (size_t)p * gemm_panel(l->H), row, l->H);
    }
    team_barrier(m);
}

/* What the next tile of logits does not share with this one: other tokens for the same words, or other
 * words. */
static gemm_extra logits_ahead(const ce_job *j, const ce_chunk *c, int block, int panel1)
{
    const linear_ce *l = j->l;
    const size_t H = (size_t)l->H;
    if (panel1 < c->panels)
        return (gemm_extra){.ahead = l->input + (size_t)panel1 * gemm_panel(l->H),
                            .runs = at_most(TASK_PANELS + 1, c->panels - panel1),
                            .run_floats = gemm_panel(l->H),
                            .apart = gemm_panel(l->H)};
    if (block + 1 < l->blocks)
        return (gemm_extra){.ahead = j->W + (size_t)(block + 1) * WORDS * H,
                            .runs = 1,
                            .run_floats = (size_t)block_words(l, block + 1) * H};
    return (gemm_extra){0};
}

static void make_logits(member *m, const ce_job *j, const ce_chunk *c)
{
    const linear_ce *l = j->l;
    const size_t H = (size_t)l->H, panel = gemm_panel(l->H);
    float *unused = team_scratch(m, sizeof(float[WORDS * MOST_PANELS * 16]));
    for (int block, panel0, panel1; claim_tile(m, l, c, &block, &panel0, &panel1);) {
        const int v0 = block * WORDS, words = block_words(l, block);
        gemm_extra extra = logits_ahead(j, c, block, panel1);
        extra.out = panel_logits(l, panel0, v0);
        extra.out_row = 16;
        extra.out_panel = gemm_panel(l->V);
        extra.far = true;
        m->k->gemm_also(words, panel1 - panel0, l->H, j->W + (size_t)v0 * H, H, 1,
                        l->input + (size_t)panel0 * panel, panel, unused, MOST_PANELS * 16, GEMM_ZERO, NULL,
                        &extra);
        for (int p = panel0; p < panel1; p++)
            m->k->panel_bias_max(block_values(l, block, p), panel_logits(l, p, v0), j->b + v0, words);
    }
    team_barrier(m);
}

/* Maxima over all blocks; the target's logit is taken out before it is overwritten. */
static void make_maxima(member *m, const ce_job *j, const ce_chunk *c)
{
    const linear_ce *l = j->l;
    for (long p; (p = team_claim(m, c->panels)) >= 0;) {
        const int first = (int)p * 16;
        m->k->columns_max(l->token_max + first, block_values(l, 0, (int)p), l->blocks, 16, 16);
        for (int i = first; j->target && i < first + 16 && i < c->n; i++)
            l->token_logit[i] = *token_logit_of(l, i, j->target[token_place(j, c, i)]);
    }
    team_barrier(m);
}

static void make_exponentials(member *m, const ce_job *j, const ce_chunk *c)
{
    const linear_ce *l = j->l;
    float *elsewhere = j->target ? NULL : team_scratch(m, sizeof(float[WORDS * 16]));
    for (int block, panel0, panel1; claim_tile(m, l, c, &block, &panel0, &panel1);)
        for (int p = panel0; p < panel1; p++) {
            float *x = panel_logits(l, p, block * WORDS);
            m->k->columns_exp(block_values(l, block, p), elsewhere ? elsewhere : x, x, l->token_max + p * 16,
                              block_words(l, block), 16, 16);
        }
    team_barrier(m);
}

/* h / sum, and 1 / sum behind it, as rows of the panels of `scaled`; the target's exponential
 * becomes e - sum. */
static void scale_token(const ce_job *j, const ce_chunk *c, int i)
{
    const linear_ce *l = j->l;
    const size_t place = token_place(j, c, i);
    const float *h = j->h + place * (size_t)l->Hp;
    const float inverse = 1.0f / l->token_sum[i];
    for (int q = 0; q < l->panels; q++) {
        float *out = l->scaled + (size_t)q * gemm_panel(l->capacity) + (size_t)i * 16;
        for (int n = 0; n < 16; n++)
            out[n] = q * 16 + n < l->Hp ? h[q * 16 + n] * inverse : 0.0f;
    }
    l->scaled[(size_t)(l->H / 16) * gemm_panel(l->capacity) + (size_t)i * 16 + (size_t)(l->H % 16)] = inverse;
    *token_logit_of(l, i, j->target[place]) -= l->token_sum[i];
}

static void make_sums(member *m, const ce_job *j, const ce_chunk *c)
{
    const linear_ce *l = j->l;
    for (long p; (p = team_claim(m, c->panels)) >= 0;) {
        const int first = (int)p * 16;
        m->k->columns_sum(l->token_sum + first, block_values(l, 0, (int)p), l->blocks, 16, 16);
        for (int i = first; i < first + 16 && i < c->n; i++) {
            l->token_lse[i] = (double)l->token_max[i] + d_log((double)l->token_sum[i]);
            float logp = j->target ? (float)((double)l->token_logit[i] - l->token_lse[i]) : 0.0f;
            if (j->p) {
                l->nats[c->first + i] = -logp;
                scale_token(j, c, i);
            } else if (j->target) {
                j->logp[c->first + i] = logp;
            }
        }
    }
    team_barrier(m);
}

static void write_distribution(member *m, const ce_job *j, const ce_chunk *c)
{
    const linear_ce *l = j->l;
    for (int block, panel0, panel1; claim_tile(m, l, c, &block, &panel0, &panel1);)
        for (int i = panel0 * 16; i < at_most(panel1 * 16, c->n); i++) {
            const float *x = token_logit_of(l, i, (uint32_t)(block * WORDS));
            float *logp = j->logp + (size_t)(c->first + i) * (size_t)l->V + (size_t)(block * WORDS);
            for (int v = 0; v < block_words(l, block); v++)
                logp[v] = (float)((double)x[v * 16] - l->token_lse[i]);
        }
    team_barrier(m);
}

/* ---- the whole ---- */

static void body(member *m, void *arg)
{
    const ce_job *j = arg;
    ce_chunk c = {.shard1 = j->p ? j->p->first : 0};
    while (next_chunk(j, &c)) {
        member_phase(m, TRACE_LOGITS);
        pack_inputs(m, j, &c);
        make_logits(m, j, &c);
        member_phase(m, TRACE_SOFTMAX);
        make_maxima(m, j, &c);
        make_exponentials(m, j, &c);
        make_sums(m, j, &c);
        member_phase(m, TRACE_OUTPUT);
        if (j->p)
            linear_ce_gradients(m, j, &c);
        else if (!j->target)
            write_distribution(m, j, &c);
    }
}

/* Tokens ordered by (shard, time, row). */
static void order_tokens(uint32_t *place, const shards *p, int T, int B)
{
    for (int s = p->first; s < p->first + p->count; s++) {
        const int row0 = shard_row(p->B, p->S, s) - p->row0, row1 = shard_row(p->B, p->S, s + 1) - p->row0;
        for (int t = 0; t < T; t++)
            for (int row = row0; row < row1; row++)
                *place++ = (uint32_t)t * (uint32_t)B + (uint32_t)row;
    }
}

/* A chain over each shard's tokens, the tree over the node's shards. */
static double sum_nats(const ce_job *j, const shard_node *node)
{
    double stack[SHARD_LEVELS];
    int top = 0;
    for (int s = node->first; s < node->last; s++) {
        double sum = 0.0;
        for (int i = shard_token(j, s); i < shard_token(j, s + 1); i++)
            sum += (double)j->l->nats[i];
        stack[top++] = sum;
        for (int merges = shard_merges(node->first, node->last, s); merges > 0; merges--, top--)
            stack[top - 2] += stack[top - 1];
    }
    return stack[0];
}

void linear_ce_train(linear_ce *l, team *t, const float *W, const float *b, const float *h,
                     const uint32_t *target, int T, int B, const shards *p, float *dh, float *dW, float *db,
                     size_t stride, double *nats)
{
    ce_job j = {
        .l = l, .W = W, .b = b, .h = h, .target = target, .place = l->place, .tokens = T * B, .p = p, .T = T};
    j.dh = dh;
    j.dW = dW;
    j.db = db;
    j.stride = stride;
    team_phase(t, TRACE_LOGITS);
    order_tokens(l->place, p, T, B);
    team_run(t, body, &j);
    for (int n = 0; n < p->nodes; n++)
        nats[n] = sum_nats(&j, &p->node[n]);
}

void linear_ce_score(linear_ce *l, team *t, const float *W, const float *b, const float *h,
                     const uint32_t *target, int T, int B, float *logp)
{
    ce_job j = {.l = l, .W = W, .b = b, .h = h, .target = target, .tokens = T * B, .logp = logp};
    team_run(t, body, &j);
}

void linear_ce_distribution(linear_ce *l, team *t, const float *W, const float *b, const float *h, int n,
                            float *logp)
{
    ce_job j = {.l = l, .W = W, .b = b, .h = h, .tokens = n, .logp = logp};
    team_run(t, body, &j);
}
