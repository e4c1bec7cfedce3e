/* gru.body.h - one step of a gated recurrent unit on a tile: gates r,z,n (Cho et al. 2014); carry is the
 * gradient by h.
 *
 * Reset after the product (PyTorch, cuDNN), q = recurrent part of n with its bias:
 *   gru_forward   reads rec (3), gate[0..2], bias, h_prev; writes gate[0..2], extra = q, h
 *   gru_backward  reads rec (1), gate[0..2], extra, h_prev, dh; writes gate[0..2], dgate_rec = gradient by q
 * Reset before the product, two products a step, because the second needs r * h_prev of all units:
 *   gru_before_forward_gates   reads rec (2: r,z), gate[0..1], h_prev; writes gate[0..1], extra = r * h_prev
 *   gru_before_forward_new     reads rec (1: n), gate[1..2], h_prev; writes gate[2], h
 *   gru_before_backward_new    reads rec (1), gate[1..2], h_prev, dh; writes gate[1..2]
 *   gru_before_backward_gates  reads rec (1: gradient by r * h_prev), gate[0], h_prev; writes gate[0] and adds to
 *                              carry */

#include "kernels/simd/side_by_side.h"

/* r of rows m .. m+rows-1 in y[0..rows-1], z behind them; stored, too. */
VEC void gru_gates(const cell_tile *t, vf *y, int m, size_t j, const int rows)
{
    EACH(i, 2 * rows)
    {
        const size_t row = (size_t)(m + i % rows);
        y[i] = vf_add(vf_load(t->rec + row * t->rec_ld + (size_t)(16 * (i / rows)) + j),
                      vf_load(t->gate[i / rows] + row * t->gate_ld + j));
    }
    vf_sigmoids(y, y, 2 * rows);
    EACH(i, 2 * rows) vf_store(t->gate[i / rows] + (size_t)(m + i % rows) * t->gate_ld + j, y[i]);
}

/* Gate n and h of rows m .. m+rows-1, from x, the preactivations of n, and z. */
VEC void gru_output(const cell_tile *t, vf *x, const vf *z, int m, size_t j, const int rows)
{
    vf_tanhs(x, x, rows);
    EACH(i, rows)
    {
        const size_t row = (size_t)(m + i), at = row * t->ld + j;
        vf_store(t->gate[2] + row * t->gate_ld + j, x[i]);
        vf_store(t->h + at, vf_fma(z[i], vf_sub(vf_load(t->h_prev + at), x[i]), x[i]));
    }
}

VEC void gru_rows(const cell_tile *t, int m, size_t j, const int rows)
{
    vf y[SIDE_BY_SIDE], x[SIDE_BY_SIDE];
    gru_gates(t, y, m, j, rows);
    EACH(i, rows)
    {
        const size_t row = (size_t)(m + i);
        vf q = vf_add(vf_load(t->rec + row * t->rec_ld + 32 + j), vf_load(t->bias + j));
        vf_store(t->extra + row * t->ld + j, q);
        x[i] = vf_fma(y[i], q, vf_load(t->gate[2] + row * t->gate_ld + j));
    }
    gru_output(t, x, y + rows, m, j, rows);
}

static void FN(gru_forward)(const cell_tile *t)
{
    ROWS_SIDE_BY_SIDE(t, SIDE_BY_SIDE / 2, gru_rows);
}

static void FN(gru_backward)(const cell_tile *t)
{
    const vf one = vf_set1(1.0f);
    for (int m = 0; m < t->rows; m++) {
        const float *rec = t->rec + (size_t)m * t->rec_ld;
        const size_t at = (size_t)m * t->ld, gate = (size_t)m * t->gate_ld;
        for (size_t j = 0; j < 16; j += VF) {
            vf r = vf_load(t->gate[0] + gate + j), z = vf_load(t->gate[1] + gate + j);
            vf n = vf_load(t->gate[2] + gate + j);
            vf dh = vf_add(vf_add(vf_load(t->dh + (size_t)m * t->dh_ld + j), vf_load(rec + j)),
                           vf_load(t->carry + at + j));
            vf dz = vf_mul(vf_mul(dh, vf_sub(vf_load(t->h_prev + at + j), n)), vf_fnma(z, z, z));
            vf dn = vf_mul(vf_mul(dh, vf_sub(one, z)), vf_fnma(n, n, one));
            vf dr = vf_mul(vf_mul(dn, vf_load(t->extra + at + j)), vf_fnma(r, r, r));
            vf_store(t->gate[0] + gate + j, dr);
            vf_store(t->gate[1] + gate + j, dz);
            vf_store(t->gate[2] + gate + j, dn);
            vf_store(t->dgate_rec + at + j, vf_mul(dn, r));
            vf_store(t->carry + at + j, vf_mul(dh, z));
        }
    }
}

VEC void gru_before_gates(const cell_tile *t, int m, size_t j, const int rows)
{
    vf y[SIDE_BY_SIDE];
    gru_gates(t, y, m, j, rows);
    EACH(i, rows)
    {
        const size_t at = (size_t)(m + i) * t->ld + j;
        vf_store(t->extra + at, vf_mul(y[i], vf_load(t->h_prev + at)));
    }
}

static void FN(gru_before_forward_gates)(const cell_tile *t)
{
    ROWS_SIDE_BY_SIDE(t, SIDE_BY_SIDE / 2, gru_before_gates);
}

VEC void gru_before_new(const cell_tile *t, int m, size_t j, const int rows)
{
    vf x[SIDE_BY_SIDE], z[SIDE_BY_SIDE];
    EACH(i, rows)
    {
        const size_t row = (size_t)(m + i), gate = row * t->gate_ld + j;
        x[i] = vf_add(vf_load(t->rec + row * t->rec_ld + j), vf_load(t->gate[2] + gate));
        z[i] = vf_load(t->gate[1] + gate);
    }
    gru_output(t, x, z, m, j, rows);
}

static void FN(gru_before_forward_new)(const cell_tile *t)
{
    ROWS_SIDE_BY_SIDE(t, SIDE_BY_SIDE / 2, gru_before_new);
}

static void FN(gru_before_backward_new)(const cell_tile *t)
{
    const vf one = vf_set1(1.0f);
    for (int m = 0; m < t->rows; m++) {
        const float *rec = t->rec + (size_t)m * t->rec_ld;
        const size_t at = (size_t)m * t->ld, gate = (size_t)m * t->gate_ld;
        for (size_t j = 0; j < 16; j += VF) {
            vf z = vf_load(t->gate[1] + gate + j), n = vf_load(t->gate[2] + gate + j);
            vf dh = vf_add(vf_add(vf_load(t->dh + (size_t)m * t->dh_ld + j), vf_load(rec + j)),
                           vf_load(t->carry + at + j));
            vf dz = vf_mul(vf_mul(dh, vf_sub(vf_load(t->h_prev + at + j), n)), vf_fnma(z, z, z));
            vf dn = vf_mul(vf_mul(dh, vf_sub(one, z)), vf_fnma(n, n, one));
            vf_store(t->gate[1] + gate + j, dz);
            vf_store(t->gate[2] + gate + j, dn);
            vf_store(t->carry + at + j, vf_mul(dh, z));
        }
    }
}

static void FN(gru_before_backward_gates)(const cell_tile *t)
{
    for (int m = 0; m < t->rows; m++) {
        const float *rec = t->rec + (size_t)m * t->rec_ld;
        const size_t at = (size_t)m * t->ld, gate = (size_t)m * t->gate_ld;
        for (size_t j = 0; j < 16; j += VF) {
            vf r = vf_load(t->gate[0] + gate + j), d = vf_load(rec + j);
            vf dr = vf_mul(vf_mul(d, vf_load(t->h_prev + at + j)), vf_fnma(r, r, r));
            vf_store(t->gate[0] + gate + j, dr);
            vf_store(t->carry + at + j, vf_fma(d, r, vf_load(t->carry + at + j)));
        }
    }
}
