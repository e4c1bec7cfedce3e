/* linear_ce_gradients.c - dh, dW and db of a chunk of tokens, from what the exponentials left (linear_ce.c,
 * which describes all of the output layer). */
#include "kernels/linear_ce_chunk.h"

#include "kernels/simd/table.h"

#include <string.h>

/* dh^T: tasks of up to DH_STRIPS strips of rows by about DH_PANELS panels of tokens, whose operands, those to come
 * and product take up to 700 KB of cache. */
#define STRIP     16 /* rows, which are columns of W: about a cache line of each word */
#define DH_STRIPS 4
#define DH_PANELS 32
#define DH_ROW    (DH_PANELS * 16 + 16) /* an odd number of cache lines: not the same sets for all rows */
#define DH_WORDS  120                   /* words that are multiplied at a time */

/* dW: tiles of DW_WORDS words by a group of panels, which is what the widest kernel takes at once. */
#define DW_WORDS  96
#define DW_PANELS 4
#define GROUP     (16 * DW_PANELS)
#define TILE      (DW_WORDS * GROUP)
#define DW_TASKS  64 /* at least, if that leaves each a group */

typedef struct dh_scratch {
    _Alignas(64) float product[DH_STRIPS * STRIP][DH_ROW];
} dh_scratch;

typedef struct dw_scratch {
    _Alignas(64) float tile[SHARD_LEVELS][TILE];
    _Alignas(64) float block[]; /* [DW_WORDS][block_stride] exponentials of all tokens of the chunk */
} dw_scratch;

static int groups_of(const linear_ce *l)
{
    return pieces(l->panels, DW_PANELS);
}

size_t linear_ce_open_floats(const linear_ce *l)
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

size_t linear_ce_gradient_scratch(const linear_ce *l)
{
    const size_t dW = dw_scratch_bytes(l);
    return sizeof(dh_scratch) > dW ? sizeof(dh_scratch) : dW;
}

/* A task of dh: columns [h0, h1), panels [panel0, panel1) of tokens. */
typedef struct dh_task {
    int h0, h1, panel0, panel1;
} dh_task;

/* Operands of the `words` words from v0 on, which come next: the task's panels of d and, of a whole block of words,
 * its columns of W. These take a line more than strips, because rows of W begin anywhere in a line. */
static gemm_extra fetch_words(const ce_job *j, const dh_task *t, int v0, int words)
{
    if (words <= 0)
        return (gemm_extra){0};
    return (gemm_extra){.ahead = panel_logits(j->l, t->panel0, v0),
                        .runs = t->panel1 - t->panel0,
                        .run_floats = (size_t)words * 16,
                        .apart = gemm_panel(j->l->V),
                        .ahead_rows = j->W + (size_t)v0 * (size_t)j->l->H + (size_t)t->h0,
                        .ahead_row = (size_t)j->l->H,
                        .lines = words == DH_WORDS ? pieces(t->h1 - t->h0, STRIP) + 1 : 0};
}

/* The whole chain over words. */
static void input_gradient(member *m, const ce_job *j, const ce_chunk *c, const dh_task *t)
{
    const linear_ce *l = j->l;
    dh_scratch *s = team_scratch(m, sizeof *s);
    for (int v0 = 0; v0 < l->V; v0 += DH_WORDS) {
        const int words = at_most(DH_WORDS, l->V - v0), next = v0 + words;
        const gemm_extra extra = fetch_words(j, t, next, at_most(DH_WORDS, l->V - next));
        m->k->gemm_also(t->h1 - t->h0, t->panel1 - t->panel0, words,
                        j->W + (size_t)v0 * (size_t)l->H + (size_t)t->h0, 1, (size_t)l->H,
                        panel_logits(l, t->panel0, v0), gemm_panel(l->V), s->product[0], DH_ROW,
                        v0 ? GEMM_CONTINUE : GEMM_ZERO, NULL, &extra);
    }
    for (int i = t->panel0 * 16; i < at_most(t->panel1 * 16, c->n); i++) {
        const float inverse = 1.0f / l->token_sum[i];
        float *dh = j->dh + token_place(j, c, i) * (size_t)l->Hp;
        for (int h = t->h0; h < t->h1; h++)
            dh[h] = s->product[h - t->h0][i - t->panel0 * 16] * inverse;
        if (t->h1 == l->H)
            memset(dh + l->H, 0, (size_t)(l->Hp - l->H) * sizeof(float));
    }
}

/* A tile of dW (and db): words of a block, columns of a group of panels; of a task of the groups [group0,
 * group1), behind which block `next` comes, -1 if none does. */
typedef struct tile_place {
    int block, words, group, panels;
    int group0, group1, next;
} tile_place;

/* Panels of h/sum of a tile, at the tokens of shard s. */
static const float *shard_panels(const ce_job *j, const ce_chunk *c, int group, int s)
{
    const linear_ce *l = j->l;
    return l->scaled + (size_t)(DW_PANELS * group) * gemm_panel(l->capacity) +
           (size_t)(shard_token(j, s) - c->first) * 16;
}

static int shard_tokens(const ce_job *j, int s)
{
    return shard_token(j, s + 1) - shard_token(j, s);
}

/* Panels of h/sum that the next leaf wants: of the next shard, of the next group's first, of the next block's
 * first. */
static gemm_extra fetch_scaled(const ce_job *j, const ce_chunk *c, const tile_place *at, int s)
{
    const bool last = s + 1 == c->shard1, around = last && at->group + 1 == at->group1;
    if (around && at->next < 0)
        return (gemm_extra){0};
    const int next = last ? c->shard0 : s + 1, group = around ? at->group0 : at->group + last;
    return (gemm_extra){.ahead = shard_panels(j, c, group, next),
                        .runs = at_most(DW_PANELS, j->l->panels - DW_PANELS * group),
                        .run_floats = (size_t)shard_tokens(j, next) * 16,
                        .apart = gemm_panel(j->l->capacity)};
}

/* The leaf's part of d for the next block of words. */
static gemm_extra fetch_block(const ce_job *j, const ce_chunk *c, const tile_place *at, int s)
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

/* The leaf of shard s: one chain over its tokens; then as many sums of the stack as `merges` says. `place` is where the
 * node's sum goes with the node's last leaf, from the registers, and what the leaves before ask for; NULL: sums stay on
 * the stack. In two halves of the words, if there are two, for a call can fetch one set of runs and two are wanted. */
static void sum_shard(const kernels *k, const ce_job *j, const ce_chunk *c, const tile_place *at, int s,
                      const float *block, float *tile, int merges, const shard_node *node, float *place)
{
    const linear_ce *l = j->l;
    const int left = node->last - 1 - s;
    for (int half = at->words > 1 ? 0 : 1; half < 2; half++) {
        const int first = half ? at->words / 2 : 0, last = half ? at->words : at->words / 2;
        float *const row = place ? place + (size_t)first * (size_t)l->H : NULL;
        gemm_extra extra = half ? fetch_block(j, c, at, s) : fetch_scaled(j, c, at, s);
        extra.merges = merges;
        extra.below = TILE;
        extra.out = left == 0 ? row : NULL;
        extra.out_row = (size_t)l->H;
        extra.out_panel = 16;
        gemm_ask_later(&extra, row, (size_t)l->H, left, node->last - node->first);
        k->gemm_also(last - first, at->panels, shard_tokens(j, s),
                     block + (size_t)first * block_stride(l) + shard_token(j, s) - c->first, block_stride(l),
                     1, shard_panels(j, c, at->group, s), gemm_panel(l->capacity), tile + first * GROUP,
                     GROUP, GEMM_ZERO, NULL, &extra);
    }
}

/* Where a tile of a node's dW goes, if it is all columns of dW. */
static float *tile_out(const ce_job *j, const tile_place *at, int node)
{
    const int h0 = at->group * GROUP;
    if (h0 + 16 * at->panels > j->l->H)
        return NULL;
    return j->dW + (size_t)node * j->stride + (size_t)(at->block * DW_WORDS) * (size_t)j->l->H + h0;
}

static void write_tile(const ce_job *j, const tile_place *at, int node, const float *tile)
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
    return l->open + (size_t)level * linear_ce_open_floats(l) + tiles * TILE;
}

/* The shards [a,b) of a node that lie in this chunk, in the tree's order. Levels below `hot` of the stack
 * of sums are still where earlier chunks left them. If all shards lie in it, the last leaf becomes the node's
 * sum, and goes to its place from the registers. */
static void sum_node(const kernels *k, const ce_job *j, const ce_chunk *c, const tile_place *at, int node,
                     dw_scratch *s)
{
    const shard_node whole = j->p->node[node];
    const int a = at_least(whole.first, c->shard0), b = at_most(whole.last, c->shard1);
    int top = 0;
    for (int shard = whole.first; shard < a; shard++)
        top += 1 - shard_merges(whole.first, whole.last, shard);
    int hot = top;
    float *const place = a == whole.first && b == whole.last ? tile_out(j, at, node) : NULL;
    for (int shard = a; shard < b; shard++) {
        int merges = shard_merges(whole.first, whole.last, shard);
        const int hot_merges = at_most(merges, top - hot);
        sum_shard(k, j, c, at, shard, s->block, s->tile[top], hot_merges, &whole, place);
        top += 1 - hot_merges;
        for (merges -= hot_merges; merges > 0; merges--) {
            top--;
            k->add(s->tile[top - 1], open_tile(j->l, at, top - 1), s->tile[top], TILE);
            hot = top - 1;
        }
    }
    if (b == whole.last && !place)
        write_tile(j, at, node, s->tile[0]);
    else if (b < whole.last)
        for (int level = hot; level < top; level++)
            memcpy(open_tile(j->l, at, level), s->tile[level], TILE * sizeof(float));
}

/* dW of a block of words, groups [group0, group1) of panels. */
static void weight_gradient(member *m, const ce_job *j, const ce_chunk *c, int block, int group0, int group1,
                            int next)
{
    const linear_ce *l = j->l;
    dw_scratch *s = team_scratch(m, dw_scratch_bytes(l));
    const int words = at_most(DW_WORDS, l->V - block * DW_WORDS);
    for (int i = 0; i < words; i++) { /* row by row: few pages are written at a time */
        const float *from = panel_logits(l, 0, block * DW_WORDS + i);
        float *to = s->block + (size_t)i * block_stride(l);
        for (int p = 0; p < c->panels; p++)
            memcpy(to + 16 * p, from + (size_t)p * gemm_panel(l->V), 16 * sizeof(float));
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

/* dh first, dealt out: its tasks are larger, and those of dW fill the gaps at the end. A thread's rows of dW
 * lie together, as they will in the optimizer. */
void linear_ce_gradients(member *m, const ce_job *j, const ce_chunk *c)
{
    const linear_ce *l = j->l;
    const int strips = pieces(l->H, STRIP), dh_across = pieces(strips, DH_STRIPS), groups = groups_of(l);
    const int dh_down = pieces(c->panels, DH_PANELS);
    const int dw_down = pieces(l->V, DW_WORDS), dw_across = at_most(groups, pieces(DW_TASKS, dw_down));
    const long dh = (long)dh_across * dh_down, dw = (long)dw_across * dw_down;
    const team_deal deal = {.tasks = dh + dw, .dealt = dh};
    task_part whole;
    for (long i; (i = team_claim_of(m, &deal, &whole)) >= 0;) {
        if (i < dh) {
            const long across = i % dh_across, down = i / dh_across;
            input_gradient(m, j, c,
                           &(dh_task){.h0 = cut(l->H, STRIP, across, dh_across),
                                      .h1 = cut(l->H, STRIP, across + 1, dh_across),
                                      .panel0 = cut(c->panels, 1, down, dh_down),
                                      .panel1 = cut(c->panels, 1, down + 1, dh_down)});
        } else {
            const int block = (int)((i - dh) / dw_across), across = (int)((i - dh) % dw_across);
            weight_gradient(m, j, c, block, cut(groups, 1, across, dw_across),
                            cut(groups, 1, across + 1, dw_across),
                            dw_across == 1 && block + 1 < dw_down ? block + 1 : -1);
        }
    }
    team_barrier(m);
}
