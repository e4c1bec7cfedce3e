/* gemm.c - see gemm.h.  Block sizes are chosen for caches only; they cannot be seen in the results. */
#include "kernels/gemm.h"

#include "kernels/ints.h"

#include <string.h>

/* A task of a job: rows that stay in L2 with a block of k of some panels, long enough to be worth a claim.
 * Blocks of rows end at multiples of the largest register tile, so that only the last rows of a matrix leave it
 * partly empty; panels are cut as evenly as can be (dx of 400 rows and 200 units on four threads takes 0.84 of the
 * time of tasks of 4, 4, 4 and 1). */
#define JOB_ROWS    96
#define JOB_PANELS  4
#define JOB_DEPTH   512
#define JOB_WEIGHTS (384u << 10)     /* bytes of a B that stays in L2 while rows pass by */
#define WIDE_PANELS (4 * JOB_PANELS) /* at most, of a task of several blocks of k */
#define TILE_ROWS   12

/* A task of a tree product: TREE_A panels of A by TREE_GROUPS groups of TREE_B panels of B. Its part of C
 * stays in a core's L2 cache, once for each open level of the tree, while the operands pass by, TREE_DEPTH
 * of their rows at a time. */
#define TREE_A      8 /* 16 rows are 2 x 8 rows by 3 panels in registers */
#define TREE_B      3
#define TREE_GROUPS 3
#define TREE_DEPTH  320
#define TREE_TASKS  6 /* for each thread, if there are so many: with two, the last ones left threads waiting */
#define TREE_ROW    (16 * TREE_B) /* floats of a row of a tile: one panel of A, one group of B */
#define TREE_TILE   (16 * TREE_ROW)
#define TREE_LEVEL  (TREE_A * TREE_GROUPS * TREE_TILE)

/* Our own kernel serves this role, too: on four cores it was faster than OpenBLAS on tiles of these shapes (by
 * 1.05 to 1.2), and its bits are the same in every table. */
static const bool dw_by_openblas = false;

const char *gemm_backend(gemm_role role)
{
    return role == GEMM_DW && dw_by_openblas ? "openblas" : "packed";
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

/* Columns [column, column + columns) of so many panels. */
static inline void pack_shards(float *panel, int panels, int column, int columns, const float *x, size_t ld,
                               const shards *p, int T)
{
    const size_t stride = gemm_panel(T * p->rows);
    for (int s = p->first; s < p->first + p->count; s++) {
        int first, last;
        shard_rows(p, s, &first, &last);
        for (int t = 0; t < T; t++) {
            const float *from = x + ((size_t)t * (size_t)p->rows + (size_t)first) * ld;
            for (int b = first; b < last; b++, from += ld, panel += 16)
                for (int i = 0; i < panels; i++)
                    memcpy(panel + (size_t)i * stride + column, from + 16 * i,
                           (size_t)columns * sizeof *panel);
        }
    }
}

void gemm_pack_shards(float *panel, int panels, const float *x, size_t ld, const shards *p, int T)
{
    pack_shards(panel, panels, 0, 16, x, ld, p, T); /* of constant size: one move */
}

void gemm_pack_shards_part(float *panel, int column, int columns, const float *x, size_t ld, const shards *p,
                           int T)
{
    pack_shards(panel, 1, column, columns, x, ld, p, T);
}

static int depth_blocks(const gemm_job *j)
{
    return at_least(1, pieces(j->K, JOB_DEPTH));
}

/* Where block kb of k begins. */
static int depth_at(const gemm_job *j, int kb)
{
    return cut(j->K, 1, kb, depth_blocks(j));
}

/* Where all of B stays in L2, it is met by one block of rows after another, and A comes from memory once.
 * Otherwise the panels of a task are, and a block of them stays in L2 unless there are several blocks of k. */
static bool rows_outside(const gemm_job *j)
{
    return (size_t)j->P * gemm_panel(j->K) * sizeof(float) <= JOB_WEIGHTS;
}

/* Rows and panels of a task over several blocks of k are more than L2 keeps: its rows of one block of k stay
 * while many panels pass by. */
static bool panels_pass(const gemm_job *j)
{
    return depth_blocks(j) > 1 && !rows_outside(j);
}

/* Panels of a task; fewer, where there would be too few tasks for the threads. */
static int task_panels(const gemm_job *j)
{
    int n = panels_pass(j) ? WIDE_PANELS : JOB_PANELS;
    while (n > JOB_PANELS && (long)pieces(j->M, JOB_ROWS) * pieces(j->P, n) < 10L * j->threads)
        n /= 2;
    return n;
}

long gemm_job_tasks(const gemm_job *j)
{
    return (long)pieces(j->M, JOB_ROWS) * pieces(j->P, task_panels(j));
}

/* Rows and panels of a task. */
typedef struct job_block {
    int m0, m1, p0, p1;
} job_block;

static job_block block_of(const gemm_job *j, long task)
{
    const long rows = pieces(j->M, JOB_ROWS), panels = pieces(j->P, task_panels(j));
    const long rb = rows_outside(j) ? task / panels : task % rows,
               pb = rows_outside(j) ? task % panels : task / rows;
    return (job_block){cut(j->M, TILE_ROWS, rb, rows), cut(j->M, TILE_ROWS, rb + 1, rows),
                       cut(j->P, 1, pb, panels), cut(j->P, 1, pb + 1, panels)};
}

/* With each block of k a part of what the next task does not share with this one: the thread will most likely
 * come to it next. Where all of B stays in L2, the tasks of a block of rows share the work of fetching the
 * next one. */
static gemm_extra fetch_task(const gemm_job *j, const job_block *now, long task, int kb)
{
    const bool outside = rows_outside(j);
    const int share = outside ? pieces(j->P, task_panels(j)) : 1, i = (int)(task % share);
    const long to = outside ? task - i + share : task + 1;
    if (to >= gemm_job_tasks(j))
        return (gemm_extra){0};
    const job_block next = block_of(j, to);
    const bool rows = outside || next.p0 == now->p0;
    const float *const from =
        rows ? j->a + (size_t)next.m0 * j->lda : j->b + (size_t)next.p0 * gemm_panel(j->K);
    const size_t floats = rows ? (size_t)(next.m1 - next.m0) * j->lda
                               : (size_t)(next.p1 - next.p0) * gemm_panel(j->K),
                 part = floats / (size_t)(share * depth_blocks(j));
    return (gemm_extra){
        .ahead = from + (size_t)(i * depth_blocks(j) + kb) * part, .runs = 1, .run_floats = part};
}

/* A task's panels go in groups; where the i-th begins. */
static int group_at(const job_block *t, int i)
{
    return t->p0 + cut(t->p1 - t->p0, 1, i, pieces(t->p1 - t->p0, JOB_PANELS));
}

/* Where panels pass by: the group that follows the i-th, or the first one of the next block of k. */
static gemm_extra fetch_panels(const gemm_job *j, const job_block *t, int kb, int i)
{
    const bool around = group_at(t, i + 1) == t->p1;
    if (around && kb + 1 == depth_blocks(j))
        return (gemm_extra){0};
    const int next = around ? 0 : i + 1, nb = kb + around, p = group_at(t, next);
    return (gemm_extra){.ahead = j->b + (size_t)p * gemm_panel(j->K) + (size_t)depth_at(j, nb) * 16,
                        .runs = group_at(t, next + 1) - p,
                        .run_floats = (size_t)(depth_at(j, nb + 1) - depth_at(j, nb)) * 16,
                        .apart = gemm_panel(j->K)};
}

void gemm_job_task(const kernels *k, const gemm_job *j, long task, task_part part)
{
    job_block t = block_of(j, task);
    take_part(part, TILE_ROWS, &t.m0, &t.m1);
    if (t.m0 == t.m1)
        return;
    const size_t panel = gemm_panel(j->K);
    for (int kb = 0; kb < depth_blocks(j); kb++) {
        const int k0 = depth_at(j, kb), k1 = depth_at(j, kb + 1);
        for (int i = 0, p = t.p0; p < t.p1; p = group_at(&t, ++i)) {
            gemm_extra extra = {0};
            if (panels_pass(j))
                extra = fetch_panels(j, &t, kb, i);
            else if (part.n == 1)
                extra = fetch_task(j, &t, task, kb);
            extra.far = kb == 0;
            k->gemm_also(
                t.m1 - t.m0, group_at(&t, i + 1) - p, k1 - k0, j->a + (size_t)t.m0 * j->lda + (size_t)k0,
                j->lda, 1, j->b + (size_t)p * panel + (size_t)k0 * 16, panel,
                j->c + (size_t)t.m0 * j->ldc + (size_t)p * 16, j->ldc, kb == 0 ? j->start : GEMM_CONTINUE,
                j->bias ? j->bias + (size_t)p * 16 : NULL, &extra);
        }
    }
}

typedef struct tree_cuts {
    int a, b; /* into how many blocks the panels of A and the groups of B are cut */
} tree_cuts;

/* Fewer panels of A to a task, where there would be too few tasks for the threads. */
static tree_cuts tree_cut(const gemm_tree *j)
{
    tree_cuts n = {0, pieces(pieces(j->pb, TREE_B), TREE_GROUPS)};
    for (int a = TREE_A; a >= TREE_A / 4; a /= 2) {
        n.a = pieces(j->pa, a);
        if (n.a * n.b >= TREE_TASKS * j->threads)
            break;
    }
    return n;
}

long gemm_tree_tasks(const gemm_tree *j)
{
    tree_cuts n = tree_cut(j);
    return (long)n.a * n.b;
}

/* Panels [a0,a1) of A by groups [g0,g1) of panels of B. Its tiles follow each other, by group and then by
 * panel of A. */
typedef struct tree_block {
    int a0, a1, g0, g1;
} tree_block;

/* Where group g of panels of B begins: they are as even as possible, TREE_B at most. */
static int group_begin(const gemm_tree *j, int g)
{
    const int groups = pieces(j->pb, TREE_B);
    return (int)((long)j->pb * g / groups);
}

/* Operands that come next: rows from float `at` of the panels of a block; without a block nothing comes. */
typedef struct tree_next {
    const tree_block *block;
    size_t at;
} tree_next;

/* What a product fetches from afar while it multiplies: with the first group the next panel of A, at the same
 * rows; then what comes next, the panels of B and the first one of A. */
static const float *tree_ahead(const gemm_tree *j, const tree_block *t, int g, int a, size_t at, tree_next to)
{
    const size_t panel = gemm_panel(j->T * j->p->rows);
    if (g == t->g0)
        return a + 1 < t->a1 ? j->a + (size_t)(a + 1) * panel + at : NULL;
    if (!to.block)
        return NULL;
    const int b0 = group_begin(j, to.block->g0), b1 = group_begin(j, to.block->g1),
              i = (g - t->g0 - 1) * (t->a1 - t->a0) + a - t->a0;
    if (i > b1 - b0)
        return NULL;
    return i < b1 - b0 ? j->b + (size_t)(b0 + i) * panel + to.at
                       : j->a + (size_t)to.block->a0 * panel + to.at;
}

/* A leaf's place in the sums: the operands of its shard begin at row `from`; it is made at `level` of the
 * stack, and as many merges follow as subtrees are complete with it. With the last leaf of a node the node
 * is whole, and is written. */
typedef struct tree_leaf {
    size_t from;
    int K, merges, node;
    int left, leaves; /* of the node: how many come after this one, and all */
    float *level;
} tree_leaf;

/* Columns of matrix i of C that come from group g of B: `n` of them, none if that is less than one, from column
 * `at` of the matrix on, and from column `from` of the group. */
typedef struct tree_columns {
    int n, at, from;
} tree_columns;

static tree_columns tree_columns_of(const gemm_tree *j, int g, int i)
{
    const int begin = 16 * group_begin(j, g), end = 16 * group_begin(j, g + 1), before = i == 0 ? 0 : j->N[0],
              first = at_least(begin, before);
    return (tree_columns){at_most(end, before + j->N[i]) - first, first - before, first - begin};
}

static float *tree_place(const gemm_tree *j, int node, int i, size_t row, int column)
{
    return j->c[i] + (size_t)node * j->stride + row * (size_t)j->N[i] + column;
}

/* Where the product goes from the registers: 16 rows of whole panels in one matrix; else NULL. */
static float *tree_straight(const gemm_tree *j, int node, int a, int g, size_t *ldc)
{
    const int whole = 16 * (group_begin(j, g + 1) - group_begin(j, g));
    const gemm_rows low = j->rows(j->shape, a, 0), high = j->rows(j->shape, a, 1);
    if (low.valid < 8 || high.valid < 8 || high.first != low.first + 8)
        return NULL;
    for (int i = 0; i < 2; i++) {
        const tree_columns columns = tree_columns_of(j, g, i);
        *ldc = (size_t)j->N[i];
        if (columns.n == whole)
            return tree_place(j, node, i, low.first, columns.at);
    }
    return NULL;
}

static void tree_write(const gemm_tree *j, int node, int a, int g, const float *sum)
{
    for (int half = 0; half < 2; half++, sum += 8 * TREE_ROW) {
        const gemm_rows rows = j->rows(j->shape, a, half);
        for (int i = 0; i < 2; i++) {
            const tree_columns columns = tree_columns_of(j, g, i);
            for (int r = 0; r < rows.valid && columns.n > 0; r++)
                memcpy(tree_place(j, node, i, rows.first + (size_t)r, columns.at),
                       sum + r * TREE_ROW + columns.from, (size_t)columns.n * sizeof *sum);
        }
    }
}

/* A tile of a leaf, by rows [k0, k1) of its shard. */
static void tree_product(const kernels *k, const gemm_tree *j, const tree_leaf *leaf, int g, int a, int k0,
                         int k1, float *tile, const float *ahead)
{
    const size_t panel = gemm_panel(j->T * j->p->rows), at = (leaf->from + (size_t)k0) * 16;
    const int b = group_begin(j, g), panels = group_begin(j, g + 1) - b;
    const bool last = k1 == leaf->K, written = last && leaf->left == 0;
    gemm_extra extra = {.ahead = ahead,
                        .runs = ahead != NULL,
                        .run_floats = (size_t)(k1 - k0) * 16,
                        .merges = last ? leaf->merges : 0,
                        .below = TREE_LEVEL,
                        .out_panel = 16};
    size_t ldc;
    float *const straight =
        last && leaf->left <= GEMM_LATER ? tree_straight(j, leaf->node, a, g, &ldc) : NULL;
    if (straight && written) {
        extra.out = straight;
        extra.out_row = ldc;
    } else if (straight) {
        gemm_ask_later(&extra, straight, ldc, leaf->left, leaf->leaves);
    }
    const gemm_also_function product = dw_by_openblas ? gemm_blas_also : k->gemm_also;
    product(16, panels, k1 - k0, j->a + (size_t)a * panel + at, 1, 16, j->b + (size_t)b * panel + at, panel,
            tile, TREE_ROW, k0 ? GEMM_CONTINUE : GEMM_ZERO, NULL, &extra);
    if (written && !extra.out)
        tree_write(j, leaf->node, a, g, tile - (size_t)extra.merges * TREE_LEVEL);
}

/* All tiles of a leaf: a chain over K for each element.  `next`: the operands of the leaf to come. */
static void tree_leaf_tiles(const kernels *k, const gemm_tree *j, const tree_block *t, const tree_leaf *leaf,
                            tree_next next)
{
    const int cuts = at_least(1, pieces(leaf->K, TREE_DEPTH));
    for (int piece = 0; piece < cuts; piece++) {
        const int k0 = (int)((long)leaf->K * piece / cuts), k1 = (int)((long)leaf->K * (piece + 1) / cuts);
        const size_t at = (leaf->from + (size_t)k0) * 16;
        const tree_next to = piece + 1 < cuts ? (tree_next){t, (leaf->from + (size_t)k1) * 16} : next;
        float *tile = leaf->level;
        for (int g = t->g0; g < t->g1; g++)
            for (int a = t->a0; a < t->a1; a++, tile += TREE_TILE)
                tree_product(k, j, leaf, g, a, k0, k1, tile, tree_ahead(j, t, g, a, at, to));
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

/* Shard by shard, added up the tree while hot.  Block `after` comes behind this one, if any. */
static void tree_walk(const kernels *k, const gemm_tree *j, const tree_block *t, const tree_block *after,
                      float (*level)[TREE_LEVEL])
{
    const shards *p = j->p;
    tree_leaf leaf = {0};
    for (int n = 0; n < p->nodes; n++) {
        int open = 0;
        for (int s = p->node[n].first; s < p->node[n].last; s++) {
            int first, last;
            shard_rows(p, s, &first, &last);
            leaf.K = j->T * (last - first);
            leaf.merges = shard_merges(p->node[n].first, p->node[n].last, s);
            leaf.node = n;
            leaf.leaves = p->node[n].last - p->node[n].first;
            leaf.left = p->node[n].last - 1 - s;
            leaf.level = level[open];
            const bool more = s + 1 < p->first + p->count;
            tree_leaf_tiles(k, j, t, &leaf,
                            more ? (tree_next){t, (leaf.from + (size_t)leaf.K) * 16} : (tree_next){after, 0});
            leaf.from += (size_t)leaf.K;
            open += 1 - leaf.merges;
        }
    }
}

static tree_block tree_block_of(const gemm_tree *j, long task)
{
    const tree_cuts n = tree_cut(j);
    const long ta = task / n.b, tb = task % n.b;
    const int groups = pieces(j->pb, TREE_B);
    return (tree_block){(int)(j->pa * ta / n.a), (int)(j->pa * (ta + 1) / n.a), (int)(groups * tb / n.b),
                        (int)(groups * (tb + 1) / n.b)};
}

void gemm_tree_task(const kernels *k, const gemm_tree *j, long task, task_part part, void *scratch)
{
    const bool more = part.n == 1 && task + 1 < gemm_tree_tasks(j);
    const tree_block after = more ? tree_block_of(j, task + 1) : (tree_block){0};
    tree_block t = tree_block_of(j, task);
    take_part(part, 1, &t.a0, &t.a1);
    if (t.a0 < t.a1)
        tree_walk(k, j, &t, more ? &after : NULL, scratch);
}

void gemm_tree_sums(const kernels *k, const gemm_tree *j, int i, float *sums, float *again, size_t stride)
{
    _Alignas(64) float level[SHARD_LEVELS][16];
    const shards *p = j->p;
    const float *a = j->a + (size_t)i * gemm_panel(j->T * p->rows);
    for (int n = 0; n < p->nodes; n++) {
        int open = 0;
        for (int s = p->node[n].first; s < p->node[n].last; s++) {
            int first, last;
            shard_rows(p, s, &first, &last);
            const int rows = j->T * (last - first);
            if (rows > 0)
                k->columns_sum(level[open], a, rows, 16, 16);
            else
                memset(level[open], 0, sizeof level[open]);
            open++;
            a += (size_t)rows * 16;
            for (int merges = shard_merges(p->node[n].first, p->node[n].last, s); merges > 0; merges--) {
                open--;
                for (int c = 0; c < 16; c++)
                    level[open - 1][c] += level[open][c];
            }
        }
        for (int half = 0; half < 2; half++) {
            const gemm_rows rows = j->rows(j->shape, i, half);
            const size_t to = (size_t)n * stride + rows.first, bytes = (size_t)rows.valid * sizeof *sums;
            memcpy(sums + to, level[0] + 8 * half, bytes);
            if (again)
                memcpy(again + to, level[0] + 8 * half, bytes);
        }
    }
}
