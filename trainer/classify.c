#include "trainer/classify.h"

#include "trainer/run.h"

#include <stdlib.h>
#include <string.h>

const char *const classify_pooling_names[] = {"last", "mean", "max", "concat", "attention"};

status classify_shape(const config *c, const vocabulary *labels, uint32_t V, classifier_shape *s, error *e)
{
    static const pool_kind poolings[] = {[POOLING_LAST] = POOL_LAST,
                                         [POOLING_MEAN] = POOL_MEAN,
                                         [POOLING_MAX] = POOL_MAX,
                                         [POOLING_CONCAT] = POOL_CONCAT,
                                         [POOLING_ATTENTION] = POOL_ATTENTION};
    *s = (classifier_shape){.pooling = poolings[c->classify.pooling],
                            .hidden = (int)c->classify.hidden,
                            .dropout = c->classify.dropout,
                            .loss = {.classes = (int)labels->size,
                                     .sigmoid = c->classify.output == OUTPUT_SIGMOID,
                                     .smoothing = c->classify.label_smoothing}};
    status result = run_shape(c, V, &s->trunk, e);
    if (result != STATUS_OK)
        return result;
    if (labels->size > INT32_MAX / 2)
        return fail(e, STATUS_BAD_CONFIG, "%u labels are too many for one output layer", labels->size);
    if (s->loss.sigmoid && labels->size != 2)
        return fail(e, STATUS_BAD_CONFIG,
                    "classify.output = sigmoid: is for two classes, the corpus has %u; take softmax",
                    labels->size);
    return STATUS_OK;
}

documents_cut classify_cut(const config *c)
{
    return (documents_cut){.max_length = c->classify.max_length,
                           .keep_end = c->classify.keep == KEEP_END,
                           .backward = c->data.direction == DIRECTION_BACKWARD};
}

static void balance(const documents *train, float *weights, uint32_t C)
{
    for (uint32_t c = 0; c < C; c++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < train->count; i++)
            n += train->list[i].label == c;
        weights[c] = n ? (float)((double)train->count / ((double)C * (double)n)) : 0.0f;
    }
}

/* Numbers above 0, as many as there are labels. */
static status parse_weights(const char *text, float *weights, uint32_t C, error *e)
{
    const char *at = text;
    uint32_t n = 0;
    for (; *at && n < C; n++) {
        char *end;
        const double w = strtod(at, &end);
        if (end == at || (*end && *end != ',') || !(w > 0 && w <= 1e6))
            break;
        weights[n] = (float)w;
        at = *end ? end + 1 : end;
    }
    if (n == C && !*at)
        return STATUS_OK;
    return fail(
        e, STATUS_BAD_CONFIG,
        "classify.class_weights = \"%s\": allowed are balanced, or %u comma-separated numbers above 0 and at "
        "most 1e6, in the order of the labels",
        text, C);
}

status classify_weights(const config *c, const documents *train, float **weights, error *e)
{
    const uint32_t C = train->corpus->labels.size;
    *weights = NULL;
    if (!*c->classify.class_weights)
        return STATUS_OK;
    *weights = malloc(C * sizeof **weights);
    if (!*weights)
        return fail(e, STATUS_NO_MEMORY, "no memory for the weights of %u classes", C);
    if (strcmp(c->classify.class_weights, "balanced") != 0)
        return parse_weights(c->classify.class_weights, *weights, C, e);
    balance(train, *weights, C);
    return STATUS_OK;
}

int classify_window(const config *c, uint32_t longest)
{
    const int64_t most = c->model.bidirectional ? (int64_t)longest : c->classify.backprop_steps;
    return (int)(most < (int64_t)longest ? most : (int64_t)longest);
}
