/* lstm.body.h - one step of an LSTM on a tile: gates i,f,g,o (Hochreiter & Schmidhuber 1997; forget gate:
 * Gers 2000).
 *
 * Forward reads rec (4 gates), gate[0..3], c_prev; writes gate[0..3], c, extra = tanh(c), h. Backward
 * reads rec (1), gate[0..3], c_prev, extra, dh; writes gate[0..3]; carry is the gradient by c. */

/* Gates and c of rows m .. m+n-1. */
VEC void lstm_gates(const cell_tile *t, int m, size_t j, const int n)
{
    enum { I, F, O, G }; /* the logistic ones first */
    static const int place[] = {[I] = 0, [F] = 1, [O] = 3, [G] = 2};
    vf y[SIDE_BY_SIDE];
    EACH(k, 4 * n)
    {
        const size_t row = (size_t)(m + k % n);
        y[k] = vf_add(vf_load(t->rec + row * t->rec_ld + (size_t)(16 * place[k / n]) + j),
                      vf_load(t->gate[place[k / n]] + row * t->gate_ld + j));
    }
    vf_sigmoids(y, y, 3 * n);
    vf_tanhs(y + G * n, y + G * n, n);
    EACH(k, 4 * n) vf_store(t->gate[place[k / n]] + (size_t)(m + k % n) * t->gate_ld + j, y[k]);
    EACH(k, n)
    {
        const size_t at = (size_t)(m + k) * t->ld + j;
        vf_store(t->c + at,
                 vf_fma(y[F * n + k], vf_load(t->c_prev + at), vf_mul(y[I * n + k], y[G * n + k])));
    }
}

/* tanh c and h of rows m .. m+n-1. */
VEC void lstm_output(const cell_tile *t, int m, size_t j, const int n)
{
    vf tanh_c[SIDE_BY_SIDE];
    EACH(k, n) tanh_c[k] = vf_load(t->c + (size_t)(m + k) * t->ld + j);
    vf_tanhs(tanh_c, tanh_c, n);
    EACH(k, n)
    {
        const size_t row = (size_t)(m + k), at = row * t->ld + j;
        vf_store(t->extra + at, tanh_c[k]);
        vf_store(t->h + at, vf_mul(vf_load(t->gate[3] + row * t->gate_ld + j), tanh_c[k]));
    }
}

static void FN(lstm_forward)(const cell_tile *t)
{
    ROWS_SIDE_BY_SIDE(t, 2, lstm_gates)
    ROWS_SIDE_BY_SIDE(t, 4, lstm_output)
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
