/* gru.body.h - one step of a gated recurrent unit on a tile: gates r,z,n (Cho et al. 2014); carry is the
 * gradient by h.
 *
 * Reset after the product (PyTorch, cuDNN), q = recurrent part of n with its bias:
 *   gru_forward reads rec (3), gate[0..2], bias, h_prev; writes gate[0..2], extra = q, h gru_backward reads
 *   rec (1), gate[0..2], extra, h_prev, dh; writes gate[0..2], dgate_rec = gradient by q
 * Reset before the product, two products a step, because the second needs r * h_prev of all units:
 *   gru_before_forward_gates reads rec (2: r,z), gate[0..1], h_prev; writes gate[0..1], extra = r * h_prev
 *   gru_before_forward_new reads rec (1: n), gate[1..2], h_prev; writes gate[2], h gru_before_backward_new
 *   reads rec (1), gate[1..2], h_prev, dh; writes gate[1..2] gru_before_backward_gates reads rec (1:
 *   gradient by r * h_prev), gate[0], h_prev; writes gate[0] and adds to carry */

static void FN(gru_forward)(const cell_tile *t)
{
    for (int m = 0; m < t->rows; m++) {
        const float *rec = t->rec + (size_t)m * t->rec_ld;
        const size_t at = (size_t)m * t->ld, gate = (size_t)m * t->gate_ld;
        for (size_t j = 0; j < 16; j += VF) {
            vf r = vf_sigmoid(vf_add(vf_load(rec + j), vf_load(t->gate[0] + gate + j)));
            vf z = vf_sigmoid(vf_add(vf_load(rec + 16 + j), vf_load(t->gate[1] + gate + j)));
            vf q = vf_add(vf_load(rec + 32 + j), vf_load(t->bias + j));
            vf n = vf_tanh(vf_fma(r, q, vf_load(t->gate[2] + gate + j)));
            vf_store(t->gate[0] + gate + j, r);
            vf_store(t->gate[1] + gate + j, z);
            vf_store(t->gate[2] + gate + j, n);
            vf_store(t->extra + at + j, q);
            vf_store(t->h + at + j, vf_fma(z, vf_sub(vf_load(t->h_prev + at + j), n), n));
        }
    }
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

static void FN(gru_before_forward_gates)(const cell_tile *t)
{
    for (int m = 0; m < t->rows; m++) {
        const float *rec = t->rec + (size_t)m * t->rec_ld;
        const size_t at = (size_t)m * t->ld, gate = (size_t)m * t->gate_ld;
        for (size_t j = 0; j < 16; j += VF) {
            vf r = vf_sigmoid(vf_add(vf_load(rec + j), vf_load(t->gate[0] + gate + j)));
            vf z = vf_sigmoid(vf_add(vf_load(rec + 16 + j), vf_load(t->gate[1] + gate + j)));
            vf_store(t->gate[0] + gate + j, r);
            vf_store(t->gate[1] + gate + j, z);
            vf_store(t->extra + at + j, vf_mul(r, vf_load(t->h_prev + at + j)));
        }
    }
}

static void FN(gru_before_forward_new)(const cell_tile *t)
{
    for (int m = 0; m < t->rows; m++) {
        const float *rec = t->rec + (size_t)m * t->rec_ld;
        const size_t at = (size_t)m * t->ld, gate = (size_t)m * t->gate_ld;
        for (size_t j = 0; j < 16; j += VF) {
            vf n = vf_tanh(vf_add(vf_load(rec + j), vf_load(t->gate[2] + gate + j)));
            vf z = vf_load(t->gate[1] + gate + j);
            vf_store(t->gate[2] + gate + j, n);
            vf_store(t->h + at + j, vf_fma(z, vf_sub(vf_load(t->h_prev + at + j), n), n));
        }
    }
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
