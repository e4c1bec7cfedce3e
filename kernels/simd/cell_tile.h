/* cell_tile.h - what a cell's body sees: `rows` batch rows of 16 hidden units at one time step.
 *
 *   row m of:  rec + m*rec_ld          product with the recurrent weights, 16 floats for each of its gates
 *              gate[g] + m*gate_ld     gate g: in forward the product with the inputs, biases included,
 *                                      becomes the activation; in backward the activation becomes the
 *                                      gradient by the preactivation
 *              dh + m*dh_ld, and h, h_prev, c, ... + m*ld  vectors of hidden units
 *
 * Only the members that a cell uses are set (each body says which).  Lanes beyond the true hidden size
 * hold zeros and stay so. */
#ifndef KERNELS_SIMD_CELL_TILE_H
#define KERNELS_SIMD_CELL_TILE_H

#include <stddef.h>

#define CELL_GATES_MAX 4

typedef struct cell_tile {
    size_t rec_ld, gate_ld, dh_ld, ld;
    const float *rec;
    float *gate[CELL_GATES_MAX];
    const float *bias; /* (16) recurrent bias of GRU's n */
    const float *h_prev, *c_prev;
    float *h, *c;     /* outputs of forward */
    float *extra;     /* lstm: tanh(c); gru: recurrent part of n; gru_before: r * h_prev */
    const float *dh;  /* gradient by h from above */
    float *carry;     /* element-wise gradient of the next step by c (lstm) or h (gru), then this step's */
    float *dgate_rec; /* gru: gradient by the recurrent part of n */
    int rows;         /* last: see gemm_extra (table.h) */
} cell_tile;

typedef void (*cell_function)(const cell_tile *t);

#endif
