/* lstm.body.h - one step of an LSTM on a tile: gates i,f,g,o (Hochreiter & Schmidhuber 1997; forget gate:
 * Gers 2000).
 *
 * Forward reads rec (4 gates), gate[0..3], c_prev; writes gate[0..3], c, extra = tanh(c), h. Backward
 * reads rec (1), gate[0..3], c_prev, extra, dh; writes gate[0..3]; carry is the gradient by c. */

static void FN(lstm_forward)(const cell_tile *t)
{
    for (int m = 0; m < t->rows; m++) {
        const float *rec = t->rec + (size_t)m * t->rec_ld;
        const size_t at = (size_t)m * t->ld, gate = (size_t)m * t->gate_ld;
        for (size_t j = 0; j < 16; j += VF) {
            vf i = vf_sigmoid(vf_add(vf_load(rec + j), vf_load(t->gate[0] + gate + j)));
            vf f = vf_sigmoid(vf_add(vf_load(rec + 16 + j), vf_load(t->gate[1] + gate + j)));
            vf g = vf_tanh(vf_add(vf_load(rec + 32 + j), vf_load(t->gate[2] + gate + j)));
            vf o = vf_sigmoid(vf_add(vf_load(rec + 48 + j), vf_load(t->gate[3] + gate + j)));
            vf c = vf_fma(f, vf_load(t->c_prev + at + j), vf_mul(i, g));
            vf tanh_c = vf_tanh(c);
            vf_store(t->gate[0] + gate + j, i);
            vf_store(t->gate[1] + gate + j, f);
            vf_store(t->gate[2] + gate + j, g);
            vf_store(t->gate[3] + gate + j, o);
            vf_store(t->c + at + j, c);
            vf_store(t->extra + at + j, tanh_c);
            vf_store(t->h + at + j, vf_mul(o, tanh_c));
        }
    }
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
