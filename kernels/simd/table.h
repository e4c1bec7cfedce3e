/* table.h - members of the kernel table (kernels/kernels.h): what each computes, on which shapes, with which
 * aliasing.
 *
 * All members run on one thread, allocate nothing, keep no state, and give the same bits in every table.
 * Pointers need no alignment, though 64 bytes are faster.  Unless said otherwise inputs and outputs do not
 * overlap. */
#ifndef KERNELS_SIMD_TABLE_H
#define KERNELS_SIMD_TABLE_H

#include "kernels/kernels.h"
#include "kernels/rng.h"
#include "kernels/simd/cell_tile.h"
#include "kernels/simd/optim_scalars.h"

/* How the chain of an element of C begins. */
typedef enum {
    GEMM_ZERO,     /* with 0 */
    GEMM_BIAS,     /* with bias[column] */
    GEMM_CONTINUE, /* with C: the next block of k */
} gemm_start;

/* What a product does besides. Members of 8 bytes come first: where the compiler sets several at once to zero, one
 * behind a shorter member could be put together from two stores, and a load of it would wait until all stores
 * before it are in the cache. */
typedef struct gemm_extra {
    /* Meanwhile it asks for what comes next to be fetched into the L2 cache: `runs` runs (0: nothing) of
     * so many floats, `apart` from one to the next. A hint: at most one cache line with each k, as evenly
     * over the steps as can be, for a line with every k would keep the core's few pending misses busy, and
     * the product's own operands would wait; runs beyond the number of register tiles are left out, and a
     * run may end behind its array. */
    const float *ahead;
    size_t run_floats, apart;
    /* Register tiles that the runs can spare ask for columns of a matrix: each for one of `lines` cache lines, side by
     * side from ahead_rows on (0: nothing), of K rows `ahead_row` apart, a row with each k. Runs come first: lines
     * that no tile is left for are left out. */
    const float *ahead_rows;
    size_t ahead_row;
    /* C is the top of a stack of sums, each `below` floats before the next one: `merges` times it is added
     * to the sum below it, c[-below] + c, which is then the top. */
    size_t below;
    /* Where the result goes, in rows out_row apart and panels of 16 columns out_panel apart; NULL: to C, or to
     * the top of the stack.  It overlaps no operand.  C is left undefined if the result goes elsewhere. */
    float *out;
    size_t out_row, out_panel;
    /* Where a later product will write the same rows and panels, in rows later_row apart; NULL: nowhere.  Each tile
     * first asks for the lines of its own rows later_part, later_part + later_parts, ... there to be fetched into the
     * L2 cache; later_parts >= 1. */
    const float *later;
    size_t later_row;
    int later_part, later_parts;
    int runs, lines, merges;
    bool far; /* what is written was last seen long ago, or by another core: it is asked for in time */
} gemm_extra;

struct kernels {
    const char *isa;

    /* ---- math.body.h: y[i] = f(x[i]), i < n; y may be x ---- */
    void (*exp)(float *y, const float *x, size_t n);
    void (*log)(float *y, const float *x, size_t n);
    void (*tanh)(float *y, const float *x, size_t n);
    void (*sigmoid)(float *y, const float *x, size_t n);

    /* ---- gemm.body.h ---- */
    /* C (M,16P) from A (M,K) and P packed panels of B, element by element one chain of fma over k in order:
     *     c[i*c_row + 16p+j] = start + a[i*a_row] * b[p*b_panel + j] + a[i*a_row + a_k] * b[p*b_panel + 16+j]..
     * a_row or a_k is 1 (A by rows or by columns).  M >= 1, P and K >= 0.  bias (16P) is read for GEMM_BIAS
     * only. */
    void (*gemm)(int M, int P, int K, const float *a, size_t a_row, size_t a_k, const float *b,
                 size_t b_panel, float *c, size_t c_row, gemm_start start, const float *bias);
    /* The same, and what `extra` says. */
    void (*gemm_also)(int M, int P, int K, const float *a, size_t a_row, size_t a_k, const float *b,
                      size_t b_panel, float *c, size_t c_row, gemm_start start, const float *bias,
                      const gemm_extra *extra);
    /* One panel from rows of W: b[k*16 + j] = row[j][k], k < K; a NULL row gives zeros. */
    void (*gemm_pack_rows)(float *b, const float *const row[16], int K);

    /* ---- lstm.body.h, gru.body.h, rnn.body.h: one step of a cell on a tile (cell_tile.h) ---- */
    cell_function lstm_forward, lstm_backward;
    cell_function gru_forward, gru_backward;
    cell_function gru_before_forward_gates, gru_before_forward_new, gru_before_backward_new,
        gru_before_backward_gates;
    cell_function rnn_tanh_forward, rnn_tanh_backward, rnn_relu_forward, rnn_relu_backward;

    /* ---- narrow.body.h ---- */
    /* to (rows,16) = from (rows,columns), columns 8 or 16, zeros behind them; with 8 columns `to` may be `from`, or
     * stand a multiple of 8 floats behind it in the same row. */
    void (*widen)(float *to, size_t to_ld, const float *from, size_t from_ld, int columns, int rows);
    /* to (rows,columns) = from (rows,16) without what is behind. */
    void (*narrow)(float *to, size_t to_ld, const float *from, size_t from_ld, int columns, int rows);

    /* ---- dropout.body.h ---- */
    /* y[unit] = x[unit] * (k >= limit ? scale : 0), unit < n, k the upper 24 bits of the unit's word
     * (rng.h); y may be x */
    void (*dropout)(float *y, const float *x, size_t n, const rng_place *place, float limit, float scale);

    /* ---- optim.body.h: one step on n elements; state as optim_states() orders it, NULL where none is
     * kept ---- */
    optim_function optim_sgd, optim_adam, optim_rmsprop, optim_adagrad;

    /* ---- sums.body.h ---- */
    void (*add)(float *out, const float *a, const float *b, size_t n); /* out may be a or b */
    void (*squares)(double lane[16], const float *x, size_t n,
                    float scale); /* of x*scale, added to lane i%16 */
    bool (*all_finite)(const float *x, size_t n);

    /* ---- softmax.body.h: down the columns of x; rows >= 1, `stride` floats apart, columns % 16 == 0 ---- */
    /* a panel: x[i*16+j] += bias[i], j < 16, and the columns' maxima of that */
    void (*panel_bias_max)(float *max, float *x, const float *bias, int rows);
    void (*columns_max)(float *max, const float *x, int rows, size_t stride, int columns);
    void (*columns_sum)(float *sum, const float *x, int rows, size_t stride, int columns);
    /* y = exp(x - max) and the columns' sums of it; y may be x */
    void (*columns_exp)(float *sum, float *y, const float *x, const float *max, int rows, size_t stride,
                        int columns);

    /* ---- peak.body.h ---- */
    /* Independent chains of fma in registers, `rounds` links each, from out[0], which is written; returns the
     * operations done, two for each fma and lane.  For measuring: it differs from table to table. */
    double (*fma_chains)(float *out, long rounds);
};

#endif
