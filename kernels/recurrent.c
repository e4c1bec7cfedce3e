/* recurrent.c - the window driver of all cells; a cell's own arithmetic is in kernels/simd, its shape in
 * lstm.c, gru.c, rnn.c.
 *
 *   forward    pack weights | gates = bias + x W_ih, all T steps at once | step 0 | step 1 | ... | step T-1
 *   backward   pack weights | step T-1 | ... | step 0 | dx; db, operands of dW into panels | dW over the tree
 *
 * Each bar is a barrier.  A task of a forward step is 16 hidden units, all gates, for some rows: their
 * product with the recurrent weights into a tile on the stack, and the cell applied to the tile while it
 * is hot.  A task of a backward step is 32 hidden units: the product of the next step's gate gradients
 * with the weights is the gradient that comes in through time.  In a band of rows (step_plan) tasks with
 * the same weights follow each other, and a thread's share is the same at every step, so that its weights
 * stay in its L2 cache. */
#include "kernels/recurrent.h"

#include "kernels/window.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* Of the last tasks (team_deal). */
#define STEP_PARTS    2 /* rows, in backward hidden units */
#define PRODUCT_PARTS 4 /* rows, in dW panels of gates */

/* Parts of the last tasks would bring threads from one window to the other. */
static int parts_of(const layer_call *c, int parts)
{
    return c->windows > 1 ? 1 : parts;
}

/* The next task of a phase that has deal.tasks for each window: which window's, and *task in it, *part of it; NULL when
 * none is left. A thread's share lies in one window, if that can be. */
static const window *claim(member *m, const layer_call *c, team_deal deal, long *task, task_part *part)
{
    const long tasks = deal.tasks;
    deal.tasks *= c->windows;
    deal.parts = parts_of(c, deal.parts);
    const long i = team_claim_of(m, &deal, part);
    if (i < 0)
        return NULL;
    *task = i % tasks;
    return &c->window[i / tasks];
}

/* And from one band to the other. */
static team_deal step_deal(const window *first, int s)
{
    return (team_deal){.tasks = window_step_tasks(first),
                       .parts = first->step.bands > 1 ? 1 : STEP_PARTS,
                       .back = window_step_back(first, s)};
}

/* ---- plan ---- */

static void plan_floats(arena *a, const char *name, float **pointer, size_t rows, int columns)
{
    arena_add(a, name, (void **)pointer, rows * (size_t)columns * sizeof(float));
}

/* Panels of `columns` columns of a matrix with so many rows. */
static void plan_panels(arena *a, const char *name, float **pointer, int columns, int rows)
{
    arena_add(a, name, (void **)pointer, (size_t)(PAD16(columns) / 16) * gemm_panel(rows) * sizeof(float));
}

/* Weights (gates,inputs): panels of gates for forward, of inputs for backward, in the same place. */
static void plan_weights(arena *a, const char *name, float **pointer, int gates, int inputs)
{
    const size_t forward = (size_t)(gates / 16) * gemm_panel(inputs),
                 backward = (size_t)(PAD16(inputs) / 16) * gemm_panel(gates);
    arena_add(a, name, (void **)pointer, (forward > backward ? forward : backward) * sizeof(float));
}

void recurrent_plan(recurrent *r, arena *a, team *t, const cell_kind *cell, int I, int H, int T, int B,
                    bool training)
{
    const cell_body *body = cell->body;
    *r = (recurrent){
        .cell = cell, .I = I, .H = H, .T = T, .B = B, .Ip = PAD16(I), .Hp = PAD16(H), .training = training};
    const size_t rows = (size_t)T * (size_t)B;
    if (rows > ROWS_MOST) {
        arena_refuse(a);
        return;
    }
    const int gates = 16 * panels_of(r);
    for (int s = 0; s < cell->states; s++)
        plan_floats(a, s == 0 ? "state h" : "state c", &r->state[s], (size_t)B, r->Hp);
    plan_floats(a, "h before the window", &r->before_h, (size_t)B, r->Hp);
    plan_floats(a, "h", &r->h, rows, r->Hp);
    plan_floats(a, "h behind the window", &r->behind_h, (size_t)B, r->Hp);
    plan_floats(a, "gates", &r->gates, rows, (int)gate_ld(r));
    plan_weights(a, "w_ih, packed", &r->w_ih, gates, I);
    plan_weights(a, "w_hh, packed", &r->w_hh, gates, H);
    plan_floats(a, "bias", &r->bias, 1, gates);
    plan_floats(a, "recurrent bias", &r->bias_rec, 1, r->Hp);
    if (body->has_extra)
        plan_floats(a, "kept by the cell", &r->extra, training ? rows : (size_t)B, r->Hp);
    if (!team_reserve(t, window_step_scratch()))
        arena_refuse(a);
    if (!training)
        return;
    if (!team_reserve(t, gemm_tree_scratch(B)))
        arena_refuse(a);
    if (body->has_c)
        plan_floats(a, "c", &r->c, rows + (size_t)B, r->Hp);
    plan_floats(a, "carry", &r->carry, (size_t)B, r->Hp);
    plan_panels(a, "gates in panels", &r->panels[PANELS_GATES], gates, T * B);
    plan_panels(a, "x in panels", &r->panels[PANELS_X], x_and_h(cell) ? I + H : I, T * B);
    if (!x_and_h(cell))
        plan_panels(a, "h in panels", &r->panels[PANELS_H], H, T * B);
    for (int i = 0; i < body->parts; i++) {
        if (body->part[i].of_extra)
            plan_panels(a, "kept, in panels", &r->panels[PANELS_EXTRA], r->Hp, T * B);
        if (body->part[i].rec_grad) {
            plan_floats(a, "recurrent gradient", &r->rec_grad, rows, r->Hp);
            plan_panels(a, "recurrent gradient in panels", &r->panels[PANELS_REC_GRAD], r->Hp, T * B);
        }
    }
}

/* ---- forward ---- */

/* Panel i of weights (gates,n): its columns are rows of W. */
static void pack_gates(const kernels *k, const recurrent *r, float *packed, const float *W, int n, int i)
{
    const float *row[16] = {NULL};
    for (int half = 0; half < 2; half++) {
        const panel_half from = half_of(r, i, half);
        for (int j = 0; j < from.valid; j++)
            row[8 * half + j] = W + (half_row(r, &from) + (size_t)j) * (size_t)n;
    }
    k->gemm_pack_rows(packed + (size_t)i * gemm_panel(n), row, n);
}

static void pack_forward(member *m, const window *w, int i)
{
    const recurrent *r = w->r;
    const cell_body *body = r->cell->body;
    pack_gates(m->k, r, r->w_ih, w->weights->w_ih, r->I, i);
    pack_gates(m->k, r, r->w_hh, w->weights->w_hh, r->H, i);
    for (int half = 0; half < 2; half++) {
        const panel_half from = half_of(r, i, half);
        const float *b_ih = w->weights->b_ih + half_row(r, &from),
                    *b_hh = w->weights->b_hh + half_row(r, &from);
        const bool split = body->splits_bias && from.gate >= body->part[body->parts - 1].first;
        for (int j = 0; j < from.valid; j++) {
            r->bias[i * 16 + half * 8 + j] = split ? b_ih[j] : b_ih[j] + b_hh[j];
            if (split)
                r->bias_rec[from.first + j] = b_hh[j];
        }
    }
}

static void forward_body(member *m, void *arg)
{
    const layer_call *c = arg;
    const window *const first = &c->window[0], *w;
    const recurrent *r = first->r;
    const int T = first->T, phases = r->cell->body->phases;
    const team_deal packs = {.tasks = panels_of(r)},
                    products = {.tasks = gemm_job_tasks(&first->product), .parts = PRODUCT_PARTS};
    task_part part;
    long i;
    while ((w = claim(m, c, packs, &i, &part)))
        pack_forward(m, w, (int)i);
    team_barrier(m);
    member_phase(m, TRACE_INPUT);
    while ((w = claim(m, c, products, &i, &part)))
        gemm_job_task(m->k, &w->product, i, part);
    team_barrier(m);
    member_phase(m, TRACE_FORWARD);
    for (int s = 0; s < T; s++) {
        for (int phase = 0; phase < phases; phase++) {
            while ((w = claim(m, c, step_deal(first, s), &i, &part)))
                window_forward_task(m, w, s, phase, i, part);
            team_barrier(m);
        }
    }
}

static window forward_window(recurrent *r, const team *t, const recurrent_weights *weights, const float *x,
                             int T, int B, int windows)
{
    assert(T <= r->T && B <= r->B);
    r->steps = T;
    window w = {.r = r,
                .weights = weights,
                .x = x,
                .T = T,
                .B = B,
                .blocks = pieces(B, CELL_ROWS),
                .threads = pieces(team_threads(t), windows)};
    window_find_all(&w);
    window_plan_step(&w, 1, (size_t)r->cell->gates * gemm_panel(r->H) * sizeof(float));
    w.product = (gemm_job){.M = T * B,
                           .P = panels_of(r),
                           .K = r->I,
                           .a = x,
                           .lda = (size_t)r->Ip,
                           .b = r->w_ih,
                           .c = r->gates,
                           .ldc = gate_ld(r),
                           .start = GEMM_BIAS,
                           .bias = r->bias,
                           .threads = w.threads};
    return w;
}

static void run_forward(team *t, layer_call *c)
{
    const size_t state = (size_t)c->window[0].B * (size_t)c->window[0].r->Hp * sizeof(float);
    for (int i = 0; i < c->windows; i++) {
        const window *w = &c->window[i];
        const int before = time_before(w, time_of(w, 0));
        memcpy(h_at(w, before), w->r->state[0], state);
        if (w->r->c)
            memcpy(c_at(w, before), w->r->state[1], state);
    }
    team_run(t, forward_body, c);
    for (int i = 0; i < c->windows; i++) {
        const window *w = &c->window[i];
        const int last = time_of(w, w->T - 1);
        memcpy(w->r->state[0], h_at(w, last), state);
        if (w->r->c)
            memcpy(w->r->state[1], c_at(w, last), state);
    }
}

void recurrent_forward(recurrent *r, team *t, const recurrent_weights *weights, const float *x, int T, int B)
{
    team_phase(t, TRACE_PACK);
    run_forward(t, &(layer_call){1, {forward_window(r, t, weights, x, T, B, 1)}});
}

/* Both directions' y and dh are side by side. */
static void join_windows(window *w, int direction)
{
    w->joined = true;
    w->ld = (size_t)PAD16(2 * w->r->H);
    w->column = direction * w->r->H;
}

void recurrent_forward_both(recurrent r[2], team *t, const recurrent_weights weights[2], const float *x,
                            float *y, int T, int B)
{
    assert(!r[0].reverse && r[1].reverse);
    assert(r[0].cell == r[1].cell && r[0].I == r[1].I && r[0].H == r[1].H);
    team_phase(t, TRACE_PACK);
    layer_call c = {2,
                    {forward_window(&r[0], t, &weights[0], x, T, B, 2),
                     forward_window(&r[1], t, &weights[1], x, T, B, 2)}};
    for (int i = 0; i < 2; i++) {
        c.window[i].y = y;
        join_windows(&c.window[i], i);
    }
    run_forward(t, &c);
}

/* ---- backward ---- */

#define GATE_PANELS 4 /* of weights, a task of packing: 64 rows of W, whose pages serve all columns */

/* The rows of W (G*H,n) that are the i-th GATE_PANELS panels of the gates' columns, for backward: all columns,
 * PACK_PANELS at a time. */
static void pack_backward(const recurrent *r, float *packed, const float *W, int n, int i)
{
    const int rows = 16 * panels_of(r), last = at_most(panels_of(r), (i + 1) * GATE_PANELS);
    const size_t panel = gemm_panel(rows);
    for (int column = 0; column < n; column += 16 * PACK_PANELS)
        for (int q = 2 * i * GATE_PANELS; q < 2 * last; q++) {
            const panel_half from = half_of(r, q / 2, q % 2);
            gemm_pack_columns(packed + (size_t)(column / 16) * panel + (size_t)q * 128, panel,
                              W + half_row(r, &from) * (size_t)n + (size_t)column, (size_t)n,
                              at_most(16 * PACK_PANELS, n - column), from.valid, 8 - from.valid);
        }
}

static void pack_all_backward(member *m, const layer_call *c)
{
    const recurrent *r = c->window[0].r;
    const long pack_hh = pieces(panels_of(r), GATE_PANELS), pack_ih = c->window[0].dx ? pack_hh : 0;
    const window *w;
    task_part whole;
    for (long i; (w = claim(m, c, (team_deal){.tasks = pack_hh + pack_ih}, &i, &whole));) {
        if (i < pack_hh)
            pack_backward(w->r, w->r->w_hh, w->weights->w_hh, r->H, (int)i);
        else
            pack_backward(w->r, w->r->w_ih, w->weights->w_ih, r->I, (int)(i - pack_hh));
    }
    team_barrier(m);
}

/* dx is a chain over the gates of both directions: the second one's product follows the first one's, and
 * each goes with work of another kind. */
static void dx_and_others(member *m, const layer_call *c, int which, long others,
                          void (*other)(member *m, const window *w, long task, task_part part), int parts)
{
    const window *w = &c->window[which];
    const long products = which < c->windows && w->dx ? gemm_job_tasks(&w->product) : 0;
    const team_deal deal = {.tasks = products + c->windows * others, .parts = parts_of(c, parts)};
    task_part part;
    for (long i; (i = team_claim_of(m, &deal, &part)) >= 0;) {
        if (i < products)
            gemm_job_task(m->k, &w->product, i, part);
        else
            other(m, &c->window[(i - products) / others], (i - products) % others, part);
    }
    team_barrier(m);
}

static void backward_body(member *m, void *arg)
{
    const layer_call *c = arg;
    const window *first = &c->window[0], *w;
    const recurrent *r = first->r;
    pack_all_backward(m, c);
    member_phase(m, TRACE_BACKWARD);
    for (int s = first->T - 1; s >= 0; s--) {
        for (int phase = 0; phase < r->cell->body->phases; phase++) {
            task_part part;
            for (long i; (w = claim(m, c, step_deal(first, s), &i, &part));)
                window_backward_task(m, w, s, phase, i, part);
            team_barrier(m);
        }
    }
    member_phase(m, TRACE_DX);
    dx_and_others(m, c, 0, window_operand_tasks(first), window_operand, 1);
    member_phase(m, TRACE_DW);
    dx_and_others(m, c, 1, window_tree_tasks(first), window_tree, PRODUCT_PARTS);
}

/* The trees point into the window, which therefore is filled in where it stays. */
static void backward_window(window *w, recurrent *r, const team *t, const recurrent_weights *weights,
                            const float *x, const float *dh, float *dx, gemm_start start, const shards *p,
                            const recurrent_gradients *g, int windows)
{
    const int T = r->steps;
    assert(r->training && T > 0 && p->rows <= r->B);
    *w = (window){.r = r,
                  .weights = weights,
                  .x = x,
                  .dh = dh,
                  .ld = (size_t)r->Hp,
                  .dx = dx,
                  .shards = p,
                  .T = T,
                  .B = p->rows,
                  .blocks = pieces(p->rows, CELL_ROWS),
                  .stride = g->stride,
                  .threads = pieces(team_threads(t), windows)};
    w->product = (gemm_job){.M = T * w->B,
                            .P = r->Ip / 16,
                            .K = panels_of(r) * 16,
                            .a = r->gates,
                            .lda = gate_ld(r),
                            .b = r->w_ih,
                            .c = dx,
                            .ldc = (size_t)r->Ip,
                            .start = start,
                            .threads = team_threads(t)}; /* one direction after the other */
    window_find_all(w);
    window_plan_step(w, BACKWARD_UNITS, gemm_panel(16 * panels_of(r)) * sizeof(float));
    window_plan_trees(w, g);
    memset(r->carry, 0, (size_t)w->B * (size_t)r->Hp * sizeof(float));
}

void recurrent_backward(recurrent *r, team *t, const recurrent_weights *weights, const float *x,
                        const float *dh, float *dx, const shards *p, const recurrent_gradients *g)
{
    team_phase(t, TRACE_PACK);
    layer_call c = {.windows = 1};
    backward_window(&c.window[0], r, t, weights, x, dh, dx, GEMM_ZERO, p, g, 1);
    team_run(t, backward_body, &c);
}

void recurrent_backward_both(recurrent r[2], team *t, const recurrent_weights weights[2], const float *x,
                             const float *dy, float *dx, const shards *p, const recurrent_gradients g[2])
{
    assert(!r[0].reverse && r[1].reverse && r[0].steps == r[1].steps);
    team_phase(t, TRACE_PACK);
    layer_call c = {.windows = 2};
    for (int i = 0; i < 2; i++) {
        backward_window(&c.window[i], &r[i], t, &weights[i], x, dy, dx, i == 0 ? GEMM_ZERO : GEMM_CONTINUE, p,
                        &g[i], 2);
        join_windows(&c.window[i], i);
    }
    team_run(t, backward_body, &c);
}
