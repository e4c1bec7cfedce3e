/* math.body.h - exp, log, tanh and the logistic function in single precision, from fma, add, multiply, divide
 * alone (rule R8); where an instruction scales by powers of two, exp uses it: the factor is exact and both ways round once.
 *
 * Coefficients: coefficients.py.  Worst errors (test_math; its option --all takes all 2^32 inputs), normal
 * results:
 *
 *   exp      1.02 ulp   0 below -104, +inf above 88.73      log      0.84 ulp   -inf at +-0, NaN below 0
 *   tanh     1.20 ulp   keeps the sign of 0, +-1 past 10    sigmoid  1.70 ulp   0 below 2^-126
 *
 * Functions of several vectors (vf_exps) take n <= SIDE_BY_SIDE of them, operation by operation
 * (side_by_side.h); vf_logs is one log after another.
 *
 * NaN gives NaN.  Integers are found by adding 1.5 * 2^23, which leaves them in the low bits of the sum:
 * no conversion is needed, whose answer to NaN and to large values would differ between instruction sets. */

#include "kernels/simd/side_by_side.h"

#define EXP_MAGIC 12582912.0f /* 1.5 * 2^23 */

/* w = round(x / ln 2) in power, as bits(EXP_MAGIC) + w; p = expm1(x - w ln 2), relatively exact near 0. */
VEC void vf_expm1_reduced(vf *p, vi *power, const vf *x, const int n)
{
    vf whole[SIDE_BY_SIDE], r[SIDE_BY_SIDE];
    EACH(i, n) whole[i] = vf_fma(x[i], vf_set1(1.442695022e+00f), vf_set1(EXP_MAGIC));
    EACH(i, n) power[i] = vi_bits(whole[i]);
    EACH(i, n) whole[i] = vf_sub(whole[i], vf_set1(EXP_MAGIC));
    EACH(i, n) r[i] = vf_fnma(whole[i], vf_set1(0x1.62e4p-1f), x[i]);
    EACH(i, n) r[i] = vf_fnma(whole[i], vf_set1(1.428606765e-06f), r[i]);
    EACH(i, n) p[i] = vf_fma(vf_set1(1.381446724e-03f), r[i], vf_set1(8.368780836e-03f));
    EACH(i, n) p[i] = vf_fma(p[i], r[i], vf_set1(4.166839272e-02f));
    EACH(i, n) p[i] = vf_fma(p[i], r[i], vf_set1(1.666651964e-01f));
    EACH(i, n) p[i] = vf_fma(p[i], r[i], vf_set1(4.999999404e-01f));
    EACH(i, n) p[i] = vf_fma(vf_mul(r[i], r[i]), p[i], r[i]);
}

/* 2^n for bits(EXP_MAGIC) + n or plain n, -126 <= n <= 127: the magic's own bits leave at the top. */
VEC vf vf_power_of_two(vi n)
{
    return vf_bits(vi_add(vi_sll(n, 23), vi_set1(0x3f800000u)));
}

/* y = x 2^w, rounded once, for power = bits(EXP_MAGIC) + w, -150 <= w <= 129. */
VEC void vf_times_powers(vf *y, const vf *x, const vi *power, const int n)
{
#ifdef HAVE_VF_SCALE
    EACH(i, n) y[i] = vf_scale(x[i], vf_sub(vf_bits(power[i]), vf_set1(EXP_MAGIC)));
#else
    vi whole[SIDE_BY_SIDE], half[SIDE_BY_SIDE]; /* two factors: 2^128 and denormal results */
    EACH(i, n) whole[i] = vi_sub(power[i], vi_bits(vf_set1(EXP_MAGIC)));
    EACH(i, n) half[i] = vi_sra(whole[i], 1);
    EACH(i, n) y[i] = vf_mul(x[i], vf_power_of_two(half[i]));
    EACH(i, n) y[i] = vf_mul(y[i], vf_power_of_two(vi_sub(whole[i], half[i])));
#endif
}

VEC void vf_exps(vf *y, const vf *x, const int n)
{
    vf bounded[SIDE_BY_SIDE], p[SIDE_BY_SIDE];
    vi power[SIDE_BY_SIDE];
    const vf least = vf_set1(-104.0f), most = vf_set1(89.0f);
    EACH(i, n) bounded[i] = vf_max(least, vf_min(most, x[i])); /* in this order NaN stays */
    vf_expm1_reduced(p, power, bounded, n);
    EACH(i, n) p[i] = vf_add(p[i], vf_set1(1.0f));
    vf_times_powers(y, p, power, n);
}

/* 1 + e^x for |x| < 87.5.  s p is exact, and what s + 1 loses comes back with it: one rounding but for 2^24 and
 * more. */
VEC void vf_one_plus_exps(vf *y, const vf *x, const int n)
{
    vi power[SIDE_BY_SIDE];
    vf p[SIDE_BY_SIDE], s[SIDE_BY_SIDE], above[SIDE_BY_SIDE];
    const vf one = vf_set1(1.0f);
    vf_expm1_reduced(p, power, x, n);
    EACH(i, n) s[i] = vf_power_of_two(power[i]);
    EACH(i, n) above[i] = vf_add(s[i], one);
    EACH(i, n) p[i] = vf_fma(s[i], p[i], vf_sub(one, vf_sub(above[i], s[i])));
    EACH(i, n) y[i] = vf_add(above[i], p[i]);
}

VEC void vf_sigmoids(vf *y, const vf *x, const int n)
{
    vf e[SIDE_BY_SIDE];
    const vf most = vf_set1(87.4f), least = vf_set1(-87.4f);
    EACH(i, n) e[i] = vf_max(least, vf_min(most, vf_sub(vf_zero(), x[i]))); /* NaN stays */
    vf_one_plus_exps(e, e, n);
    EACH(i, n) e[i] = vf_div(vf_set1(1.0f), e[i]);
    EACH(i, n) y[i] = vf_select(vf_lt(x[i], vf_set1(-87.33654f)), vf_zero(), e[i]); /* below 2^-126 */
}

/* tanh |x| = 1 - 2/(1 + e^2|x|); near 0, where that cancels, x + x^3 t(x^2) */
VEC void vf_tanhs(vf *y, const vf *x, const int n)
{
    vf size[SIDE_BY_SIDE], e[SIDE_BY_SIDE], z[SIDE_BY_SIDE], t[SIDE_BY_SIDE];
    EACH(i, n) size[i] = vf_abs(x[i]);
    EACH(i, n) e[i] = vf_min(vf_set1(20.0f), vf_add(size[i], size[i])); /* in this order NaN stays */
    vf_one_plus_exps(e, e, n);
    EACH(i, n) e[i] = vf_sub(vf_set1(1.0f), vf_div(vf_set1(2.0f), e[i]));
    EACH(i, n) z[i] = vf_mul(x[i], x[i]);
    EACH(i, n) t[i] = vf_fma(vf_set1(-5.703466013e-03f), z[i], vf_set1(2.063778043e-02f));
    EACH(i, n) t[i] = vf_fma(t[i], z[i], vf_set1(-5.373933166e-02f));
    EACH(i, n) t[i] = vf_fma(t[i], z[i], vf_set1(1.333143711e-01f));
    EACH(i, n) t[i] = vf_fma(t[i], z[i], vf_set1(-3.333328068e-01f));
    EACH(i, n) t[i] = vf_fma(vf_mul(size[i], z[i]), t[i], size[i]);
    EACH(i, n) y[i] = vf_copysign(vf_select(vf_lt(size[i], vf_set1(0.625f)), t[i], e[i]), x[i]);
}

/* x = 2^k (1+f), sqrt(1/2) <= 1+f < sqrt(2);  log x = k ln 2 + f - f^2/2 + f^3 p(f) */
VEC vf vf_log(vf x)
{
    const vf tiny = vf_set1(0x1p-126f);
    vm small = vf_lt(x, tiny);
    vf scaled = vf_select(small, vf_mul(x, vf_set1(0x1p23f)), x);
    vi above = vi_sub(vi_bits(scaled), vi_set1(0x3f3504f3u)); /* bits of sqrt(1/2) */
    vi k = vi_sra(above, 23);
    vf f = vf_sub(vf_bits(vi_sub(vi_bits(scaled), vi_sll(k, 23))), vf_set1(1.0f));
    vf kf = vf_sub(vf_of_int(k), vf_select(small, vf_set1(23.0f), vf_zero()));
    vf p = vf_set1(6.746635586e-02f);
    p = vf_fma(p, f, vf_set1(-1.167564616e-01f));
    p = vf_fma(p, f, vf_set1(1.188816130e-01f));
    p = vf_fma(p, f, vf_set1(-1.240558997e-01f));
    p = vf_fma(p, f, vf_set1(1.421955228e-01f));
    p = vf_fma(p, f, vf_set1(-1.666799635e-01f));
    p = vf_fma(p, f, vf_set1(2.000211924e-01f));
    p = vf_fma(p, f, vf_set1(-2.500000894e-01f));
    p = vf_fma(p, f, vf_set1(3.333331347e-01f));
    vf f2 = vf_mul(f, f);
    vf y = vf_fma(vf_mul(f2, f), p, vf_mul(kf, vf_set1(1.428606765e-06f)));
    y = vf_add(f, vf_fnma(vf_set1(0.5f), f2, y));
    y = vf_fma(kf, vf_set1(0x1.62e4p-1f), y);
    const vf infinity = vf_bits(vi_set1(0x7f800000u)), nan = vf_bits(vi_set1(0x7fc00000u));
    y = vf_select(vf_lt(x, infinity), y, x); /* +inf and NaN */
    y = vf_select(vf_eq(x, vf_zero()), vf_sub(vf_zero(), infinity), y);
    return vf_select(vf_lt(x, vf_zero()), nan, y);
}

VEC void vf_logs(vf *y, const vf *x, const int n)
{
    EACH(i, n) y[i] = vf_log(x[i]);
}

#define MATH_ARRAY(name)                                                     \
    static void FN(name)(float *y, const float *x, size_t n)                 \
    {                                                                        \
        vf v[4];                                                             \
        size_t i = 0;                                                        \
        for (; i + 4 * VF <= n; i += 4 * VF) {                               \
            EACH(j, 4) v[j] = vf_load(x + i + j * VF);                       \
            vf_##name##s(v, v, 4);                                           \
            EACH(j, 4) vf_store(y + i + j * VF, v[j]);                       \
        }                                                                    \
        for (; i < n; i += VF) {                                             \
            v[0] = n - i < VF ? vf_load_part(x + i, n - i) : vf_load(x + i); \
            vf_##name##s(v, v, 1);                                           \
            if (n - i < VF)                                                  \
                vf_store_part(y + i, n - i, v[0]);                           \
            else                                                             \
                vf_store(y + i, v[0]);                                       \
        }                                                                    \
    }
MATH_ARRAY(exp)
MATH_ARRAY(log)
MATH_ARRAY(tanh)
MATH_ARRAY(sigmoid)
#undef MATH_ARRAY
