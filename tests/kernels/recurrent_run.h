/* recurrent_run.h - a recurrent layer of random weights and inputs, run on some of its rows for test_recurrent.c.
 *
 * run() fails the test where the layer writes beyond its output, its gradients or dx. */
#ifndef TESTS_KERNELS_RECURRENT_RUN_H
#define TESTS_KERNELS_RECURRENT_RUN_H

#include "kernels/recurrent.h"

typedef struct problem { /* a function of problem_make's arguments; true shapes, no padding */
    const cell_kind *cell;
    int I, H, T, B, S;
    float *w_ih, *w_hh, *b_ih, *b_hh, *x, *dh, *h0, *c0; /* x (T,B,I), dh (T,B,H), h0, c0 (B,H) */
} problem;

problem problem_make(const char *cell, int I, int H, int T, int B, int S);
void problem_free(problem *p);

typedef struct result {
    float *h, *dx; /* (T,rows,Hp), (T,rows,Ip) */
    float *h_end, *c_end;
    float *gradient;      /* for each node w_ih, w_hh, b_ih, b_hh, then a canary */
    size_t at[5], stride; /* where each begins; at[4] the end */
    shards p;
    int Ip, Hp, T;
} result;

/* Rank `rank` of `size`; cut: steps of a first window, the rest in a second (0: one window; gradients are
 * the last window's). */
result run(const problem *p, const kernels *k, int threads, int rank, int size, int cut, bool training);
void result_free(result *r);

#endif
