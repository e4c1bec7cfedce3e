/* lstm.body.h - one step of an LSTM on a tile: gates i,f,g,o (Hochreiter & Schmidhuber 1997; forget gate:
 * Gers 2000).
 *
 * Forward reads rec (4 gates), gate[0..3], c_prev; writes gate[0..3], c, extra = tanh(c), h. Backward
 * reads rec (1), gate[0..3], c_prev, extra, dh; writes gate[0..3]; carry is the gradient by c. */

#include "kernels/simd/side_by_side.h"

/* Gates and c of rows m .. m+rows-1. */
VEC void lstm_gates(const cell_tile *t, int m, size_t j, const int rows)
{
    enum { I, F, O, G }; /* the logistic ones first */
    static const int place[] = {[I] = 0, [F] = 1, [O] = 3, [G] = 2};
    vf y[SIDE_BY_SIDE];
    EACH(i, 4 * rows)
    {
        const size_t row = (size_t)(m + i % rows);
        y[i] = vf_add(vf_load(t->rec + row * t->rec_ld + (size_t)(16 * place[i / rows]) + j),
                      vf_load(t->gate[place[i / rows]] + row * t->gate_ld + j));
    }
    vf_sigmoids(y, y, 3 * rows);
    vf_tanhs(y + G * rows, y + G * rows, rows);
    EACH(i, 4 * rows) vf_store(t->gate[place[i / rows]] + (size_t)(m + i % rows) * t->gate_ld + j, y[i]);
    EACH(i, rows)
    {
        const size_t at = (size_t)(m + i) * t->ld + j;
        vf_store(t->c + at,
                 vf_fma(y[F * rows + i], vf_load(t->c_prev + at), vf_mul(y[I * rows + i], y[G * rows + i])));
    }
}

/* tanh c and h of rows m .. m+rows-1. */
VEC void lstm_output(const cell_tile *t, int m, size_t j, const int rows)
{
    vf tanh_c[SIDE_BY_SIDE];
    EACH(i, rows) tanh_c[i] = vf_load(t->c + (size_t)(m + i) * t->ld + j);
    vf_tanhs(tanh_c, tanh_c, rows);
    EACH(i, rows)
    {
        const size_t row = (size_t)(m + i), at = row * t->ld + j;
        vf_store(t->extra + at, tanh_c[i]);
        vf_store(t->h + at, vf_mul(vf_load(t->gate[3] + row * t->gate_ld + j), tanh_c[i]));
    }
}

static void FN(lstm_forward)(const cell_tile *t)
{
    ROWS_SIDE_BY_SIDE(t, SIDE_BY_SIDE / 4, lstm_gates);
    ROWS_SIDE_BY_SIDE(t, SIDE_BY_SIDE / 2, lstm_output);
}

static void FN(lstm_backward)(const cell_tile *t)
{
    const vf one = vf_set1(1.0f);
    for (int m = 0; m < t->rows; m++) {
        const float *rec = t->rec + (size_t)m * t->rec_ld;
        const size_t at = (size_t)m * t->ld, gate = (size_t)m * t->gate_ld;
        for (size_t j = 0; j < 16; j += VF) {
            vf i = vf_load(t->gate[0] + gate + j), f = vf_load(t->gate[1] + gate + j);
            vf g = vf_load(t->gate[2] + gate + j), o = vf_load(t->gate[3] + gate + j);
            vf tanh_c = vf_load(t->extra + at + j);
            vf dh = vf_add(vf_load(t->dh + (size_t)m * t->dh_ld + j), vf_load(rec + j));
            vf dc = vf_fma(vf_mul(dh, o), vf_fnma(tanh_c, tanh_c, one), vf_load(t->carry + at + j));
            vf_store(t->gate[0] + gate + j, vf_mul(vf_mul(dc, g), vf_fnma(i, i, i)));
            vf_store(t->gate[1] + gate + j,
                     vf_mul(vf_mul(dc, vf_load(t->c_prev + at + j)), vf_fnma(f, f, f)));
            vf_store(t->gate[2] + gate + j, vf_mul(vf_mul(dc, i), vf_fnma(g, g, one)));
            vf_store(t->gate[3] + gate + j, vf_mul(vf_mul(dh, tanh_c), vf_fnma(o, o, o)));
            vf_store(t->carry + at + j, vf_mul(dc, f));
        }
    }
}
