/* window.h - what recurrent.c, recurrent_steps.c, weight_gradients.c and join.c share: one call of a recurrent
 * layer, and where its rows and panels stand. Nobody else includes this. */
#ifndef KERNELS_WINDOW_H
#define KERNELS_WINDOW_H

#include "kernels/cell.h"
#include "kernels/gemm.h"
#include "kernels/ints.h"
#include "kernels/recurrent.h"

#define PACK_PANELS    8  /* are packed at a time: 512 bytes of a row */
#define CELL_ROWS      12 /* rows of a block: one AVX-512 tile, two AVX2 tiles */
#define BACKWARD_UNITS 2  /* groups of 16 hidden units of a backward task: one AVX-512 tile */
#define TREES          (1 + CELL_PARTS)

enum { PANELS_GATES, PANELS_X, PANELS_H, PANELS_EXTRA, PANELS_REC_GRAD, PANELS };

/* All gates' gradients are multiplied by x and by h alike: panels of x then hold the columns of both, without
 * padding between. */
static inline bool x_and_h(const cell_kind *cell)
{
    const cell_part *part = &cell->body->part[0];
    return cell->body->parts == 1 && !part->of_extra && !part->rec_grad;
}

/* The tasks of a step: band after band, in a band unit after unit, with a unit run after run of its rows. */
typedef struct step_plan {
    int units;       /* groups of 16 hidden units of a task */
    int groups;      /* of so many units, the last of fewer */
    int runs;        /* of blocks: as many tasks have the same weights */
    int bands;       /* of runs: threads of one band exchange its rows, and do not meet those of others */
    bool kept;       /* the weights of a thread's share stay in its L2 cache */
    bool to_and_fro; /* every other step does its tasks in the opposite order */
} step_plan;

/* One layer's part of a call of forward or backward. */
typedef struct window {
    recurrent *r;
    const recurrent_weights *weights;
    const float *x;
    float *y;        /* of both directions, in forward */
    const float *dh; /* in backward */
    size_t ld;       /* of y and dh, of which the columns [column, column + H) are this layer's */
    int column;
    bool joined; /* y and dh are both directions' */
    float *dx;
    const shards *shards;
    int T, B, blocks;     /* blocks: of at most CELL_ROWS rows */
    step_plan step;       /* forward or backward, as the call is */
    int all_from, all_to; /* times at which every row exists */
    gemm_job product;     /* the product over all steps: x W_ih or dx */
    gemm_tree tree[TREES];
    struct tree_rows {
        const recurrent *r;
        int first_panel;
    } rows[TREES];
    float *sums[TREES]; /* of a tree's rows of gates: gradients of a bias; NULL: not wanted */
    float *b_hh; /* gradient of the recurrent bias: the first tree's sums, too, where they are the same */
    size_t stride;
    int trees;
    int threads; /* for each window of the call */
} window;

/* A call: one layer, or both directions of a bidirectional one, whose tasks share every phase. The windows
 * have the same sizes. */
typedef struct layer_call {
    int windows;
    window window[2];
} layer_call;

static inline int units_of(const recurrent *r)
{
    return r->Hp / 16;
}

/* The last 16 hidden units are narrow if half of them are padding: two of the part's gates, if these are even in
 * number, then share a panel, so that products multiply fewer zeros (200 units: one of 26 of an LSTM's columns
 * would be padding). */
static inline bool narrow_part(const recurrent *r, const cell_part *part)
{
    return part->gates % 2 == 0 && r->Hp - r->H >= 8;
}

/* How many columns a gate of these 16 hidden units has, and the part's panels of them. */
static inline int gate_columns(const recurrent *r, const cell_part *part, int unit)
{
    return unit == units_of(r) - 1 && narrow_part(r, part) ? 8 : 16;
}

static inline int unit_panels(const recurrent *r, const cell_part *part, int unit)
{
    return part->gates * gate_columns(r, part, unit) / 16;
}

static inline int part_panels(const recurrent *r, const cell_part *part)
{
    return part->gates * (units_of(r) - 1) + unit_panels(r, part, units_of(r) - 1);
}

/* The part's first panel; of the part behind the last one: how many there are. */
static inline int part_begin(const recurrent *r, int part)
{
    int panel = 0;
    for (int p = 0; p < part; p++)
        panel += part_panels(r, &r->cell->body->part[p]);
    return panel;
}

static inline int panels_of(const recurrent *r)
{
    return part_begin(r, r->cell->body->parts);
}

/* Floats from one row of gates to the next: never a multiple of a page, or the rows of a tile would fight
 * for the same lines of the L1 cache (H = 1024: a fifth slower). */
static inline size_t gate_ld(const recurrent *r)
{
    const size_t columns = (size_t)panels_of(r) * 16;
    return columns % 512 == 0 ? columns + 16 : columns;
}

static inline int valid_of(int n, int panel)
{
    return at_most(16, n - 16 * panel);
}

static inline int part_of(const recurrent *r, int panel)
{
    int part = 0;
    while (panel >= part_begin(r, part + 1))
        part++;
    return part;
}

/* What half of a panel of the gates' columns holds: `valid` hidden units from `first` on of a gate, zeros behind
 * them. */
typedef struct panel_half {
    int gate, first, valid;
} panel_half;

static inline panel_half half_of(const recurrent *r, int panel, int half)
{
    const int p = part_of(r, panel), i = panel - part_begin(r, p);
    const cell_part *part = &r->cell->body->part[p];
    const int unit = i / part->gates, place = i % part->gates;
    const bool narrow = gate_columns(r, part, unit) == 8;
    const int gate = part->first + (narrow ? 2 * place + half : place),
              first = 16 * unit + (narrow ? 0 : 8 * half);
    return first < r->H ? (panel_half){gate, first, at_most(8, r->H - first)} : (panel_half){gate, 0, 0};
}

/* Row of the weights where a half begins. */
static inline size_t half_row(const recurrent *r, const panel_half *half)
{
    return (size_t)half->gate * (size_t)r->H + (size_t)half->first;
}

/* The first panel of these 16 hidden units in a part of the gates' columns. */
static inline int panel_at(const recurrent *r, int part, int unit)
{
    return part_begin(r, part) + unit * r->cell->body->part[part].gates;
}

/* Column where a gate of the part begins that belongs to these 16 hidden units. */
static inline size_t gate_column(const recurrent *r, int part, int gate, int unit)
{
    const cell_part *p = &r->cell->body->part[part];
    return (size_t)(16 * panel_at(r, part, unit) + (gate - p->first) * gate_columns(r, p, unit));
}

static inline size_t row_at(const window *w, int t, int b)
{
    return (size_t)(t * w->B + b);
}

/* The time of step s, and the time before that in the layer's own direction: -1 or T is where it starts. */
static inline int time_of(const window *w, int s)
{
    return w->r->reverse ? w->T - 1 - s : s;
}

static inline int time_before(const window *w, int t)
{
    return w->r->reverse ? t + 1 : t - 1;
}

static inline float *h_at(const window *w, int t)
{
    return w->r->h + (ptrdiff_t)t * w->B * w->r->Hp;
}

/* c (T+1,B,Hp): what stands before time 0, or behind time T-1 of a layer that comes from there, has the
 * place that is left. */
static inline float *c_at(const window *w, int t)
{
    return w->r->c + (ptrdiff_t)(w->r->reverse ? t : t + 1) * w->B * w->r->Hp;
}

/* Step s is one of those that go back. */
static inline bool window_step_back(const window *w, int s)
{
    return w->step.to_and_fro && s % 2 == 1;
}

/* ---- recurrent_steps.c ---- */

/* Bytes of the team's scratch that a task takes. */
size_t window_step_scratch(void);
/* Fills w->step for tasks of so many units; the weights of one unit take unit_bytes. */
void window_plan_step(window *w, int units, size_t unit_bytes);
/* Of a step of one window, each phase. */
static inline long window_step_tasks(const window *w)
{
    return (long)w->step.groups * w->step.runs;
}
/* The times at which every row exists: rows need not be looked at there. */
void window_find_all(window *w);
/* A task of step s: 16 hidden units, in backward BACKWARD_UNITS times as many, of one of the runs of blocks. */
void window_forward_task(member *m, const window *w, int s, int phase, long task, task_part part);
void window_backward_task(member *m, const window *w, int s, int phase, long task, task_part part);

/* ---- join.c ---- */

/* Copies the h of a tile, rows from b0 on at time t, to its columns of y. */
void window_join(const window *w, int t, int b0, int unit, const cell_tile *tile);
/* A tile that has fewer than 16 hidden units of its direction reads its dh from `room` (rows,16), the rest
 * zeros. */
void window_split(const window *w, int unit, cell_tile *tile, float *room);

/* ---- weight_gradients.c ---- */

/* The operands, into panels, and the gradients of the biases, in whole tasks. */
long window_operand_tasks(const window *w);
void window_operand(member *m, const window *w, long task, task_part part);
/* Then the sums over shards, in tasks. The window must stay where it is from the plan on. */
void window_plan_trees(window *w, const recurrent_gradients *g);
long window_tree_tasks(const window *w);
void window_tree(member *m, const window *w, long task, task_part part);

#endif
