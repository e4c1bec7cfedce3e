/* linear_ce.h - output layer and softmax cross-entropy, fused over chunks of tokens: logits never exist
 * for the whole window, unless they fit the bound.
 *
 *   l = W h + b,  loss = sum over tokens of log(sum_v exp(l_v)) - l_target        in nats
 *   dl = softmax(l) - onehot(target),  dh = W^T dl,  dW = dl h^T,  db = dl          sums, not means (rule R6)
 *
 * W (V,H) and b (V) have true shapes; h, dh are (T,B,Hp) with zero padding; targets are (T,B) ids < V.
 * dW, db, nats per node of the rank's shards; inside a shard one chain over (time outside, row inside); in
 * double precision for the loss.  A chunk is as many whole shards as `logit_bytes` holds, at least one, and
 * the bits do not depend on it.  A loss that is not a number comes out as NaN.
 *
 * Forward only (eval): per-token log-probabilities of the target, and of all words, at free batch sizes; a
 * token's result is independent of its neighbours and equal bit for bit to training's loss of the same token.
 *
 * Memory: arena (logits: logit_bytes, or the largest shard's; H inputs of each token of a chunk, twice; when
 * the window needs several chunks, log2 of the number of shards copies of dW) and the team's scratch.  When
 * that cannot be had, arena_commit fails.
 * Threads: call from outside a parallel region.  Not collective. */
#ifndef KERNELS_LINEAR_CE_H
#define KERNELS_LINEAR_CE_H

#include "kernels/arena.h"
#include "kernels/shards.h"
#include "kernels/team.h"

typedef struct linear_ce {
    int V, H, Hp, T, B;
    /* the rest is the output layer's own (linear_ce_chunk.h), in the arena; C = capacity, the tokens of a chunk */
    int capacity, blocks, panels;
    float *logits;      /* [C/16][V][16]       logits of panels of tokens, then their exponentials */
    float *input;       /* [C/16][H][16]       h of the chunk, transposed */
    float *scaled;      /* [panels][C][16]     h / sum of exponentials; 1 / sum in column H */
    float *block_value; /* [C/16][blocks][16]  maxima, then sums, of a block of words */
    float *token_max;   /* [C]                 largest logit */
    float *token_sum;   /* [C]                 sum of exponentials */
    float *token_logit; /* [C]                 logit of the target */
    double *token_lse;  /* [C]                 log of the sum of exponentials of the logits */
    float *nats;        /* [T*B]               loss of each token, in the order of place */
    uint32_t *place;    /* [T*B]               time * B + row, ordered by (shard, time, row) */
    float *open;        /* [level][tile]       sums over subtrees of a node that is not finished */
} linear_ce;

/* B rows in the largest call, T steps.  training = false: no backward, any chunk.  logit_bytes 0: the
 * default of 96 MB. largest_shard_rows: rows of the largest shard of all ranks (training only). */
void linear_ce_plan(linear_ce *l, arena *a, team *t, int V, int H, int T, int B, int largest_shard_rows,
                    size_t logit_bytes, bool training);

/* Loss and all gradients.  dW at dW + n*stride, db at db + n*stride for node n: written.  nats[n]: loss
 * summed over the node's tokens. */
void linear_ce_train(linear_ce *l, team *t, const float *W, const float *b, const float *h,
                     const uint32_t *target, int T, int B, const shards *p, float *dh, float *dW, float *db,
                     size_t stride, double *nats);

/* log p(target) of each token into logp (T,B), nats, not positive. */
void linear_ce_score(linear_ce *l, team *t, const float *W, const float *b, const float *h,
                     const uint32_t *target, int T, int B, float *logp);
/* The whole distribution of n rows of h (n,Hp): log-probabilities into logp (n,V); of a target, the bits of
 * linear_ce_score. */
void linear_ce_distribution(linear_ce *l, team *t, const float *W, const float *b, const float *h, int n,
                            float *logp);

#endif
