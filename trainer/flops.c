#include "trainer/flops.h"

/* Multiply-adds of a token with the weights of all layers' inputs in one direction, and of their states in all. */
static double input_weights(const model_shape *s)
{
    const double rows = (double)s->cell->gates * s->H;
    return rows * s->E + rows * trunk_width(s) * (s->layers - 1);
}

static double state_weights(const model_shape *s)
{
    return (double)trunk_directions(s) * s->cell->gates * s->H * s->H * s->layers;
}

double flops_of(const model_shape *s, trace_phase phase)
{
    const double output = (double)s->V * s->H, one = input_weights(s), all = trunk_directions(s) * one;
    switch (phase) {
    case TRACE_INPUT:
        return 2 * all;
    case TRACE_DX:
        return 2 * one;
    case TRACE_FORWARD:
    case TRACE_BACKWARD:
        return 2 * state_weights(s);
    case TRACE_DW:
        return 2 * (all + state_weights(s)) + 2 * (all - one);
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

double flops_of_document(const classifier_shape *s, trace_phase phase)
{
    const double pooled = pooling_width(s->pooling, trunk_width(&s->trunk)), logits = class_logits(&s->loss),
                 weights = s->hidden ? s->hidden * (pooled + logits) : pooled * logits;
    return phase == TRACE_LOGITS ? 2 * weights : phase == TRACE_OUTPUT ? 4 * weights : 0;
}
