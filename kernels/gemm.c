/* gemm.c - see gemm.h.  Block sizes are chosen for caches only; they cannot be seen in the results. */
#include "kernels/gemm.h"

#include <string.h>

/* A task of a job: rows that stay in L2 with a block of k of some panels, long enough to be worth a claim.
 * Blocks end at multiples of the largest register tile, so that only the last rows and panels of a matrix
 * leave it partly empty. */
#define JOB_ROWS    96
#define JOB_PANELS  4
#define JOB_DEPTH   512
#define TILE_ROWS   12
#define TILE_PANELS 4

#define TREE_PANELS 3            /* of B in a tile of a tree product: 16 rows are 2 x 8 rows by 3 panels */
#define TREE_BYTES  (384u << 10) /* panels of a task of a tree product: they share half an L2 cache */
#define TREE_LEVELS 14           /* shards <= 4096: at most 13 open subtrees */

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

static int div_up(int n, int unit)
{
    return (n + unit - 1) / unit;
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
    const int panels = div_up(columns, 16), last = columns - 16 * (panels - 1);
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
    return (long)div_up(j->M, JOB_ROWS) * div_up(j->P, JOB_PANELS);
}

void gemm_job_task(const kernels *k, const gemm_job *j, long task)
{
    const long row_blocks = div_up(j->M, JOB_ROWS), panel_blocks = div_up(j->P, JOB_PANELS);
    const long rb = task % row_blocks,
               pb = task / row_blocks; /* rows inside: a thread's share keeps its panels */
    const int m0 = cut(j->M, TILE_ROWS, rb, row_blocks), m1 = cut(j->M, TILE_ROWS, rb + 1, row_blocks);
    const int p0 = cut(j->P, TILE_PANELS, pb, panel_blocks),
              p1 = cut(j->P, TILE_PANELS, pb + 1, panel_blocks);
    const size_t panel = gemm_panel(j->K);
    const int depth_blocks = j->K > 0 ? div_up(j->K, JOB_DEPTH) : 1;
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

typedef struct tree_blocks {
    int a, b; /* number of blocks of panels of A and of B */
} tree_blocks;

static tree_blocks tree_cut(const gemm_tree *j)
{
    size_t panel_bytes = gemm_panel(j->T * j->p->rows) * sizeof(float);
    int panels = (int)(TREE_BYTES / (panel_bytes + 1)) / 2;
    int a = panels < 2 ? 2 : panels > 8 ? 8 : panels;
    int groups = panels < 2 * TREE_PANELS ? 1 : 2;
    return (tree_blocks){div_up(j->pa, a), div_up(j->pb, groups * TREE_PANELS)};
}

long gemm_tree_tasks(const gemm_tree *j)
{
    tree_blocks n = tree_cut(j);
    return (long)n.a * n.b;
}

/* One tile: 16 rows of C from panel a, up to 48 columns from panels b, b+1, b+2; the chain of each shard, added
 * up the tree while hot. */
static void tree_tile(const kernels *k, const gemm_tree *j, int ia, int ib)
{
    _Alignas(64) float level[TREE_LEVELS][16 * 16 * TREE_PANELS];
    const shards *p = j->p;
    const size_t panel = gemm_panel(j->T * p->rows);
    const float *a = j->a + (size_t)ia * panel, *b = j->b + (size_t)ib * panel;
    const int panels = j->pb - ib < TREE_PANELS ? j->pb - ib : TREE_PANELS;
    const int columns = j->N - 16 * ib < 16 * panels ? j->N - 16 * ib : 16 * panels;
    const size_t row = (size_t)(16 * TREE_PANELS);
    int valid;
    const size_t row0 = j->row(j->shape, ia, &valid);
    const gemm_function product = by_openblas[GEMM_DW] ? gemm_blas : k->gemm;
    for (int n = 0; n < p->nodes; n++) {
        int open = 0;
        for (int s = p->node[n].first; s < p->node[n].last; s++) {
            int first, last;
            shard_rows(p, s, &first, &last);
            const int K = j->T * (last - first);
            product(16, panels, K, a, 1, 16, b, panel, level[open++], row, GEMM_ZERO, NULL);
            a += (size_t)K * 16;
            b += (size_t)K * 16;
            for (int merges = shard_merges(p->node[n].first, p->node[n].last, s); merges > 0; merges--) {
                open--;
                k->add(level[open - 1], level[open - 1], level[open], 16 * row);
            }
        }
        float *c = j->c + (size_t)n * j->stride + row0 * j->ldc + (size_t)ib * 16;
        for (int i = 0; i < valid; i++)
            memcpy(c + (size_t)i * j->ldc, level[0] + (size_t)i * row, (size_t)columns * sizeof *c);
    }
}

void gemm_tree_task(const kernels *k, const gemm_tree *j, long task)
{
    const tree_blocks n = tree_cut(j);
    const long ta = task / n.b, tb = task % n.b;
    const int groups = div_up(j->pb, TREE_PANELS);
    const int a0 = (int)(j->pa * ta / n.a), a1 = (int)(j->pa * (ta + 1) / n.a);
    const int b0 = (int)(groups * tb / n.b), b1 = (int)(groups * (tb + 1) / n.b);
    for (int ib = b0; ib < b1; ib++)
        for (int ia = a0; ia < a1; ia++)
            tree_tile(k, j, ia, ib * TREE_PANELS);
}

void gemm_tree_sums(const kernels *k, const gemm_tree *j, int i, float *sums, size_t stride)
{
    _Alignas(64) float level[TREE_LEVELS][16];
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
