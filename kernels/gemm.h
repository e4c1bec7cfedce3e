/* gemm.h - products of matrices in panels, cut into tasks for a team.
 *
 * A panel is 16 columns of a matrix, padded with zeros, stored [k][16]; panels of one matrix are
 * gemm_panel(K) floats apart:
 *
 *     B (K,N)   | panel 0: k=0 of columns 0..15, k=1 of columns 0..15, ... | panel 1: columns 16..31 | ...
 *
 * Every element of a product is one chain of fma over k in order (rule R3): the bits depend on nothing else,
 * in particular not on how the tasks below cut rows, columns and k.  Which thread does a task is the team's
 * affair; tasks of one job are independent. Packing is worth its price for what is used more than once:
 * weights once a window, activations once for dW.
 *
 * gemm_job:   C (M,16P) = start + A (M,K) B (K,16P)                          A and C by rows
 * gemm_tree:  C (M,N), or two side by side, for each node of the rank's shards = the tree sum over its shards s of
 *             sum over the k of s of A[k,:]^T B[k,:]         k = (time outside, row inside), both in panels
 *
 * Threads: these functions run in one thread of a team and allocate nothing. */
#ifndef KERNELS_GEMM_H
#define KERNELS_GEMM_H

#include "kernels/ints.h"
#include "kernels/shards.h"
#include "kernels/simd/table.h"

#include <limits.h>

/* ---- back ends ---- */

/* Which product of a model this is.  The back end of each role is fixed in the source (gemm.c), never a matter of
 * timing or of local rows.  What a call holds decides which roles OpenBLAS could serve at all: rows of one shard only,
 * as in gemm_tree (GEMM_DW; the output layer's dW goes with GEMM_OUTPUT), not rows of a window. */
typedef enum { GEMM_INPUT, GEMM_OUTPUT, GEMM_DW, GEMM_RECURRENT, GEMM_ROLES } gemm_role;
const char *gemm_backend(gemm_role role); /* "packed" or "openblas" */

/* The members `gemm` and `gemm_also` of a table, and the same by way of OpenBLAS: equal to them up to rounding;
 * nothing is fetched ahead. */
typedef void (*gemm_function)(int M, int P, int K, const float *a, size_t a_row, size_t a_k, const float *b,
                              size_t b_panel, float *c, size_t c_row, gemm_start start, const float *bias);
typedef void (*gemm_also_function)(int M, int P, int K, const float *a, size_t a_row, size_t a_k,
                                   const float *b, size_t b_panel, float *c, size_t c_row, gemm_start start,
                                   const float *bias, const gemm_extra *extra);
void gemm_blas(int M, int P, int K, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_panel,
               float *c, size_t c_row, gemm_start start, const float *bias);
void gemm_blas_also(int M, int P, int K, const float *a, size_t a_row, size_t a_k, const float *b,
                    size_t b_panel, float *c, size_t c_row, gemm_start start, const float *bias,
                    const gemm_extra *extra);

/* ---- panels ---- */

/* Rows of a window (T*B) and of a product are counted in int, with room to round up; plans refuse more. */
#define ROWS_MOST ((size_t)INT_MAX - 4096)

/* Floats from one packed panel of depth K to the next: an odd number of cache lines, so that the panels of
 * a tile do not meet in the same sets of the L1 cache (a twentieth slower where they do: K = 512, say). */
static inline size_t gemm_panel(int K)
{
    return ((size_t)K | 1) * 16;
}

/* Panel from `valid` <= 16 rows of W, W[j*ld + k], k < K: column j of the panel is row j of W. */
void gemm_pack_rows(const kernels *k, float *panel, const float *W, size_t ld, int valid, int K);
/* Panels from columns [0,columns) of W: K rows W[k*ld + j].  zero_rows rows of zeros follow in each;
 * panels are `stride` floats apart. */
void gemm_pack_columns(float *panel, size_t stride, const float *W, size_t ld, int columns, int K,
                       int zero_rows);
/* Panels from 16*panels columns of activations x (T,B,ld), B = p->rows, gemm_panel(T*B) apart, each in the
 * order that gemm_tree wants: [shard][time][row of the shard]. Panels packed together read whole pieces of
 * a row. */
void gemm_pack_shards(float *panel, int panels, const float *x, size_t ld, const shards *p, int T);
/* The same for part of one panel: columns [column, column + columns). */
void gemm_pack_shards_part(float *panel, int column, int columns, const float *x, size_t ld, const shards *p,
                           int T);

/* ---- C = start + A B ---- */

typedef struct gemm_job {
    int M, P, K;
    const float *a;
    size_t lda;
    const float *b; /* P panels [K][16], gemm_panel(K) apart */
    float *c;
    size_t ldc;
    gemm_start start;
    const float *bias; /* (16P), for GEMM_BIAS */
    int threads;       /* that share its tasks: sizes depend on it, results do not */
} gemm_job;

long gemm_job_tasks(const gemm_job *j);
/* Or part of one: of its rows. */
void gemm_job_task(const kernels *k, const gemm_job *j, long task, task_part part);

/* ---- C = tree over shards of A^T B ---- */

/* Rows of C that come from half a panel of A, its columns 16i + 8 half .. 16i + 8 half + 7: the first one, and how
 * many of them are real. */
typedef struct gemm_rows {
    size_t first;
    int valid;
} gemm_rows;

typedef struct gemm_tree {
    const shards *p;
    int T;
    int threads;        /* that share its tasks: sizes depend on it, results do not */
    int pa, pb;         /* panels of A and of B */
    const float *a, *b; /* panels by gemm_pack_shards */
    gemm_rows (*rows)(const void *shape, int i, int half);
    const void *shape;
    /* C is one matrix (M,N[0]), or two side by side: B's first N[0] columns belong to c[0], the next N[1] to c[1]
     * (N[1] 0: there is no second). Node n is at c[i] + n*stride. */
    float *c[2];
    int N[2]; /* together at most 16 pb */
    size_t stride;
} gemm_tree;

/* A tree's product goes to memory with its last leaf, and stores that have to wait for their lines hold up the next
 * tile.  So the leaves before it, GEMM_LATER at most, ask for a part of these lines each.  `left` leaves come after this
 * one, of `leaves`; `place` is where the last one writes, in rows `row` apart, NULL if that is not known. */
#define GEMM_LATER 4
static inline void gemm_ask_later(gemm_extra *extra, const float *place, size_t row, int left, int leaves)
{
    const int parts = at_most(GEMM_LATER, leaves - 1);
    if (left < 1 || left > parts)
        return;
    extra->later = place;
    extra->later_row = row;
    extra->later_part = left - 1;
    extra->later_parts = parts;
}

long gemm_tree_tasks(const gemm_tree *j);
/* scratch: gemm_tree_scratch(shards of the rank, or more) bytes, at a multiple of 64.  A part of a task has some of its
 * panels of A. */
size_t gemm_tree_scratch(int most_shards);
void gemm_tree_task(const kernels *k, const gemm_tree *j, long task, task_part part, void *scratch);
/* Column sums in the same order: sums + n*stride, at the rows of A's panel i, for each node n; and in `again`
 * likewise unless it is NULL. */
void gemm_tree_sums(const kernels *k, const gemm_tree *j, int i, float *sums, float *again, size_t stride);

/* The BLAS behind gemm_blas, as it calls itself: version, options, kernels, threading.  Static text. */
const char *gemm_blas_flavour(void);

#endif
