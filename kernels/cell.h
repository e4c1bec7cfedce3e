/* cell.h - what recurrent.c must know of a cell, besides its body in kernels/simd/.
 *
 * The gates' columns are kept in parts, each [16 units][gate of the part][16], so that a task's gates lie
 * side by side and a part is one run of k in backward; the last units, if eight or fewer are left, as
 * [gate of the part][8] where the part's gates are even in number (window.h).  Parts differ in what multiplies
 * their recurrent weights and in what their gradient is:
 *
 *              part 0     part 1    multiplied by        gradient by the recurrent part
 *   rnn        a                    h                    as by the input part
 *   lstm       i f g o              h                    as by the input part
 *   gru        r z        n         h       h            part 1: apart (rec_grad), for r stands between
 *   gru_before r z        n         h       r * h        as by the input part
 *
 * A time step is one phase, or two with a barrier between where a product needs all units of the phase
 * before. */
#ifndef KERNELS_CELL_H
#define KERNELS_CELL_H

#include "kernels/simd/table.h"

#define CELL_PARTS 2

typedef struct cell_part {
    int first, gates; /* gates [first, first + gates) */
    bool of_extra;    /* multiplied by `extra` instead of h */
    bool rec_grad;    /* has a gradient of its own by the recurrent part */
} cell_part;

typedef struct cell_phase {
    int first, last; /* parts whose products (backward: gradients times weights) the phase needs */
    int gate, gates; /* gates [gate, gate + gates) are written; others' tasks may be reading the rest */
    bool this_step;  /* backward: gradients of this time step, not of the next */
} cell_phase;

typedef void (*cell_step)(const kernels *k, int phase, const cell_tile *t);

typedef struct cell_body {
    int parts, phases;
    cell_part part[CELL_PARTS];
    cell_phase forward[CELL_PARTS], backward[CELL_PARTS];
    bool has_c;       /* keeps a cell state c */
    bool has_extra;   /* keeps `extra` for backward or for a later phase */
    bool splits_bias; /* the recurrent bias of the last part stays apart */
    cell_step step_forward, step_backward;
} cell_body;

extern const cell_body cell_rnn_tanh, cell_rnn_relu, cell_lstm, cell_gru, cell_gru_before;

#endif
