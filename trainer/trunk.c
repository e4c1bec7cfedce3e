#include "trainer/trunk.h"

#include "io/bug.h"
#include "kernels/dropout.h"

#include <stdio.h>
#include <string.h>

/* A direction's parameters, in the order in which trunk_params adds them. */
enum { WEIGHT_HH, WEIGHT_IH, BIAS_HH, BIAS_IH, PER_DIRECTION };

int trunk_directions(const model_shape *s)
{
    return s->bidirectional ? DIRECTIONS : 1;
}

int trunk_width(const model_shape *s)
{
    return trunk_directions(s) * s->H;
}

static int input_width(const model_shape *s, int layer)
{
    return layer ? trunk_width(s) : s->E;
}

void trunk_params(const model_shape *s, params *p, int bucket)
{
    const int rows = s->cell->gates * s->H;
    char name[PARAM_NAME];
    for (int l = s->layers - 1; l >= 0; l--, bucket++)
        for (int d = 0; d < trunk_directions(s); d++) {
            const char *direction = d ? "_reverse" : "";
            snprintf(name, sizeof name, "rnn.weight_hh_l%d%s", l, direction);
            params_add(p, bucket, name, rows, s->H);
            snprintf(name, sizeof name, "rnn.weight_ih_l%d%s", l, direction);
            params_add(p, bucket, name, rows, input_width(s, l));
            snprintf(name, sizeof name, "rnn.bias_hh_l%d%s", l, direction);
            params_add(p, bucket, name, rows, 0);
            snprintf(name, sizeof name, "rnn.bias_ih_l%d%s", l, direction);
            params_add(p, bucket, name, rows, 0);
        }
    if (!s->tied)
        params_add(p, bucket, "encoder.weight", s->V, s->E);
}

/* The first of a direction's parameters. */
static const param *direction_params(const trunk *m, int layer, int direction)
{
    const model_shape *s = &m->shape;
    const int behind =
        (layer + 1) * trunk_directions(s) - direction; /* directions from here to the list's end */
    return &m->list->list[m->list->count - (s->tied ? 0 : 1) - behind * PER_DIRECTION];
}

/* The embedding's parameter: the last one, or the first if it is tied. */
static const param *encoder_param(const trunk *m)
{
    return &m->list->list[m->shape.tied ? 0 : m->list->count - 1];
}

static void add_floats(arena *a, const char *name, float **p, size_t n)
{
    arena_add(a, name, (void **)p, n * sizeof(float));
}

static bool drops_behind(const trunk *m, int layer)
{
    return m->shape.dropout > 0 && (layer < m->shape.layers - 1 || m->drops_output);
}

void trunk_plan(trunk *m, arena *a, team *t, const model_shape *s, const params *list, bool drops_output,
                int T, int B, bool training)
{
    *m =
        (trunk){.shape = *s, .list = list, .drops_output = drops_output, .T = T, .B = B, .summed = {0, s->V}};
    const int Ep = PAD16(s->E), Wp = PAD16(trunk_width(s));
    const size_t tokens = (size_t)T * (size_t)B;
    embedding_plan(&m->embedding, a, s->V, s->E, T, B);
    add_floats(a, "embedded input", &m->x, tokens * (size_t)Ep);
    for (int l = 0; l < s->layers; l++) {
        for (int d = 0; d < trunk_directions(s); d++)
            recurrent_plan(&m->layer[l][d], a, t, s->cell, input_width(s, l), s->H, T, B, training);
        m->layer[l][1].reverse = true;
        if (s->bidirectional || (training && drops_behind(m, l)))
            add_floats(a, "layer output, joined or after dropout", &m->y[l], tokens * (size_t)Wp);
    }
    if (!training)
        return;
    for (int i = 0; i < 2; i++)
        add_floats(a, "gradient of activations", &m->gradient[i], tokens * (size_t)(Ep > Wp ? Ep : Wp));
}

void trunk_rank(trunk *m, int rank, int size)
{
    m->summed = (embedding_rows){0, 0};
    m->alone = size == 1;
    piece own[PARAMS_MAX];
    const int n = size > 1 ? params_pieces(m->list, rank, own, PARAMS_MAX) : 0;
    const param *encoder = encoder_param(m);
    const size_t E = (size_t)m->shape.E;
    for (int i = 0; i < n; i++)
        if (&m->list->list[own[i].param] == encoder) {
            const size_t from = own[i].offset - encoder->offset;
            m->summed = (embedding_rows){(int)(from / E), (int)((from + own[i].count + E - 1) / E)};
        }
}

const embedding *trunk_words(const trunk *m)
{
    return m->alone && !m->shape.tied ? &m->embedding : NULL;
}

void trunk_freeze(trunk *m, int groups)
{
    m->frozen = groups;
}

int trunk_states(const trunk *m)
{
    return m->shape.layers * trunk_directions(&m->shape) * m->shape.cell->states;
}

float *trunk_state(trunk *m, int i, char name[TRUNK_NAME], int *stride)
{
    const cell_kind *cell = m->shape.cell;
    const int directions = trunk_directions(&m->shape), part = i % cell->states, run = i / cell->states;
    recurrent *layer = &m->layer[run / directions][run % directions];
    snprintf(name, TRUNK_NAME, "%c_l%d%s", cell->parts[part], run / directions,
             run % directions ? "_reverse" : "");
    *stride = layer->Hp;
    return layer->state[part];
}

void trunk_zero_state(trunk *m)
{
    for (int i = 0; i < trunk_states(m); i++) {
        char name[TRUNK_NAME];
        int stride;
        float *x = trunk_state(m, i, name, &stride);
        memset(x, 0, (size_t)m->B * (size_t)stride * sizeof *x);
    }
}

static recurrent_weights weights_of(const trunk *m, const float *value, int layer, int direction)
{
    const param *p = direction_params(m, layer, direction);
    return (recurrent_weights){.w_ih = value + p[WEIGHT_IH].offset,
                               .w_hh = value + p[WEIGHT_HH].offset,
                               .b_ih = value + p[BIAS_IH].offset,
                               .b_hh = value + p[BIAS_HH].offset};
}

static recurrent_gradients gradients_of(const trunk *m, float *gradient, size_t stride, int layer,
                                        int direction)
{
    const param *p = direction_params(m, layer, direction);
    return (recurrent_gradients){.w_ih = gradient + p[WEIGHT_IH].offset,
                                 .w_hh = gradient + p[WEIGHT_HH].offset,
                                 .b_ih = gradient + p[BIAS_IH].offset,
                                 .b_hh = gradient + p[BIAS_HH].offset,
                                 .stride = stride};
}

/* Dropout at place i, 0 behind the embedding, 1.. behind the layers: y from x, which may be the same. */
static void drop(const trunk *m, team *t, const trunk_window *w, int place, float *y, const float *x, int n)
{
    const dropout d = {.p = m->shape.dropout,
                       .seed = m->shape.seed,
                       .step = w->step,
                       .layer = (uint8_t)place,
                       .row0 = (uint32_t)w->p->row0,
                       .time0 = w->time0};
    dropout_apply(&d, t, y, x, w->T, w->B, n, PAD16(n));
}

static const float *run_layer(trunk *m, team *t, const float *value, const trunk_window *w, int l,
                              const float *x)
{
    recurrent *layer = m->layer[l];
    recurrent_weights weights[DIRECTIONS];
    for (int d = 0; d < trunk_directions(&m->shape); d++) {
        weights[d] = weights_of(m, value, l, d);
        layer[d].begin = w->begin;
        layer[d].end = w->end;
    }
    if (!m->shape.bidirectional) {
        recurrent_forward(layer, t, weights, x, w->T, w->B);
        return layer->h;
    }
    recurrent_forward_both(layer, t, weights, x, m->y[l], w->T, w->B);
    return m->y[l];
}

const float *trunk_forward(trunk *m, team *t, const float *value, const trunk_window *w)
{
    const model_shape *s = &m->shape;
    BUG_IF(w->T > m->T || w->B > m->B, "window %dx%d in a plan of %dx%d", w->T, w->B, m->T, m->B);
    embedding_gather(&m->embedding, t, value + encoder_param(m)->offset, w->ids, w->T, w->B, m->x);
    if (w->scale)
        embedding_scale(&m->embedding, t, w->scale, w->T, w->B, m->x);
    if (w->trains && s->dropout > 0)
        drop(m, t, w, 0, m->x, m->x, s->E);
    const float *x = m->x;
    for (int l = 0; l < s->layers; l++) {
        x = run_layer(m, t, value, w, l, x);
        if (w->trains && drops_behind(m, l)) {
            drop(m, t, w, l + 1, m->y[l], x, trunk_width(s));
            x = m->y[l];
        }
    }
    return x;
}

/* What layer l has read. */
static const float *input_of(const trunk *m, int l)
{
    return l == 0 ? m->x : m->y[l - 1] ? m->y[l - 1] : m->layer[l - 1][0].h;
}

static void back_layer(trunk *m, team *t, const float *value, const trunk_window *w, int l, float *down,
                       float *next, float *gradient, size_t stride)
{
    recurrent_weights weights[DIRECTIONS];
    recurrent_gradients g[DIRECTIONS];
    for (int d = 0; d < trunk_directions(&m->shape); d++) {
        weights[d] = weights_of(m, value, l, d);
        g[d] = gradients_of(m, gradient, stride, l, d);
    }
    if (!m->shape.bidirectional) {
        recurrent_backward(m->layer[l], t, weights, input_of(m, l), down, next, w->p, g);
        return;
    }
    recurrent_backward_both(m->layer[l], t, weights, input_of(m, l), down, next, w->p, g);
}

void trunk_backward(trunk *m, team *t, const float *value, const trunk_window *w, float *gradient,
                    size_t stride, model_ready ready, void *arg)
{
    const model_shape *s = &m->shape;
    BUG_IF(w->B != w->p->rows, "%d rows of a window of %d", w->p->rows, w->B);
    float *down = m->gradient[0], *next = m->gradient[1];
    for (int l = s->layers - 1; l >= 0; l--) {
        if (m->frozen <= l + 1) {
            if (drops_behind(m, l))
                drop(m, t, w, l + 1, down, down, trunk_width(s));
            back_layer(m, t, value, w, l, down, m->frozen <= l ? next : NULL, gradient, stride);
        }
        if (ready)
            ready(arg, direction_params(m, l, 0)->bucket);
        float *swap = down;
        down = next;
        next = swap;
    }
    if (s->dropout > 0 && m->frozen == 0)
        drop(m, t, w, 0, down, down, s->E);
    const param *encoder = encoder_param(m);
    if (!w->scale && m->frozen == 0)
        embedding_scatter(&m->embedding, t, w->ids, down, w->T, w->B, w->p, m->summed,
                          gradient + (s->tied ? m->list->scatter : encoder->offset), stride);
    if (ready)
        ready(arg, s->tied ? m->list->buckets : encoder->bucket);
}

void trunk_slopes(const trunk *m, team *t, const float *value, const uint32_t *ids, int T, int B,
                  double *slope)
{
    const float *dx = m->gradient[m->shape.layers % 2]; /* each layer's backward has changed sides */
    embedding_slopes(&m->embedding, t, value + encoder_param(m)->offset, ids, dx, T, B, slope);
}
