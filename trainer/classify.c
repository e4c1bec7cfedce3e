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

/* Documents of training with this label. */
static uint32_t count_label(const documents *train, uint32_t label)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < train->count; i++)
        n += train->list[i].label == label;
    return n;
}

status classify_check(const config *c, const documents *train, error *e)
{
    const vocabulary *labels = &train->corpus->labels;
    if (c->model.dropout > 0 && train->longest > MASK_STEPS)
        return fail(
            e, STATUS_BAD_CONFIG,
            "the longest document has %u tokens; with model.dropout at most %d are possible, for masks "
            "of later steps would be those of earlier ones: set classify.max_length",
            train->longest, MASK_STEPS);
    for (uint32_t k = 0; c->classify.train_documents > 0 && k < labels->size; k++) {
        size_t n;
        const char *name = vocabulary_word(labels, k, &n);
        if (count_label(train, k) == 0)
            return fail(
                e, STATUS_BAD_CONFIG,
                "classify.train_documents = %lld: none of these documents has the label %.*s; take more",
                (long long)c->classify.train_documents, (int)n, name);
    }
    return STATUS_OK;
}

static void balance(const documents *train, float *weights, uint32_t C)
{
    for (uint32_t c = 0; c < C; c++) {
        const uint32_t n = count_label(train, c);
        weights[c] = n ? (float)((double)train->count / ((double)C * (double)n)) : 0.0f;
    }
}

/* Numbers above 0, as many as there are labels. */
static status parse_weights(const char *text, float *weights, uint32_t C, error *e)
{
    const char *at = text;
    for (uint32_t n = 0; n < C; n++) {
        char *end;
        const double w = strtod(at, &end);
        if (end == at || *end != (n + 1 < C ? ',' : '\0') || !(w > 0 && w <= 1e6))
            break;
        weights[n] = (float)w;
        if (n + 1 == C)
            return STATUS_OK;
        at = end + 1;
    }
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
