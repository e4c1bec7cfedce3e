/* weight_gradients.c - dW and db of a recurrent layer, after its backward steps: gates' gradients times x and h, as sums
 * over the tree of shards (gemm.h). */
#include "kernels/window.h"

#include <string.h>

/* An operand that is packed after the steps: a tensor's columns. */
typedef struct operand {
    const float *x;
    int columns;
    size_t ld;
} operand;

static const int packed_after[] = {PANELS_X, PANELS_H, PANELS_EXTRA};
enum { PACKED_AFTER = sizeof packed_after / sizeof packed_after[0] };

static operand operand_of(const window *w, int which)
{
    const recurrent *r = w->r;
    switch (which) {
    case PANELS_X:
        return (operand){w->x, r->Ip, (size_t)r->Ip};
    case PANELS_H:
        return (operand){h_at(w, r->reverse ? 1 : -1), r->Hp, (size_t)r->Hp};
    default:
        return (operand){r->extra, r->Hp, (size_t)r->Hp};
    }
}

long window_operand_tasks(const window *w)
{
    long n = 0;
    for (int i = 0; i < PACKED_AFTER; i++)
        n += w->r->panels[packed_after[i]] ? pack_tasks(operand_of(w, packed_after[i]).columns) : 0;
    return n;
}

void window_operand(member *m, const window *w, long task)
{
    (void)m;
    for (int i = 0; i < PACKED_AFTER; i++) {
        float *panels = w->r->panels[packed_after[i]];
        const operand o = operand_of(w, packed_after[i]);
        const long tasks = panels ? pack_tasks(o.columns) : 0;
        if (task < tasks) {
            const int first = (int)task * PACK_PANELS, rest = o.columns / 16 - first;
            gemm_pack_shards(panels + (size_t)first * gemm_panel(w->T * w->B), at_most(PACK_PANELS, rest),
                             o.x + first * 16, o.ld, w->shards, w->T);
            return;
        }
        task -= tasks;
    }
}

/* n rows of 16 floats. */
static void pack_rows(float *panel, const float *x, size_t ld, int n)
{
    for (int i = 0; i < n; i++)
        memcpy(panel + i * 16, x + (size_t)i * ld, 16 * sizeof *x);
}

void window_pack_gates(const window *w, int t, int b0, int rows, int unit)
{
    const recurrent *r = w->r;
    const cell_body *body = r->cell->body;
    const size_t panel = gemm_panel(w->T * w->B);
    int last;
    for (int b = b0; b < b0 + rows; b = last) {
        int first, end;
        shard_local(w->shards, b, &first, &end);
        last = at_most(end, b0 + rows);
        const size_t at =
            ((size_t)w->T * (size_t)first + (size_t)t * (size_t)(end - first) + (size_t)(b - first)) * 16;
        for (int p = 0; p < body->parts; p++) {
            const cell_part *part = &body->part[p];
            for (int g = part->first; g < part->first + part->gates; g++) {
                const size_t column = (size_t)panel_at(r, part, g, unit);
                pack_rows(r->panels[PANELS_GATES] + column * panel + at,
                          r->gates + row_at(w, t, b) * gate_ld(r) + column * 16, gate_ld(r), last - b);
            }
            if (part->rec_grad)
                pack_rows(r->panels[PANELS_REC_GRAD] + (size_t)unit * panel + at,
                          r->rec_grad + row_at(w, t, b) * (size_t)r->Hp + (size_t)unit * 16, (size_t)r->Hp,
                          last - b);
        }
    }
}

long window_tree_tasks(const window *w)
{
    long total = 0;
    for (int i = 0; i < w->trees; i++)
        total += gemm_tree_tasks(&w->tree[i]) + w->tree[i].pa;
    return total;
}

void window_tree(member *m, const window *w, long task)
{
    for (int i = 0; i < w->trees; i++) {
        const gemm_tree *tree = &w->tree[i];
        const long products = gemm_tree_tasks(tree);
        if (task < products) {
            gemm_tree_task(m->k, tree, task, team_scratch(m, gemm_tree_scratch(w->B)));
            return;
        }
        task -= products;
        if (task < tree->pa) {
            gemm_tree_sums(m->k, tree, (int)task, w->sums[i], w->stride);
            return;
        }
        task -= tree->pa;
    }
}

static size_t tree_row(const void *shape, int i, int *valid)
{
    const struct tree_rows *rows = shape;
    return panel_row(rows->r, rows->first_panel + i, valid);
}

/* Gradient of rows of the weights: panels of gates from `first` on, times an operand. */
static void add_tree(window *w, int first, int panels, const float *a, int b, int N, float *c, float *sums,
                     size_t stride)
{
    const int i = w->trees++;
    w->rows[i] = (struct tree_rows){w->r, first};
    w->sums[i] = sums;
    w->tree[i] = (gemm_tree){.p = w->shards,
                             .T = w->T,
                             .crowd = w->crowd,
                             .pa = panels,
                             .pb = PAD16(N) / 16,
                             .a = a,
                             .b = w->r->panels[b],
                             .row = tree_row,
                             .shape = &w->rows[i],
                             .c = c,
                             .ldc = (size_t)N,
                             .stride = stride,
                             .N = N};
}

void window_plan_trees(window *w, const recurrent_gradients *g)
{
    const recurrent *r = w->r;
    const cell_body *body = r->cell->body;
    const float *gates = r->panels[PANELS_GATES];
    add_tree(w, 0, panels_of(r), gates, PANELS_X, r->I, g->w_ih, g->b_ih, g->stride);
    for (int p = 0; p < body->parts; p++) {
        const cell_part *part = &body->part[p];
        const int first = part->first * units_of(r);
        const float *a =
            part->rec_grad ? r->panels[PANELS_REC_GRAD] : gates + (size_t)first * gemm_panel(w->T * w->B);
        add_tree(w, first, part->gates * units_of(r), a, part->of_extra ? PANELS_EXTRA : PANELS_H, r->H,
                 g->w_hh, g->b_hh, g->stride);
    }
}
