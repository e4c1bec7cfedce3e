/* recurrent.c - the window driver of all cells; a cell's own arithmetic is in kernels/simd, its shape in
 * lstm.c, gru.c, rnn.c.
 *
 *   forward    pack weights | gates = bias + x W_ih, all T steps at once | step 0 | step 1 | ... | step T-1
 *   backward   pack weights | step T-1 | ... | step 0 | dx; operands of dW into panels | dW, db over the tree
 *
 * Each bar is a barrier.  A task of a forward step is 16 hidden units, all gates, for some rows: their
 * product with the recurrent weights into a tile on the stack, and the cell applied to the tile while it
 * is hot.  A task of a backward step is 32 hidden units: the product of the next step's gate gradients
 * with the weights is the gradient that comes in through time.  Tasks with the same weights follow each
 * other, and a thread's share is the same at every step, so that its weights stay in its L2 cache. */
#include "kernels/recurrent.h"

#include "kernels/window.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define CELL_ROWS      12 /* rows of a block: one AVX-512 tile, two AVX2 tiles */
#define BACKWARD_UNITS 2  /* groups of 16 hidden units of a backward task: one AVX-512 tile */
/* Where a task's weights take more than MERGE_BYTES, which then no cache keeps for the next block of rows,
 * MERGE_BLOCKS or fewer blocks are one task, if there are at least MERGE_LEAST, and meet the weights in
 * pieces of PIECE_BYTES. */
#define MERGE_BYTES      (384u << 10)
#define MERGE_LEAST      4
#define MERGE_BLOCKS     6
#define PIECE_BYTES      (128u << 10)
#define TO_AND_FRO_BYTES (5u << 18) /* an L2 cache of 1 MB and a bit */

/* The next task of a phase that has `tasks` for each window: which window's, and *task in it; NULL when
 * none is left; back: of a step that goes back. A thread's share lies in one window, as far as that can be.
 * */
static const window *claim(member *m, const layer_call *c, long tasks, bool back, long *task)
{
    const long i = back ? team_claim_back(m, c->windows * tasks) : team_claim(m, c->windows * tasks);
    if (i < 0)
        return NULL;
    *task = i % tasks;
    return &c->window[i / tasks];
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
    const int gates = cell->gates * r->Hp;
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
    if (!training)
        return;
    if (!team_reserve(t, gemm_tree_scratch(B)))
        arena_refuse(a);
    if (body->has_c)
        plan_floats(a, "c", &r->c, rows + (size_t)B, r->Hp);
    plan_floats(a, "carry", &r->carry, (size_t)B, r->Hp);
    plan_panels(a, "gates in panels", &r->panels[PANELS_GATES], gates, T * B);
    plan_panels(a, "x in panels", &r->panels[PANELS_X], r->Ip, T * B);
    plan_panels(a, "h in panels", &r->panels[PANELS_H], r->Hp, T * B);
    for (int i = 0; i < body->parts; i++) {
        if (body->part[i].of_extra)
            plan_panels(a, "kept, in panels", &r->panels[PANELS_EXTRA], r->Hp, T * B);
        if (body->part[i].rec_grad) {
            plan_floats(a, "recurrent gradient", &r->rec_grad, rows, r->Hp);
            plan_panels(a, "recurrent gradient in panels", &r->panels[PANELS_REC_GRAD], r->Hp, T * B);
        }
    }
}

/* ---- steps ---- */

static const float *h_before(const window *w, int t)
{
    return h_at(w, time_before(w, t));
}

/* c (T+1,B,Hp): what stands before time 0, or behind time T-1 of a layer that comes from there, has the
 * place that is left. */
static float *c_at(const window *w, int t)
{
    return w->r->c + (ptrdiff_t)(w->r->reverse ? t : t + 1) * w->B * w->r->Hp;
}

static float *extra_at(const window *w, int t)
{
    return w->r->extra + (w->r->training ? row_at(w, t, 0) * (size_t)w->r->Hp : 0);
}

/* Rows b0 .. b0+rows-1, hidden units 16*unit .. 16*unit+15 of step t. */
static cell_tile tile_at(const window *w, int t, int b0, int rows, int unit)
{
    const recurrent *r = w->r;
    const cell_body *body = r->cell->body;
    const size_t ld = (size_t)r->Hp, row_gates = gate_ld(r);
    const size_t in_step = (size_t)b0 * ld + (size_t)unit * 16, at = row_at(w, t, 0) * ld + in_step;
    cell_tile tile = {.rows = rows, .gate_ld = row_gates, .ld = ld};
    for (int p = 0; p < body->parts; p++) {
        const cell_part *part = &body->part[p];
        for (int g = part->first; g < part->first + part->gates; g++)
            tile.gate[g] = r->gates + row_at(w, t, b0) * row_gates + (size_t)panel_at(r, part, g, unit) * 16;
    }
    tile.bias = r->bias_rec + (size_t)unit * 16;
    tile.h_prev = h_before(w, t) + in_step;
    tile.h = r->h + at;
    if (body->has_c) { /* without backward c is updated in place */
        tile.c_prev = r->training ? c_at(w, time_before(w, t)) + in_step : r->state[1] + in_step;
        tile.c = r->training ? c_at(w, t) + in_step : r->state[1] + in_step;
    }
    if (body->has_extra)
        tile.extra = extra_at(w, t) + in_step;
    if (w->dh) {
        tile.dh = w->dh + row_at(w, t, b0) * w->ld + (size_t)(w->column + unit * 16);
        tile.dh_ld = w->ld;
        tile.carry = r->carry + in_step;
        tile.dgate_rec = r->rec_grad ? r->rec_grad + at : NULL;
    }
    return tile;
}

/* The gates were last written by another thread or long ago: ask for them before the product instead of
 * after it. */
static void tile_prefetch(const cell_tile *tile, int gates)
{
    for (int g = 0; g < gates; g++)
        for (int m = 0; m < tile->rows; m++)
            __builtin_prefetch(tile->gate[g] + (size_t)m * tile->gate_ld, 1);
}

/* Where block `block` of the rows begins. */
static int block_row(const window *w, int block)
{
    return w->B * block / w->blocks;
}

/* Into how many runs the blocks are cut for tasks whose weights take so many bytes; tasks: of a step, if
 * all blocks were one run. Threads that would find no task are worse than weights that come from afar. */
static int runs_of(const window *w, int tasks, size_t bytes)
{
    const int runs = pieces(w->blocks, MERGE_BLOCKS);
    const bool merge = w->blocks >= MERGE_LEAST && bytes > MERGE_BYTES && tasks * runs >= 3 * w->threads;
    return merge ? runs : w->blocks;
}

/* Whether the weights of a thread's share, so many bytes for each unit, are more than its L2 cache keeps
 * from one step to the next. Then every other step goes back through them, and meets first what came last.
 * */
static bool goes_to_and_fro(const window *w, size_t unit_bytes)
{
    return (size_t)units_of(w->r) * unit_bytes > (size_t)w->threads * TO_AND_FRO_BYTES;
}

/* Step s is one of those that go back. */
static bool step_back(const window *w, int s)
{
    return w->to_and_fro && s % 2 == 1;
}

/* A task: weights of `unit` (and what follows it) for the blocks [first, last), rows [b0, b0 + rows);
 * `next` will be the unit of the task to come, -1 if none will. */
typedef struct cell_task {
    int unit, next, first, last, b0, rows;
} cell_task;

static cell_task task_of(const window *w, int s, long task, int runs, int units)
{
    const int group = (int)(task / runs), run = (int)(task % runs);
    cell_task c = {
        .unit = group * units, .first = w->blocks * run / runs, .last = w->blocks * (run + 1) / runs};
    c.b0 = block_row(w, c.first);
    c.rows = block_row(w, c.last) - c.b0;
    const bool back = step_back(w, s), merged = runs < w->blocks;
    c.next = back ? c.unit - units : c.unit + units;
    if (c.next + units > units_of(w->r))
        c.next = -1;
    if (merged && (back ? run > 0 : run + 1 < runs))
        c.next = c.unit;
    return c;
}

/* A product of all rows of a task: out (rows, 16 panels) = start + a b, block by block, and for several
 * blocks piece by piece of the weights. */
typedef struct cell_product {
    const float *a, *b; /* of row b0 */
    size_t lda, panel, ldc;
    int panels, depth;
    float *out;
    gemm_start start;
    const float *next; /* the same panels of the task to come, NULL if none will */
    size_t next_floats;
} cell_product;

/* What a task of one block fetches while it multiplies: its share of the next unit's panels. A block of
 * rows has the time for half of them. */
static gemm_extra fetch_unit(const window *w, const cell_task *c, const cell_product *p)
{
    const int sharers = w->blocks > 1 ? 2 : 1;
    if (c->first >= sharers || !p->next)
        return (gemm_extra){0};
    const size_t share = p->next_floats / (size_t)sharers;
    return (gemm_extra){.ahead = p->next + (size_t)c->first * share, .runs = 1, .run_floats = share};
}

/* What block i of n fetches in a task of several: some panels of the piece to come, rows [k0, k1). */
static gemm_extra fetch_piece(const cell_product *p, const float *panels, int k0, int k1, int i, int n)
{
    if (!panels || i >= p->panels)
        return (gemm_extra){0};
    return (gemm_extra){.ahead = panels + (size_t)i * p->panel + (size_t)k0 * 16,
                        .runs = pieces(p->panels - i, n),
                        .run_floats = (size_t)(k1 - k0) * 16,
                        .apart = (size_t)n * p->panel};
}

static void multiply(const kernels *k, const window *w, const cell_task *c, const cell_product *p)
{
    const size_t bytes = (size_t)p->panels * (size_t)p->depth * 16 * sizeof(float);
    const int n = c->last - c->first, cuts = n > 1 ? 1 + (int)(bytes / PIECE_BYTES) : 1;
    for (int piece = 0; piece < cuts; piece++) {
        const int k0 = (int)((long)p->depth * piece / cuts), k1 = (int)((long)p->depth * (piece + 1) / cuts);
        const bool more = piece + 1 < cuts;
        const int k2 = more ? (int)((long)p->depth * (piece + 2) / cuts) : p->depth / cuts;
        for (int block = c->first; block < c->last; block++) {
            const int row = block_row(w, block) - c->b0, rows = block_row(w, block + 1) - c->b0 - row;
            const gemm_extra extra =
                n == 1 ? fetch_unit(w, c, p)
                       : fetch_piece(p, more ? p->b : p->next, more ? k1 : 0, k2, block - c->first, n);
            k->gemm_also(rows, p->panels, k1 - k0, p->a + (size_t)row * p->lda + k0, p->lda, 1,
                         p->b + (size_t)k0 * 16, p->panel, p->out + (size_t)row * p->ldc, p->ldc,
                         piece ? GEMM_CONTINUE : p->start, NULL, extra);
        }
    }
}

/* The times at which every row exists: rows need not be looked at there. */
static void find_all(window *w)
{
    w->all_from = 0;
    w->all_to = w->T;
    for (int b = 0; w->r->begin && b < w->B; b++) {
        w->all_from = at_least(w->all_from, w->r->begin[b]);
        w->all_to = at_most(w->all_to, w->r->end[b]);
    }
}

/* After a phase of step t: what the tile's rows have left at times at which they do not exist becomes zero;
 * in backward the gradients, in forward the state. */
static void clear_absent(const window *w, int t, int b0, const cell_tile *tile)
{
    const recurrent *r = w->r;
    if (t >= w->all_from && t < w->all_to)
        return;
    for (int m = 0; m < tile->rows; m++) {
        const size_t at = (size_t)m * tile->ld, bytes = 16 * sizeof(float);
        if (t >= r->begin[b0 + m] && t < r->end[b0 + m])
            continue;
        if (!w->dh) {
            memset(tile->h + at, 0, bytes);
            if (tile->c)
                memset(tile->c + at, 0, bytes);
            continue;
        }
        for (int g = 0; g < r->cell->gates; g++)
            memset(tile->gate[g] + (size_t)m * tile->gate_ld, 0, bytes);
        memset(tile->carry + at, 0, bytes);
        if (tile->dgate_rec)
            memset(tile->dgate_rec + at, 0, bytes);
    }
}

static void forward_task(member *m, const window *w, int s, int phase, long task)
{
    _Alignas(64) float rec[MERGE_BLOCKS * CELL_ROWS * CELL_GATES_MAX * 16];
    const recurrent *r = w->r;
    const int t = time_of(w, s);
    const cell_body *body = r->cell->body;
    const cell_phase *f = &body->forward[phase];
    const cell_task c = task_of(w, s, task, w->forward_runs, 1);
    cell_tile tile = tile_at(w, t, c.b0, c.rows, c.unit);
    tile_prefetch(&tile, r->cell->gates);
    for (int p = f->first; p < f->last; p++)
        tile.rec_ld += (size_t)body->part[p].gates * 16;
    float *out = rec;
    for (int p = f->first; p < f->last; p++) {
        const cell_part *part = &body->part[p];
        const float *a = (part->of_extra ? extra_at(w, t) : h_before(w, t)) + (size_t)c.b0 * (size_t)r->Hp;
        const size_t panel = gemm_panel(r->H), panels = (size_t)part->gates * panel;
        const float *weights = r->w_hh + (size_t)panel_at(r, part, part->first, 0) * panel;
        const cell_product product = {.a = a,
                                      .b = weights + (size_t)c.unit * panels,
                                      .lda = (size_t)r->Hp,
                                      .panel = panel,
                                      .ldc = tile.rec_ld,
                                      .panels = part->gates,
                                      .depth = r->H,
                                      .out = out,
                                      .start = GEMM_ZERO,
                                      .next = c.next < 0 ? NULL : weights + (size_t)c.next * panels,
                                      .next_floats = panels};
        multiply(m->k, w, &c, &product);
        out += (size_t)part->gates * 16;
    }
    tile.rec = rec;
    body->step_forward(m->k, phase, &tile);
    clear_absent(w, t, c.b0, &tile);
    if (w->joined && phase == body->phases - 1)
        window_join(w, t, c.b0, c.unit, &tile);
}

/* Gradient that comes in from gate gradients of step t through the recurrent weights of parts f->first ..
 * f->last-1. */
static void product_through_time(member *m, const window *w, const cell_phase *f, int t, const cell_task *c,
                                 int units, float *rec)
{
    const recurrent *r = w->r;
    const size_t ld = (size_t)r->Hp, row_gates = gate_ld(r), panel = gemm_panel(16 * panels_of(r));
    for (int p = f->first; p < f->last; p++) {
        const cell_part *part = &r->cell->body->part[p];
        const size_t column = (size_t)part->first * ld, depth = (size_t)part->gates * ld;
        const float *a = part->rec_grad ? r->rec_grad + row_at(w, t, c->b0) * ld
                                        : r->gates + row_at(w, t, c->b0) * row_gates + column;
        const float *weights = r->w_hh + column * 16;
        /* panels of one unit are apart by those of the other parts: a part of a cell with several fetches
         * one panel */
        const bool whole = depth == 16 * (size_t)panels_of(r);
        const cell_product product = {.a = a,
                                      .b = weights + (size_t)c->unit * panel,
                                      .lda = part->rec_grad ? ld : row_gates,
                                      .panel = panel,
                                      .ldc = BACKWARD_UNITS * 16,
                                      .panels = units,
                                      .depth = (int)depth,
                                      .out = rec,
                                      .start = p == f->first ? GEMM_ZERO : GEMM_CONTINUE,
                                      .next = c->next < 0 ? NULL : weights + (size_t)c->next * panel,
                                      .next_floats = whole ? (size_t)units * panel : depth * 16};
        multiply(m->k, w, c, &product);
    }
}

static void backward_task(member *m, const window *w, int s, int phase, long task)
{
    _Alignas(64) float rec[MERGE_BLOCKS * CELL_ROWS * BACKWARD_UNITS * 16], dh[MERGE_BLOCKS * CELL_ROWS * 16];
    const recurrent *r = w->r;
    const cell_phase *f = &r->cell->body->backward[phase];
    const cell_task c = task_of(w, s, task, w->backward_runs, BACKWARD_UNITS);
    const int units = at_most(BACKWARD_UNITS, units_of(r) - c.unit);
    const int t = time_of(w, s), from = f->this_step ? s : s + 1;
    cell_tile tile[BACKWARD_UNITS];
    for (int u = 0; u < units; u++) {
        tile[u] = tile_at(w, t, c.b0, c.rows, c.unit + u);
        tile_prefetch(&tile[u], r->cell->gates);
        if (w->joined)
            window_split(w, c.unit + u, &tile[u], dh);
        tile[u].rec = rec + u * 16;
        tile[u].rec_ld = BACKWARD_UNITS * 16;
    }
    if (from < w->T)
        product_through_time(m, w, f, time_of(w, from), &c, units, rec);
    else
        memset(rec, 0, (size_t)c.rows * BACKWARD_UNITS * 16 * sizeof *rec);
    for (int u = 0; u < units; u++) {
        r->cell->body->step_backward(m->k, phase, &tile[u]);
        clear_absent(w, t, c.b0, &tile[u]);
    }
}

/* ---- forward ---- */

static void pack_forward(member *m, const window *w, int i)
{
    const recurrent *r = w->r;
    const cell_body *body = r->cell->body;
    const size_t H = (size_t)r->H, I = (size_t)r->I;
    int gate, unit, valid;
    panel_place(r, i, &gate, &unit);
    const size_t row = panel_row(r, i, &valid);
    const bool split = body->splits_bias && gate >= body->part[body->parts - 1].first;
    gemm_pack_rows(m->k, r->w_ih + (size_t)i * gemm_panel(r->I), w->weights->w_ih + row * I, I, valid, r->I);
    gemm_pack_rows(m->k, r->w_hh + (size_t)i * gemm_panel(r->H), w->weights->w_hh + row * H, H, valid, r->H);
    for (int j = 0; j < valid; j++) {
        const float b_hh = w->weights->b_hh[row + (size_t)j];
        r->bias[i * 16 + j] =
            split ? w->weights->b_ih[row + (size_t)j] : w->weights->b_ih[row + (size_t)j] + b_hh;
        if (split)
            r->bias_rec[unit * 16 + j] = b_hh;
    }
}

static void forward_body(member *m, void *arg)
{
    const layer_call *c = arg;
    const window *const first = &c->window[0], *w;
    const recurrent *r = first->r;
    const long step_tasks = (long)units_of(r) * first->forward_runs;
    const int T = first->T, phases = r->cell->body->phases;
    const long panels = panels_of(r), products = gemm_job_tasks(&first->product);
    long i;
    while ((w = claim(m, c, panels, false, &i)))
        pack_forward(m, w, (int)i);
    team_barrier(m);
    member_phase(m, TRACE_INPUT);
    while ((w = claim(m, c, products, false, &i)))
        gemm_job_task(m->k, &w->product, i);
    team_barrier(m);
    member_phase(m, TRACE_FORWARD);
    for (int s = 0; s < T; s++) {
        for (int phase = 0; phase < phases; phase++) {
            while ((w = claim(m, c, step_tasks, step_back(first, s), &i)))
                forward_task(m, w, s, phase, i);
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
    find_all(&w);
    const size_t unit_bytes = (size_t)r->cell->gates * gemm_panel(r->H) * sizeof(float);
    w.forward_runs = runs_of(&w, units_of(r), unit_bytes);
    w.to_and_fro = goes_to_and_fro(&w, unit_bytes);
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

/* Panels i, i+1, ... of W (G*H,n) for backward: columns 16i.. of W, its rows in the order of the gates'
 * columns. */
static void pack_backward(const recurrent *r, float *packed, const float *W, int n, int i)
{
    const size_t panel = gemm_panel(16 * panels_of(r));
    const int columns = at_most(16 * PACK_PANELS, n - 16 * i);
    for (int q = 0; q < panels_of(r); q++) {
        int valid;
        const size_t row = panel_row(r, q, &valid);
        gemm_pack_columns(packed + (size_t)i * panel + (size_t)q * 256, panel,
                          W + row * (size_t)n + (size_t)i * 16, (size_t)n, columns, valid, 16 - valid);
    }
}

static void pack_all_backward(member *m, const layer_call *c)
{
    const recurrent *r = c->window[0].r;
    const long pack_hh = pack_tasks(r->Hp), pack_ih = c->window[0].dx ? pack_tasks(r->Ip) : 0;
    const window *w;
    for (long i; (w = claim(m, c, pack_hh + pack_ih, false, &i));) {
        if (i < pack_hh)
            pack_backward(w->r, w->r->w_hh, w->weights->w_hh, r->H, (int)i * PACK_PANELS);
        else
            pack_backward(w->r, w->r->w_ih, w->weights->w_ih, r->I, (int)(i - pack_hh) * PACK_PANELS);
    }
    team_barrier(m);
}

/* dx is a chain over the gates of both directions: the second one's product follows the first one's, and
 * each goes with work of another kind. */
static void make_dx(member *m, const layer_call *c, int which, long others,
                    void (*other)(member *m, const window *w, long task))
{
    const window *w = &c->window[which];
    const long products = which < c->windows && w->dx ? gemm_job_tasks(&w->product) : 0;
    for (long i; (i = team_claim(m, products + c->windows * others)) >= 0;) {
        if (i < products)
            gemm_job_task(m->k, &w->product, i);
        else
            other(m, &c->window[(i - products) / others], (i - products) % others);
    }
    team_barrier(m);
}

static void backward_body(member *m, void *arg)
{
    const layer_call *c = arg;
    const window *first = &c->window[0], *w;
    const recurrent *r = first->r;
    const long step_tasks = (long)pieces(units_of(r), BACKWARD_UNITS) * first->backward_runs;
    pack_all_backward(m, c);
    member_phase(m, TRACE_BACKWARD);
    for (int s = first->T - 1; s >= 0; s--) {
        for (int phase = 0; phase < r->cell->body->phases; phase++) {
            for (long i; (w = claim(m, c, step_tasks, step_back(first, s), &i));)
                backward_task(m, w, s, phase, i);
            team_barrier(m);
        }
    }
    member_phase(m, TRACE_DX);
    make_dx(m, c, 0, window_operand_tasks(first), window_operand);
    member_phase(m, TRACE_DW);
    make_dx(m, c, 1, window_tree_tasks(first), window_tree);
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
    find_all(w);
    const size_t unit_bytes = gemm_panel(16 * panels_of(r)) * sizeof(float);
    w->backward_runs = runs_of(w, pieces(units_of(r), BACKWARD_UNITS), BACKWARD_UNITS * unit_bytes);
    w->to_and_fro = goes_to_and_fro(w, unit_bytes);
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
