#include "trainer/params.h"

#include "io/bug.h"
#include "kernels/kernels.h"
#include "kernels/sums.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t round16(size_t n)
{
    return (n + 15) / 16 * 16;
}

static size_t blocks_of(size_t count)
{
    return (count + BLOCK_FLOATS - 1) / BLOCK_FLOATS;
}

void params_init(params *p)
{
    memset(p, 0, sizeof *p);
    p->scatter_of = -1;
}

int params_add(params *p, int bucket, const char *name, int rows, int cols)
{
    BUG_IF(p->count == PARAMS_MAX, "more than %d parameters", PARAMS_MAX);
    BUG_IF(bucket < 0 || (p->count && bucket != p->list[p->count - 1].bucket && bucket != p->buckets),
           "%s: bucket %d out of order", name, bucket);
    param *q = &p->list[p->count];
    snprintf(q->name, sizeof q->name, "%s", name);
    q->rows = rows;
    q->cols = cols;
    q->count = (size_t)rows * (size_t)(cols ? cols : 1);
    q->offset = p->floats;
    q->bucket = bucket;
    q->block0 = p->blocks;

    params_bucket *b = &p->bucket[bucket];
    if (bucket == p->buckets) {
        b->begin = q->offset;
        b->block0 = q->block0;
        p->buckets++;
    }
    p->floats += round16(q->count);
    p->blocks += blocks_of(q->count);
    b->end = p->floats;
    b->blocks = p->blocks - b->block0;
    return p->count++;
}

/* Where block i of the list begins in the slab. */
static size_t block_offset(const params *p, size_t block)
{
    for (int i = p->count - 1; i >= 0; i--) {
        const param *q = &p->list[i];
        if (block >= q->block0)
            return q->offset + (block - q->block0) * BLOCK_FLOATS;
    }
    return 0;
}

static size_t *must_alloc(int size)
{
    size_t *x = malloc(((size_t)size + 1) * sizeof *x);
    BUG_IF(!x, "out of memory for %d owners", size);
    return x;
}

static void cut_bucket(const params *p, params_bucket *b, int size)
{
    b->cut = must_alloc(size);
    b->cut_block = must_alloc(size);
    for (int r = 0; r <= size; r++) {
        size_t block = b->block0 + b->blocks * (size_t)r / (size_t)size;
        b->cut_block[r] = block;
        b->cut[r] = r == 0                                        ? b->begin
                    : r == size || block == b->block0 + b->blocks ? b->end
                                                                  : block_offset(p, block);
    }
}

void params_finish(params *p, int size, int tied_param)
{
    for (int i = 0; i < p->buckets; i++)
        cut_bucket(p, &p->bucket[i], size);
    p->gradient_floats = p->floats;
    p->scatter_of = tied_param;
    if (tied_param < 0)
        return;

    /* The second gradient of a tied tensor is cut exactly as the tensor, so that both sums meet at one
     * owner. */
    const param *q = &p->list[tied_param];
    const params_bucket *of = &p->bucket[q->bucket];
    BUG_IF(of->begin != q->offset || of->end != q->offset + round16(q->count), "%s needs a bucket of its own",
           q->name);
    params_bucket *b = &p->bucket[p->buckets];
    p->scatter = p->floats;
    p->gradient_floats = p->floats + round16(q->count);
    *b = *of;
    b->begin = p->scatter;
    b->end = p->gradient_floats;
    b->cut = must_alloc(size);
    b->cut_block = must_alloc(size);
    for (int r = 0; r <= size; r++) {
        b->cut[r] = of->cut[r] - of->begin + p->scatter;
        b->cut_block[r] = of->cut_block[r];
    }
}

void params_free(params *p)
{
    for (int i = 0; i < PARAMS_MAX; i++) {
        free(p->bucket[i].cut);
        free(p->bucket[i].cut_block);
    }
    memset(p, 0, sizeof *p);
}

const param *params_find(const params *p, const char *name)
{
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->list[i].name, name) == 0)
            return &p->list[i];
    return NULL;
}

/* The layer that "rnn.weight_hh_l1_reverse" and its like belong to; -1: no recurrent layer. */
static int layer_of(const param *q)
{
    const char *l = strncmp(q->name, "rnn.", 4) == 0 ? strstr(q->name, "_l") : NULL;
    return l ? atoi(l + 2) : -1;
}

int params_depth(const params *p, int i)
{
    int layers = 0, layer = layer_of(&p->list[i]);
    for (int j = 0; j < p->count; j++)
        if (layer_of(&p->list[j]) >= layers)
            layers = layer_of(&p->list[j]) + 1;
    if (layer >= 0)
        return layers - layer;
    return strncmp(p->list[i].name, "encoder.", 8) == 0 ? layers + 1 : 0;
}

size_t params_elements(const params *p)
{
    size_t sum = 0;
    for (int i = 0; i < p->count; i++)
        sum += p->list[i].count;
    return sum;
}

int params_wire_buckets(const params *p)
{
    return p->buckets + (p->scatter_of >= 0);
}

int params_pieces(const params *p, int rank, piece *out, int capacity)
{
    int n = 0;
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        const params_bucket *b = &p->bucket[q->bucket];
        size_t first = b->cut_block[rank], last = b->cut_block[rank + 1],
               end = q->block0 + blocks_of(q->count);
        if (first < q->block0)
            first = q->block0;
        if (last > end)
            last = end;
        if (first >= last)
            continue;
        BUG_IF(n == capacity, "rank %d owns more than %d pieces", rank, capacity);
        size_t from = (first - q->block0) * BLOCK_FLOATS, to = (last - q->block0) * BLOCK_FLOATS;
        if (to > q->count)
            to = q->count;
        out[n++] = (piece){.param = i,
                           .bucket = q->bucket,
                           .offset = q->offset + from,
                           .count = to - from,
                           .block0 = first,
                           .blocks = last - first};
    }
    return n;
}

size_t params_owned_floats(const params *p, int rank)
{
    piece list[PARAMS_MAX];
    int n = params_pieces(p, rank, list, PARAMS_MAX);
    size_t floats = 0;
    for (int i = 0; i < n; i++)
        floats += list[i].count;
    return floats;
}
