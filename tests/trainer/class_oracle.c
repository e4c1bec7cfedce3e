/* class_oracle.c - see class_oracle.h. */
#include "tests/trainer/class_oracle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static double *doubles(size_t n)
{
    return must(calloc(n + 1, sizeof(double)));
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double dot(const double *a, const double *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* A document: n steps, and of which parameters step k is. */
typedef struct document {
    const class_oracle *o;
    const uint32_t *id; /* of step k at id[k * stride] */
    size_t stride;
    int row, n;
} document;

static const double *found(const class_oracle *o, const double *slab, const char *name)
{
    const param *p = params_find(o->list, name);
    if (!p) {
        fprintf(stderr, "no parameter %s\n", name);
        abort();
    }
    return slab + p->offset;
}

/* Whether step k is one of those that keep the earlier parameters. */
static bool is_early(const document *d, int k)
{
    return d->o->early && d->n - k > d->o->T;
}

static const double *slab_at(const document *d, int k)
{
    return is_early(d, k) ? d->o->early : d->o->value;
}

static double masked(const document *d, int place, int k, int unit)
{
    return d->o->mask ? d->o->mask(d->o->arg, place, d->row, k < 0 ? 0 : d->n - k, unit) : 1.0;
}

/* ---- layers ---- */

typedef struct weights {
    const double *w_ih, *w_hh, *b_ih, *b_hh;
    int I, H;
} weights;

static weights weights_in(const document *d, const double *slab, int layer, bool reverse)
{
    const char *const kinds[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    const model_shape *s = &d->o->shape->trunk;
    const double *found_at[4];
    char name[PARAM_NAME];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "rnn.%s_l%d%s", kinds[i], layer, reverse ? "_reverse" : "");
        found_at[i] = found(d->o, slab, name);
    }
    return (weights){
        found_at[0], found_at[1], found_at[2], found_at[3], layer ? s->H * (s->bidirectional ? 2 : 1) : s->E,
        s->H};
}

/* Gate g of unit j: what comes from x, and what from a state. */
static double from_x(const weights *w, int g, int j, const double *x)
{
    const int row = g * w->H + j;
    return dot(w->w_ih + (size_t)row * (size_t)w->I, x, w->I) + w->b_ih[row];
}

static double from_h(const weights *w, int g, int j, const double *h)
{
    const int row = g * w->H + j;
    return dot(w->w_hh + (size_t)row * (size_t)w->H, h, w->H) + w->b_hh[row];
}

static void step_lstm(const weights *w, const double *x, const double *h, double *c, double *to)
{
    for (int j = 0; j < w->H; j++) {
        double a[4];
        for (int g = 0; g < 4; g++)
            a[g] = from_x(w, g, j, x) + from_h(w, g, j, h);
        c[j] = sigmoid(a[1]) * c[j] + sigmoid(a[0]) * tanh(a[2]);
        to[j] = sigmoid(a[3]) * tanh(c[j]);
    }
}

static void step_gru(const weights *w, const double *x, const double *h, double *to, bool before)
{
    double *r = doubles((size_t)w->H), *rh = doubles((size_t)w->H);
    for (int j = 0; j < w->H; j++) {
        r[j] = sigmoid(from_x(w, 0, j, x) + from_h(w, 0, j, h));
        rh[j] = r[j] * h[j];
    }
    for (int j = 0; j < w->H; j++) {
        const double z = sigmoid(from_x(w, 1, j, x) + from_h(w, 1, j, h));
        const double v = before ? from_h(w, 2, j, rh) : r[j] * from_h(w, 2, j, h);
        to[j] = (1 - z) * tanh(from_x(w, 2, j, x) + v) + z * h[j];
    }
    free(r);
    free(rh);
}

static void step(const char *cell, const weights *w, const double *x, const double *h, double *c, double *to)
{
    if (strcmp(cell, "lstm") == 0)
        step_lstm(w, x, h, c, to);
    else if (strcmp(cell, "rnn_tanh") == 0)
        for (int j = 0; j < w->H; j++)
            to[j] = tanh(from_x(w, 0, j, x) + from_h(w, 0, j, h));
    else
        step_gru(w, x, h, to, strcmp(cell, "gru_before") == 0);
}

/* One direction of a layer: its H columns of y (n,width) from x (n,inputs). */
static void direction(const document *d, int layer, bool reverse, const double *x, double *y, int width)
{
    const model_shape *s = &d->o->shape->trunk;
    double *h = doubles((size_t)s->H), *c = doubles((size_t)s->H);
    const weights of[] = {weights_in(d, d->o->value, layer, reverse),
                          weights_in(d, d->o->early ? d->o->early : d->o->value, layer, reverse)};
    for (int i = 0; i < d->n; i++) {
        const int k = reverse ? d->n - 1 - i : i;
        const weights *w = &of[is_early(d, k)];
        double *to = y + (size_t)(k * width + (reverse ? s->H : 0));
        step(s->cell->name, w, x + (size_t)(k * w->I), h, c, to);
        memcpy(h, to, (size_t)s->H * sizeof *h);
    }
    free(h);
    free(c);
}

static void drop(const document *d, int place, double *y, int width)
{
    for (int k = 0; k < d->n; k++)
        for (int j = 0; j < width; j++)
            y[k * width + j] *= masked(d, place, k, j);
}

/* The outputs (n,width) of the last layer. */
static double *outputs(const document *d)
{
    const model_shape *s = &d->o->shape->trunk;
    const int W = s->H * (s->bidirectional ? 2 : 1);
    double *x = doubles((size_t)(d->n * s->E));
    for (int k = 0; k < d->n; k++)
        memcpy(x + k * s->E,
               found(d->o, slab_at(d, k), "encoder.weight") + (size_t)d->id[(size_t)k * d->stride] * s->E,
               (size_t)s->E * sizeof *x);
    drop(d, 0, x, s->E);
    for (int l = 0; l < s->layers; l++) {
        double *y = doubles((size_t)(d->n * W));
        direction(d, l, false, x, y, W);
        if (s->bidirectional)
            direction(d, l, true, x, y, W);
        if (l < s->layers - 1)
            drop(d, l + 1, y, W);
        free(x);
        x = y;
    }
    return x;
}

/* ---- pooling ---- */

static void attend(const document *d, const double *y, int W, double *out)
{
    double mass = 0;
    for (int k = 0; k < d->n; k++) {
        const double *v = found(d->o, slab_at(d, k), "attention.weight");
        double score = 0;
        for (int j = 0; j < W; j++)
            score += v[j] * tanh(y[k * W + j]);
        for (int j = 0; j < W; j++)
            out[j] += exp(score) * y[k * W + j];
        mass += exp(score);
    }
    for (int j = 0; j < W; j++)
        out[j] /= mass;
}

/* Returns the width; out has room for three. */
static int pool(const document *d, const double *y, int W, double *out)
{
    const classifier_shape *s = d->o->shape;
    const bool all = s->pooling == POOL_CONCAT;
    double *last = out, *max = out + (all ? W : 0), *mean = out + (all ? 2 * W : 0);
    if (d->n == 0)
        return all ? 3 * W : W;
    if (s->pooling == POOL_ATTENTION)
        attend(d, y, W, out);
    for (int j = 0; j < W; j++) {
        const bool first = s->trunk.bidirectional && j >= s->trunk.H;
        if (all || s->pooling == POOL_LAST)
            last[j] = y[(first ? 0 : d->n - 1) * W + j];
        if (all || s->pooling == POOL_MAX)
            max[j] = y[j];
        for (int k = 0; k < d->n; k++) {
            if (all || s->pooling == POOL_MAX)
                max[j] = fmax(max[j], y[k * W + j]);
            if (all || s->pooling == POOL_MEAN)
                mean[j] += y[k * W + j] / d->n;
        }
    }
    return all ? 3 * W : W;
}

/* ---- behind it ---- */

static void linear(const class_oracle *o, const char *layer, const double *x, int K, double *y, int N)
{
    char name[PARAM_NAME];
    snprintf(name, sizeof name, "%s.weight", layer);
    const double *W = found(o, o->value, name);
    snprintf(name, sizeof name, "%s.bias", layer);
    const double *b = found(o, o->value, name);
    for (int n = 0; n < N; n++)
        y[n] = b[n] + dot(W + (size_t)n * (size_t)K, x, K);
}

static void log_softmax(const class_loss *l, const double *z, double *logp)
{
    double sum = 0;
    for (int c = 0; c < l->classes; c++)
        sum += l->sigmoid ? 0 : exp(z[c]);
    for (int c = 0; c < l->classes; c++)
        logp[c] = l->sigmoid ? -log1p(exp(c ? -z[0] : z[0])) : z[c] - log(sum);
}

static void score(const document *d, double *logp)
{
    const classifier_shape *s = d->o->shape;
    const int W = s->trunk.H * (s->trunk.bidirectional ? 2 : 1);
    double *y = outputs(d), *x = doubles(3 * (size_t)W), *hidden = doubles((size_t)s->hidden),
           *logits = doubles((size_t)s->loss.classes);
    int width = pool(d, y, W, x);
    const double *top = x;
    for (int j = 0; j < width; j++)
        x[j] *= masked(d, CLASS_MASK_POOLED, -1, j);
    if (s->hidden) {
        linear(d->o, "head", x, width, hidden, s->hidden);
        for (int j = 0; j < s->hidden; j++)
            hidden[j] = fmax(hidden[j], 0) * masked(d, CLASS_MASK_HIDDEN, -1, j);
        top = hidden;
        width = s->hidden;
    }
    linear(d->o, "decoder", top, width, logits, s->loss.sigmoid ? 1 : s->loss.classes);
    log_softmax(&s->loss, logits, logp);
    double *all[] = {y, x, hidden, logits};
    for (int i = 0; i < 4; i++)
        free(all[i]);
}

double class_oracle_run(const class_oracle *o, const class_batch *batch, double *logp)
{
    const class_loss *l = &o->shape->loss;
    double nats = 0, *own = doubles((size_t)l->classes);
    for (int b = 0; b < batch->B; b++) {
        const size_t first = (size_t)(batch->steps - batch->length[b]);
        const document d = {o, batch->ids + first * (size_t)batch->B + b, (size_t)batch->B, b,
                            batch->length[b]};
        score(&d, own);
        for (int c = 0; c < l->classes && batch->label[b] != CLASS_NONE; c++)
            nats -= own[c] * (l->weight ? (double)l->weight[c] : 1.0) *
                    (l->smoothing / l->classes + ((uint32_t)c == batch->label[b] ? 1 - l->smoothing : 0.0));
        if (logp)
            memcpy(logp + (size_t)b * (size_t)l->classes, own, (size_t)l->classes * sizeof *own);
    }
    free(own);
    return nats;
}
