/* The product is vocabulary-major: W is never packed for the logits, its rows are the operand that the kernel broadcasts, and
 * the tokens of a chunk are the columns.  Tokens of a chunk are ordered by (shard, time, row) and cut into groups of GROUP; a
 * group's logits are a matrix [V][tokens], so that tiles of a block of words are contiguous:
 *
 *                 group 0: tokens 0..95     group 1: 96..191     group 2: the rest, padded to 16
 *     word 0     |  one row of 96 floats |
 *     word 1     |                       |   each phase takes tiles of WORDS words x one group
 *     ...
 *
 * Phases, a barrier after each:  pack h | logits, maxima of blocks | maxima | exponentials, sums of blocks | sums, loss, h/sum |
 * gradients.  The softmax is e/sum, never stored: e - sum*onehot stays in place of the logits, and 1/sum goes into h for dW = (e -
 * sum*onehot) (h/sum)^T and behind the product for dh = (W^T (e - sum*onehot)) / sum.  1/sum also stands as column H of h/sum: that
 * column of dW is db.
 *
 * Order of arithmetic, for any chunk, team and table: a logit is a chain over h that starts with the bias; a sum of exponentials is a
 * chain of blocks of WORDS words, each a chain; dh is a chain over words; a leaf of dW is a chain over the shard's tokens. */
#include "kernels/linear_ce.h"

#include "kernels/dmath.h"
#include "kernels/simd/table.h"

#include <stdint.h>
#include <string.h>

#define WORDS \
    48 /* of a block; its sums of exponentials are one link of a chain, so changing it changes bits */
#define GROUP        96 /* tokens whose logits stand in one matrix */
#define WIDTH        32 /* columns of a tile of dW: two panels, what the widest kernel takes at once */
#define TILE         (WORDS * WIDTH)
#define DEPTH        14  /* of a tree of shards: log2 SHARDS_MAX + 2 */
#define DH_PANELS    4   /* panels of H of a task of dh */
#define DH_GROUPS    4   /* groups of a task of dh */
#define DH_WORDS     240 /* words whose weights are packed at a time */
#define DW_PAIRS     4   /* tiles side by side in a task of dW */
#define LOGITS_BYTES ((size_t)96 << 20)

typedef struct dh_scratch {
    _Alignas(64) float weights[DH_PANELS][DH_WORDS][16];
    _Alignas(64) float product[DH_GROUPS * GROUP][DH_PANELS * 16];
} dh_scratch;

typedef struct dw_scratch {
    _Alignas(64) float tile[DEPTH][TILE];
} dw_scratch;

static int at_least(int a, int b)
{
    return a > b ? a : b;
}

static int at_most(int a, int b)
{
    return a < b ? a : b;
}

static int pieces(int n, int size)
{
    return (n + size - 1) / size;
}

/* Tokens of a chunk: what logit_bytes holds, but the largest shard must fit and no more than the window is of use. */
static int plan_capacity(int V, int T, int B, int largest_shard_rows, size_t logit_bytes)
{
    size_t window = (size_t)T * (size_t)B, least = (size_t)T * (size_t)largest_shard_rows;
    size_t bound = logit_bytes / ((size_t)V * sizeof(float)) / 16 * 16, n = bound > least ? bound : least;
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

static size_t open_floats(const linear_ce *l)
{
    return (size_t)l->blocks * (size_t)pieces(l->panels, 2) * TILE;
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
    arena_add(a, "logits", (void **)&l->logits, (size_t)V * C * f);
    arena_add(a, "output input", (void **)&l->input, (size_t)H * C * f);
    arena_add(a, "logit blocks", (void **)&l->block_value, (size_t)l->blocks * C * f);
    arena_add(a, "logit maxima", (void **)&l->token_max, C * f);
    arena_add(a, "softmax sums", (void **)&l->token_sum, C * f);
    arena_add(a, "target logits", (void **)&l->token_logit, C * f);
    arena_add(a, "log sums", (void **)&l->token_lse, C * sizeof(double));
    size_t scratch = sizeof(float[WORDS * GROUP]);
    if (training) {
        arena_add(a, "output input scaled", (void **)&l->scaled, (size_t)l->panels * 16 * C * f);
        arena_add(a, "token losses", (void **)&l->nats, window * f);
        arena_add(a, "token order", (void **)&l->place, window * sizeof(uint32_t));
        if (window > C) {
            int levels = plan_levels(B / at_least(1, largest_shard_rows - 1));
            arena_add(a, "output partial sums", (void **)&l->open, (size_t)levels * open_floats(l) * f);
        }
        scratch = sizeof(dh_scratch) > sizeof(dw_scratch) ? sizeof(dh_scratch) : sizeof(dw_scratch);
    }
    if (!team_reserve(t, scratch))
        arena_add(a, "no memory for scratch", (void **)&l->open, SIZE_MAX / 2);
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
    int shard0, shard1; /* whole shards (training) */
    int groups;
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
    c->groups = pieces(c->n, GROUP);
    return true;
}

/* Tokens of group g, without and with padding, and its logits from word v on. */
static int group_tokens(const chunk *c, int g)
{
    return at_most(GROUP, c->n - g * GROUP);
}

static int group_columns(const chunk *c, int g)
{
    return PAD16(group_tokens(c, g));
}

static float *group_logits(const linear_ce *l, const chunk *c, int g, int v)
{
    return l->logits + (size_t)l->V * (size_t)(g * GROUP) + (size_t)v * (size_t)group_columns(c, g);
}

/* The place of token i's logit of word v. */
static float *token_logits(const linear_ce *l, const chunk *c, int i, uint32_t v)
{
    return group_logits(l, c, i / GROUP, (int)v) + i % GROUP;
}

static int block_words(const linear_ce *l, int block)
{
    return at_most(WORDS, l->V - block * WORDS);
}

/* ---- forward ---- */

static void pack_inputs(member *m, const job *j, const chunk *c)
{
    const linear_ce *l = j->l;
    for (long p; (p = team_claim(m, pieces(c->n, 16))) >= 0;) {
        const float *row[16];
        for (int i = 0; i < 16; i++) {
            int token = (int)p * 16 + i;
            row[i] = token < c->n ? j->h + token_place(j, c, token) * (size_t)l->Hp : NULL;
        }
        m->k->gemm_pack_rows(l->input + (size_t)p * 16 * (size_t)l->H, row, l->H);
    }
    team_barrier(m);
}

static void make_logits(member *m, const job *j, const chunk *c)
{
    const linear_ce *l = j->l;
    for (long i; (i = team_claim(m, (long)l->blocks * c->groups)) >= 0;) {
        const int block = (int)(i / c->groups), g = (int)(i % c->groups);
        const int v0 = block * WORDS, words = block_words(l, block), columns = group_columns(c, g);
        float *tile = group_logits(l, c, g, v0);
        for (int v = 0; v < words; v++) {
            const float start = j->b[v0 + v];
            for (int n = 0; n < columns; n++)
                tile[v * columns + n] = start;
        }
        m->k->gemm(words, columns / 16, l->H, j->W + (size_t)v0 * (size_t)l->H, (size_t)l->H, 1,
                   l->input + (size_t)(g * GROUP) * (size_t)l->H, 16 * (size_t)l->H, tile, (size_t)columns,
                   GEMM_CONTINUE, NULL);
        m->k->columns_max(l->block_value + (size_t)block * (size_t)l->capacity + g * GROUP, tile, words,
                          (size_t)columns, columns);
    }
    team_barrier(m);
}

/* Maxima over all blocks; the target's logit is taken out before it is overwritten. */
static void make_maxima(member *m, const job *j, const chunk *c)
{
    const linear_ce *l = j->l;
    for (long p; (p = team_claim(m, pieces(c->n, 16))) >= 0;) {
        const int first = (int)p * 16;
        m->k->columns_max(l->token_max + first, l->block_value + first, l->blocks, (size_t)l->capacity, 16);
        for (int i = first; j->target && i < first + 16 && i < c->n; i++)
            l->token_logit[i] = *token_logits(l, c, i, j->target[token_place(j, c, i)]);
    }
    team_barrier(m);
}

static void make_exponentials(member *m, const job *j, const chunk *c)
{
    const linear_ce *l = j->l;
    float *scratch = j->target ? NULL : team_scratch(m, sizeof(float[WORDS * GROUP]));
    for (long i; (i = team_claim(m, (long)l->blocks * c->groups)) >= 0;) {
        const int block = (int)(i / c->groups), g = (int)(i % c->groups), columns = group_columns(c, g);
        float *tile = group_logits(l, c, g, block * WORDS);
        m->k->columns_exp(l->block_value + (size_t)block * (size_t)l->capacity + g * GROUP,
                          scratch ? scratch : tile, tile, l->token_max + g * GROUP, block_words(l, block),
                          (size_t)columns, columns);
    }
    team_barrier(m);
}

/* h / sum, and 1 / sum behind it, as rows of the panels of `scaled`; makes the exponential of the target e - sum. */
static void scale_token(const job *j, const chunk *c, int i)
{
    const linear_ce *l = j->l;
    const size_t place = token_place(j, c, i);
    const float *h = j->h + place * (size_t)l->Hp;
    const float inverse = 1.0f / l->token_sum[i];
    for (int q = 0; q < l->panels; q++) {
        float *out = l->scaled + ((size_t)q * (size_t)l->capacity + (size_t)i) * 16;
        for (int n = 0; n < 16; n++)
            out[n] = q * 16 + n < l->Hp ? h[q * 16 + n] * inverse : 0.0f;
    }
    l->scaled[((size_t)(l->H / 16) * (size_t)l->capacity + (size_t)i) * 16 + (size_t)(l->H % 16)] = inverse;
    *token_logits(l, c, i, j->target[place]) -= l->token_sum[i];
}

static void make_sums(member *m, const job *j, const chunk *c)
{
    const linear_ce *l = j->l;
    for (long p; (p = team_claim(m, pieces(c->n, 16))) >= 0;) {
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
    for (long i; (i = team_claim(m, (long)l->blocks * c->groups)) >= 0;) {
        const int block = (int)(i / c->groups), g = (int)(i % c->groups), v0 = block * WORDS;
        for (int n = g * GROUP; n < g * GROUP + group_tokens(c, g); n++)
            for (int v = v0; v < v0 + block_words(l, block); v++)
                j->logp[(size_t)(c->first + n) * (size_t)l->V + (size_t)v] =
                    (float)((double)*token_logits(l, c, n, (uint32_t)v) - l->token_lse[n]);
    }
    team_barrier(m);
}

/* ---- backward ---- */

/* Columns h0.. of `words` rows of W from v0 on, as panels; zeros behind column H. */
static void pack_weights(const linear_ce *l, const float *W, int v0, int words, int h0, int panels,
                         dh_scratch *s)
{
    const int whole = at_most(panels, (l->H - h0) / 16), rest = l->H - h0 - 16 * whole;
    const float *w = W + (size_t)v0 * (size_t)l->H + h0;
    for (int v = 0; v < words; v++, w += l->H) {
        for (int q = 0; q < whole; q++)
            memcpy(s->weights[q][v], w + 16 * q, 16 * sizeof(float));
        for (int n = 0; whole < panels && n < 16; n++)
            s->weights[whole][v][n] = n < rest ? w[16 * whole + n] : 0.0f;
    }
}

/* dh of DH_GROUPS groups of tokens, DH_PANELS panels of columns: the whole chain over words. */
static void input_gradient(member *m, const job *j, const chunk *c, int panel0, int group0)
{
    const linear_ce *l = j->l;
    dh_scratch *s = team_scratch(m, sizeof *s);
    const int panels = at_most(DH_PANELS, l->Hp / 16 - panel0), h0 = panel0 * 16,
              columns = at_most(panels * 16, l->H - h0);
    const int group1 = at_most(group0 + DH_GROUPS, c->groups);
    for (int v0 = 0; v0 < l->V; v0 += DH_WORDS) {
        const int words = at_most(DH_WORDS, l->V - v0);
        pack_weights(l, j->W, v0, words, h0, panels, s);
        for (int g = group0; g < group1; g++)
            m->k->gemm(group_tokens(c, g), panels, words, group_logits(l, c, g, v0), 1,
                       (size_t)group_columns(c, g), s->weights[0][0], DH_WORDS * 16,
                       s->product[(g - group0) * GROUP], DH_PANELS * 16, v0 ? GEMM_CONTINUE : GEMM_ZERO,
                       NULL);
    }
    for (int i = group0 * GROUP; i < at_most(group1 * GROUP, c->n); i++) {
        const float *from = s->product[i - group0 * GROUP], inverse = 1.0f / l->token_sum[i];
        float *dh = j->dh + token_place(j, c, i) * (size_t)l->Hp + h0;
        for (int n = 0; n < columns; n++)
            dh[n] = from[n] * inverse;
        memset(dh + columns, 0, (size_t)(panels * 16 - columns) * sizeof(float));
    }
}

/* A tile of dW (and db): words of a block, columns of a pair of panels. */
typedef struct tile_place {
    int block, words, pair, panels;
} tile_place;

/* The leaf of shard s: one chain over its tokens, which may lie in several groups. */
static void sum_shard(const kernels *k, const job *j, const chunk *c, const tile_place *at, int s,
                      float *tile)
{
    const linear_ce *l = j->l;
    const int end = shard_token(j, s + 1) - c->first;
    gemm_start start = GEMM_ZERO;
    int i = shard_token(j, s) - c->first;
    do {
        const int g = at_most(i / GROUP, at_least(0, c->groups - 1)), n = at_most(end, (g + 1) * GROUP) - i;
        k->gemm(at->words, at->panels, n, group_logits(l, c, g, at->block * WORDS) + i % GROUP,
                (size_t)group_columns(c, g), 1,
                l->scaled + ((size_t)(2 * at->pair) * (size_t)l->capacity + (size_t)i) * 16,
                16 * (size_t)l->capacity, tile, WIDTH, start, NULL);
        start = GEMM_CONTINUE;
        i += n;
    } while (i < end);
}

static void write_tile(const job *j, const tile_place *at, int node, const float *tile)
{
    const linear_ce *l = j->l;
    const int h0 = at->pair * WIDTH, columns = at_most(WIDTH, l->H - h0);
    float *dW = j->dW + (size_t)node * j->stride, *db = j->db + (size_t)node * j->stride;
    for (int i = 0; i < at->words; i++) {
        const size_t v = (size_t)(at->block * WORDS + i);
        memcpy(dW + v * (size_t)l->H + h0, tile + i * WIDTH, (size_t)columns * sizeof(float));
        if (columns < WIDTH)
            db[v] = tile[i * WIDTH + columns];
    }
}

/* Sums of finished subtrees that wait, from chunk to chunk, for the rest of their node. */
static float *open_tile(const linear_ce *l, const tile_place *at, int level)
{
    size_t tiles = (size_t)at->block * (size_t)pieces(l->panels, 2) + (size_t)at->pair;
    return l->open + (size_t)level * open_floats(l) + tiles * TILE;
}

/* The shards [a,b) of a node that lie in this chunk, in the tree's order.  Levels below `hot` of the stack of sums are still where
 * earlier chunks left them. */
static void sum_node(const kernels *k, const job *j, const chunk *c, const tile_place *at, int node,
                     dw_scratch *s)
{
    const shard_node whole = j->p->node[node];
    const int a = at_least(whole.first, c->shard0), b = at_most(whole.last, c->shard1);
    int top = 0;
    for (int shard = whole.first; shard < a; shard++)
        top += 1 - shard_merges(whole.first, whole.last, shard);
    int hot = top;
    for (int shard = a; shard < b; shard++) {
        sum_shard(k, j, c, at, shard, s->tile[top++]);
        for (int merges = shard_merges(whole.first, whole.last, shard); merges > 0; merges--) {
            top--;
            const bool waiting = top - 1 < hot;
            k->add(s->tile[top - 1], waiting ? open_tile(j->l, at, top - 1) : s->tile[top - 1], s->tile[top],
                   TILE);
            hot = at_most(hot, top - 1);
        }
    }
    if (b == whole.last)
        write_tile(j, at, node, s->tile[0]);
    else
        for (int level = hot; level < top; level++)
            memcpy(open_tile(j->l, at, level), s->tile[level], TILE * sizeof(float));
}

static void weight_gradient(member *m, const job *j, const chunk *c, int block, int pair0)
{
    const linear_ce *l = j->l;
    const int pairs = pieces(l->panels, 2);
    for (int pair = pair0; pair < at_most(pair0 + DW_PAIRS, pairs); pair++) {
        tile_place at = {block, block_words(l, block), pair, at_most(2, l->panels - 2 * pair)};
        for (int node = 0; node < j->p->nodes; node++)
            if (j->p->node[node].first < c->shard1 && j->p->node[node].last > c->shard0)
                sum_node(m->k, j, c, &at, node, team_scratch(m, sizeof(dw_scratch)));
    }
}

static void make_gradients(member *m, const job *j, const chunk *c)
{
    const linear_ce *l = j->l;
    const long dh_down = pieces(c->groups, DH_GROUPS), dh = dh_down * pieces(l->Hp / 16, DH_PANELS);
    const long dw_across = pieces(pieces(l->panels, 2), DW_PAIRS), dw = dw_across * l->blocks;
    for (long i; (i = team_claim(m, dh + dw)) >= 0;) {
        if (i < dh)
            input_gradient(m, j, c, (int)(i / dh_down) * DH_PANELS, (int)(i % dh_down) * DH_GROUPS);
        else
            weight_gradient(m, j, c, (int)((i - dh) / dw_across), (int)((i - dh) % dw_across) * DW_PAIRS);
    }
    team_barrier(m);
}

/* ---- the whole ---- */

static void body(member *m, void *arg)
{
    const job *j = arg;
    chunk c = {.shard1 = j->p ? j->p->first : 0};
    while (next_chunk(j, &c)) {
        pack_inputs(m, j, &c);
        make_logits(m, j, &c);
        make_maxima(m, j, &c);
        make_exponentials(m, j, &c);
        make_sums(m, j, &c);
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
