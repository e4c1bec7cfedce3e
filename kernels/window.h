/* window.h - what recurrent.c, recurrent_steps.c, weight_gradients.c and join.c share: one call of a recurrent
 * layer, and where its rows and panels stand. Nobody else includes this. */
#ifndef KERNELS_WINDOW_H
#define KERNELS_WINDOW_H

#include "kernels/cell.h"
#include "kernels/gemm.h"
#include "kernels/ints.h"
#include "kernels/recurrent.h"

#define PACK_PANELS    8
#define CELL_ROWS      12 /* rows of a block: one AVX-512 tile, two AVX2 tiles */
#define BACKWARD_UNITS 2  /* groups of 16 hidden units of a backward task: one AVX-512 tile */
#define TREES          (1 + CELL_PARTS)

enum { PANELS_GATES, PANELS_X, PANELS_H, PANELS_EXTRA, PANELS_REC_GRAD, PANELS };

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

/* Packing is cut into tasks of so many panels: 512 bytes of a row at a time. */
static inline long pack_tasks(int columns)
{
    return pieces(columns / 16, PACK_PANELS);
}

static inline int panels_of(const recurrent *r)
{
    return r->cell->gates * units_of(r);
}

/* Floats from one row of gates to the next: never a multiple of a page, or the rows of a tile would fight
 * for the same lines of the L1 cache (H = 1024: a fifth slower). */
static inline size_t gate_ld(const recurrent *r)
{
    const size_t columns = (size_t)(r->cell->gates * r->Hp);
    return columns % 512 == 0 ? columns + 16 : columns;
}

static inline int valid_of(int n, int panel)
{
    return at_most(16, n - 16 * panel);
}

static inline const cell_part *part_of(const recurrent *r, int panel)
{
    const cell_part *part = &r->cell->body->part[0];
    while (panel >= (part->first + part->gates) * units_of(r))
        part++;
    return part;
}

/* Which gate and which 16 hidden units panel i of the gates' columns holds. */
static inline void panel_place(const recurrent *r, int i, int *gate, int *unit)
{
    const cell_part *part = part_of(r, i);
    i -= part->first * units_of(r);
    *gate = part->first + i % part->gates;
    *unit = i / part->gates;
}

/* Panel of the gates' columns that holds this gate of these 16 hidden units. */
static inline int panel_at(const recurrent *r, const cell_part *part, int gate, int unit)
{
    return part->first * units_of(r) + unit * part->gates + gate - part->first;
}

/* Row of the weights where panel i begins, and how many of its 16 rows are real. */
static inline size_t panel_row(const recurrent *r, int i, int *valid)
{
    int gate, unit;
    panel_place(r, i, &gate, &unit);
    *valid = valid_of(r->H, unit);
    return (size_t)gate * (size_t)r->H + (size_t)unit * 16;
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
void window_forward_task(member *m, const window *w, int s, int phase, long task);
void window_backward_task(member *m, const window *w, int s, int phase, long task);

/* ---- join.c ---- */

/* Copies the h of a tile, rows from b0 on at time t, to its columns of y. */
void window_join(const window *w, int t, int b0, int unit, const cell_tile *tile);
/* A tile that has fewer than 16 hidden units of its direction reads its dh from `room` (rows,16), the rest
 * zeros. */
void window_split(const window *w, int unit, cell_tile *tile, float *room);

/* ---- weight_gradients.c ---- */

/* The operands, into panels, in tasks. */
long window_operand_tasks(const window *w);
void window_operand(member *m, const window *w, long task);
/* Then the sums over shards, weights and biases, in tasks. The window must stay where it is from the plan
 * on. */
void window_plan_trees(window *w, const recurrent_gradients *g);
long window_tree_tasks(const window *w);
void window_tree(member *m, const window *w, long task);

#endif
