/* gru.c - gated recurrent units as cells: r,z and n are parts of their own.
 *
 * Reset after the product: one phase; the gradients by n's input part (dn) and recurrent part (dn * r)
 * differ. Reset before it: forward r,z of all units, then n from r * h; backward n and z, then r from n's
 * gradients of all units. */
#include "kernels/cell.h"

static void after_forward(const kernels *k, int phase, const cell_tile *t)
{
    (void)phase;
    k->gru_forward(t);
}

static void after_backward(const kernels *k, int phase, const cell_tile *t)
{
    (void)phase;
    k->gru_backward(t);
}

static void before_forward(const kernels *k, int phase, const cell_tile *t)
{
    if (phase == 0)
        k->gru_before_forward_gates(t);
    else
        k->gru_before_forward_new(t);
}

static void before_backward(const kernels *k, int phase, const cell_tile *t)
{
    if (phase == 0)
        k->gru_before_backward_new(t);
    else
        k->gru_before_backward_gates(t);
}

const cell_body cell_gru = {
    .parts = 2,
    .phases = 1,
    .part = {{.first = 0, .gates = 2}, {.first = 2, .gates = 1, .rec_grad = true}},
    .forward = {{.first = 0, .last = 2, .gate = 0, .gates = 3}},
    .backward = {{.first = 0, .last = 2, .gate = 0, .gates = 3}},
    .has_extra = true,
    .splits_bias = true,
    .step_forward = after_forward,
    .step_backward = after_backward,
};

const cell_body cell_gru_before = {
    .parts = 2,
    .phases = 2,
    .part = {{.first = 0, .gates = 2}, {.first = 2, .gates = 1, .of_extra = true}},
    .forward = {{.first = 0, .last = 1, .gate = 0, .gates = 2},
                {.first = 1, .last = 2, .gate = 2, .gates = 1}},
    .backward = {{.first = 0, .last = 1, .gate = 1, .gates = 2},
                 {.first = 1, .last = 2, .gate = 0, .gates = 1, .this_step = true}},
    .has_extra = true,
    .step_forward = before_forward,
    .step_backward = before_backward,
};
