/* rnn.body.h - one step of a simple recurrent network on a tile (Elman 1990), with tanh or rectifier.
 *
 * Forward reads rec (1), gate[0]; writes gate[0] and h, the activation.
 * Backward reads rec (1), gate[0], dh; writes gate[0].  Nothing is carried element by element. */

#include "kernels/simd/side_by_side.h"

/* 0 for x <= 0 and x otherwise, NaN included */
VEC vf vf_relu(vf x)
{
    return vf_max(vf_zero(), x);
}

/* Rows m .. m+rows-1. */
VEC void rnn_rows(const cell_tile *t, int m, size_t j, const int relu, const int rows)
{
    vf h[SIDE_BY_SIDE];
    EACH(i, rows)
    {
        const size_t row = (size_t)(m + i);
        h[i] = vf_add(vf_load(t->rec + row * t->rec_ld + j), vf_load(t->gate[0] + row * t->gate_ld + j));
    }
    if (relu) {
        EACH(i, rows) h[i] = vf_relu(h[i]);
    } else {
        vf_tanhs(h, h, rows);
    }
    EACH(i, rows)
    {
        const size_t row = (size_t)(m + i);
        vf_store(t->gate[0] + row * t->gate_ld + j, h[i]);
        vf_store(t->h + row * t->ld + j, h[i]);
    }
}

VEC void rnn_tanh_rows(const cell_tile *t, int m, size_t j, const int rows)
{
    rnn_rows(t, m, j, 0, rows);
}

VEC void rnn_relu_rows(const cell_tile *t, int m, size_t j, const int rows)
{
    rnn_rows(t, m, j, 1, rows);
}

VEC void rnn_backward(const cell_tile *t, const int relu)
{
    for (int m = 0; m < t->rows; m++) {
        const float *rec = t->rec + (size_t)m * t->rec_ld;
        const size_t gate = (size_t)m * t->gate_ld;
        for (size_t j = 0; j < 16; j += VF) {
            vf h = vf_load(t->gate[0] + gate + j);
            vf dh = vf_add(vf_load(t->dh + (size_t)m * t->dh_ld + j), vf_load(rec + j));
            vf d = relu ? vf_select(vf_le(h, vf_zero()), vf_zero(), dh)
                        : vf_mul(dh, vf_fnma(h, h, vf_set1(1.0f)));
            vf_store(t->gate[0] + gate + j, d);
        }
    }
}

static void FN(rnn_tanh_forward)(const cell_tile *t)
{
    ROWS_SIDE_BY_SIDE(t, SIDE_BY_SIDE / 2, rnn_tanh_rows);
}
static void FN(rnn_tanh_backward)(const cell_tile *t)
{
    rnn_backward(t, 0);
}
static void FN(rnn_relu_forward)(const cell_tile *t)
{
    ROWS_SIDE_BY_SIDE(t, SIDE_BY_SIDE / 2, rnn_relu_rows);
}
static void FN(rnn_relu_backward)(const cell_tile *t)
{
    rnn_backward(t, 1);
}
