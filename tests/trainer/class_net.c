/* class_net.c - see class_net.h. */
#include "tests/trainer/class_net.h"

#include "kernels/rng.h"
#include "kernels/sums.h"
#include "tests/compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RANKS_MAX = 16 };

static float drawn(uint32_t which, size_t i) /* in [0,1) */
{
    const rng_place place = {.seed = 21, .row = which, .purpose = RNG_TEST};
    return rng_uniform(&place, (uint32_t)i);
}

void class_net_open(class_net *n, const class_plan *plan, const classifier_shape *s, float scale)
{
    *n = (class_net){.team = team_open(plan->threads, plan->table)};
    assert_non_null(n->team);
    classifier_params(s, &n->list, plan->size);
    shards_init(&n->rows, plan->B, plan->S, plan->rank, plan->size);
    const size_t gradients = (size_t)n->rows.nodes * n->list.gradient_floats * sizeof(float);
    classifier_plan(&n->model, &n->arena, n->team, s, &n->list, plan->T, n->rows.rows, !plan->evaluates);
    arena_add(&n->arena, "value", (void **)&n->value, n->list.floats * sizeof(float));
    arena_add(&n->arena, "gradient", (void **)&n->gradient, gradients);
    arena_add(&n->arena, "gradient when ready", (void **)&n->left, gradients);
    assert_true(arena_commit(&n->arena));
    for (int i = 0; i < n->list.count; i++) {
        const param *p = &n->list.list[i];
        for (size_t k = 0; k < p->count; k++)
            n->value[p->offset + k] = scale * (2 * drawn((uint32_t)i, k) - 1);
    }
}

void class_net_close(class_net *n)
{
    params_free(&n->list);
    arena_free(&n->arena);
    team_close(n->team);
}

static void copy_bucket(const class_net *n, float *to, const float *from, int bucket)
{
    const params_bucket *b = &n->list.bucket[bucket];
    for (int i = 0; i < n->rows.nodes; i++) {
        const size_t at = (size_t)i * n->list.gradient_floats + b->begin;
        memcpy(to + at, from + at, (b->end - b->begin) * sizeof *to);
    }
}

static void bucket_ready(void *arg, int bucket)
{
    class_net *n = arg;
    assert_int_equal(bucket, n->ready++);
    copy_bucket(n, n->left, n->gradient, bucket);
}

double class_net_train(class_net *n, const class_batch *all, uint32_t step)
{
    class_batch mine = class_batch_part(all, n->rows.row0, n->rows.rows, 0);
    double sum = 0.0;
    n->ready = 0;
    classifier_train(&n->model, n->team, n->value, &mine, &n->rows, step, n->gradient,
                     n->list.gradient_floats, n->nats, bucket_ready, n);
    assert_int_equal(n->ready, params_wire_buckets(&n->list));
    assert_true(
        same_bits("what was ready", n->left, n->gradient, (size_t)n->rows.nodes * n->list.gradient_floats));
    for (int i = 0; i < n->rows.nodes; i++)
        sum += n->nats[i];
    class_batch_close(&mine);
    return sum;
}

float *class_net_sum(class_net *rank, int ranks, double *nats)
{
    const float *part[RANKS_MAX];
    double part_nats[RANKS_MAX];
    shard_node node[RANKS_MAX];
    int nodes = 0;
    for (int r = 0; r < ranks; r++)
        for (int i = 0; i < rank[r].rows.nodes; i++, nodes++) {
            assert_true(nodes < RANKS_MAX);
            node[nodes] = rank[r].rows.node[i];
            part[nodes] = rank[r].gradient + (size_t)i * rank[r].list.gradient_floats;
            part_nats[nodes] = rank[r].nats[i];
        }
    float *sum = calloc(rank[0].list.floats, sizeof *sum);
    assert_non_null(sum);
    sums_tree(rank[0].team, sum, part, node, nodes, rank[0].rows.S, rank[0].list.floats);
    *nats = sums_tree_double(part_nats, node, nodes, rank[0].rows.S);
    return sum;
}

/* ---- batches ---- */

static class_batch blank(int steps, int B)
{
    class_batch batch = {.steps = steps, .B = B};
    uint32_t *ids = calloc((size_t)steps * (size_t)B, sizeof *ids), *label = calloc((size_t)B, sizeof *label);
    int *length = calloc((size_t)B, sizeof *length);
    assert_true(ids && label && length);
    batch.ids = ids;
    batch.label = label;
    batch.length = length;
    return batch;
}

class_batch class_batch_open(const classifier_shape *s, const int *length, int B, int steps)
{
    class_batch batch = blank(steps, B);
    for (int b = 0; b < B; b++) {
        ((int *)batch.length)[b] = length[b];
        ((uint32_t *)batch.label)[b] =
            b % 6 == 5 ? CLASS_NONE : (uint32_t)(drawn(1000, (size_t)b) * (float)s->loss.classes);
    }
    for (int i = 0; i < steps * B; i++) /* outside of documents too */
        ((uint32_t *)batch.ids)[i] = (uint32_t)(drawn(1001, (size_t)i) * (float)s->trunk.V);
    return batch;
}

class_batch class_batch_part(const class_batch *all, int row0, int rows, int more)
{
    class_batch part = blank(all->steps + more, rows);
    memcpy((int *)part.length, all->length + row0, (size_t)rows * sizeof *part.length);
    memcpy((uint32_t *)part.label, all->label + row0, (size_t)rows * sizeof *part.label);
    for (int t = more > 0 ? more : 0; t < part.steps; t++)
        memcpy((uint32_t *)part.ids + t * rows, all->ids + (t - more) * all->B + row0,
               (size_t)rows * sizeof *part.ids);
    return part;
}

void class_batch_close(class_batch *batch)
{
    free((void *)batch->ids);
    free((void *)batch->length);
    free((void *)batch->label);
}
