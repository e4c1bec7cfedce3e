/* weight_gradients.c - dW and db of a recurrent layer, after its backward steps: gates' gradients times x
 * and h, as sums over the tree of shards (gemm.h). */
#include "kernels/window.h"

#include <assert.h>
#include <string.h>

/* Operands of the weight gradients: which tensors, in which order of tasks. */
typedef struct operand {
    const float *x;
    int columns;
    size_t ld;
} operand;

static operand operand_of(const window *w, int which)
{
    const recurrent *r = w->r;
    switch (which) {
    case PANELS_GATES:
        return (operand){r->gates, 16 * panels_of(r), gate_ld(r)};
    case PANELS_X:
        return (operand){w->x, x_and_h(r->cell) ? PAD16(r->I + r->H) : r->Ip, (size_t)r->Ip};
    case PANELS_H:
        return (operand){h_at(w, r->reverse ? 1 : -1), r->Hp, (size_t)r->Hp};
    case PANELS_EXTRA:
        return (operand){r->extra, r->Hp, (size_t)r->Hp};
    default:
        return (operand){r->rec_grad, r->Hp, (size_t)r->Hp};
    }
}

static long pack_tasks(int columns)
{
    return pieces(columns / 16, PACK_PANELS);
}

long window_operand_tasks(const window *w)
{
    long n = 0;
    for (int i = 0; i < PANELS; i++)
        n += w->r->panels[i] ? pack_tasks(operand_of(w, i).columns) : 0;
    return n;
}

/* Panels of the columns of x and, behind them, of h. */
static void pack_x_and_h(const window *w, float *panel, int first, int panels)
{
    const recurrent *r = w->r;
    const int I = r->I, all = I + r->H;
    const float *h = operand_of(w, PANELS_H).x;
    const size_t apart = gemm_panel(w->T * w->B);
    for (int i = first, n; i < first + panels; i += n, panel += (size_t)n * apart) {
        const int begin = 16 * i, end = 16 * (first + panels);
        if (begin + 16 <= I) {
            n = at_most(end, I) / 16 - i;
            gemm_pack_shards(panel, n, w->x + begin, (size_t)r->Ip, w->shards, w->T);
        } else if (begin >= I && begin + 16 <= all) {
            n = at_most(end, all) / 16 - i;
            gemm_pack_shards(panel, n, h + (begin - I), (size_t)r->Hp, w->shards, w->T);
        } else { /* of both, or the last one */
            const int of_x = at_least(0, I - begin), of_h = at_most(16, all - begin) - of_x;
            n = 1;
            memset(panel, 0, (size_t)(w->T * w->B) * 16 * sizeof *panel);
            if (of_x > 0)
                gemm_pack_shards_part(panel, 0, of_x, w->x + begin, (size_t)r->Ip, w->shards, w->T);
            gemm_pack_shards_part(panel, of_x, of_h, h + (begin + of_x - I), (size_t)r->Hp, w->shards, w->T);
        }
    }
}

/* The gradients of both biases are the same sums, unless what comes back through the recurrent product is
 * another gradient. */
static float *sums_again(const window *w, int panel)
{
    return w->r->cell->body->part[part_of(w->r, panel)].rec_grad ? NULL : w->b_hh;
}

/* Gradients of the biases: sums over these panels of an operand, which are still near. */
static void sum_panels(const kernels *k, const window *w, int which, int first, int panels)
{
    for (int i = 0; i < w->trees; i++)
        for (int p = first; w->sums[i] && w->tree[i].a == w->r->panels[which] && p < first + panels; p++)
            gemm_tree_sums(k, &w->tree[i], p, w->sums[i], i == 0 ? sums_again(w, p) : NULL, w->stride);
}

void window_operand(member *m, const window *w, long task, task_part part)
{
    assert(part.n == 1);
    (void)part;
    for (int i = 0; i < PANELS; i++) {
        const operand o = operand_of(w, i);
        const long tasks = w->r->panels[i] ? pack_tasks(o.columns) : 0;
        if (task < tasks) {
            const int first = (int)task * PACK_PANELS, panels = at_most(PACK_PANELS, o.columns / 16 - first);
            float *panel = w->r->panels[i] + (size_t)first * gemm_panel(w->T * w->B);
            if (i == PANELS_X && x_and_h(w->r->cell))
                pack_x_and_h(w, panel, first, panels);
            else
                gemm_pack_shards(panel, panels, o.x + first * 16, o.ld, w->shards, w->T);
            sum_panels(m->k, w, i, first, panels);
            return;
        }
        task -= tasks;
    }
}

long window_tree_tasks(const window *w)
{
    long total = 0;
    for (int i = 0; i < w->trees; i++)
        total += gemm_tree_tasks(&w->tree[i]);
    return total;
}

void window_tree(member *m, const window *w, long task, task_part part)
{
    for (int i = 0; i < w->trees; i++) {
        const gemm_tree *tree = &w->tree[i];
        const long products = gemm_tree_tasks(tree);
        if (task < products) {
            gemm_tree_task(m->k, tree, task, part, team_scratch(m, gemm_tree_scratch(w->B)));
            return;
        }
        task -= products;
    }
}

static gemm_rows tree_rows(const void *shape, int i, int half)
{
    const struct tree_rows *rows = shape;
    const panel_half from = half_of(rows->r, rows->first_panel + i, half);
    return (gemm_rows){half_row(rows->r, &from), from.valid};
}

/* Gradient of rows of the weights: panels of gates from `first` on, times an operand of N columns. */
static gemm_tree *add_tree(window *w, int first, int panels, const float *a, int b, int N, float *c,
                           float *sums, size_t stride)
{
    const int i = w->trees++;
    w->rows[i] = (struct tree_rows){w->r, first};
    w->sums[i] = sums;
    w->tree[i] = (gemm_tree){.p = w->shards,
                             .T = w->T,
                             .threads = w->threads,
                             .pa = panels,
                             .pb = PAD16(N) / 16,
                             .a = a,
                             .b = w->r->panels[b],
                             .rows = tree_rows,
                             .shape = &w->rows[i],
                             .c = {c},
                             .N = {N},
                             .stride = stride};
    return &w->tree[i];
}

void window_plan_trees(window *w, const recurrent_gradients *g)
{
    const recurrent *r = w->r;
    const cell_body *body = r->cell->body;
    const float *gates = r->panels[PANELS_GATES];
    w->b_hh = g->b_hh;
    gemm_tree *tree = add_tree(w, 0, panels_of(r), gates, PANELS_X, r->I, g->w_ih, g->b_ih, g->stride);
    if (x_and_h(r->cell)) {
        tree->pb = PAD16(r->I + r->H) / 16;
        tree->c[1] = g->w_hh;
        tree->N[1] = r->H;
        return;
    }
    for (int p = 0; p < body->parts; p++) {
        const cell_part *part = &body->part[p];
        const int first = part_begin(r, p);
        const float *a =
            part->rec_grad ? r->panels[PANELS_REC_GRAD] : gates + (size_t)first * gemm_panel(w->T * w->B);
        add_tree(w, first, part_panels(r, part), a, part->of_extra ? PANELS_EXTRA : PANELS_H, r->H, g->w_hh,
                 part->rec_grad ? g->b_hh : NULL, g->stride);
    }
}
