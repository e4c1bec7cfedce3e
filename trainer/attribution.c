#include "trainer/attribution.h"

#include "io/bug.h"

#include <math.h>
#include <string.h>

status attribution_open(attribution *x, team *t, const classifier_shape *s, const params *list, int T, int B,
                        error *e)
{
    classifier_shape plain = *s;
    plain.dropout = plain.trunk.dropout = 0.0;
    plain.loss.smoothing = 0.0;
    plain.loss.weight = NULL;
    *x = (attribution){.T = T, .B = B};
    arena *a = &x->memory;
    const size_t rows = (size_t)B, tokens = (size_t)T * rows;
    classifier_plan(&x->model, a, t, &plain, list, T, B, true);
    arena_add(a, "gradients", (void **)&x->gradient, list->gradient_floats * sizeof(float));
    arena_add(a, "ids", (void **)&x->ids, tokens * sizeof(uint32_t));
    arena_add(a, "labels", (void **)&x->label, rows * sizeof(uint32_t));
    arena_add(a, "lengths", (void **)&x->length, rows * sizeof(int));
    arena_add(a, "scales", (void **)&x->scale, rows * sizeof(float));
    arena_add(a, "log-probabilities", (void **)&x->logp, (size_t)s->loss.classes * sizeof(float));
    arena_add(a, "slopes", (void **)&x->slope, tokens * sizeof(double));
    if (arena_commit(a))
        return STATUS_OK;
    const double bytes = (double)arena_bytes(a);
    attribution_close(x);
    return fail(e, STATUS_NO_MEMORY,
                "contributions to documents of %d words need %.1f MB, more than the system gives", T,
                bytes / 1e6);
}

void attribution_close(attribution *x)
{
    arena_free(&x->memory);
    memset(x, 0, sizeof *x);
}

/* The document in each of `rows` rows; x->scale is the caller's. */
static class_batch repeat(attribution *x, const uint32_t *ids, int n, int rows, uint32_t label)
{
    for (int b = 0; b < rows; b++) {
        x->length[b] = n;
        x->label[b] = label;
        for (int i = 0; i < n; i++)
            x->ids[(size_t)i * (size_t)rows + (size_t)b] = ids[i];
    }
    return (class_batch){
        .steps = n, .B = rows, .ids = x->ids, .length = x->length, .label = x->label, .scale = x->scale};
}

static double log_odds(const float *logp, int C, uint32_t label)
{
    double largest = -HUGE_VAL, sum = 0.0; /* of the other classes */
    for (int c = 0; c < C; c++)
        largest = (uint32_t)c != label ? fmax(largest, (double)logp[c]) : largest;
    for (int c = 0; c < C; c++)
        sum += (uint32_t)c != label ? exp((double)logp[c] - largest) : 0.0;
    return (double)logp[label] - largest - log(sum);
}

/* From a gradient of the loss, -log p, in row b to one of -F: both are linear in the logits' gradient, and
 * dF = dlog p / (1 - p), where the logits' gradient has 1 - p. */
static double per_log_odds(const attribution *x, int b, uint32_t label)
{
    const class_loss *l = &x->model.shape.loss;
    const size_t at = (size_t)b * (size_t)PAD16(class_logits(l)) + (l->sigmoid ? 0 : label);
    const double rest = fabs((double)x->model.dlogits[at]);
    return rest > 0.0 ? 1.0 / rest : 0.0; /* beyond a certainty of 1 - 1e-16 nothing can be told */
}

static double score_at(attribution *x, team *t, const float *value, const uint32_t *ids, int n,
                       uint32_t label, float scale)
{
    const class_batch batch = repeat(x, ids, n, 1, label);
    x->scale[0] = scale;
    classifier_score(&x->model, t, value, &batch, x->logp);
    return log_odds(x->logp, x->model.shape.loss.classes, label);
}

void attribution_words(attribution *x, team *t, const float *value, const uint32_t *ids, int n,
                       uint32_t label, int steps, double *contribution, attribution_ends *ends)
{
    BUG_IF(n < 1 || n > x->T || steps < 1, "%d tokens and %d steps in a plan of %d", n, steps, x->T);
    memset(contribution, 0, (size_t)n * sizeof *contribution);
    for (int first = 0, rows; first < steps; first += rows) {
        double nats;
        shards p;
        rows = steps - first < x->B ? steps - first : x->B;
        shards_init(&p, rows, rows, 0, 1); /* a shard a row: its bits are its own */
        const class_batch batch = repeat(x, ids, n, rows, label);
        for (int b = 0; b < rows; b++)
            x->scale[b] = (float)((first + b + 0.5) / steps);
        classifier_train(&x->model, t, value, &batch, &p, 0, x->gradient,
                         x->model.trunk.list->gradient_floats, &nats, NULL, NULL);
        trunk_slopes(&x->model.trunk, t, value, x->ids, n, rows, x->slope);
        for (int b = 0; b < rows; b++)
            for (int i = 0; i < n; i++)
                contribution[i] -= x->slope[(size_t)i * (size_t)rows + (size_t)b] * per_log_odds(x, b, label);
    }
    for (int i = 0; i < n; i++)
        contribution[i] /= steps;
    ends->document = score_at(x, t, value, ids, n, label, 1.0F);
    ends->nothing = score_at(x, t, value, ids, n, label, 0.0F);
}
