/* shards.h - which rows and shards a rank has, and the one tree over which sums that cross shards are
 * taken (rules R1, R2).
 *
 * B rows are cut into S shards: shard s holds rows floor(s*B/S) .. floor((s+1)*B/S)-1.  Rank r of P owns
 * shards floor(r*S/P) .. floor((r+1)*S/P)-1. The tree over [a,b) splits at a + the largest power of two
 * below b-a, for example S = 6:
 *
 *              [0,6)                 rank 0 of 2 owns [0,3): its maximal subtrees are [0,2) and [2,3);
 *          [0,4)    [4,6)            rank 1 owns [3,6): [3,4) and [4,6).
 *       [0,2) [2,4) 4   5            A sum is taken inside each subtree by its rank, above them by who owns
 *       0  1  2  3                   that part of the parameters: the same additions for any P.
 *
 * Plain functions of their arguments; no memory, any thread. */
#ifndef KERNELS_SHARDS_H
#define KERNELS_SHARDS_H

#include <stddef.h>

#define SHARDS_MAX      4096
#define SHARD_LEVELS    14 /* log2 SHARDS_MAX + 2: more than a walk through the tree ever has open */
#define SHARD_NODES_MAX 26 /* maximal subtrees of a run of shards: at most 2 per level */

typedef struct shard_node {
    int first, last; /* shards [first, last) */
} shard_node;

typedef struct shards {
    int B, S;         /* rows and shards over all ranks */
    int first, count; /* this rank's shards */
    int row0, rows;   /* this rank's rows: global row of local row 0, and how many */
    int nodes;        /* maximal subtrees of [first, first+count) */
    shard_node node[SHARD_NODES_MAX];
} shards;

/* 1 <= S <= min(B, SHARDS_MAX) (or B = fewer rows than shards in an evaluation: some shards are empty), 0
 * <= rank < size <= S. */
void shards_init(shards *p, int B, int S, int rank, int size);
int shard_row(int B, int S, int s);  /* first global row of shard s; s = S gives B */
int shards_largest(const shards *p); /* rows of the largest shard of all */
int shard_split(int a, int b);       /* where the tree over [a,b), b-a >= 2, splits */
/* Maximal subtrees of the run [a,b) of the tree over [0,S), in order, into node; how many. */
int shard_cover(int S, int a, int b, shard_node *node);

/* After leaf (or node) values of shards first..s have been pushed on a stack in order, how many pairs at
 * its top are now complete subtrees inside [a,b) and are to be added (lower += upper, top first)?  For
 * walks that sum a run in cache: after shard s of node [a,b). */
int shard_merges(int a, int b, int s);

#endif
