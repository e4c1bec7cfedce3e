/* exchange.c - gradients to their owners, parameters back to all (DESIGN section 4, drawing in README.md).
 *
 * Why messages between pairs and not MPI_Ialltoallv and MPI_Iallgatherv: a rank has one partial per node, and
 * ranks differ in how many; a message goes straight from the partial, and arrives straight where it is read,
 * while a collective would want them packed side by side first.  Its offsets are int.  The bytes are the
 * same: each partial of a piece once to the piece's owner, each updated piece once to every other rank. */
#include "io/bug.h"
#include "kernels/arena.h"
#include "kernels/sums.h"
#include "trainer/comm/inside.h"

#include <stdlib.h>
#include <string.h>

#define TAG_REDUCE 1
#define TAG_PARAMS 2

typedef struct bucket {
    size_t *cut;  /* size + 1: rank r owns [cut[r], cut[r+1]) */
    float *inbox; /* the other ranks' partials of the owned piece, in node order, `slot` floats apart */
    size_t slot;
    const float *partial; /* this rank's, while the bucket is under way */
    size_t stride;
    size_t arrivals, arrivals_end; /* places in the batch of what is to be received */
} bucket;

struct exchange {
    int rank, size, S;
    int nodes, *first_node; /* rank r's maximal subtrees are node[first_node[r]] .. node[first_node[r+1]-1] */
    shard_node *node;
    const float **part; /* per node, where its partial of one piece lies */
    double *value;      /* per node, for comm_sum_nodes */
    size_t *node_bytes; /* per rank, likewise */
    arena memory;
    wire_batch *reduce, *params;
    int begun; /* buckets whose sums are under way */
    int buckets;
    bucket bucket[];
};

static size_t piece(const bucket *b, int rank)
{
    return b->cut[rank + 1] - b->cut[rank];
}

static int nodes_of(const exchange *x, int rank)
{
    return x->first_node[rank + 1] - x->first_node[rank];
}

static int count_nodes(int B, int S, int size)
{
    int nodes = 0;
    for (int r = 0; r < size; r++) {
        shards p;
        shards_init(&p, B, S, r, size);
        nodes += p.nodes;
    }
    return nodes;
}

static void list_nodes(exchange *x, int B)
{
    int n = 0;
    for (int r = 0; r < x->size; r++) {
        shards p;
        shards_init(&p, B, x->S, r, x->size);
        x->first_node[r] = n;
        x->node_bytes[r] = (size_t)p.nodes * sizeof(double);
        memcpy(&x->node[n], p.node, (size_t)p.nodes * sizeof p.node[0]);
        n += p.nodes;
    }
    x->first_node[x->size] = n;
}

static void check_bucket(const comm_bucket *b, int i, int size)
{
    BUG_IF(b->cut[0] != b->begin || b->cut[size] != b->end, "bucket %d: [%zu,%zu) cut as [%zu,%zu)", i,
           b->begin, b->end, b->cut[0], b->cut[size]);
    for (int r = 0; r < size; r++)
        BUG_IF(b->cut[r] > b->cut[r + 1], "bucket %d: cut %d at %zu, next at %zu", i, r, b->cut[r],
               b->cut[r + 1]);
}

/* Registers all the memory of the exchange; false when there is not that much. */
static bool take_memory(exchange *x, const comm_bucket *given, int own_nodes)
{
    size_t ranks = (size_t)x->size, nodes = (size_t)x->nodes;
    arena *a = &x->memory;
    arena_add(a, "first node of each rank", (void **)&x->first_node, (ranks + 1) * sizeof *x->first_node);
    arena_add(a, "nodes", (void **)&x->node, nodes * sizeof *x->node);
    arena_add(a, "partials of a piece", (void **)&x->part, nodes * sizeof *x->part);
    arena_add(a, "values of nodes", (void **)&x->value, nodes * sizeof *x->value);
    arena_add(a, "bytes of values", (void **)&x->node_bytes, ranks * sizeof *x->node_bytes);
    for (int i = 0; i < x->buckets; i++) {
        bucket *b = &x->bucket[i];
        b->slot = PAD16(given[i].cut[x->rank + 1] - given[i].cut[x->rank]);
        arena_add(a, "cuts of a bucket", (void **)&b->cut, (ranks + 1) * sizeof *b->cut);
        arena_add(a, "partials from other ranks", (void **)&b->inbox,
                  (nodes - (size_t)own_nodes) * b->slot * sizeof(float));
    }
    return arena_commit(a);
}

static bool open_batches(comm *c, exchange *x)
{
    size_t reduce = 0, params = 0;
    for (int i = 0; i < x->buckets; i++) {
        const bucket *b = &x->bucket[i];
        size_t in = wire_messages(c->wire, piece(b, c->rank) * sizeof(float)); /* also one owned piece out */
        for (int r = 0; r < c->size; r++) {
            if (r == c->rank)
                continue;
            size_t out = wire_messages(c->wire, piece(b, r) * sizeof(float));
            reduce += (size_t)nodes_of(x, c->rank) * out + (size_t)nodes_of(x, r) * in;
            params += out + in;
        }
    }
    x->reduce = wire_batch_open(reduce, TAG_REDUCE);
    x->params = wire_batch_open(params, TAG_PARAMS);
    return x->reduce != NULL && x->params != NULL;
}

static status plan(comm *c, const comm_bucket *given, int count, int B, int S, error *e)
{
    exchange *x = calloc(1, sizeof *x + (size_t)count * sizeof x->bucket[0]);
    if (x == NULL)
        return fail(e, STATUS_NO_MEMORY, "no memory to plan an exchange of %d buckets", count);
    x->rank = c->rank;
    x->size = c->size;
    x->S = S;
    x->buckets = count;
    x->nodes = count_nodes(B, S, c->size);
    shards mine;
    shards_init(&mine, B, S, c->rank, c->size);
    c->exchange = x;
    if (!take_memory(x, given, mine.nodes))
        return fail(e, STATUS_NO_MEMORY, "no memory for %zu bytes of gradients from other ranks",
                    arena_bytes(&x->memory));
    list_nodes(x, B);
    for (int i = 0; i < count; i++)
        memcpy(x->bucket[i].cut, given[i].cut, ((size_t)c->size + 1) * sizeof(size_t));
    if (c->size > 1 && !open_batches(c, x))
        return fail(e, STATUS_NO_MEMORY, "no memory to list the messages of an exchange between %d ranks",
                    c->size);
    return STATUS_OK;
}

status comm_plan(comm *c, const comm_bucket *buckets, int count, int B, int S, error *e)
{
    if (c->size > S)
        return fail(e, STATUS_BAD_CONFIG,
                    "%d ranks, but data.shards is %d: start at most %d ranks, or train with more shards",
                    c->size, S, S);
    for (int i = 0; i < count; i++)
        check_bucket(&buckets[i], i, c->size);
    exchange_free(c->exchange);
    c->exchange = NULL;
    return comm_agree(c, plan(c, buckets, count, B, S, e), e);
}

void exchange_free(exchange *x)
{
    if (x == NULL)
        return;
    BUG_IF(x->begun != 0, "%d buckets under way", x->begun);
    wire_batch_close(x->reduce);
    wire_batch_close(x->params);
    arena_free(&x->memory);
    free(x);
}

void comm_reduce_begin(comm *c, int bucket_index, const float *partial, size_t stride)
{
    exchange *x = c->exchange;
    BUG_IF(bucket_index != x->begun || bucket_index >= x->buckets, "bucket %d after %d of %d", bucket_index,
           x->begun, x->buckets);
    x->begun++;
    bucket *b = &x->bucket[bucket_index];
    b->partial = partial;
    b->stride = stride;
    if (c->size == 1)
        return;

    size_t bytes = piece(b, c->rank) * sizeof(float);
    float *place = b->inbox;
    b->arrivals = wire_started(x->reduce);
    for (int r = 0; r < c->size; r++)
        for (int n = 0; r != c->rank && n < nodes_of(x, r); n++, place += b->slot)
            wire_start_receive(c->wire, x->reduce, place, bytes, r);
    b->arrivals_end = wire_started(x->reduce);
    for (int k = 1; k < c->size; k++) { /* each begins with its neighbour: nobody is everybody's first */
        int to = (c->rank + k) % c->size;
        for (int n = 0; n < nodes_of(x, c->rank); n++)
            wire_start_send(c->wire, x->reduce, partial + (size_t)n * stride + b->cut[to],
                            piece(b, to) * sizeof(float), to);
    }
}

static void sum_piece(const exchange *x, const bucket *b, team *t, float *sum)
{
    const float *arrived = b->inbox;
    for (int r = 0; r < x->size; r++)
        for (int n = 0; n < nodes_of(x, r); n++) {
            const float **part = &x->part[x->first_node[r] + n];
            if (r == x->rank) {
                *part = b->partial + (size_t)n * b->stride + b->cut[r];
            } else {
                *part = arrived;
                arrived += b->slot;
            }
        }
    sums_tree(t, sum + b->cut[x->rank], x->part, x->node, x->nodes, x->S, piece(b, x->rank));
}

/* Buckets are summed as they arrive, in order; those behind go on arriving whenever MPI is called.  A sum may
 * overwrite this rank's own piece of a partial while other pieces of it are still being sent. */
void comm_reduce_finish(comm *c, team *t, float *sum)
{
    exchange *x = c->exchange;
    for (int i = 0; i < x->begun; i++) {
        const bucket *b = &x->bucket[i];
        if (c->size > 1)
            wire_wait(x->reduce, b->arrivals, b->arrivals_end);
        sum_piece(x, b, t, sum);
    }
    if (c->size > 1)
        wire_wait_all(x->reduce);
    x->begun = 0;
}

void comm_params_begin(comm *c, int bucket_index, float *values)
{
    exchange *x = c->exchange;
    BUG_IF(bucket_index < 0 || bucket_index >= x->buckets, "bucket %d of %d", bucket_index, x->buckets);
    const bucket *b = &x->bucket[bucket_index];
    for (int r = 0; r < c->size; r++)
        if (r != c->rank)
            wire_start_receive(c->wire, x->params, values + b->cut[r], piece(b, r) * sizeof(float), r);
    for (int k = 1; k < c->size; k++)
        wire_start_send(c->wire, x->params, values + b->cut[c->rank], piece(b, c->rank) * sizeof(float),
                        (c->rank + k) % c->size);
}

void comm_params_finish(comm *c)
{
    if (c->size > 1)
        wire_wait_all(c->exchange->params);
}

double comm_sum_nodes(comm *c, const double *per_node)
{
    exchange *x = c->exchange;
    comm_all_gather(c, per_node, x->value, x->node_bytes);
    return sums_tree_double(x->value, x->node, x->nodes, x->S);
}
