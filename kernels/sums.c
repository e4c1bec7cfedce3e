#include "kernels/sums.h"

#include "kernels/simd/table.h"

#include <stdatomic.h>
#include <string.h>

/* Floats of each partial that are summed at a time: a stack of them fits a core's nearest caches. */
#define SLICE 1024

#define SHARES 8 /* of many arrays, for each thread */

/* How many additions follow node j in a walk from left to right: the nodes of the whole tree that end
 * where it ends, less those inside it, which are in its partial. */
static int merges_after(const shard_node *node, int S)
{
    return shard_merges(0, S, node->last - 1) - shard_merges(node->first, node->last, node->last - 1);
}

typedef struct tree_job {
    float *out;
    const float *const *part;
    const shard_node *node;
    int nodes, S;
    size_t n;
} tree_job;

/* Elements [at, at+n): a stack of values, each a partial itself or a sum in this function's own buffers. */
static void tree_slice(const kernels *k, const tree_job *job, size_t at, size_t n)
{
    _Alignas(64) float sum[SHARD_LEVELS][SLICE];
    const float *value[SHARD_LEVELS];
    int top = 0;
    for (int j = 0; j < job->nodes; j++) {
        value[top++] = job->part[j] + at;
        for (int m = merges_after(&job->node[j], job->S); m > 0; m--) {
            top--;
            bool last = top == 1 && j == job->nodes - 1;
            float *to = last ? job->out + at : sum[top - 1];
            k->add(to, value[top - 1], value[top], n);
            value[top - 1] = to;
        }
    }
    if (value[0] != job->out + at)
        memcpy(job->out + at, value[0], n * sizeof(float));
}

static void tree_body(member *m, void *arg)
{
    const tree_job *job = arg;
    for (long i; (i = team_claim(m, (long)((job->n + SLICE - 1) / SLICE))) >= 0;) {
        size_t at = (size_t)i * SLICE;
        tree_slice(m->k, job, at, job->n - at < SLICE ? job->n - at : SLICE);
    }
}

void sums_tree(team *t, float *out, const float *const *part, const shard_node *node, int nodes, int S,
               size_t n)
{
    if (nodes > 1 || part[0] != out) /* a run costs its barriers even where nothing is to be added */
        team_run(t, tree_body, &(tree_job){out, part, node, nodes, S, n});
}

double sums_tree_double(const double *part, const shard_node *node, int nodes, int S)
{
    double stack[SHARD_LEVELS];
    int top = 0;
    for (int j = 0; j < nodes; j++) {
        stack[top++] = part[j];
        for (int m = merges_after(&node[j], S); m > 0; m--, top--)
            stack[top - 2] += stack[top - 1];
    }
    return stack[0];
}

bool sums_claim(member *m, sums_share *share)
{
    share->n = (long)SHARES * m->size;
    share->i = team_claim(m, share->n);
    return share->i >= 0;
}

void sums_cut(const sums_share *share, size_t n, size_t *from, size_t *to)
{
    *from = n * (size_t)share->i / (size_t)share->n;
    *to = n * ((size_t)share->i + 1) / (size_t)share->n;
}

typedef struct squares_job {
    const sums_piece *piece;
    int count;
    float scale;
} squares_job;

static size_t block_size(size_t n, size_t at)
{
    return n - at < BLOCK_FLOATS ? n - at : BLOCK_FLOATS;
}

static size_t block_count(size_t n)
{
    return (n + BLOCK_FLOATS - 1) / BLOCK_FLOATS;
}

/* The first of the rows that ends behind element `at`. */
static int row_behind(const sums_rows *r, size_t at)
{
    int low = 0, high = r->rows;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (((size_t)r->row[middle] + 1) * r->columns > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Of a block, the runs of 16 elements in which some row has a part, each once. */
static void rows_squares(const kernels *k, double lane[16], const sums_piece *p, float scale, size_t at,
                         size_t size)
{
    const sums_rows *r = p->only;
    size_t done = 0;
    for (int i = row_behind(r, at); i < r->rows && (size_t)r->row[i] * r->columns < at + size; i++) {
        const size_t first = (size_t)r->row[i] * r->columns, end = first + r->columns - at;
        size_t from = first > at ? (first - at) / 16 * 16 : 0, to = (end + 15) / 16 * 16;
        from = from > done ? from : done;
        to = to < size ? to : size;
        if (from < to)
            k->squares(lane, p->x + at + from, to - from, scale);
        done = to;
    }
}

/* Lane j takes lane j+8, j+4, j+2, j+1. */
static double combine(double lane[16])
{
    for (int half = 8; half >= 1; half /= 2)
        for (int j = 0; j < half; j++)
            lane[j] += lane[j + half];
    return lane[0];
}

static double block_squares(const kernels *k, const sums_piece *p, float scale, size_t block)
{
    const size_t at = block * BLOCK_FLOATS, size = block_size(p->n, at);
    double lane[16] = {0};
    if (p->only)
        rows_squares(k, lane, p, scale, at, size);
    else
        k->squares(lane, p->x + at, size, scale);
    return combine(lane);
}

static void squares_body(member *m, void *arg)
{
    const squares_job *job = arg;
    sums_share share;
    while (sums_claim(m, &share))
        for (int i = 0; i < job->count; i++) {
            const sums_piece *p = &job->piece[i];
            size_t from, to;
            sums_cut(&share, block_count(p->n), &from, &to);
            for (size_t block = from; block < to; block++)
                p->per_block[block] = block_squares(m->k, p, job->scale, block);
        }
}

void sums_squares(team *t, const sums_piece *piece, int count, float scale)
{
    team_run(t, squares_body, &(squares_job){piece, count, scale});
}

double sums_blocks(const double *per_block, size_t blocks)
{
    if (blocks <= 1)
        return blocks ? per_block[0] : 0.0;
    size_t half = 1;
    while (half * 2 < blocks)
        half *= 2;
    return sums_blocks(per_block, half) + sums_blocks(per_block + half, blocks - half);
}

typedef struct finite_job {
    const float *x;
    size_t n;
    atomic_bool all_finite;
} finite_job;

static void finite_body(member *m, void *arg)
{
    finite_job *job = arg;
    for (long i; (i = team_claim(m, (long)block_count(job->n))) >= 0;) {
        size_t at = (size_t)i * BLOCK_FLOATS;
        if (!m->k->all_finite(job->x + at, block_size(job->n, at)))
            atomic_store_explicit(&job->all_finite, false, memory_order_relaxed);
    }
}

bool sums_all_finite(team *t, const float *x, size_t n)
{
    finite_job job = {.x = x, .n = n};
    atomic_init(&job.all_finite, true);
    team_run(t, finite_body, &job);
    return atomic_load(&job.all_finite);
}
