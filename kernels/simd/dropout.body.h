/* dropout.body.h - inverted dropout of one row of units, masks from Philox 4x32-10 (kernels/rng.h), VF
 * counters at a time.
 *
 * kernels/rng.c calls Random123 for one counter; here the same ten rounds run in all lanes, since a window
 * has as many masks as activations.  test_dropout holds the two against each other. */

/* words[j] in lane l = word j of the block of units 4*(unit4+l) .. 4*(unit4+l)+3 */
VEC void philox_blocks(const rng_place *p, uint32_t unit4, vi words[4])
{
    const vi m0 = vi_set1(0xD2511F53u),
             m1 = vi_set1(0xCD9E8D57u); /* multipliers, and Weyl steps of the key below */
    uint32_t k0 = (uint32_t)p->seed, k1 = (uint32_t)(p->seed >> 32);
    vi c0 = vi_add(vi_set1(unit4), vi_iota()), c1 = vi_set1(p->row), c2 = vi_set1(p->step);
    vi c3 = vi_set1((uint32_t)p->purpose << 24 | (uint32_t)p->layer << 16 | p->time);
    for (int round = 0; round < 10; round++) {
        vi high0 = vi_mul_hi(c0, m0), low0 = vi_mul_lo(c0, m0), high1 = vi_mul_hi(c2, m1),
           low1 = vi_mul_lo(c2, m1);
        c0 = vi_xor(vi_xor(high1, c1), vi_set1(k0));
        c1 = low1;
        c2 = vi_xor(vi_xor(high0, c3), vi_set1(k1));
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

/* y = x * (u >= p ? scale : 0), u = k/2^24 of the unit, as k >= limit = ceil(p 2^24): both sides are exact
 * in float. */
static void FN(dropout)(float *y, const float *x, size_t n, const rng_place *place, float limit, float scale)
{
    for (size_t unit = 0; unit < n; unit += 4 * VF) {
        vi words[4];
        philox_blocks(place, (uint32_t)(unit / 4), words);
        uint32_t word[4][VF], in_order[4 * VF];
        for (int j = 0; j < 4; j++)
            vi_store(word[j], words[j]);
        for (int l = 0; l < VF; l++)
            for (int j = 0; j < 4; j++)
                in_order[4 * l + j] = word[j][l];
        for (size_t i = 0; i < 4 * VF && unit + i < n; i += VF) {
            size_t rest = n - unit - i;
            vf k = vf_of_int(vi_srl(vi_load(in_order + i), 8));
            vf mask = vf_select(vf_ge(k, vf_set1(limit)), vf_set1(scale), vf_zero());
            store_rest(y + unit + i, rest, vf_mul(load_rest(x + unit + i, rest), mask));
        }
    }
}
