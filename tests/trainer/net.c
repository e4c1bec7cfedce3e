/* net.c - see net.h. */
#include "tests/trainer/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t *share_of(const net *n, const uint32_t *ids, int T)
{
    size_t rows = (size_t)n->rows.rows;
    uint32_t *mine = malloc((size_t)T * rows * sizeof *mine);
    assert_non_null(mine);
    for (int t = 0; t < T; t++)
        memcpy(mine + (size_t)t * rows, ids + (size_t)t * n->rows.B + n->rows.row0, rows * sizeof *mine);
    return mine;
}

void net_open(net *n, const net_plan *plan, const oracle *o)
{
    *n = (net){.team = team_open(plan->threads, plan->table)};
    assert_non_null(n->team);
    model_shape shape = {.cell = cell_find(oracle_cell_names[o->cell]),
                         .layers = o->layers,
                         .V = o->V,
                         .E = o->E,
                         .H = o->H,
                         .tied = o->tied,
                         .dropout = plan->dropout,
                         .seed = plan->seed};
    assert_non_null(shape.cell);
    model_params(&shape, &n->list, plan->size);
    shards_init(&n->rows, plan->B, plan->S, plan->rank, plan->size);
    int largest = 0;
    for (int s = 0; s < plan->S; s++) {
        int rows = shard_row(plan->B, plan->S, s + 1) - shard_row(plan->B, plan->S, s);
        largest = rows > largest ? rows : largest;
    }
    model_plan(&n->model, &n->arena, n->team, &shape, &n->list, plan->T, n->rows.rows, largest, true);
    arena_add(&n->arena, "value", (void **)&n->value, n->list.floats * sizeof(float));
    arena_add(&n->arena, "gradient", (void **)&n->gradient,
              (size_t)n->rows.nodes * n->list.gradient_floats * sizeof(float));
    assert_true(arena_commit(&n->arena));
    net_copy(n, o);
    trunk_zero_state(&n->model.trunk);
}

void net_close(net *n)
{
    params_free(&n->list);
    arena_free(&n->arena);
    team_close(n->team);
}

void net_copy(net *n, const oracle *o)
{
    assert_int_equal(n->list.count, o->tensors);
    for (int i = 0; i < o->tensors; i++) {
        const param *p = params_find(&n->list, o->tensor[i].name);
        assert_non_null(p);
        assert_int_equal(p->count, o->tensor[i].n);
        for (size_t k = 0; k < p->count; k++)
            n->value[p->offset + k] = (float)o->tensor[i].value[k];
    }
}

double net_train(net *n, const uint32_t *x, const uint32_t *y, int T, uint32_t step)
{
    uint32_t *my_x = share_of(n, x, T), *my_y = share_of(n, y, T);
    double sum = 0.0;
    model_train(&n->model, n->team, n->value, my_x, my_y, T, n->rows.rows, &n->rows, step, n->gradient,
                n->list.gradient_floats, n->nats, NULL, NULL);
    for (int i = 0; i < n->rows.nodes; i++)
        sum += n->nats[i];
    free(my_x);
    free(my_y);
    return sum;
}

void net_add_gradient(const net *n, const char *name, double *out)
{
    const param *p = params_find(&n->list, name);
    assert_non_null(p);
    bool twice = n->list.scatter_of >= 0 && p == &n->list.list[n->list.scatter_of];
    for (int node = 0; node < n->rows.nodes; node++) {
        const float *slab = n->gradient + (size_t)node * n->list.gradient_floats;
        for (size_t i = 0; i < p->count; i++)
            out[i] += (double)slab[p->offset + i] + (twice ? (double)slab[n->list.scatter + i] : 0.0);
    }
}

void net_read_state(const net *n, const oracle *o, double *state)
{
    int parts = n->model.trunk.shape.cell->states;
    for (int i = 0; i < trunk_states(&n->model.trunk); i++) {
        char name[TRUNK_NAME];
        int stride, layer = i / parts, part = i % parts;
        const float *x = trunk_state((trunk *)&n->model.trunk, i, name, &stride);
        double *to =
            state + ((size_t)(part * o->layers + layer) * (size_t)n->rows.B + (size_t)n->rows.row0) * o->H;
        for (int b = 0; b < n->rows.rows; b++)
            for (int j = 0; j < o->H; j++)
                to[(size_t)b * o->H + j] = (double)x[(size_t)b * stride + j];
    }
}
