/* lstm.c - the LSTM as a cell: one part of four gates, one phase a step. */
#include "kernels/cell.h"

static void forward(const kernels *k, int phase, const cell_tile *t)
{
    (void)phase;
    k->lstm_forward(t);
}

static void backward(const kernels *k, int phase, const cell_tile *t)
{
    (void)phase;
    k->lstm_backward(t);
}

const cell_body cell_lstm = {
    .parts = 1,
    .phases = 1,
    .part = {{.first = 0, .gates = 4}},
    .forward = {{.first = 0, .last = 1, .gate = 0, .gates = 4}},
    .backward = {{.first = 0, .last = 1, .gate = 0, .gates = 4}},
    .has_c = true,
    .has_extra = true,
    .step_forward = forward,
    .step_backward = backward,
};
