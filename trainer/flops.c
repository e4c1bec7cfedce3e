#include "trainer/flops.h"

/* Multiply-adds of a token with the weights of all layers' inputs, and of their states, in all directions. */
static double input_weights(const model_shape *s)
{
    const double rows = (double)s->cell->gates * trunk_width(s);
    return rows * s->E + rows * trunk_width(s) * (s->layers - 1);
}

static double state_weights(const model_shape *s)
{
    return (double)s->cell->gates * trunk_width(s) * s->H * s->layers;
}

double flops_of(const model_shape *s, trace_phase phase)
{
    const double output = (double)s->V * trunk_width(s);
    switch (phase) {
    case TRACE_INPUT:
    case TRACE_DX:
        return 2 * input_weights(s);
    case TRACE_FORWARD:
    case TRACE_BACKWARD:
        return 2 * state_weights(s);
    case TRACE_DW:
        return 2 * (input_weights(s) + state_weights(s));
    case TRACE_LOGITS:
        return 2 * output;
    case TRACE_OUTPUT:
        return 4 * output;
    default:
        return 0;
    }
}

double flops_step(const model_shape *s)
{
    double sum = 0;
    for (int p = 0; p < TRACE_PHASES; p++)
        sum += flops_of(s, (trace_phase)p);
    return sum;
}
