/* oracle.h - a word language model in plain double precision, written from the equations and sharing no code
 * with the program: the truth that kernels, layers and the whole model are compared with.  It is itself
 * checked by finite differences (tests/trainer/test_oracle.c) and against PyTorch
 * (tests/trainer/test_torch_golden.c).
 *
 *   x_0[t,b]   = mask(0) * encoder.weight[x[t,b]]
 *   x_l+1[t,b] = mask(l+1) * h_l[t,b],   h_l = cell(x_l, state l)                      l = 0 .. layers-1
 *   logits     = decoder.weight x_layers + decoder.bias                                tied: decoder.weight = encoder.weight
 *   loss       = sum over t,b of log sum_v exp(logits_v) - logits_y[t,b]               in nats
 *
 *   rnn         h = act(u + v),                u = W_ih x + b_ih, v = W_hh h' + b_hh, h' the state before
 *   lstm        i,f,g,o = sigm,sigm,tanh,sigm(u + v);  c = f c' + i g;  h = o tanh(c)
 *   gru         r,z = sigm(u + v);  n = tanh(u_n + r v_n);  h = (1-z) n + z h'
 *   gru_before  the same with  n = tanh(u_n + v_n), v_n = W_hn (r h') + b_hn
 *
 *   oracle o;
 *   oracle_init(&o, ORACLE_LSTM, layers, V, E, H, tied);          parameters zero
 *   fill oracle_find(&o, "rnn.weight_hh_l0")->value ...
 *   nats = oracle_loss_and_gradients(&o, x, y, T, B, state, mask, arg, true);
 *   read oracle_find(&o, "rnn.weight_hh_l0")->gradient ...
 *   oracle_free(&o);
 *
 * Speed is no aim.  Memory is malloc'ed and never short (abort).  One thread per oracle. */
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { ORACLE_RNN_TANH, ORACLE_RNN_RELU, ORACLE_LSTM, ORACLE_GRU, ORACLE_GRU_BEFORE } oracle_cell;
#define ORACLE_CELLS 5
extern const char *const oracle_cell_names[ORACLE_CELLS]; /* "rnn_tanh", ... "gru_before" */

#define ORACLE_LAYERS_MAX  4
#define ORACLE_TENSORS_MAX (3 + 4 * ORACLE_LAYERS_MAX)

/* A parameter with PyTorch's name and shape (columns 1 for a bias) and the gradient of the loss by it. */
typedef struct oracle_tensor {
    char name[24];
    int rows, columns;
    size_t n; /* rows * columns */
    double *value, *gradient;
} oracle_tensor;

typedef struct oracle {
    oracle_cell cell;
    int layers, V, E, H;
    bool tied;
    int tensors;                              /* in PyTorch's order: encoder, rnn, decoder */
    oracle_tensor tensor[ORACLE_TENSORS_MAX]; /* no decoder.weight when tied */
} oracle;

void oracle_init(oracle *o, oracle_cell cell, int layers, int V, int E, int H, bool tied);
void oracle_free(oracle *o);
/* NULL when the model has no such parameter. */
oracle_tensor *oracle_find(const oracle *o, const char *name);

int oracle_gates(oracle_cell cell); /* G: weight_hh has G*H rows */
/* Doubles of carried state for B rows: (layers, B, H) h, then for lstm (layers, B, H) c. */
size_t oracle_state_size(const oracle *o, int B);

/* What dropout multiplies with, 0 or 1/(1-p): layer 0 is the embedding's output, layer l the output of
 * recurrent layer l-1, the last one goes into the decoder. */
typedef double (*oracle_mask)(void *arg, int layer, int t, int row, int unit);

/* The loss in nats, summed over the T*B tokens, of one window.  x, y (T,B) < V; state is read and left at
 * the window's end; mask NULL: no dropout; with_gradients: every tensor's gradient is written, truncated
 * at the window's start. */
double oracle_loss_and_gradients(oracle *o, const uint32_t *x, const uint32_t *y, int T, int B, double *state,
                                 oracle_mask mask, void *arg, bool with_gradients);

#endif
