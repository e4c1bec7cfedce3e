/* rnn.c - simple recurrent networks as cells: one gate, one phase a step. */
#include "kernels/cell.h"

static void tanh_forward(const kernels *k, int phase, const cell_tile *t)
{
    (void)phase;
    k->rnn_tanh_forward(t);
}

static void tanh_backward(const kernels *k, int phase, const cell_tile *t)
{
    (void)phase;
    k->rnn_tanh_backward(t);
}

static void relu_forward(const kernels *k, int phase, const cell_tile *t)
{
    (void)phase;
    k->rnn_relu_forward(t);
}

static void relu_backward(const kernels *k, int phase, const cell_tile *t)
{
    (void)phase;
    k->rnn_relu_backward(t);
}

const cell_body cell_rnn_tanh = {
    .parts = 1,
    .phases = 1,
    .part = {{.first = 0, .gates = 1}},
    .forward = {{.first = 0, .last = 1, .gate = 0, .gates = 1}},
    .backward = {{.first = 0, .last = 1, .gate = 0, .gates = 1}},
    .step_forward = tanh_forward,
    .step_backward = tanh_backward,
};

const cell_body cell_rnn_relu = {
    .parts = 1,
    .phases = 1,
    .part = {{.first = 0, .gates = 1}},
    .forward = {{.first = 0, .last = 1, .gate = 0, .gates = 1}},
    .backward = {{.first = 0, .last = 1, .gate = 0, .gates = 1}},
    .step_forward = relu_forward,
    .step_backward = relu_backward,
};
