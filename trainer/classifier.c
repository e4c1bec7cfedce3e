#include "trainer/classifier.h"

#include "io/bug.h"
#include "kernels/activation.h"
#include "kernels/dropout.h"

#include <string.h>

/* Places of the output's parameters in the list, those behind DECODER_BIAS only if the shape has them. */
enum { DECODER_WEIGHT, DECODER_BIAS, HEAD_WEIGHT, HEAD_BIAS };

/* Of the dropout masks, behind the trunk's (rng.h). */
enum { PLACE_POOLED = LAYERS_MAX + 1, PLACE_HIDDEN };

static int pooled_width(const classifier_shape *s)
{
    return pooling_width(s->pooling, trunk_width(&s->trunk));
}

static int decoder_inputs(const classifier_shape *s)
{
    return s->hidden ? s->hidden : pooled_width(s);
}

static int attention_weight(const classifier_shape *s)
{
    return s->hidden ? HEAD_BIAS + 1 : HEAD_WEIGHT;
}

void classifier_params(const classifier_shape *s, params *p, int size)
{
    params_init(p);
    params_add(p, 0, "decoder.weight", class_logits(&s->loss), decoder_inputs(s));
    params_add(p, 0, "decoder.bias", class_logits(&s->loss), 0);
    if (s->hidden) {
        params_add(p, 0, "head.weight", s->hidden, pooled_width(s));
        params_add(p, 0, "head.bias", s->hidden, 0);
    }
    if (s->pooling == POOL_ATTENTION)
        params_add(p, 0, "attention.weight", 1, trunk_width(&s->trunk));
    trunk_params(&s->trunk, p, 1);
    params_finish(p, size, -1);
}

static void add_rows(arena *a, const char *name, float **p, size_t rows, int columns)
{
    arena_add(a, name, (void **)p, rows * (size_t)PAD16(columns) * sizeof(float));
}

static void plan_attention(classifier *m, arena *a, team *t, size_t tokens, bool training)
{
    const int W = trunk_width(&m->shape.trunk);
    dense_plan(&m->attention, a, t, W, 1, m->trunk.T, m->trunk.B, training);
    add_rows(a, "tanh of the outputs", &m->squashed, tokens, W);
    add_rows(a, "scores", &m->score, tokens, 1);
    if (training) {
        add_rows(a, "gradient by the scores", &m->dscore, tokens, 1);
        add_rows(a, "gradient by tanh of the outputs", &m->dsquashed, tokens, W);
    }
}

void classifier_plan(classifier *m, arena *a, team *t, const classifier_shape *s, const params *list, int T,
                     int B, bool training)
{
    *m = (classifier){.shape = *s};
    const int D = pooled_width(s), W = trunk_width(&s->trunk), N = class_logits(&s->loss);
    const size_t rows = (size_t)B;
    trunk_plan(&m->trunk, a, t, &s->trunk, list, false, T, B, training);
    pooling_plan(&m->pooling, a, s->pooling, W, s->trunk.bidirectional, B);
    if (s->pooling == POOL_ATTENTION)
        plan_attention(m, a, t, (size_t)T * rows, training);
    arena_add(a, "where documents begin", (void **)&m->begin, rows * sizeof(int));
    arena_add(a, "where documents end", (void **)&m->end, rows * sizeof(int));
    add_rows(a, "pooled outputs", &m->pooled, rows, D);
    add_rows(a, "hidden units of the head", &m->hidden, rows, s->hidden);
    add_rows(a, "class logits", &m->logits, rows, N);
    if (s->hidden)
        dense_plan(&m->head, a, t, D, s->hidden, 1, B, training);
    dense_plan(&m->decoder, a, t, decoder_inputs(s), N, 1, B, training);
    if (training) {
        add_rows(a, "gradient by pooled outputs", &m->dpooled, rows, D);
        add_rows(a, "gradient by the head", &m->dhidden, rows, s->hidden);
        add_rows(a, "gradient by class logits", &m->dlogits, rows, N);
        arena_add(a, "losses of documents", (void **)&m->row_nats, rows * sizeof(double));
    }
}

static const float *weight(const classifier *m, const float *value, int which)
{
    return value + m->trunk.list->list[which].offset;
}

/* ---- forward ---- */

/* The window of steps [first, first + T) of a batch.  Masks count time from the documents' end, so that padding,
 * of which a document has more or less beside others, does not move them. */
static trunk_window window_of(classifier *m, const class_batch *batch, int first, int T, const shards *p,
                              uint32_t step, bool trains)
{
    for (int b = 0; b < batch->B; b++) {
        const int begin = batch->steps - batch->length[b] - first;
        m->begin[b] = begin < 0 ? 0 : begin < T ? begin : T;
        m->end[b] = T;
    }
    return (trunk_window){.ids = batch->ids + (size_t)first * (size_t)batch->B,
                          .T = T,
                          .B = batch->B,
                          .begin = m->begin,
                          .end = m->end,
                          .p = p,
                          .step = step,
                          .time0 = (uint16_t)(first - batch->steps),
                          .trains = trains,
                          .scale = batch->scale};
}

static void pool_window(classifier *m, team *t, const float *value, const trunk_window *w, const float *y)
{
    team_phase(t, TRACE_POOLING);
    if (m->shape.pooling == POOL_ATTENTION) {
        const size_t n = (size_t)w->T * (size_t)w->B * (size_t)PAD16(trunk_width(&m->shape.trunk));
        activation_tanh(t, m->squashed, y, n);
        dense_forward(&m->attention, t, weight(m, value, attention_weight(&m->shape)), NULL, m->squashed,
                      m->score, w->T, w->B);
    }
    pooling_add(&m->pooling, t, y, m->score, w->T, w->B, w->begin, w->end);
}

/* All windows of a batch; returns the outputs of the last one, which *last describes. */
static const float *read_batch(classifier *m, team *t, const float *value, const class_batch *batch,
                               const shards *p, uint32_t step, bool trains, trunk_window *last)
{
    const int T = m->trunk.T, before = batch->steps > T ? batch->steps - T : 0;
    BUG_IF(before && m->shape.trunk.bidirectional, "a document of %d tokens for windows of %d", batch->steps,
           T);
    BUG_IF(batch->steps < 1, "a batch of %d steps", batch->steps);
    const float *y = NULL;
    trunk_zero_state(&m->trunk);
    pooling_start(&m->pooling);
    for (int first = 0, steps; first < batch->steps; first += steps) {
        steps = first < before ? (before - first < T ? before - first : T) : batch->steps - before;
        *last = window_of(m, batch, first, steps, p, step, trains);
        y = trunk_forward(&m->trunk, t, value, last);
        pool_window(m, t, value, last, y);
    }
    return y;
}

static void drop(const classifier *m, team *t, int place, const shards *p, uint32_t step, float *x, int n)
{
    const dropout d = {.p = m->shape.dropout,
                       .seed = m->shape.trunk.seed,
                       .step = step,
                       .layer = (uint8_t)place,
                       .row0 = (uint32_t)p->row0};
    if (d.p > 0)
        dropout_apply(&d, t, x, x, 1, p->rows, n, PAD16(n));
}

/* p: NULL without dropout. */
static void make_logits(classifier *m, team *t, const float *value, int B, const shards *p, uint32_t step)
{
    const classifier_shape *s = &m->shape;
    const float *x = m->pooled;
    pooling_result(&m->pooling, t, m->pooled, B);
    team_phase(t, TRACE_LOGITS);
    if (p)
        drop(m, t, PLACE_POOLED, p, step, m->pooled, pooled_width(s));
    if (s->hidden) {
        dense_forward(&m->head, t, weight(m, value, HEAD_WEIGHT), weight(m, value, HEAD_BIAS), x, m->hidden,
                      1, B);
        activation_relu(t, m->hidden, m->hidden, (size_t)B * (size_t)PAD16(s->hidden));
        if (p)
            drop(m, t, PLACE_HIDDEN, p, step, m->hidden, s->hidden);
        x = m->hidden;
    }
    dense_forward(&m->decoder, t, weight(m, value, DECODER_WEIGHT), weight(m, value, DECODER_BIAS), x,
                  m->logits, 1, B);
}

void classifier_score(classifier *m, team *t, const float *value, const class_batch *batch, float *logp)
{
    trunk_window last;
    read_batch(m, t, value, batch, NULL, 0, false, &last);
    make_logits(m, t, value, batch->B, NULL, 0);
    class_log_probabilities(&m->shape.loss, t, m->logits, batch->B, logp);
}

/* ---- backward ---- */

/* From the logits' gradient to that of the pooled outputs. */
static void back_head(classifier *m, team *t, const float *value, const shards *p, uint32_t step,
                      float *gradient, size_t stride)
{
    const classifier_shape *s = &m->shape;
    const param *list = m->trunk.list->list;
    dense_backward(&m->decoder, t, weight(m, value, DECODER_WEIGHT), s->hidden ? m->hidden : m->pooled,
                   m->dlogits, s->hidden ? m->dhidden : m->dpooled, 1, p,
                   gradient + list[DECODER_WEIGHT].offset, gradient + list[DECODER_BIAS].offset, stride);
    if (s->hidden) {
        drop(m, t, PLACE_HIDDEN, p, step, m->dhidden, s->hidden);
        activation_relu_gradient(t, m->dhidden, m->dhidden, m->hidden,
                                 (size_t)p->rows * (size_t)PAD16(s->hidden));
        dense_backward(&m->head, t, weight(m, value, HEAD_WEIGHT), m->pooled, m->dhidden, m->dpooled, 1, p,
                       gradient + list[HEAD_WEIGHT].offset, gradient + list[HEAD_BIAS].offset, stride);
    }
    drop(m, t, PLACE_POOLED, p, step, m->dpooled, pooled_width(s));
}

/* To the gradient of the trunk's outputs. */
static void back_pooling(classifier *m, team *t, const float *value, const trunk_window *w, const float *y,
                         float *gradient, size_t stride)
{
    team_phase(t, TRACE_POOLING);
    pooling_backward(&m->pooling, t, m->dpooled, y, m->score, m->trunk.gradient[0], m->dscore, w->T, w->B,
                     w->begin, w->end);
    if (m->shape.pooling != POOL_ATTENTION)
        return;
    const int which = attention_weight(&m->shape);
    dense_backward(&m->attention, t, weight(m, value, which), m->squashed, m->dscore, m->dsquashed, w->T,
                   w->p, gradient + m->trunk.list->list[which].offset, NULL, stride);
    activation_tanh_add_gradient(t, m->trunk.gradient[0], m->dsquashed, m->squashed,
                                 (size_t)w->T * (size_t)w->B * (size_t)PAD16(trunk_width(&m->shape.trunk)));
}

void classifier_train(classifier *m, team *t, const float *value, const class_batch *batch, const shards *p,
                      uint32_t step, float *gradient, size_t stride, double *nats, model_ready ready,
                      void *arg)
{
    trunk_window last;
    const float *y = read_batch(m, t, value, batch, p, step, true, &last);
    make_logits(m, t, value, batch->B, p, step);
    team_phase(t, TRACE_OUTPUT);
    class_loss_train(&m->shape.loss, t, m->logits, batch->label, p, m->dlogits, m->row_nats, nats);
    back_head(m, t, value, p, step, gradient, stride);
    back_pooling(m, t, value, &last, y, gradient, stride);
    if (ready)
        ready(arg, 0);
    trunk_backward(&m->trunk, t, value, &last, gradient, stride, ready, arg);
}
