#include "trainer/model.h"

#include <string.h>

/* Places of the output's parameters in the list.  Its weight comes first, under the embedding's name when the two are
 * tied. */
enum { DECODER_WEIGHT, DECODER_BIAS };

void model_params(const model_shape *s, params *p, int size)
{
    int bucket = 0;
    params_init(p);
    params_add(p, bucket, s->tied ? "encoder.weight" : "decoder.weight", s->V, s->H);
    if (s->tied)
        bucket++; /* the tied tensor has a bucket of its own, for its second gradient is cut as it is */
    params_add(p, bucket, "decoder.bias", s->V, 0);
    trunk_params(s, p, bucket + 1);
    params_finish(p, size, s->tied ? DECODER_WEIGHT : -1);
}

void model_plan(model *m, arena *a, team *t, const model_shape *s, const params *list, int T, int B,
                int largest_shard_rows, bool training)
{
    memset(m, 0, sizeof *m);
    trunk_plan(&m->trunk, a, t, s, list, true, T, B, training);
    linear_ce_plan(&m->output, a, t, s->V, s->H, T, B, largest_shard_rows, 0, training);
}

void model_train(model *m, team *t, const float *value, const uint32_t *x, const uint32_t *y, int T, int B,
                 const shards *p, uint32_t step, float *gradient, size_t stride, double *nats,
                 model_ready ready, void *arg)
{
    const param *W = &m->trunk.list->list[DECODER_WEIGHT], *b = &m->trunk.list->list[DECODER_BIAS];
    const trunk_window w = {.ids = x, .T = T, .B = B, .p = p, .step = step, .trains = true};
    const float *h = trunk_forward(&m->trunk, t, value, &w);
    linear_ce_train(&m->output, t, value + W->offset, value + b->offset, h, y, T, B, p, m->trunk.gradient[0],
                    gradient + W->offset, gradient + b->offset, stride, nats);
    for (int i = W->bucket; ready && i <= b->bucket; i++)
        ready(arg, i);
    trunk_backward(&m->trunk, t, value, &w, gradient, stride, ready, arg);
}

static const float *evaluate(model *m, team *t, const float *value, const uint32_t *x, int T, int B)
{
    return trunk_forward(&m->trunk, t, value, &(trunk_window){.ids = x, .T = T, .B = B});
}

void model_score(model *m, team *t, const float *value, const uint32_t *x, const uint32_t *y, int T, int B,
                 float *logp)
{
    const param *list = m->trunk.list->list;
    const float *h = evaluate(m, t, value, x, T, B);
    linear_ce_score(&m->output, t, value + list[DECODER_WEIGHT].offset, value + list[DECODER_BIAS].offset, h,
                    y, T, B, logp);
}

void model_predict(model *m, team *t, const float *value, const uint32_t *x, int T, int B, float *logp)
{
    const param *list = m->trunk.list->list;
    const float *h =
        evaluate(m, t, value, x, T, B) + (size_t)(T - 1) * (size_t)B * (size_t)PAD16(m->trunk.shape.H);
    linear_ce_distribution(&m->output, t, value + list[DECODER_WEIGHT].offset,
                           value + list[DECODER_BIAS].offset, h, B, logp);
}
