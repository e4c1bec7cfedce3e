/* gemm.c - see gemm.h.  Block sizes are chosen for caches only; they cannot be seen in the results. */
#include "kernels/gemm.h"

#include "kernels/ints.h"

#include <string.h>

/* A task of a job: rows that stay in L2 with a block of k of some panels, long enough to be worth a claim.
 * Blocks end at multiples of the largest register tile, so that only the last rows and panels of a matrix
 * leave it partly empty. */
#define JOB_ROWS    96
#define JOB_PANELS  4
#define JOB_DEPTH   512
#define JOB_WEIGHTS (384u << 10) /* bytes of a B that stays in L2 while rows pass by */
#define TILE_ROWS   12
#define TILE_PANELS 4

/* A task of a tree product: TREE_A panels of A by TREE_GROUPS groups of TREE_B panels of B.  Its part of C stays in
 * a core's L2 cache, once for each open level of the tree, while the operands pass by, TREE_DEPTH of their rows at
 * a time. */
#define TREE_A      8 /* 16 rows are 2 x 8 rows by 3 panels in registers */
#define TREE_B      3
#define TREE_GROUPS 2
#define TREE_DEPTH  320
#define TREE_SMALL  1024 /* pairs of panels of a product so small that half as many of A leave enough tasks */
#define SUM_LEVELS  14   /* shards <= 4096: at most 13 open subtrees */
#define TREE_ROW    (16 * TREE_B) /* floats of a row of a tile: one panel of A, one group of B */
#define TREE_TILE   (16 * TREE_ROW)
#define TREE_LEVEL  (TREE_A * TREE_GROUPS * TREE_TILE)

/* Our own kernel serves every role: on four cores it is faster than OpenBLAS on tiles of these shapes (by
 * 1.05 to 1.2), and its bits are the same in every table. */
static const bool by_openblas[GEMM_ROLES] = {
    [GEMM_INPUT] = false, [GEMM_OUTPUT] = false, [GEMM_DW] = false, [GEMM_RECURRENT] = false};

const char *gemm_backend(gemm_role role)
{
    return by_openblas[role] ? "openblas" : "packed";
}

/* Where block i of `blocks` begins when n is cut at multiples of `unit`. */
static int cut(int n, int unit, long i, long blocks)
{
    const long at = ((n + unit - 1) / unit) * i / blocks * unit;
    return at < n ? (int)at : n;
}

void gemm_pack_rows(const kernels *k, float *panel, const float *W, size_t ld, int valid, int K)
{
    const float *row[16];
    for (int j = 0; j < 16; j++)
        row[j] = j < valid ? W + (size_t)j * ld : NULL;
    k->gemm_pack_rows(panel, row, K);
}

void gemm_pack_columns(float *panel, size_t stride, const float *W, size_t ld, int columns, int K,
                       int zero_rows)
{
    const int panels = pieces(columns, 16), last = columns - 16 * (panels - 1);
    for (int k = 0; k < K + zero_rows; k++, panel += 16) {
        if (k >= K || last < 16)
            for (int i = 0; i < panels; i++)
                memset(panel + (size_t)i * stride, 0, 16 * sizeof *panel);
        if (k >= K)
            continue;
        const float *from = W + (size_t)k * ld;
        for (int i = 0; i < panels; i++, from += 16) {
            if (i < panels - 1 || last == 16)
                memcpy(panel + (size_t)i * stride, from, 16 * sizeof *panel); /* of constant size: one move */
            else
                memcpy(panel + (size_t)i * stride, from, (size_t)last * sizeof *panel);
        }
    }
}

/* Local rows [*first, *last) of shard s. */
static void shard_rows(const shards *p, int s, int *first, int *last)
{
    *first = shard_row(p->B, p->S, s) - p->row0;
    *last = shard_row(p->B, p->S, s + 1) - p->row0;
}

void gemm_pack_shards(float *panel, int panels, const float *x, size_t ld, const shards *p, int T)
{
    const size_t stride = gemm_panel(T * p->rows);
    for (int s = p->first; s < p->first + p->count; s++) {
        int first, last;
        shard_rows(p, s, &first, &last);
        for (int t = 0; t < T; t++) {
            const float *from = x + ((size_t)t * (size_t)p->rows + (size_t)first) * ld;
            for (int b = first; b < last; b++, from += ld, panel += 16)
                for (int i = 0; i < panels; i++)
                    memcpy(panel + (size_t)i * stride, from + 16 * i, 16 * sizeof *panel);
        }
    }
}

long gemm_job_tasks(const gemm_job *j)
{
    return (long)pieces(j->M, JOB_ROWS) * pieces(j->P, JOB_PANELS);
}

void gemm_job_task(const kernels *k, const gemm_job *j, long task)
{
    const long row_blocks = pieces(j->M, JOB_ROWS), panel_blocks = pieces(j->P, JOB_PANELS);
    /* The smaller one of B and a block of its panels that stays in L2 is met by row after row: A comes from memory once
     * if all of B does. */
    const bool rows_outside = (size_t)j->P * gemm_panel(j->K) * sizeof(float) <= JOB_WEIGHTS;
    const long rb = rows_outside ? task / panel_blocks : task % row_blocks,
               pb = rows_outside ? task % panel_blocks : task / row_blocks;
    const int m0 = cut(j->M, TILE_ROWS, rb, row_blocks), m1 = cut(j->M, TILE_ROWS, rb + 1, row_blocks);
    const int p0 = cut(j->P, TILE_PANELS, pb, panel_blocks),
              p1 = cut(j->P, TILE_PANELS, pb + 1, panel_blocks);
    const size_t panel = gemm_panel(j->K);
    const int depth_blocks = j->K > 0 ? pieces(j->K, JOB_DEPTH) : 1;
    const float *bias = j->bias ? j->bias + (size_t)p0 * 16 : NULL;
    for (int kb = 0; kb < depth_blocks; kb++) {
        const int k0 = (int)((long)j->K * kb / depth_blocks),
                  k1 = (int)((long)j->K * (kb + 1) / depth_blocks);
        k->gemm(m1 - m0, p1 - p0, k1 - k0, j->a + (size_t)m0 * j->lda + (size_t)k0, j->lda, 1,
                j->b + (size_t)p0 * panel + (size_t)k0 * 16, panel,
                j->c + (size_t)m0 * j->ldc + (size_t)p0 * 16, j->ldc, kb == 0 ? j->start : GEMM_CONTINUE,
                bias);
    }
}

typedef struct tree_cuts {
    int a, b; /* into how many blocks the panels of A and the groups of B are cut */
} tree_cuts;

static tree_cuts tree_cut(const gemm_tree *j)
{
    const int a = !j->crowd && j->pa * j->pb < TREE_SMALL ? TREE_A / 2 : TREE_A;
    return (tree_cuts){pieces(j->pa, a), pieces(pieces(j->pb, TREE_B), TREE_GROUPS)};
}

long gemm_tree_tasks(const gemm_tree *j)
{
    tree_cuts n = tree_cut(j);
    return (long)n.a * n.b;
}

/* Panels [a0,a1) of A by groups [g0,g1) of panels of B.  Its tiles follow each other, by group and then by panel of
 * A. */
typedef struct tree_block {
    int a0, a1, g0, g1;
} tree_block;

/* Where group g of panels of B begins: they are as even as possible, TREE_B at most. */
static int group_begin(const gemm_tree *j, int g)
{
    const int groups = pieces(j->pb, TREE_B);
    return (int)((long)j->pb * g / groups);
}

/* What a product fetches from afar while it multiplies: with the first group the next panel of A, at the same
 * rows; then, for the rows that come next (`to`, 0 if none do), the panels of B and the first one of A. */
static const float *tree_ahead(const gemm_tree *j, const tree_block *t, int g, int a, size_t at, size_t to)
{
    const size_t panel = gemm_panel(j->T * j->p->rows);
    if (g == t->g0)
        return a + 1 < t->a1 ? j->a + (size_t)(a + 1) * panel + at : NULL;
    const int b0 = group_begin(j, t->g0), b1 = group_begin(j, t->g1),
              i = (g - t->g0 - 1) * (t->a1 - t->a0) + a - t->a0;
    if (to == 0 || i > b1 - b0)
        return NULL;
    return i < b1 - b0 ? j->b + (size_t)(b0 + i) * panel + to : j->a + (size_t)t->a0 * panel + to;
}

/* The leaves of one shard, whose operands are rows [from, from + K) of the panels: a chain over K for each element.
 * The shard to come begins at row `next`, 0 if there is none. */
static void tree_leaves(const kernels *k, const gemm_tree *j, const tree_block *t, size_t from, int K,
                        size_t next, float *level)
{
    const size_t panel = gemm_panel(j->T * j->p->rows);
    const int cuts = at_least(1, pieces(K, TREE_DEPTH));
    for (int piece = 0; piece < cuts; piece++) {
        const int k0 = (int)((long)K * piece / cuts), k1 = (int)((long)K * (piece + 1) / cuts);
        const size_t at = (from + (size_t)k0) * 16,
                     to = piece + 1 < cuts ? (from + (size_t)k1) * 16 : next * 16;
        const gemm_start start = piece ? GEMM_CONTINUE : GEMM_ZERO;
        float *tile = level;
        for (int g = t->g0; g < t->g1; g++) {
            const int b = group_begin(j, g), panels = group_begin(j, g + 1) - b;
            for (int a = t->a0; a < t->a1; a++, tile += TREE_TILE) {
                const float *pa = j->a + (size_t)a * panel + at, *pb = j->b + (size_t)b * panel + at;
                const float *ahead = tree_ahead(j, t, g, a, at, to);
                if (by_openblas[GEMM_DW])
                    gemm_blas(16, panels, k1 - k0, pa, 1, 16, pb, panel, tile, TREE_ROW, start, NULL);
                else
                    k->gemm_ahead(16, panels, k1 - k0, pa, 1, 16, pb, panel, tile, TREE_ROW, start, NULL,
                                  ahead, ahead ? (size_t)(k1 - k0) * 16 : 0);
            }
        }
    }
}

static void tree_write(const gemm_tree *j, const tree_block *t, int node, const float *tile)
{
    for (int g = t->g0; g < t->g1; g++) {
        const int b = 16 * group_begin(j, g), end = 16 * group_begin(j, g + 1),
                  columns = (end < j->N ? end : j->N) - b;
        for (int a = t->a0; a < t->a1; a++, tile += TREE_TILE) {
            int valid;
            const size_t row = j->row(j->shape, a, &valid);
            float *c = j->c + (size_t)node * j->stride + row * j->ldc + b;
            for (int i = 0; i < valid; i++)
                memcpy(c + (size_t)i * j->ldc, tile + i * TREE_ROW, (size_t)columns * sizeof *c);
        }
    }
}

/* A level for each subtree that can be open at once, and one for the leaf. */
size_t gemm_tree_scratch(int most_shards)
{
    int levels = 1;
    for (int n = 1; n < most_shards; n *= 2)
        levels++;
    return (size_t)(levels + 1) * sizeof(float[TREE_LEVEL]);
}

/* Shard by shard, added up the tree while hot. */
static void tree_walk(const kernels *k, const gemm_tree *j, const tree_block *t, float (*level)[TREE_LEVEL])
{
    const shards *p = j->p;
    const size_t floats = (size_t)((t->a1 - t->a0) * (t->g1 - t->g0)) * TREE_TILE;
    size_t from = 0;
    for (int n = 0; n < p->nodes; n++) {
        int open = 0;
        for (int s = p->node[n].first; s < p->node[n].last; s++) {
            int first, last;
            shard_rows(p, s, &first, &last);
            const int K = j->T * (last - first);
            const bool more = s + 1 < p->first + p->count;
            tree_leaves(k, j, t, from, K, more ? from + (size_t)K : 0, level[open++]);
            from += (size_t)K;
            for (int merges = shard_merges(p->node[n].first, p->node[n].last, s); merges > 0; merges--) {
                open--;
                k->add(level[open - 1], level[open - 1], level[open], floats);
            }
        }
        tree_write(j, t, n, level[0]);
    }
}

void gemm_tree_task(const kernels *k, const gemm_tree *j, long task, void *scratch)
{
    const tree_cuts n = tree_cut(j);
    const long ta = task / n.b, tb = task % n.b;
    const int groups = pieces(j->pb, TREE_B);
    const tree_block t = {(int)(j->pa * ta / n.a), (int)(j->pa * (ta + 1) / n.a), (int)(groups * tb / n.b),
                          (int)(groups * (tb + 1) / n.b)};
    tree_walk(k, j, &t, scratch);
}

void gemm_tree_sums(const kernels *k, const gemm_tree *j, int i, float *sums, size_t stride)
{
    _Alignas(64) float level[SUM_LEVELS][16];
    const shards *p = j->p;
    const float *a = j->a + (size_t)i * gemm_panel(j->T * p->rows);
    int valid;
    const size_t row0 = j->row(j->shape, i, &valid);
    for (int n = 0; n < p->nodes; n++) {
        int open = 0;
        for (int s = p->node[n].first; s < p->node[n].last; s++) {
            int first, last;
            shard_rows(p, s, &first, &last);
            const int rows = j->T * (last - first);
            k->columns_sum(level[open++], a, rows, 16, 16);
            a += (size_t)rows * 16;
            for (int merges = shard_merges(p->node[n].first, p->node[n].last, s); merges > 0; merges--) {
                open--;
                for (int c = 0; c < 16; c++)
                    level[open - 1][c] += level[open][c];
            }
        }
        memcpy(sums + (size_t)n * stride + row0, level[0], (size_t)valid * sizeof *sums);
    }
}
