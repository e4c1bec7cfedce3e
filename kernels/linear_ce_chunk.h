/* linear_ce_chunk.h - what linear_ce.c and linear_ce_gradients.c share: one call of the output layer, and the
 * chunk of its tokens that is being worked on.  Nobody else includes this. */
#ifndef KERNELS_LINEAR_CE_CHUNK_H
#define KERNELS_LINEAR_CE_CHUNK_H

#include "kernels/gemm.h"
#include "kernels/ints.h"
#include "kernels/linear_ce.h"

#include <stdint.h>

typedef struct ce_job {
    linear_ce *l;
    const float *W, *b, *h;
    const uint32_t *target; /* NULL: the whole distribution is wanted */
    const uint32_t *place;  /* NULL: tokens as they stand */
    int tokens;
    const shards *p; /* NULL: forward only */
    int T;
    float *nats, *logp, *dh, *dW, *db;
    size_t stride;
} ce_job;

typedef struct ce_chunk {
    int first, n;       /* tokens, in the job's order */
    int panels;         /* of 16 tokens, the last filled up */
    int shard0, shard1; /* whole shards (training) */
} ce_chunk;

static inline size_t token_place(const ce_job *j, const ce_chunk *c, int i)
{
    size_t token = (size_t)(c->first + i);
    return j->place ? j->place[token] : token;
}

/* First token of shard s in the job's order. */
static inline int shard_token(const ce_job *j, int s)
{
    return (shard_row(j->p->B, j->p->S, s) - j->p->row0) * j->T;
}

/* The logits of a panel from word v on. */
static inline float *panel_logits(const linear_ce *l, int panel, int v)
{
    return l->logits + (size_t)panel * gemm_panel(l->V) + (size_t)v * 16;
}

/* ---- linear_ce_gradients.c ---- */

/* Floats of one level of sums that wait from chunk to chunk. */
size_t linear_ce_open_floats(const linear_ce *l);
/* Bytes of scratch that a thread needs. */
size_t linear_ce_gradient_scratch(const linear_ce *l);
/* dh, dW and db of a chunk whose exponentials and sums are made. */
void linear_ce_gradients(member *m, const ce_job *j, const ce_chunk *c);

#endif
