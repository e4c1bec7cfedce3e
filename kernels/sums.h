/* sums.h - sums over parameters in a fixed order: the tree over partials of shards, norms over blocks
 * (rule R2).
 *
 * A block is BLOCK_FLOATS consecutive elements of one tensor (its last may be short): the unit of
 * ownership, of the global norm and of updates.  Those that take a team: call from outside a parallel
 * region. */
#ifndef KERNELS_SUMS_H
#define KERNELS_SUMS_H

#include "kernels/shards.h"
#include "kernels/team.h"

#include <stdint.h>

#define BLOCK_FLOATS 4096

/* out[i] = tree sum over all nodes of all ranks: node[j] (in shard order, together covering [0,S)) has its
 * partial at part[j].  out may be any part.  Elementwise, any n.  The additions are those of the one tree
 * over [0,S), whatever the nodes are. */
void sums_tree(team *t, float *out, const float *const *part, const shard_node *node, int nodes, int S,
               size_t n);
/* The same for one double per node (losses, counts). */
double sums_tree_double(const double *part, const shard_node *node, int nodes, int S);

/* Rows, rising, of a matrix of so many columns whose other rows are zeros: the gradient of an embedding that has
 * met few of its words. */
typedef struct sums_rows {
    const uint32_t *row;
    int rows;
    size_t columns;
} sums_rows;

typedef struct sums_piece {
    double *per_block;
    const float *x;
    size_t n;
    /* NULL, or rows outside of which x is zero; beyond the runs of 16 elements that they touch it is not read, and the
     * sums have the same bits. */
    const sums_rows *only;
} sums_piece;

/* Sum of squares of each block of each of `count` pieces: per block in double, 16 virtual lanes, one combining tree;
 * scale, which is finite, is applied to each element first (float). */
void sums_squares(team *t, const sums_piece *piece, int count, float scale);
/* The tree over block indices [0,blocks), as shards.h splits; 0 of none. */
double sums_blocks(const double *per_block, size_t blocks);
/* true if every float is finite */
bool sums_all_finite(team *t, const float *x, size_t n);

/* For a phase that goes through many arrays, large and small: a task is the same share of each, so that a thread meets
 * the same stretches in every phase that cuts them alike.  sums_claim as team_claim, false when nothing is left; sums_cut:
 * units [*from, *to) of n are in the share. */
typedef struct sums_share {
    long i, n;
} sums_share;
bool sums_claim(member *m, sums_share *share);
void sums_cut(const sums_share *share, size_t n, size_t *from, size_t *to);

#endif
