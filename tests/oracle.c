/* oracle.c - see oracle.h.  Row by row and time by time, in the order of the equations; clarity before
 * speed. */
#include "tests/oracle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const oracle_cell_names[ORACLE_CELLS] = {"rnn_tanh", "rnn_relu", "lstm", "gru", "gru_before"};

static double *zeros(size_t n)
{
    double *x = calloc(n ? n : 1, sizeof(double));
    if (!x)
        abort();
    return x;
}

/* y += W x,  dx += W^T dy,  dW += dy x^T  for W (rows, columns). */
static void product(double *y, const double *W, const double *x, int rows, int columns)
{
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < columns; k++)
            y[i] += W[(size_t)i * columns + k] * x[k];
}

static void product_transposed(double *dx, const double *W, const double *dy, int rows, int columns)
{
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < columns; k++)
            dx[k] += W[(size_t)i * columns + k] * dy[i];
}

static void product_outer(double *dW, const double *dy, const double *x, int rows, int columns)
{
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < columns; k++)
            dW[(size_t)i * columns + k] += dy[i] * x[k];
}

static void add(double *y, const double *x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] += x[i];
}

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

/* ---- parameters ---- */

static void tensor_add(oracle *o, const char *name, int layer, int rows, int columns)
{
    oracle_tensor *p = &o->tensor[o->tensors++];
    p->rows = rows;
    p->columns = columns;
    p->n = (size_t)rows * (size_t)columns;
    p->value = zeros(p->n);
    p->gradient = zeros(p->n);
    if (layer < 0)
        snprintf(p->name, sizeof p->name, "%s", name);
    else
        snprintf(p->name, sizeof p->name, "rnn.%s_l%d", name, layer);
}

int oracle_gates(oracle_cell cell)
{
    return cell == ORACLE_LSTM ? 4 : cell == ORACLE_GRU || cell == ORACLE_GRU_BEFORE ? 3 : 1;
}

void oracle_init(oracle *o, oracle_cell cell, int layers, int V, int E, int H, bool tied)
{
    if (layers > ORACLE_LAYERS_MAX || (tied && E != H))
        abort();
    *o = (oracle){.cell = cell, .layers = layers, .V = V, .E = E, .H = H, .tied = tied};
    int GH = oracle_gates(cell) * H;
    tensor_add(o, "encoder.weight", -1, V, E);
    for (int l = 0; l < layers; l++) {
        tensor_add(o, "weight_ih", l, GH, l == 0 ? E : H);
        tensor_add(o, "weight_hh", l, GH, H);
        tensor_add(o, "bias_ih", l, GH, 1);
        tensor_add(o, "bias_hh", l, GH, 1);
    }
    if (!tied)
        tensor_add(o, "decoder.weight", -1, V, H);
    tensor_add(o, "decoder.bias", -1, V, 1);
}

void oracle_free(oracle *o)
{
    for (int i = 0; i < o->tensors; i++) {
        free(o->tensor[i].value);
        free(o->tensor[i].gradient);
    }
    *o = (oracle){0};
}

oracle_tensor *oracle_find(const oracle *o, const char *name)
{
    for (int i = 0; i < o->tensors; i++)
        if (strcmp(o->tensor[i].name, name) == 0)
            return (oracle_tensor *)&o->tensor[i];
    return NULL;
}

size_t oracle_state_size(const oracle *o, int B)
{
    return (size_t)(o->cell == ORACLE_LSTM ? 2 : 1) * (size_t)o->layers * (size_t)B * (size_t)o->H;
}

/* ---- one recurrent layer ---- */

typedef struct layer {
    oracle_cell cell;
    int I, H, GH, T, B;
    oracle_tensor *w_ih, *w_hh, *b_ih, *b_hh;
    double *x;    /* (T,B,I)   input, after its mask                                    */
    double *dx;   /* (T,B,I)   d loss / d x                                             */
    double *gate; /* (T,B,G*H) gates after their activations; an rnn has none           */
    double *v_n;  /* (T,B,H)   gru: W_hn h' + b_hn, which r multiplies                  */
    double *h;    /* (T+1,B,H) row 0 is carried in                                      */
    double *c;    /* (T+1,B,H) lstm                                                     */
    double *dh;   /* (T+1,B,H) d loss / d h: from above, then also from the step after  */
    double *dc;   /* (T+1,B,H)                                                          */
} layer;

static void layer_open(layer *y, const oracle *o, int l, int T, int B)
{
    *y = (layer){.cell = o->cell, .I = l == 0 ? o->E : o->H, .H = o->H, .T = T, .B = B};
    y->GH = oracle_gates(o->cell) * o->H;
    oracle_tensor *first = (oracle_tensor *)&o->tensor[1 + 4 * l];
    y->w_ih = first, y->w_hh = first + 1, y->b_ih = first + 2, y->b_hh = first + 3;
    size_t rows = (size_t)T * (size_t)B, states = (rows + (size_t)B) * (size_t)y->H;
    y->x = zeros(rows * (size_t)y->I);
    y->dx = zeros(rows * (size_t)y->I);
    y->gate = zeros(rows * (size_t)y->GH);
    y->v_n = zeros(rows * (size_t)y->H);
    y->h = zeros(states);
    y->c = zeros(states);
    y->dh = zeros(states);
    y->dc = zeros(states);
}

static void layer_close(layer *y)
{
    double *all[] = {y->x, y->dx, y->gate, y->v_n, y->h, y->c, y->dh, y->dc};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* at = t*B + b; the state before stands at `at` of h and c, the state after at `at + B`. */
static void row_forward(layer *y, size_t at)
{
    int H = y->H, GH = y->GH;
    const double *x = y->x + at * (size_t)y->I, *h0 = y->h + at * (size_t)H, *c0 = y->c + at * (size_t)H;
    double *gate = y->gate + at * (size_t)GH, *v_n = y->v_n + at * (size_t)H;
    double *h = y->h + (at + (size_t)y->B) * (size_t)H, *c = y->c + (at + (size_t)y->B) * (size_t)H;
    double *u = zeros((size_t)GH), *v = zeros((size_t)GH), *rh = zeros((size_t)H);

    memcpy(u, y->b_ih->value, (size_t)GH * sizeof *u);
    product(u, y->w_ih->value, x, GH, y->I);
    memcpy(v, y->b_hh->value, (size_t)GH * sizeof *v);
    product(v, y->w_hh->value, h0, GH, H);

    switch (y->cell) {
    case ORACLE_RNN_TANH:
        for (int j = 0; j < H; j++)
            h[j] = tanh(u[j] + v[j]);
        break;
    case ORACLE_RNN_RELU:
        for (int j = 0; j < H; j++)
            h[j] = fmax(0.0, u[j] + v[j]);
        break;
    case ORACLE_LSTM:
        for (int j = 0; j < GH; j++)
            gate[j] = j / H == 2 ? tanh(u[j] + v[j]) : sigmoid(u[j] + v[j]);
        for (int j = 0; j < H; j++) {
            c[j] = gate[H + j] * c0[j] + gate[j] * gate[2 * H + j];
            h[j] = gate[3 * H + j] * tanh(c[j]);
        }
        break;
    case ORACLE_GRU:
    case ORACLE_GRU_BEFORE:
        for (int j = 0; j < 2 * H; j++)
            gate[j] = sigmoid(u[j] + v[j]);
        if (y->cell == ORACLE_GRU_BEFORE) { /* the candidate sees r h' instead of h' */
            for (int j = 0; j < H; j++)
                rh[j] = gate[j] * h0[j];
            memcpy(v + 2 * H, y->b_hh->value + 2 * H, (size_t)H * sizeof *v);
            product(v + 2 * H, y->w_hh->value + (size_t)2 * H * H, rh, H, H);
        }
        for (int j = 0; j < H; j++) {
            v_n[j] = v[2 * H + j];
            gate[2 * H + j] = tanh(u[2 * H + j] + (y->cell == ORACLE_GRU ? gate[j] : 1.0) * v_n[j]);
            h[j] = (1.0 - gate[H + j]) * gate[2 * H + j] + gate[H + j] * h0[j];
        }
        break;
    }
    free(u);
    free(v);
    free(rh);
}

/* From dh (and dc) of the state after: du and dv, d loss by u and v, and what reaches the state before
 * other than through v (dh0, dc0 are added to). */
static void row_activations_backward(const layer *y, size_t at, double *du, double *dv, double *dh0,
                                     double *dc0)
{
    int H = y->H;
    size_t after = (at + (size_t)y->B) * (size_t)H;
    const double *gate = y->gate + at * (size_t)y->GH, *v_n = y->v_n + at * (size_t)H;
    const double *h0 = y->h + at * (size_t)H, *c0 = y->c + at * (size_t)H;
    const double *h = y->h + after, *c = y->c + after, *dh = y->dh + after, *dc = y->dc + after;

    for (int j = 0; j < H; j++) {
        if (y->cell == ORACLE_RNN_TANH) {
            du[j] = dv[j] = dh[j] * (1.0 - h[j] * h[j]);
        } else if (y->cell == ORACLE_RNN_RELU) {
            du[j] = dv[j] = h[j] > 0.0 ? dh[j] : 0.0;
        } else if (y->cell == ORACLE_LSTM) {
            double i = gate[j], f = gate[H + j], g = gate[2 * H + j], o = gate[3 * H + j], tc = tanh(c[j]);
            double dcj = dc[j] + dh[j] * o * (1.0 - tc * tc);
            du[j] = dv[j] = dcj * g * i * (1.0 - i);
            du[H + j] = dv[H + j] = dcj * c0[j] * f * (1.0 - f);
            du[2 * H + j] = dv[2 * H + j] = dcj * i * (1.0 - g * g);
            du[3 * H + j] = dv[3 * H + j] = dh[j] * tc * o * (1.0 - o);
            dc0[j] += dcj * f;
        } else {
            double r = gate[j], z = gate[H + j], n = gate[2 * H + j];
            double dn = dh[j] * (1.0 - z) * (1.0 - n * n); /* by tanh's argument */
            du[H + j] = dv[H + j] = dh[j] * (h0[j] - n) * z * (1.0 - z);
            du[2 * H + j] = dn;
            dv[2 * H + j] = y->cell == ORACLE_GRU ? dn * r : dn;
            du[j] = dv[j] = dn * v_n[j] * r * (1.0 - r); /* gru_before: replaced in row_backward */
            dh0[j] += dh[j] * z;
        }
    }
}

static void row_backward(layer *y, size_t at)
{
    int H = y->H, GH = y->GH, plain = GH;
    const double *x = y->x + at * (size_t)y->I, *h0 = y->h + at * (size_t)H;
    double *dh0 = y->dh + at * (size_t)H, *dc0 = y->dc + at * (size_t)H;
    double *du = zeros((size_t)GH), *dv = zeros((size_t)GH), *rh = zeros((size_t)H), *drh = zeros((size_t)H);

    row_activations_backward(y, at, du, dv, dh0, dc0);
    if (y->cell == ORACLE_GRU_BEFORE) { /* rows 2H.. of W_hh multiply r h', the others h' */
        const double *r = y->gate + at * (size_t)GH;
        plain = 2 * H;
        product_transposed(drh, y->w_hh->value + (size_t)plain * H, dv + plain, H, H);
        for (int j = 0; j < H; j++) {
            rh[j] = r[j] * h0[j];
            dh0[j] += r[j] * drh[j];
            du[j] = dv[j] = drh[j] * h0[j] * r[j] * (1.0 - r[j]);
        }
        product_outer(y->w_hh->gradient + (size_t)plain * H, dv + plain, rh, H, H);
    }
    product_outer(y->w_hh->gradient, dv, h0, plain, H);
    product_transposed(dh0, y->w_hh->value, dv, plain, H);
    add(y->b_hh->gradient, dv, GH);
    product_outer(y->w_ih->gradient, du, x, GH, y->I);
    product_transposed(y->dx + at * (size_t)y->I, y->w_ih->value, du, GH, y->I);
    add(y->b_ih->gradient, du, GH);
    free(du);
    free(dv);
    free(rh);
    free(drh);
}

/* ---- the model ---- */

typedef struct window {
    const uint32_t *x, *y;
    int T, B;
    oracle_mask mask;
    void *arg;
    double *top, *dtop; /* (T,B,H) what the decoder sees, and d loss by it */
} window;

/* x[t,b,:] = mask * x[t,b,:], forward and backward alike */
static void apply_mask(const window *w, int place, double *x, int n)
{
    for (size_t at = 0; w->mask && at < (size_t)w->T * (size_t)w->B; at++)
        for (int j = 0; j < n; j++)
            x[at * (size_t)n + (size_t)j] *= w->mask(w->arg, place, (int)at / w->B, (int)at % w->B, j);
}

/* Loss of all tokens; dtop and the decoder's gradients when asked for. */
static double decoder_loss(const oracle *o, const window *w, bool with_gradients)
{
    const oracle_tensor *W = o->tied ? &o->tensor[0] : oracle_find(o, "decoder.weight");
    const oracle_tensor *bias = oracle_find(o, "decoder.bias");
    double nats = 0.0, *logit = zeros((size_t)o->V);
    for (size_t at = 0; at < (size_t)w->T * (size_t)w->B; at++) {
        const double *h = w->top + at * (size_t)o->H;
        memcpy(logit, bias->value, (size_t)o->V * sizeof *logit);
        product(logit, W->value, h, o->V, o->H);
        double largest = logit[0], sum = 0.0;
        for (int v = 1; v < o->V; v++)
            largest = fmax(largest, logit[v]);
        for (int v = 0; v < o->V; v++)
            sum += exp(logit[v] - largest);
        nats += largest + log(sum) - logit[w->y[at]];
        if (!with_gradients)
            continue;
        for (int v = 0; v < o->V; v++) /* logit becomes d loss / d logit */
            logit[v] = exp(logit[v] - largest) / sum - (w->y[at] == (uint32_t)v ? 1.0 : 0.0);
        product_outer(W->gradient, logit, h, o->V, o->H);
        add(bias->gradient, logit, o->V);
        product_transposed(w->dtop + at * (size_t)o->H, W->value, logit, o->V, o->H);
    }
    free(logit);
    return nats;
}

static void layers_forward(const oracle *o, layer *net, const window *w, double *state)
{
    size_t rows = (size_t)w->T * (size_t)w->B, BH = (size_t)w->B * (size_t)o->H;
    for (size_t at = 0; at < rows; at++)
        memcpy(net[0].x + at * (size_t)o->E, o->tensor[0].value + (size_t)w->x[at] * (size_t)o->E,
               (size_t)o->E * sizeof(double));
    for (int l = 0; l < o->layers; l++) {
        layer *y = &net[l];
        double *h_carried = state + (size_t)l * BH, *c_carried = state + (size_t)(o->layers + l) * BH;
        apply_mask(w, l, y->x, y->I);
        memcpy(y->h, h_carried, BH * sizeof(double));
        if (o->cell == ORACLE_LSTM)
            memcpy(y->c, c_carried, BH * sizeof(double));
        for (size_t at = 0; at < rows; at++)
            row_forward(y, at);
        memcpy(h_carried, y->h + rows * (size_t)o->H, BH * sizeof(double));
        if (o->cell == ORACLE_LSTM)
            memcpy(c_carried, y->c + rows * (size_t)o->H, BH * sizeof(double));
        double *above = l + 1 < o->layers ? net[l + 1].x : w->top;
        memcpy(above, y->h + BH, rows * (size_t)o->H * sizeof(double));
    }
    apply_mask(w, o->layers, w->top, o->H);
}

static void layers_backward(const oracle *o, layer *net, const window *w)
{
    size_t rows = (size_t)w->T * (size_t)w->B, BH = (size_t)w->B * (size_t)o->H;
    for (int l = o->layers - 1; l >= 0; l--) {
        double *from_above = l + 1 < o->layers ? net[l + 1].dx : w->dtop;
        apply_mask(w, l + 1, from_above, o->H);
        memcpy(net[l].dh + BH, from_above, rows * (size_t)o->H * sizeof(double));
        for (size_t at = rows; at-- > 0;)
            row_backward(&net[l], at);
    }
    apply_mask(w, 0, net[0].dx, o->E);
    for (size_t at = 0; at < rows; at++)
        add(o->tensor[0].gradient + (size_t)w->x[at] * (size_t)o->E, net[0].dx + at * (size_t)o->E, o->E);
}

double oracle_loss_and_gradients(oracle *o, const uint32_t *x, const uint32_t *y, int T, int B, double *state,
                                 oracle_mask mask, void *arg, bool with_gradients)
{
    layer net[ORACLE_LAYERS_MAX];
    for (int l = 0; l < o->layers; l++)
        layer_open(&net[l], o, l, T, B);
    size_t outputs = (size_t)T * (size_t)B * (size_t)o->H;
    window w = {.x = x,
                .y = y,
                .T = T,
                .B = B,
                .mask = mask,
                .arg = arg,
                .top = zeros(outputs),
                .dtop = zeros(outputs)};

    layers_forward(o, net, &w, state);
    for (int i = 0; with_gradients && i < o->tensors; i++)
        memset(o->tensor[i].gradient, 0, o->tensor[i].n * sizeof(double));
    double nats = decoder_loss(o, &w, with_gradients);
    if (with_gradients)
        layers_backward(o, net, &w);

    for (int l = 0; l < o->layers; l++)
        layer_close(&net[l]);
    free(w.top);
    free(w.dtop);
    return nats;
}
