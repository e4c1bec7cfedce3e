/* embedding.h - rows of a table in, and their gradients back.
 *
 * gather:  x[t,b,:] = W[id[t,b],:]     W (V,E) true shape, x (T,B,Ep) padded with zeros
 *
 * scatter: dW[n][v,:] = sum over the node's tokens with id v of dx
 *
 * Inside a shard it is one chain over (time outside, row inside) from +0, then +0.0f; across shards the
 * tree.  A row that no token of a shard names counts as +0, so that sparse storage and dense sums agree bit
 * for bit.  Only rows of words of the window are visited, and those of the window before, which become +0 again.
 *
 * scale:   x[t,b,:] *= s[b]
 * slopes:  out[t,b] = sum over e of W[id[t,b],e] dx[t,b,e], one chain in double precision: how what dx is a
 *          gradient of changes as the word's vector gets longer
 *
 * Threads: call from outside a parallel region.  Not collective. */
#ifndef KERNELS_EMBEDDING_H
#define KERNELS_EMBEDDING_H

#include "kernels/arena.h"
#include "kernels/shards.h"
#include "kernels/sums.h"
#include "kernels/team.h"

typedef struct embedding {
    int V, E, Ep, T, B;
    /* embedding.c's own */
    uint32_t *order; /* tokens of the window (time * B + row) sorted by (word, shard, time, row) */
    uint32_t *other; /* as large, while sorting */
    uint32_t *start; /* where the tokens of the n-th word start in it, and behind those of the last one */
    uint32_t *word;  /* the words of the window, rising */
    int words;
    struct embedding_written { /* by the last scatter: into which gradients, and the rows of which words */
        const float *dW;
        size_t stride;
        int nodes, words;
        uint32_t *word;
    } written;
} embedding;

/* Rows [first, last) of a gradient. */
typedef struct embedding_rows {
    int first, last;
} embedding_rows;

/* B rows in the largest call, T steps. */
void embedding_plan(embedding *m, arena *a, int V, int E, int T, int B);
void embedding_gather(const embedding *m, team *t, const float *W, const uint32_t *id, int T, int B,
                      float *x);
void embedding_scale(const embedding *m, team *t, const float *s, int T, int B, float *x);
void embedding_slopes(const embedding *m, team *t, const float *W, const uint32_t *id, const float *dx, int T,
                      int B, double *out);
/* dx (T,B,Ep), rows are p's; node n at dW + n*stride: afterwards all of its (V,E) is the gradient, +0 in rows
 * without tokens.  Between two calls with the same dW, stride and number of nodes the caller leaves dW as it
 * is, but for the rows `changed` of node 0, which may hold anything (a rank that sums the partials of all ranks
 * into its own). */
void embedding_scatter(embedding *m, team *t, const uint32_t *id, const float *dx, int T, int B,
                       const shards *p, embedding_rows changed, float *dW, size_t stride);
/* The rows outside of which the gradient at dW is +0 since the last scatter, as long as the caller has changed none;
 * good until the next scatter.  False, and *out undefined, where the last one did not write to dW. */
bool embedding_written(const embedding *m, const float *dW, sums_rows *out);

#endif
