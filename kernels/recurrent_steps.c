/* recurrent_steps.c - one task of one step of a recurrent layer (recurrent.c), forward and backward: a product
 * into a tile on the stack, and the cell applied to the tile while it is hot. */
#include "kernels/window.h"

#include <stdint.h>
#include <string.h>

/* Where a task's weights take more than MERGE_BYTES, which then no cache keeps for the next block of rows,
 * MERGE_BLOCKS or fewer blocks are one task, if there are at least MERGE_LEAST, and meet the weights in
 * pieces of PIECE_BYTES. */
#define MERGE_BYTES      (384u << 10)
#define MERGE_LEAST      4
#define MERGE_BLOCKS     6
#define PIECE_BYTES      (128u << 10)
#define TILE_ROWS        (MERGE_BLOCKS * CELL_ROWS) /* at most */
#define TO_AND_FRO_BYTES (5u << 18)                 /* an L2 cache of 1 MB and a bit */
#define KEPT_BYTES       (512u << 10) /* weights that L2 keeps beside what a step reads and writes */

static const float *h_before(const window *w, int t)
{
    return h_at(w, time_before(w, t));
}

static float *extra_at(const window *w, int t)
{
    return w->r->extra + (w->r->training ? row_at(w, t, 0) * (size_t)w->r->Hp : 0);
}

/* Rows b0 .. b0+rows-1, hidden units 16*unit .. 16*unit+15 of step t.  Member by member to its place: a copy in larger
 * pieces would wait until all that the task before has written is in the cache (README.md). */
static void tile_at(cell_tile *tile, const window *w, int t, int b0, int rows, int unit)
{
    const recurrent *r = w->r;
    const cell_body *body = r->cell->body;
    const size_t ld = (size_t)r->Hp, row_gates = gate_ld(r);
    const size_t in_step = (size_t)b0 * ld + (size_t)unit * 16, at = row_at(w, t, 0) * ld + in_step;
    *tile = (cell_tile){.rows = rows, .gate_ld = row_gates, .ld = ld};
    for (int p = 0; p < body->parts; p++) {
        const cell_part *part = &body->part[p];
        for (int g = part->first; g < part->first + part->gates; g++)
            tile->gate[g] = r->gates + row_at(w, t, b0) * row_gates + gate_column(r, p, g, unit);
    }
    tile->bias = r->bias_rec + (size_t)unit * 16;
    tile->h_prev = h_before(w, t) + in_step;
    tile->h = r->h + at;
    if (body->has_c) { /* without backward c is updated in place */
        tile->c_prev = r->training ? c_at(w, time_before(w, t)) + in_step : r->state[1] + in_step;
        tile->c = r->training ? c_at(w, t) + in_step : r->state[1] + in_step;
    }
    if (body->has_extra)
        tile->extra = extra_at(w, t) + in_step;
    if (w->dh) {
        tile->dh = w->dh + row_at(w, t, b0) * w->ld + (size_t)(w->column + unit * 16);
        tile->dh_ld = w->ld;
        tile->carry = r->carry + in_step;
        tile->dgate_rec = r->rec_grad ? r->rec_grad + at : NULL;
    }
}

/* The gates were last written by another thread or long ago: ask for them before the product instead of
 * after it. */
static void tile_prefetch(const cell_tile *tile, int gates)
{
    for (int g = 0; g < gates; g++)
        for (int m = 0; m < tile->rows; m++)
            __builtin_prefetch(tile->gate[g] + (size_t)m * tile->gate_ld, 1);
}

/* Gates of narrow units (window.h), as the cell sees them: 16 columns each, the last eight zero. */
typedef struct wide_gates {
    _Alignas(64) float gate[CELL_GATES_MAX][TILE_ROWS][16];
} wide_gates;

size_t window_step_scratch(void)
{
    return sizeof(wide_gates);
}

static bool narrow_unit(const recurrent *r, int unit)
{
    for (int p = 0; p < r->cell->body->parts; p++)
        if (gate_columns(r, &r->cell->body->part[p], unit) < 16)
            return true;
    return false;
}

/* The tile with its gates in `room` instead of their place. */
static cell_tile widen_gates(const kernels *k, const recurrent *r, int unit, const cell_tile *tile,
                             wide_gates *room)
{
    cell_tile wide = *tile;
    wide.gate_ld = 16;
    for (int p = 0; p < r->cell->body->parts; p++) {
        const cell_part *part = &r->cell->body->part[p];
        for (int g = part->first; g < part->first + part->gates; g++) {
            wide.gate[g] = room->gate[g][0];
            k->widen(wide.gate[g], 16, tile->gate[g], tile->gate_ld, gate_columns(r, part, unit), tile->rows);
        }
    }
    return wide;
}

/* And those that the phase writes back to their place. */
static void narrow_gates(const kernels *k, const recurrent *r, const cell_phase *f, int unit,
                         const cell_tile *tile, const wide_gates *room)
{
    for (int p = 0; p < r->cell->body->parts; p++) {
        const cell_part *part = &r->cell->body->part[p];
        const int first = at_least(part->first, f->gate),
                  last = at_most(part->first + part->gates, f->gate + f->gates);
        for (int g = first; g < last; g++)
            k->narrow(tile->gate[g], tile->gate_ld, room->gate[g][0], 16, gate_columns(r, part, unit),
                      tile->rows);
    }
}

/* Where block `block` of the rows begins. */
static int block_row(const window *w, int block)
{
    return w->B * block / w->blocks;
}

/* Where a task's weights take too many bytes, some blocks of rows are one run. Threads that would find no
 * task are worse than weights that come from afar. */
static int runs_of(const window *w, int tasks, size_t bytes)
{
    const int runs = pieces(w->blocks, MERGE_BLOCKS);
    const bool merge = w->blocks >= MERGE_LEAST && bytes > MERGE_BYTES && tasks * runs >= 3 * w->threads;
    return merge ? runs : w->blocks;
}

/* As many bands as leave each thread weights that L2 keeps, and each band as many threads. What a thread
 * reads of a step's rows was just written by the others of its band, and lines that many threads want at
 * once go from one to the next. */
static int bands_of(const window *w, int runs, size_t weights)
{
    const int most = at_most(runs, w->threads);
    int bands = 1;
    for (int n = 2; n <= most; n++)
        if (w->threads % n == 0 && weights * (size_t)n <= (size_t)w->threads * KEPT_BYTES)
            bands = n;
    return bands;
}

void window_plan_step(window *w, int units, size_t unit_bytes)
{
    const size_t weights = (size_t)units_of(w->r) * unit_bytes, threads = (size_t)w->threads;
    step_plan *s = &w->step;
    s->units = units;
    s->groups = pieces(units_of(w->r), units);
    s->runs = runs_of(w, s->groups, (size_t)units * unit_bytes);
    s->bands = bands_of(w, s->runs, weights);
    s->kept = weights <= threads * KEPT_BYTES;
    s->to_and_fro = weights > threads * TO_AND_FRO_BYTES;
}

/* A task: weights of `unit` (and what follows it) for the blocks [first, last), rows [b0, b0 + rows);
 * `next` will be the unit of the task to come, -1 if none will. */
typedef struct cell_task {
    int unit, next, first, last, b0, rows;
} cell_task;

static cell_task task_of(const window *w, int s, long task)
{
    const step_plan *plan = &w->step;
    int band = 0;
    while (task >= (long)plan->groups * cut(plan->runs, 1, band + 1, plan->bands))
        band++;
    const int run0 = cut(plan->runs, 1, band, plan->bands),
              runs = cut(plan->runs, 1, band + 1, plan->bands) - run0;
    task -= (long)plan->groups * run0;
    const int group = (int)(task / runs), place = (int)(task % runs), run = run0 + place;
    cell_task c = {.unit = group * plan->units,
                   .first = cut(w->blocks, 1, run, plan->runs),
                   .last = cut(w->blocks, 1, run + 1, plan->runs)};
    c.b0 = block_row(w, c.first);
    c.rows = block_row(w, c.last) - c.b0;
    const bool back = window_step_back(w, s), merged = plan->runs < w->blocks;
    c.next = back ? c.unit - plan->units : c.unit + plan->units;
    if (c.next + plan->units > units_of(w->r))
        c.next = -1;
    if (merged && (back ? place > 0 : place + 1 < runs))
        c.next = c.unit;
    return c;
}

/* Part of a task's rows: whole blocks, if it has several. The thread has no next one. */
static void take_rows(const window *w, cell_task *c, task_part part)
{
    if (part.n == 1)
        return;
    int end = c->b0 + c->rows;
    if (c->last - c->first > 1) {
        take_part(part, 1, &c->first, &c->last);
        c->b0 = block_row(w, c->first);
        end = block_row(w, c->last);
    } else {
        take_part(part, 1, &c->b0, &end);
    }
    c->rows = end - c->b0;
    c->next = -1;
}

/* A product of all rows of a task: out (rows, 16 panels) = start + a b, block by block, and for several
 * blocks piece by piece of the weights. */
typedef struct cell_product {
    const float *a, *b; /* of row b0 */
    size_t lda, panel, ldc;
    int panels, depth;
    float *out;
    gemm_start start;
    const float *next; /* the panels of the task to come, NULL if none will */
    int next_panels;
    size_t next_floats; /* of a task of one block */
} cell_product;

/* What a task of one block fetches while it multiplies: its share of the next unit's panels, unless they are
 * near. A block of rows has the time for half of them. */
static gemm_extra fetch_unit(const window *w, const cell_task *c, const cell_product *p)
{
    const int sharers = w->blocks > 1 ? 2 : 1;
    if (c->first >= sharers || !p->next || w->step.kept)
        return (gemm_extra){0};
    const size_t share = p->next_floats / (size_t)sharers;
    return (gemm_extra){.ahead = p->next + (size_t)c->first * share, .runs = 1, .run_floats = share};
}

/* What block i of n fetches in a task of several: some of the `panels` from `from` on, rows [k0, k1). */
static gemm_extra fetch_piece(const cell_product *p, const float *from, int panels, int k0, int k1, int i,
                              int n)
{
    if (!from || i >= panels)
        return (gemm_extra){0};
    return (gemm_extra){.ahead = from + (size_t)i * p->panel + (size_t)k0 * 16,
                        .runs = pieces(panels - i, n),
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
            const int row = n == 1 ? 0 : block_row(w, block) - c->b0,
                      rows = n == 1 ? c->rows : block_row(w, block + 1) - c->b0 - row;
            const gemm_extra extra =
                n == 1 ? fetch_unit(w, c, p)
                       : fetch_piece(p, more ? p->b : p->next, more ? p->panels : p->next_panels,
                                     more ? k1 : 0, k2, block - c->first, n);
            k->gemm_also(rows, p->panels, k1 - k0, p->a + (size_t)row * p->lda + k0, p->lda, 1,
                         p->b + (size_t)k0 * 16, p->panel, p->out + (size_t)row * p->ldc, p->ldc,
                         piece ? GEMM_CONTINUE : p->start, NULL, &extra);
        }
    }
}

void window_find_all(window *w)
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
static void clear_absent(const window *w, const cell_phase *f, int t, int b0, const cell_tile *tile)
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
        for (int g = f->gate; g < f->gate + f->gates; g++)
            memset(tile->gate[g] + (size_t)m * tile->gate_ld, 0, bytes);
        memset(tile->carry + at, 0, bytes);
        if (tile->dgate_rec)
            memset(tile->dgate_rec + at, 0, bytes);
    }
}

/* A phase of the cell's arithmetic on a tile of step t, by way of wide gates where they are narrow. */
static void apply(member *m, const window *w, int phase, int t, const cell_task *c, int unit,
                  const cell_tile *tile)
{
    const cell_body *body = w->r->cell->body;
    const cell_phase *f = w->dh ? &body->backward[phase] : &body->forward[phase];
    const cell_step step = w->dh ? body->step_backward : body->step_forward;
    if (!narrow_unit(w->r, unit)) {
        step(m->k, phase, tile);
        clear_absent(w, f, t, c->b0, tile);
        return;
    }
    wide_gates *room = team_scratch(m, sizeof *room);
    const cell_tile wide = widen_gates(m->k, w->r, unit, tile, room);
    step(m->k, phase, &wide);
    clear_absent(w, f, t, c->b0, &wide);
    narrow_gates(m->k, w->r, f, unit, tile, room);
}

void window_forward_task(member *m, const window *w, int s, int phase, long task, task_part rows)
{
    _Alignas(64) float rec[TILE_ROWS * CELL_GATES_MAX * 16];
    const recurrent *r = w->r;
    const int t = time_of(w, s);
    const cell_body *body = r->cell->body;
    const cell_phase *f = &body->forward[phase];
    cell_task c = task_of(w, s, task);
    take_rows(w, &c, rows);
    if (c.rows == 0)
        return;
    cell_tile tile;
    tile_at(&tile, w, t, c.b0, c.rows, c.unit);
    tile_prefetch(&tile, r->cell->gates);
    for (int p = f->first; p < f->last; p++)
        tile.rec_ld += (size_t)body->part[p].gates * 16;
    float *out = rec;
    for (int p = f->first; p < f->last; p++) {
        const cell_part *part = &body->part[p];
        const float *a = (part->of_extra ? extra_at(w, t) : h_before(w, t)) + (size_t)c.b0 * (size_t)r->Hp;
        const size_t panel = gemm_panel(r->H);
        const float *next = c.next < 0 ? NULL : r->w_hh + (size_t)panel_at(r, p, c.next) * panel;
        const int next_panels = c.next < 0 ? 0 : unit_panels(r, part, c.next);
        const cell_product product = {.a = a,
                                      .b = r->w_hh + (size_t)panel_at(r, p, c.unit) * panel,
                                      .lda = (size_t)r->Hp,
                                      .panel = panel,
                                      .ldc = tile.rec_ld,
                                      .panels = unit_panels(r, part, c.unit),
                                      .depth = r->H,
                                      .out = out,
                                      .start = GEMM_ZERO,
                                      .next = next,
                                      .next_panels = next_panels,
                                      .next_floats = (size_t)next_panels * panel};
        multiply(m->k, w, &c, &product);
        if (product.panels < part->gates) /* narrow: made wide in place, the last gate first */
            for (int g = part->gates - 1; g >= 0; g--)
                m->k->widen(out + 16 * g, tile.rec_ld, out + 8 * g, tile.rec_ld, 8, c.rows);
        out += (size_t)part->gates * 16;
    }
    tile.rec = rec;
    apply(m, w, phase, t, &c, c.unit, &tile);
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
        const size_t column = (size_t)part_begin(r, p) * 16, depth = (size_t)part_panels(r, part) * 16;
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
                                      .next_panels = BACKWARD_UNITS,
                                      .next_floats = whole ? BACKWARD_UNITS * panel : depth * 16};
        multiply(m->k, w, c, &product);
    }
}

void window_backward_task(member *m, const window *w, int s, int phase, long task, task_part part)
{
    _Alignas(64) float rec[TILE_ROWS * BACKWARD_UNITS * 16], dh[TILE_ROWS * 16];
    const recurrent *r = w->r;
    const cell_phase *f = &r->cell->body->backward[phase];
    cell_task c = task_of(w, s, task);
    int end = at_most(c.unit + BACKWARD_UNITS, units_of(r));
    take_part(part, 1, &c.unit, &end);
    const int units = end - c.unit;
    if (units == 0)
        return;
    if (part.n > 1)
        c.next = -1;
    const int t = time_of(w, s), from = f->this_step ? s : s + 1;
    cell_tile tile[BACKWARD_UNITS];
    for (int u = 0; u < units; u++) {
        tile_at(&tile[u], w, t, c.b0, c.rows, c.unit + u);
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
    for (int u = 0; u < units; u++)
        apply(m, w, phase, t, &c, c.unit + u, &tile[u]);
}
