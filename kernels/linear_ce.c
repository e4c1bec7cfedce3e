/* Vocabulary-major: W is never packed for the logits, its rows are the operand that the kernel broadcasts,
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
#include "kernels/linear_ce.h"

#include "kernels/dmath.h"
#include "kernels/gemm.h"
#include "kernels/ints.h"
#include "kernels/simd/table.h"

#include <stdint.h>
#include <string.h>

/* Words of a block.  Its sum of exponentials is one link of a chain, so changing it changes bits; all
 * other sizes do not. */
#define WORDS        48
#define TASK_PANELS  6  /* panels of tokens of a task, where tasks are tiles of logits */
#define DEPTH        14 /* of a tree of shards: log2 SHARDS_MAX + 2 */
#define LOGITS_BYTES ((size_t)96 << 20)
#define MOST_TOKENS  4096 /* of a chunk, unless a shard is larger: a block of words must fit a core's cache */

/* dh^T: tasks of up to DH_STRIPS strips of rows by about DH_PANELS panels of tokens; sized for 512 KB of
 * cache a core. */
#define STRIP     16 /* rows whose weights stand together: a cache line, and two tiles of 8 x 3 panels */
#define DH_STRIPS 8
#define DH_PANELS 24
#define DH_WORDS  120 /* words whose weights are packed at a time */

/* dW: tiles of DW_WORDS words by a group of panels, which is what the widest kernel takes at once. */
#define DW_WORDS  96
#define DW_PANELS 4
#define GROUP     (16 * DW_PANELS)
#define TILE      (DW_WORDS * GROUP)
#define DW_TASKS  64 /* at least, if that leaves each a group */

typedef struct dh_scratch {
    _Alignas(64) float weights[DH_STRIPS][DH_WORDS][STRIP];
    _Alignas(64) float product[DH_STRIPS * STRIP][DH_PANELS * 16];
} dh_scratch;

typedef struct dw_scratch {
    _Alignas(64) float tile[DEPTH][TILE];
    _Alignas(64) float block[]; /* [DW_WORDS][block_stride] exponentials of all tokens of the chunk */
} dw_scratch;

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

static int groups_of(const linear_ce *l)
{
    return pieces(l->panels, DW_PANELS);
}

static size_t open_floats(const linear_ce *l)
{
    return (size_t)pieces(l->V, DW_WORDS) * (size_t)groups_of(l) * TILE;
}

/* Floats between the rows of dw_scratch.block: an odd number of cache lines, so that rows do not meet in
 * the same sets. */
static size_t block_stride(const linear_ce *l)
{
    return (size_t)l->capacity | 16;
}

static size_t dw_scratch_bytes(const linear_ce *l)
{
    return sizeof(dw_scratch) + DW_WORDS * block_stride(l) * sizeof(float);
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
    size_t scratch = sizeof(float[WORDS * TASK_PANELS * 16]);
    if (training) {
        arena_add(a, "output input scaled", (void **)&l->scaled,
                  (size_t)l->panels * gemm_panel(l->capacity) * f);
        arena_add(a, "token losses", (void **)&l->nats, window * f);
        arena_add(a, "token order", (void **)&l->place, window * sizeof(uint32_t));
        if (window > C) {
            int levels = plan_levels(B / at_least(1, largest_shard_rows - 1));
            arena_add(a, "output partial sums", (void **)&l->open, (size_t)levels * open_floats(l) * f);
        }
        scratch = sizeof(dh_scratch) > dw_scratch_bytes(l) ? sizeof(dh_scratch) : dw_scratch_bytes(l);
    }
    if (!team_reserve(t, scratch))
        arena_refuse(a);
}

typedef struct job {
    linear_ce *l;
    const float *W, *b, *h;
    const uint32_t *target; /* NULL: the whole distribution is wanted */
    const uint32_t *place;  /* NULL: tokens as they stand */
    int tokens;
    const shards *p; /* NULL: forward only */
    int T;
    float *nats, *logp, *dh, *dW, *db;
    size_t stride;
} job;

typedef struct chunk {
    int first, n;       /* tokens, in the job's order */
    int panels;         /* of 16 tokens, the last filled up */
    int shard0, shard1; /* whole shards (training) */
} chunk;

static size_t token_place(const job *j, const chunk *c, int i)
{
    size_t token = (size_t)(c->first + i);
    return j->place ? j->place[token] : token;
}

/* First token of shard s in the job's order. */
static int shard_token(const job *j, int s)
{
    return (shard_row(j->p->B, j->p->S, s) - j->p->row0) * j->T;
}

/* The chunk after *c; false when no shard (or token) is left.  Starts from {0} with shard1 = first shard. */
static bool next_chunk(const job *j, chunk *c)
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

/* The logits of a panel from word v on, and of token i. */
static float *panel_logits(const linear_ce *l, int panel, int v)
{
    return l->logits + (size_t)panel * gemm_panel(l->V) + (size_t)v * 16;
}

static float *token_logit_of(const linear_ce *l, int i, uint32_t v)
{
    return panel_logits(l, i / 16, (int)v) + i % 16;
}

static float *block_values(const linear_ce *l, int block, int panel)
{
    return l->block_value + (size_t)block * (size_t)l->capacity + (size_t)panel * 16;
}

static int block_words(const linear_ce *l, int block)
{
    return at_most(WORDS, l->V - block * WORDS);
}

/* The next tile of a phase over all logits: a block of words, panels [panel0, panel1). */
static bool claim_tile(member *m, const linear_ce *l, const chunk *c, int *block, int *panel0, int *panel1)
{
    const int across = pieces(c->panels, TASK_PANELS);
    long i = team_claim(m, (long)l->blocks * across);
    if (i < 0)
        return false;
    *block = (int)(i / across);
    *panel0 = (int)(i % across) * TASK_PANELS;
    *panel1 = at_most(*panel0 + TASK_PANELS, c->panels);
    return true;
}

/* ---- forward ---- */

static void pack_inputs(member *m, const job *j, const chunk *c)
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

/* What the next tile of logits does not share with this one: other tokens for the same words, or other words. */
static gemm_extra logits_ahead(const job *j, const chunk *c, int block, int panel1)
{
    const linear_ce *l = j->l;
    const size_t H = (size_t)l->H;
    if (panel1 < c->panels)
        return (gemm_extra){.ahead = l->input + (size_t)panel1 * gemm_panel(l->H),
                            .runs = at_most(TASK_PANELS, c->panels - panel1),
                            .run_floats = gemm_panel(l->H),
                            .apart = gemm_panel(l->H)};
    if (block + 1 < l->blocks)
        return (gemm_extra){.ahead = j->W + (size_t)(block + 1) * WORDS * H,
                            .runs = 1,
                            .run_floats = (size_t)block_words(l, block + 1) * H};
    return (gemm_extra){0};
}

static void make_logits(member *m, const job *j, const chunk *c)
{
    const linear_ce *l = j->l;
    enum { COLUMNS = TASK_PANELS * 16 };
    float *product = team_scratch(m, sizeof(float[WORDS * COLUMNS]));
    const size_t H = (size_t)l->H;
    for (int block, panel0, panel1; claim_tile(m, l, c, &block, &panel0, &panel1);) {
        const int v0 = block * WORDS, words = block_words(l, block);
        m->k->gemm_also(words, panel1 - panel0, l->H, j->W + (size_t)v0 * H, H, 1,
                        l->input + (size_t)panel0 * gemm_panel(l->H), gemm_panel(l->H), product, COLUMNS,
                        GEMM_ZERO, NULL, logits_ahead(j, c, block, panel1));
        for (int p = panel0; p < panel1; p++)
            m->k->panel_bias_max(block_values(l, block, p), panel_logits(l, p, v0),
                                 product + (p - panel0) * 16, COLUMNS, j->b + v0, words);
    }
    team_barrier(m);
}

/* Maxima over all blocks; the target's logit is taken out before it is overwritten. */
static void make_maxima(member *m, const job *j, const chunk *c)
{
    const linear_ce *l = j->l;
    for (long p; (p = team_claim(m, c->panels)) >= 0;) {
        const int first = (int)p * 16;
        m->k->columns_max(l->token_max + first, l->block_value + first, l->blocks, (size_t)l->capacity, 16);
        for (int i = first; j->target && i < first + 16 && i < c->n; i++)
            l->token_logit[i] = *token_logit_of(l, i, j->target[token_place(j, c, i)]);
    }
    team_barrier(m);
}

static void make_exponentials(member *m, const job *j, const chunk *c)
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
static void scale_token(const job *j, const chunk *c, int i)
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

static void make_sums(member *m, const job *j, const chunk *c)
{
    const linear_ce *l = j->l;
    for (long p; (p = team_claim(m, c->panels)) >= 0;) {
        const int first = (int)p * 16;
        m->k->columns_sum(l->token_sum + first, l->block_value + first, l->blocks, (size_t)l->capacity, 16);
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

static void write_distribution(member *m, const job *j, const chunk *c)
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

/* ---- backward ---- */

/* Columns [h0, h1) of `words` rows of W from v0 on, transposed into strips of STRIP. */
static void pack_weights(const linear_ce *l, const float *W, int v0, int words, int h0, int h1, dh_scratch *s)
{
    const float *w = W + (size_t)v0 * (size_t)l->H + h0;
    const int whole = (h1 - h0) / STRIP, rest = (h1 - h0) % STRIP;
    for (int v = 0; v < words; v++, w += l->H) {
        for (int i = 0; i < whole; i++)
            memcpy(s->weights[i][v], w + i * STRIP, STRIP * sizeof(float));
        for (int n = 0; n < rest; n++)
            s->weights[whole][v][n] = w[whole * STRIP + n];
    }
}

/* dh of columns [h0, h1) and panels [panel0, panel1) of tokens: the whole chain over words.  While some words are
 * multiplied, those of d that come next are fetched: each strip asks for every so manyth panel. */
static void input_gradient(member *m, const job *j, const chunk *c, int h0, int h1, int panel0, int panel1)
{
    const linear_ce *l = j->l;
    const size_t panel = gemm_panel(l->V);
    const int strips = pieces(h1 - h0, STRIP), panels = panel1 - panel0;
    dh_scratch *s = team_scratch(m, sizeof *s);
    for (int v0 = 0; v0 < l->V; v0 += DH_WORDS) {
        const int words = at_most(DH_WORDS, l->V - v0), more = at_most(DH_WORDS, l->V - v0 - words);
        pack_weights(l, j->W, v0, words, h0, h1, s);
        for (int i = 0; i < strips; i++) {
            const gemm_extra extra = {.ahead = panel_logits(l, panel0 + i, v0 + words),
                                      .runs = more > 0 && i < panels ? pieces(panels - i, strips) : 0,
                                      .run_floats = (size_t)more * 16,
                                      .apart = (size_t)strips * panel};
            m->k->gemm_also(at_most(STRIP, h1 - h0 - i * STRIP), panels, words, s->weights[i][0], 1, STRIP,
                            panel_logits(l, panel0, v0), panel, s->product[i * STRIP], DH_PANELS * 16,
                            v0 ? GEMM_CONTINUE : GEMM_ZERO, NULL, extra);
        }
    }
    for (int i = panel0 * 16; i < at_most(panel1 * 16, c->n); i++) {
        const float inverse = 1.0f / l->token_sum[i];
        float *dh = j->dh + token_place(j, c, i) * (size_t)l->Hp;
        for (int h = h0; h < h1; h++)
            dh[h] = s->product[h - h0][i - panel0 * 16] * inverse;
        if (h1 == l->H)
            memset(dh + l->H, 0, (size_t)(l->Hp - l->H) * sizeof(float));
    }
}

/* A tile of dW (and db): words of a block, columns of a group of panels; of a task of the groups [group0, group1), behind
 * which block `next` comes, -1 if none does. */
typedef struct tile_place {
    int block, words, group, panels;
    int group0, group1, next;
} tile_place;

/* Panels of h/sum of a tile, at the tokens of shard s. */
static const float *shard_panels(const job *j, const chunk *c, int group, int s)
{
    const linear_ce *l = j->l;
    return l->scaled + (size_t)(DW_PANELS * group) * gemm_panel(l->capacity) +
           (size_t)(shard_token(j, s) - c->first) * 16;
}

static int shard_tokens(const job *j, int s)
{
    return shard_token(j, s + 1) - shard_token(j, s);
}

/* Panels of h/sum that the next leaf of this task wants. */
static gemm_extra fetch_scaled(const job *j, const chunk *c, const tile_place *at, int s)
{
    const int next = s + 1 < c->shard1 ? s + 1 : c->shard0, group = at->group + (s + 1 == c->shard1);
    return (gemm_extra){.ahead = shard_panels(j, c, group, next),
                        .runs = at_least(0, at_most(DW_PANELS, j->l->panels - DW_PANELS * group)),
                        .run_floats = (size_t)shard_tokens(j, next) * 16,
                        .apart = gemm_panel(j->l->capacity)};
}

/* The leaf's part of d for the next block of words. */
static gemm_extra fetch_block(const job *j, const chunk *c, const tile_place *at, int s)
{
    const linear_ce *l = j->l;
    if (at->next < 0)
        return (gemm_extra){0};
    const int in_chunk = c->shard1 - c->shard0, leaves = (at->group1 - at->group0) * in_chunk,
              leaf = (at->group - at->group0) * in_chunk + s - c->shard0;
    const int first = c->panels * leaf / leaves, last = c->panels * (leaf + 1) / leaves;
    return (gemm_extra){.ahead = panel_logits(l, first, at->next * DW_WORDS),
                        .runs = last - first,
                        .run_floats = (size_t)at_most(DW_WORDS, l->V - at->next * DW_WORDS) * 16,
                        .apart = gemm_panel(l->V)};
}

/* The leaf of shard s: one chain over its tokens.  In two halves, for there is something to fetch in two places. */
static void sum_shard(const kernels *k, const job *j, const chunk *c, const tile_place *at, int s,
                      const float *block, float *tile, int merges, float *out)
{
    const linear_ce *l = j->l;
    for (int half = at->words > 1 ? 0 : 1; half < 2; half++) {
        const int first = half ? at->words / 2 : 0, last = half ? at->words : at->words / 2;
        gemm_extra extra = half ? fetch_block(j, c, at, s) : fetch_scaled(j, c, at, s);
        extra.merges = merges;
        extra.below = TILE;
        extra.out = out ? out + (size_t)first * (size_t)l->H : NULL;
        extra.out_row = (size_t)l->H;
        k->gemm_also(last - first, at->panels, shard_tokens(j, s),
                     block + (size_t)first * block_stride(l) + shard_token(j, s) - c->first, block_stride(l),
                     1, shard_panels(j, c, at->group, s), gemm_panel(l->capacity), tile + first * GROUP,
                     GROUP, GEMM_ZERO, NULL, extra);
    }
}

/* Where a tile of a node's dW goes, if it is all columns of dW. */
static float *tile_out(const job *j, const tile_place *at, int node)
{
    const int h0 = at->group * GROUP;
    if (h0 + 16 * at->panels > j->l->H)
        return NULL;
    return j->dW + (size_t)node * j->stride + (size_t)(at->block * DW_WORDS) * (size_t)j->l->H + h0;
}

static void write_tile(const job *j, const tile_place *at, int node, const float *tile)
{
    const linear_ce *l = j->l;
    const int h0 = at->group * GROUP, columns = at_most(GROUP, l->H - h0);
    float *dW = j->dW + (size_t)node * j->stride, *db = j->db + (size_t)node * j->stride;
    for (int i = 0; i < at->words; i++) {
        const size_t v = (size_t)(at->block * DW_WORDS + i);
        memcpy(dW + v * (size_t)l->H + h0, tile + i * GROUP, (size_t)columns * sizeof(float));
        if (columns < GROUP)
            db[v] = tile[i * GROUP + columns];
    }
}

/* Sums of finished subtrees that wait, from chunk to chunk, for the rest of their node. */
static float *open_tile(const linear_ce *l, const tile_place *at, int level)
{
    size_t tiles = (size_t)at->block * (size_t)groups_of(l) + (size_t)at->group;
    return l->open + (size_t)level * open_floats(l) + tiles * TILE;
}

/* The shards [a,b) of a node that lie in this chunk, in the tree's order.  The last sum of all goes to its place from the
 * registers, if it can.  Levels below `hot` of the stack
 * of sums are still where earlier chunks left them. */
static void sum_node(const kernels *k, const job *j, const chunk *c, const tile_place *at, int node,
                     dw_scratch *s)
{
    const shard_node whole = j->p->node[node];
    const int a = at_least(whole.first, c->shard0), b = at_most(whole.last, c->shard1);
    int top = 0;
    for (int shard = whole.first; shard < a; shard++)
        top += 1 - shard_merges(whole.first, whole.last, shard);
    int hot = top;
    float *const place = tile_out(j, at, node);
    bool written = false;
    for (int shard = a; shard < b; shard++) {
        int merges = shard_merges(whole.first, whole.last, shard);
        const int hot_merges = at_most(merges, top - hot);
        written = place && shard + 1 == whole.last && hot_merges == top;
        sum_shard(k, j, c, at, shard, s->block, s->tile[top], hot_merges, written ? place : NULL);
        top += 1 - hot_merges;
        for (merges -= hot_merges; merges > 0; merges--) {
            top--;
            k->add(s->tile[top - 1], open_tile(j->l, at, top - 1), s->tile[top], TILE);
            hot = top - 1;
        }
    }
    if (b == whole.last && !written)
        write_tile(j, at, node, s->tile[0]);
    else if (b < whole.last)
        for (int level = hot; level < top; level++)
            memcpy(open_tile(j->l, at, level), s->tile[level], TILE * sizeof(float));
}

/* dW of a block of words, groups [group0, group1) of panels. */
static void weight_gradient(member *m, const job *j, const chunk *c, int block, int group0, int group1,
                            int next)
{
    const linear_ce *l = j->l;
    dw_scratch *s = team_scratch(m, dw_scratch_bytes(l));
    const int words = at_most(DW_WORDS, l->V - block * DW_WORDS);
    for (int p = 0; p < c->panels; p++) {
        const float *from = panel_logits(l, p, block * DW_WORDS);
        for (int i = 0; i < words; i++)
            memcpy(s->block + (size_t)i * block_stride(l) + p * 16, from + i * 16, 16 * sizeof(float));
    }
    for (int group = group0; group < group1; group++) {
        const tile_place at = {.block = block,
                               .words = words,
                               .group = group,
                               .panels = at_most(DW_PANELS, l->panels - DW_PANELS * group),
                               .group0 = group0,
                               .group1 = group1,
                               .next = next};
        for (int node = 0; node < j->p->nodes; node++)
            if (j->p->node[node].first < c->shard1 && j->p->node[node].last > c->shard0)
                sum_node(m->k, j, c, &at, node, s);
    }
}

/* dh first: its tasks are larger, and those of dW fill the gaps at the end. */
static void make_gradients(member *m, const job *j, const chunk *c)
{
    const linear_ce *l = j->l;
    const int strips = pieces(l->H, STRIP), dh_across = pieces(strips, DH_STRIPS), groups = groups_of(l);
    const int dh_down = pieces(c->panels, DH_PANELS);
    const int dw_down = pieces(l->V, DW_WORDS), dw_across = at_most(groups, pieces(DW_TASKS, dw_down));
    const long dh = (long)dh_across * dh_down, dw = (long)dw_across * dw_down;
    for (long i; (i = team_claim(m, dh + dw)) >= 0;) {
        if (i < dh) {
            const int across = (int)(i / dh_down), down = (int)(i % dh_down);
            input_gradient(m, j, c, across * DH_STRIPS * STRIP,
                           at_most((across + 1) * DH_STRIPS * STRIP, l->H), c->panels * down / dh_down,
                           c->panels * (down + 1) / dh_down);
        } else {
            const int block = (int)((i - dh) / dw_across), across = (int)((i - dh) % dw_across);
            weight_gradient(m, j, c, block, groups * across / dw_across, groups * (across + 1) / dw_across,
                            dw_across == 1 && block + 1 < dw_down ? block + 1 : -1);
        }
    }
    team_barrier(m);
}

/* ---- the whole ---- */

static void body(member *m, void *arg)
{
    const job *j = arg;
    chunk c = {.shard1 = j->p ? j->p->first : 0};
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
            make_gradients(m, j, &c);
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
static double sum_nats(const job *j, const shard_node *node)
{
    double stack[DEPTH];
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
    job j = {
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
    job j = {.l = l, .W = W, .b = b, .h = h, .target = target, .tokens = T * B, .logp = logp};
    team_run(t, body, &j);
}

void linear_ce_distribution(linear_ce *l, team *t, const float *W, const float *b, const float *h, int n,
                            float *logp)
{
    job j = {.l = l, .W = W, .b = b, .h = h, .tokens = n, .logp = logp};
    team_run(t, body, &j);
}
