/* sums.body.h - sums of arrays, element by element or of squares, and the search for what is not finite. */

#include "kernels/simd/ahead.h"

/* One vector of floats, zeros beyond the n that are left. */
VEC vf load_rest(const float *p, size_t n)
{
    return n >= VF ? vf_load(p) : vf_load_part(p, n);
}

VEC void store_rest(float *p, size_t n, vf a)
{
    if (n >= VF)
        vf_store(p, a);
    else
        vf_store_part(p, n, a);
}

/* Of an array that is read from end to end, what stands FETCH_AHEAD floats further on: what the core fetches
 * by itself ends with each page of 4 KB. */
#define FETCH_AHEAD 1536

VEC void fetch_ahead(const float *p)
{
    __builtin_prefetch(floats_ahead(p, FETCH_AHEAD), 0, 2);
}

/* The same of an array that is written after it is read: lines that several cores have read belong to all of them, and
 * a store would wait until they belong to this one. */
VEC void fetch_ahead_to_write(const float *p)
{
    __builtin_prefetch(floats_ahead(p, FETCH_AHEAD), 1, 2);
}

static void FN(add)(float *out, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i += VF)
        store_rest(out + i, n - i, vf_add(load_rest(a + i, n - i), load_rest(b + i, n - i)));
}

/* Lane j of 16 sums the elements j, j+16, ... Squares of floats are exact in double, and the zeros behind a short
 * end add nothing. */
static void FN(squares)(double lane[16], const float *x, size_t n, float scale)
{
    vd sum[16 / VD];
    for (int l = 0; l < 16 / VD; l++)
        sum[l] = vd_load(lane + l * VD);
    for (size_t i = 0; i < n; i += 16) {
        fetch_ahead(x + i);
        float scaled[16] = {0};
        for (size_t j = 0; j < 16 && i + j < n; j += VF)
            vf_store(scaled + j, vf_mul(load_rest(x + i + j, n - i - j), vf_set1(scale)));
        for (int l = 0; l < 16 / VD; l++) {
            vd v = vd_load_floats(scaled + l * VD);
            sum[l] = vd_fma(v, v, sum[l]);
        }
    }
    for (int l = 0; l < 16 / VD; l++)
        vd_store(lane + l * VD, sum[l]);
}

static bool FN(all_finite)(const float *x, size_t n)
{
    vf zero = vf_zero(); /* 0 * x is not 0 when x is not finite, and then the sum is NaN for good */
    for (size_t i = 0; i < n; i += VF)
        zero = vf_fma(load_rest(x + i, n - i), vf_zero(), zero);
    float lane[VF];
    vf_store(lane, zero);
    for (int j = 0; j < VF; j++)
        if (lane[j] != 0.0f)
            return false;
    return true;
}
