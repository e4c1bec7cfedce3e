/* recurrent.h - one recurrent layer over a window of T time steps, forward and backward, for all cells.
 *
 *   rnn   h_t = act(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh),  act = tanh or relu              (Elman 1990)
 *   lstm  i,f,g,o = sigm,sigm,tanh,sigm(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)
 *         c_t = f c_{t-1} + i g,  h_t = o tanh(c_t)            (Hochreiter & Schmidhuber 1997; Gers 2000)
 *   gru   r,z = sigm(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)
 *         reset after:  n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn))              (PyTorch, cuDNN)
 *         reset before: n = tanh(W_in x_t + b_in + W_hn (r h_{t-1}) + b_hn)              (Cho et al. 2014)
 *         h_t = (1-z) n + z h_{t-1}
 *
 * Shapes: x (T,B,Ip), h (T,B,Hp), Ip = PAD16(I), Hp = PAD16(H), rows of floats; padding is zero on entry and
 * on exit.  B is the number of rows of the call (this rank's, or an evaluation's), at most the planned one; T
 * likewise.
 * Weights have PyTorch's true shapes, unpadded, gates in PyTorch's order: w_ih (G*H,I),
 * w_hh (G*H,H), b_ih, b_hh (G*H), G = 1, 4 (i,f,g,o), 3 (r,z,n).
 * Order of arithmetic (rule R3): preactivation = recurrent chain over k from 0 (fma), then + (input chain
 * over k that starts at the bias sum b_ih + b_hh; for n of a GRU that resets after the product the two
 * biases stay apart).  A row's result depends neither on the rows beside it nor on threads.
 * Memory: in the caller's arena, planned at start; weights are packed once per forward (and once per
 * backward) into it.
 * Threads: call from outside a parallel region; the time loop runs inside one team_run.  Not collective. */
#ifndef KERNELS_RECURRENT_H
#define KERNELS_RECURRENT_H

#include "kernels/arena.h"
#include "kernels/shards.h"
#include "kernels/team.h"

/* One line per cell (cells.c): a new cell adds a line there, one file in kernels/ and one in
 * kernels/simd/. */
typedef struct cell_kind {
    const char *name;  /* "rnn_tanh", "rnn_relu", "lstm", "gru", "gru_before" */
    int gates;         /* G: rows of w_hh are G*H */
    int states;        /* vectors carried per row: 1 (h) or 2 (h, c) */
    const char *parts; /* "h" or "hc": what a row carries, for names in checkpoints */
    /* the rest is recurrent.c's own */
    const struct cell_body *body;
} cell_kind;
const cell_kind *cell_find(const char *name); /* NULL if unknown */

typedef struct recurrent_weights {
    const float *w_ih, *w_hh, *b_ih, *b_hh;
} recurrent_weights;

/* Where gradients go: node n of the rank's shards (shards.h) at pointer + n * stride floats.  Written, not
 * added to. */
typedef struct recurrent_gradients {
    float *w_ih, *w_hh, *b_ih, *b_hh;
    size_t stride;
} recurrent_gradients;

typedef struct recurrent {
    const cell_kind *cell;
    int I, H, T, B; /* planned sizes */
    int Ip, Hp;
    float *state[2]; /* (B,Hp) carried h, and c for lstm: read at forward's start, left at its end */
    float *h;        /* (T,B,Hp) output of the last forward; the pointer is good from arena_commit on */
    bool reverse;    /* the caller's, false after recurrent_plan: steps go from time T-1 to 0 */
    /* The caller's, NULL after recurrent_plan: row b exists at times [begin[b], end[b]) only, where that is less than
     * [0, T); outside of them its h and c are zero, and nothing flows back through them.  So sequences of unlike
     * lengths share a window, each from zero state, with the bits that it has alone. */
    const int *begin, *end;
    /* the rest is recurrent.c's own, all in the arena */
    bool training;
    int steps;          /* T of the last forward */
    float *before_h;    /* (B,Hp) directly in front of h, so that h_{t-1} is one tensor with it */
    float *behind_h;    /* (B,Hp) directly behind it, for h_{t+1} of a layer that is reversed */
    float *gates;       /* (T,B,G*Hp at most, and a little) input products, activations, gradients (cell.h) */
    float *c;           /* (T+1,B,Hp) */
    float *extra;       /* (T,B,Hp) what else the cell keeps; one step only if not for training */
    float *rec_grad;    /* (T,B,Hp) gradients of a part that has its own */
    float *carry;       /* (B,Hp) element-wise gradient from step to step */
    float *w_ih, *w_hh; /* packed: panels of gates in forward, of inputs and of units in backward */
    float *bias, *bias_rec;
    /* operands of the weight gradients in panels: gates, x (or x and h in one run), h, extra, rec_grad; NULL: none */
    float *panels[5];
} recurrent;

/* Registers its memory in a.  training = false plans nothing for backward. */
void recurrent_plan(recurrent *r, arena *a, team *t, const cell_kind *cell, int I, int H, int T, int B,
                    bool training);
/* Planned for training, it keeps what backward needs; then x must stay untouched until recurrent_backward
 * returns. */
void recurrent_forward(recurrent *r, team *t, const recurrent_weights *w, const float *x, int T, int B);
/* dh (T,B,Hp): gradient of the loss by h.  dx (T,B,Ip) is written; NULL: not wanted.  Rows
 * are p's rows (p->rows == B of the forward).
 * Truncated: nothing flows in from where the steps end, nor out of where they begin. */
void recurrent_backward(recurrent *r, team *t, const recurrent_weights *w, const float *x, const float *dh,
                        float *dx, const shards *p, const recurrent_gradients *g);

/* A bidirectional layer (Schuster & Paliwal 1997), as classifiers of whole texts have: r[0] reads x from the start of the
 * window, r[1], whose `reverse` is true, from its end, each with its own weights, state and h; both are planned alike.
 * y and dy (T,B,PAD16(2H)) hold the outputs side by side, r[0]'s H columns and then r[1]'s.  The same bits as two
 * calls, in about the time of the larger phases: both directions' tasks share each of them.
 * dx is one chain over the gates of r[0] and then those of r[1]. */
void recurrent_forward_both(recurrent r[2], team *t, const recurrent_weights w[2], const float *x, float *y,
                            int T, int B);
void recurrent_backward_both(recurrent r[2], team *t, const recurrent_weights w[2], const float *x,
                             const float *dy, float *dx, const shards *p, const recurrent_gradients g[2]);

#endif
