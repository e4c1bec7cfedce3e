/* math.body.h - exp, log, tanh and the logistic function in single precision, from fma, add, multiply, divide
 * alone (rule R8).
 *
 * Coefficients: coefficients.py.  Worst errors (test_math; its option --all takes all 2^32 inputs), normal
 * results:
 *
 *   exp      1.02 ulp   0 below -104, +inf above 88.73      log      0.84 ulp   -inf at +-0, NaN below 0
 *   tanh     1.20 ulp   keeps the sign of 0, +-1 past 10    sigmoid  1.70 ulp   0 below 2^-126
 *
 * NaN gives NaN.  Integers are found by adding 1.5 * 2^23, which leaves them in the low bits of the sum:
 * no conversion is needed, whose answer to NaN and to large values would differ between instruction sets. */

#define EXP_MAGIC 12582912.0f /* 1.5 * 2^23 */

/* n = round(x / ln 2) in *power, as bits(EXP_MAGIC) + n; returns expm1(x - n ln 2), relatively exact near
 * 0. */
VEC vf vf_expm1_reduced(vf x, vi *power)
{
    vf shifted = vf_fma(x, vf_set1(1.442695022e+00f), vf_set1(EXP_MAGIC));
    vf n = vf_sub(shifted, vf_set1(EXP_MAGIC));
    vf r = vf_fnma(n, vf_set1(0x1.62e4p-1f), x);
    r = vf_fnma(n, vf_set1(1.428606765e-06f), r);
    vf q = vf_set1(1.381446724e-03f);
    q = vf_fma(q, r, vf_set1(8.368780836e-03f));
    q = vf_fma(q, r, vf_set1(4.166839272e-02f));
    q = vf_fma(q, r, vf_set1(1.666651964e-01f));
    q = vf_fma(q, r, vf_set1(4.999999404e-01f));
    *power = vi_bits(shifted);
    return vf_fma(vf_mul(r, r), q, r);
}

/* 2^n for bits(EXP_MAGIC) + n or plain n, -126 <= n <= 127: the magic's own bits leave at the top. */
VEC vf vf_power_of_two(vi n)
{
    return vf_bits(vi_add(vi_sll(n, 23), vi_set1(0x3f800000u)));
}

VEC vf vf_exp(vf x)
{
    vi shifted;
    vf bounded = vf_max(vf_set1(-104.0f), vf_min(vf_set1(89.0f), x)); /* in this order NaN stays */
    vf p = vf_expm1_reduced(bounded, &shifted);
    vi n = vi_sub(shifted, vi_bits(vf_set1(EXP_MAGIC)));
    vi half = vi_sra(n, 1); /* 2^n in two factors: n = 128 and denormal results */
    vf e = vf_add(p, vf_set1(1.0f));
    return vf_mul(vf_mul(e, vf_power_of_two(half)), vf_power_of_two(vi_sub(n, half)));
}

/* 1 + e^x for |x| < 87.5.  s p is exact, and what s + 1 loses comes back with it: one rounding but for 2^24 and
 * more. */
VEC vf vf_one_plus_exp(vf x)
{
    vi shifted;
    vf p = vf_expm1_reduced(x, &shifted);
    vf s = vf_power_of_two(shifted);
    const vf one = vf_set1(1.0f);
    vf above = vf_add(s, one), lost = vf_sub(one, vf_sub(above, s));
    return vf_add(above, vf_fma(s, p, lost));
}

VEC vf vf_sigmoid(vf x)
{
    vf minus = vf_max(vf_set1(-87.4f), vf_min(vf_set1(87.4f), vf_sub(vf_zero(), x))); /* NaN stays */
    vf y = vf_div(vf_set1(1.0f), vf_one_plus_exp(minus));
    return vf_select(vf_lt(x, vf_set1(-87.33654f)), vf_zero(), y); /* below 2^-126 */
}

/* tanh |x| = 1 - 2/(1 + e^2|x|); near 0, where that cancels, x + x^3 t(x^2) */
VEC vf vf_tanh(vf x)
{
    vf size = vf_abs(x);
    vf twice = vf_min(vf_set1(20.0f), vf_add(size, size)); /* in this order NaN stays */
    vf large = vf_sub(vf_set1(1.0f), vf_div(vf_set1(2.0f), vf_one_plus_exp(twice)));
    vf z = vf_mul(x, x);
    vf t = vf_set1(-5.703466013e-03f);
    t = vf_fma(t, z, vf_set1(2.063778043e-02f));
    t = vf_fma(t, z, vf_set1(-5.373933166e-02f));
    t = vf_fma(t, z, vf_set1(1.333143711e-01f));
    t = vf_fma(t, z, vf_set1(-3.333328068e-01f));
    vf small = vf_fma(vf_mul(size, z), t, size);
    return vf_copysign(vf_select(vf_lt(size, vf_set1(0.625f)), small, large), x);
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

#define MATH_ARRAY(name)                                                        \
    static void FN(name)(float *y, const float *x, size_t n)                    \
    {                                                                           \
        size_t i = 0;                                                           \
        for (; i + VF <= n; i += VF)                                            \
            vf_store(y + i, vf_##name(vf_load(x + i)));                         \
        if (i < n)                                                              \
            vf_store_part(y + i, n - i, vf_##name(vf_load_part(x + i, n - i))); \
    }
MATH_ARRAY(exp)
MATH_ARRAY(log)
MATH_ARRAY(tanh)
MATH_ARRAY(sigmoid)
#undef MATH_ARRAY
