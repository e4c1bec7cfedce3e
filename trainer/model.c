#include "trainer/model.h"

#include "io/bug.h"
#include "kernels/dropout.h"

#include <stdio.h>
#include <string.h>

/* Places of the parameters in the list; the order in which model_params() adds them.  The output's weight
 * comes first, under the embedding's name when the two are tied. */
enum { DECODER_WEIGHT, DECODER_BIAS, FIRST_LAYER };
enum { WEIGHT_HH, WEIGHT_IH, BIAS_HH, BIAS_IH, PER_LAYER };

static int layer_first(const model_shape *s, int layer)
{
    return FIRST_LAYER + (s->layers - 1 - layer) * PER_LAYER;
}

static int encoder_weight(const model_shape *s)
{
    return s->tied ? DECODER_WEIGHT : FIRST_LAYER + s->layers * PER_LAYER;
}

void model_params(const model_shape *s, params *p, int size)
{
    int rows = s->cell->gates * s->H, bucket = 0;
    char name[PARAM_NAME];
    params_init(p);
    params_add(p, bucket, s->tied ? "encoder.weight" : "decoder.weight", s->V, s->H);
    if (s->tied)
        bucket++; /* the tied tensor has a bucket of its own, for its second gradient is cut as it is */
    params_add(p, bucket, "decoder.bias", s->V, 0);
    for (int l = s->layers - 1; l >= 0; l--) {
        bucket++;
        snprintf(name, sizeof name, "rnn.weight_hh_l%d", l);
        params_add(p, bucket, name, rows, s->H);
        snprintf(name, sizeof name, "rnn.weight_ih_l%d", l);
        params_add(p, bucket, name, rows, l ? s->H : s->E);
        snprintf(name, sizeof name, "rnn.bias_hh_l%d", l);
        params_add(p, bucket, name, rows, 0);
        snprintf(name, sizeof name, "rnn.bias_ih_l%d", l);
        params_add(p, bucket, name, rows, 0);
    }
    if (!s->tied)
        params_add(p, bucket + 1, "encoder.weight", s->V, s->E);
    params_finish(p, size, s->tied ? DECODER_WEIGHT : -1);
}

static void add_floats(arena *a, const char *name, float **p, size_t n)
{
    arena_add(a, name, (void **)p, n * sizeof(float));
}

void model_plan(model *m, arena *a, team *t, const model_shape *s, const params *list, int T, int B,
                int largest_shard_rows, bool training)
{
    memset(m, 0, sizeof *m);
    m->shape = *s;
    m->list = list;
    m->T = T;
    m->B = B;
    m->summed = (embedding_rows){0, s->V};
    int Ep = PAD16(s->E), Hp = PAD16(s->H);
    size_t tokens = (size_t)T * (size_t)B;
    embedding_plan(&m->embedding, a, s->V, s->E, T, B);
    add_floats(a, "embedded input", &m->x, tokens * Ep);
    for (int l = 0; l < s->layers; l++) {
        recurrent_plan(&m->layer[l], a, t, s->cell, l ? s->H : s->E, s->H, T, B, training);
        if (training && s->dropout > 0)
            add_floats(a, "layer output after dropout", &m->y[l], tokens * Hp);
    }
    linear_ce_plan(&m->output, a, t, s->V, s->H, T, B, largest_shard_rows, 0, training);
    if (training)
        for (int i = 0; i < 2; i++)
            add_floats(a, "gradient of activations", &m->gradient[i], tokens * (size_t)(Ep > Hp ? Ep : Hp));
}

void model_rank(model *m, int rank, int size)
{
    m->summed = (embedding_rows){0, 0};
    piece own[PARAMS_MAX];
    const int n = size > 1 ? params_pieces(m->list, rank, own, PARAMS_MAX) : 0;
    const size_t E = (size_t)m->shape.E;
    for (int i = 0; i < n; i++)
        if (own[i].param == encoder_weight(&m->shape)) {
            const size_t from = own[i].offset - m->list->list[own[i].param].offset;
            m->summed = (embedding_rows){(int)(from / E), (int)((from + own[i].count + E - 1) / E)};
        }
}

int model_states(const model *m)
{
    return m->shape.layers * m->shape.cell->states;
}

float *model_state(model *m, int i, char name[16], int *stride)
{
    const cell_kind *cell = m->shape.cell;
    int l = i / cell->states, part = i % cell->states;
    snprintf(name, 16, "%c_l%d", cell->parts[part], l);
    *stride = m->layer[l].Hp;
    return m->layer[l].state[part];
}

void model_zero_state(model *m)
{
    for (int i = 0; i < model_states(m); i++) {
        char name[16];
        int stride;
        float *x = model_state(m, i, name, &stride);
        memset(x, 0, (size_t)m->B * (size_t)stride * sizeof *x);
    }
}

static recurrent_weights weights_of(const model *m, const float *value, int l)
{
    const param *p = &m->list->list[layer_first(&m->shape, l)];
    return (recurrent_weights){.w_ih = value + p[WEIGHT_IH].offset,
                               .w_hh = value + p[WEIGHT_HH].offset,
                               .b_ih = value + p[BIAS_IH].offset,
                               .b_hh = value + p[BIAS_HH].offset};
}

static recurrent_gradients gradients_of(const model *m, float *gradient, size_t stride, int l)
{
    const param *p = &m->list->list[layer_first(&m->shape, l)];
    return (recurrent_gradients){.w_ih = gradient + p[WEIGHT_IH].offset,
                                 .w_hh = gradient + p[WEIGHT_HH].offset,
                                 .b_ih = gradient + p[BIAS_IH].offset,
                                 .b_hh = gradient + p[BIAS_HH].offset,
                                 .stride = stride};
}

/* The dropout behind place i: 0 the embedding, 1.. the layers. */
static dropout mask_of(const model *m, const shards *p, uint32_t step, int place)
{
    return (dropout){.p = m->shape.dropout,
                     .seed = m->shape.seed,
                     .step = step,
                     .layer = (uint8_t)place,
                     .row0 = (uint32_t)p->row0};
}

static const float *forward_layers(model *m, team *t, const float *value, const float *x, int T, int B)
{
    for (int l = 0; l < m->shape.layers; l++) {
        recurrent_weights w = weights_of(m, value, l);
        recurrent_forward(&m->layer[l], t, &w, x, T, B);
        x = m->layer[l].h;
    }
    return x;
}

/* Input of layer l (l = layers: of the output) in the training forward pass. */
static float *input_of(model *m, int l)
{
    return l == 0 ? m->x : m->shape.dropout > 0 ? m->y[l - 1] : m->layer[l - 1].h;
}

static void train_forward(model *m, team *t, const float *value, const uint32_t *x, int T, int B,
                          const shards *p, uint32_t step)
{
    const model_shape *s = &m->shape;
    embedding_gather(&m->embedding, t, value + m->list->list[encoder_weight(s)].offset, x, T, B, m->x);
    for (int l = 0; l <= s->layers; l++) {
        if (s->dropout > 0) {
            dropout d = mask_of(m, p, step, l);
            const float *from = l == 0 ? m->x : m->layer[l - 1].h;
            int n = l == 0 ? s->E : s->H;
            dropout_apply(&d, t, input_of(m, l), from, T, B, n, PAD16(n));
        }
        if (l < s->layers) {
            recurrent_weights w = weights_of(m, value, l);
            recurrent_forward(&m->layer[l], t, &w, input_of(m, l), T, B);
        }
    }
}

void model_train(model *m, team *t, const float *value, const uint32_t *x, const uint32_t *y, int T, int B,
                 const shards *p, uint32_t step, float *gradient, size_t stride, double *nats,
                 model_ready ready, void *arg)
{
    const model_shape *s = &m->shape;
    const param *list = m->list->list;
    BUG_IF(T > m->T || B > m->B || B != p->rows, "window %dx%d in a plan of %dx%d, %d rows", T, B, m->T, m->B,
           p->rows);
    train_forward(m, t, value, x, T, B, p, step);

    float *down = m->gradient[0], *next = m->gradient[1];
    const param *W = &list[DECODER_WEIGHT], *b = &list[DECODER_BIAS];
    linear_ce_train(&m->output, t, value + W->offset, value + b->offset, input_of(m, s->layers), y, T, B, p,
                    down, gradient + W->offset, gradient + b->offset, stride, nats);
    for (int i = W->bucket; ready && i <= b->bucket; i++)
        ready(arg, i);
    for (int l = s->layers - 1; l >= 0; l--) {
        if (s->dropout > 0) {
            dropout d = mask_of(m, p, step, l + 1);
            dropout_apply(&d, t, down, down, T, B, s->H, PAD16(s->H));
        }
        recurrent_weights w = weights_of(m, value, l);
        recurrent_gradients g = gradients_of(m, gradient, stride, l);
        recurrent_backward(&m->layer[l], t, &w, input_of(m, l), down, next, p, &g);
        if (ready)
            ready(arg, list[layer_first(s, l)].bucket);
        float *swap = down;
        down = next;
        next = swap;
    }
    if (s->dropout > 0) {
        dropout d = mask_of(m, p, step, 0);
        dropout_apply(&d, t, down, down, T, B, s->E, PAD16(s->E));
    }
    size_t scatter = s->tied ? m->list->scatter : list[encoder_weight(s)].offset;
    embedding_scatter(&m->embedding, t, x, down, T, B, p, m->summed, gradient + scatter, stride);
    if (ready)
        ready(arg, s->tied ? m->list->buckets : list[encoder_weight(s)].bucket);
}

static const float *evaluate(model *m, team *t, const float *value, const uint32_t *x, int T, int B)
{
    BUG_IF(T > m->T || B > m->B, "window %dx%d in a plan of %dx%d", T, B, m->T, m->B);
    embedding_gather(&m->embedding, t, value + m->list->list[encoder_weight(&m->shape)].offset, x, T, B,
                     m->x);
    return forward_layers(m, t, value, m->x, T, B);
}

void model_score(model *m, team *t, const float *value, const uint32_t *x, const uint32_t *y, int T, int B,
                 float *logp)
{
    const param *list = m->list->list;
    const float *h = evaluate(m, t, value, x, T, B);
    linear_ce_score(&m->output, t, value + list[DECODER_WEIGHT].offset, value + list[DECODER_BIAS].offset, h,
                    y, T, B, logp);
}

void model_predict(model *m, team *t, const float *value, const uint32_t *x, int T, int B, float *logp)
{
    const param *list = m->list->list;
    const float *h = evaluate(m, t, value, x, T, B) + (size_t)(T - 1) * (size_t)B * (size_t)PAD16(m->shape.H);
    linear_ce_distribution(&m->output, t, value + list[DECODER_WEIGHT].offset,
                           value + list[DECODER_BIAS].offset, h, B, logp);
}
