/* vec_neon.h - the vector types of the kernel bodies with Advanced SIMD, as every 64-bit ARM processor has it;
 * see vec_scalar.h for what each name means.  Only kernels/simd/neon.c may include it.
 *
 * Three things differ from x86, none of them in a number of ordinary size:
 *   - the processor's own maximum and minimum order zeros and pass NaNs on in their own way; ours are a
 *     comparison and a choice;
 *   - an operation without an answer gives the NaN 7fc00000, there ffc00000, and of two NaNs another goes on;
 *   - with denormals flushed, what is below 2^-126 before it is rounded becomes zero, there what is so after:
 *     the two differ on results that round up to 2^-126.
 * tests/kernels/test_digests.c counts both exceptions. */
#ifndef KERNELS_SIMD_VEC_NEON_H
#define KERNELS_SIMD_VEC_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#define VF 4
#define VD 2
typedef float32x4_t vf;
typedef uint32x4_t vi;
typedef float64x2_t vd;
typedef uint32x4_t vm;

#define VEC static inline __attribute__((always_inline, unused))

VEC vf vf_load(const float *p)
{
    return vld1q_f32(p);
}
VEC void vf_store(float *p, vf a)
{
    vst1q_f32(p, a);
}
VEC vf vf_load_part(const float *p, size_t n)
{
    vf a = vdupq_n_f32(0.0f);
    if (n > 0)
        a = vld1q_lane_f32(p, a, 0);
    if (n > 1)
        a = vld1q_lane_f32(p + 1, a, 1);
    if (n > 2)
        a = vld1q_lane_f32(p + 2, a, 2);
    return a;
}
VEC void vf_store_part(float *p, size_t n, vf a)
{
    if (n > 0)
        vst1q_lane_f32(p, a, 0);
    if (n > 1)
        vst1q_lane_f32(p + 1, a, 1);
    if (n > 2)
        vst1q_lane_f32(p + 2, a, 2);
}
VEC vf vf_set1(float x)
{
    return vdupq_n_f32(x);
}
VEC vf vf_zero(void)
{
    return vdupq_n_f32(0.0f);
}
VEC vf vf_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}
VEC vf vf_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}
VEC vf vf_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}
VEC vf vf_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}
VEC vf vf_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}
VEC vf vf_fma_at(const float *a, vf b, vf c)
{
    return vf_fma(vf_set1(*a), b, c);
}
VEC vf vf_fnma(vf a, vf b, vf c)
{
    return vfmsq_f32(c, a, b);
}
VEC vf vf_sqrt(vf a)
{
    return vsqrtq_f32(a);
}
VEC vf vf_max(vf a, vf b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}
VEC vf vf_min(vf a, vf b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}
VEC vf vf_abs(vf a)
{
    return vabsq_f32(a);
}
VEC vf vf_copysign(vf size, vf sign)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), sign, size);
}

VEC vm vf_lt(vf a, vf b)
{
    return vcltq_f32(a, b);
}
VEC vm vf_le(vf a, vf b)
{
    return vcleq_f32(a, b);
}
VEC vm vf_ge(vf a, vf b)
{
    return vcgeq_f32(a, b);
}
VEC vm vf_eq(vf a, vf b)
{
    return vceqq_f32(a, b);
}
VEC int vm_all(vm m)
{
    return vminvq_u32(m) != 0;
}
VEC vf vf_select(vm m, vf a, vf b)
{
    return vbslq_f32(m, a, b);
}

VEC vi vi_bits(vf a)
{
    return vreinterpretq_u32_f32(a);
}
VEC vf vf_bits(vi a)
{
    return vreinterpretq_f32_u32(a);
}
VEC vf vf_of_int(vi a)
{
    return vcvtq_f32_s32(vreinterpretq_s32_u32(a));
}
VEC vi vi_load(const uint32_t *p)
{
    return vld1q_u32(p);
}
VEC void vi_store(uint32_t *p, vi a)
{
    vst1q_u32(p, a);
}
VEC vi vi_set1(uint32_t x)
{
    return vdupq_n_u32(x);
}
VEC vi vi_iota(void)
{
    static const uint32_t lane[4] = {0, 1, 2, 3};
    return vld1q_u32(lane);
}
VEC vi vi_add(vi a, vi b)
{
    return vaddq_u32(a, b);
}
VEC vi vi_sub(vi a, vi b)
{
    return vsubq_u32(a, b);
}
VEC vi vi_xor(vi a, vi b)
{
    return veorq_u32(a, b);
}
#define vi_sll(a, n) vshlq_n_u32(a, n)
#define vi_srl(a, n) vshrq_n_u32(a, n)
#define vi_sra(a, n) vreinterpretq_u32_s32(vshrq_n_s32(vreinterpretq_s32_u32(a), n))
VEC vi vi_mul_lo(vi a, vi b)
{
    return vmulq_u32(a, b);
}
VEC vi vi_mul_hi(vi a, vi b)
{
    uint64x2_t low = vmull_u32(vget_low_u32(a), vget_low_u32(b)), high = vmull_high_u32(a, b);
    return vuzp2q_u32(vreinterpretq_u32_u64(low), vreinterpretq_u32_u64(high));
}

VEC vd vd_load(const double *p)
{
    return vld1q_f64(p);
}
VEC void vd_store(double *p, vd a)
{
    vst1q_f64(p, a);
}
VEC vd vd_load_floats(const float *p)
{
    return vcvt_f64_f32(vld1_f32(p));
}
VEC vd vd_fma(vd a, vd b, vd c)
{
    return vfmaq_f64(c, a, b);
}

/* Four rows of four floats into columns. */
VEC void vec_transpose4(float *to, size_t to_ld, const float *const from[4], size_t at)
{
    vf a0 = vld1q_f32(from[0] + at), a1 = vld1q_f32(from[1] + at);
    vf a2 = vld1q_f32(from[2] + at), a3 = vld1q_f32(from[3] + at);
    vd even01 = vreinterpretq_f64_f32(vtrn1q_f32(a0, a1)), odd01 = vreinterpretq_f64_f32(vtrn2q_f32(a0, a1));
    vd even23 = vreinterpretq_f64_f32(vtrn1q_f32(a2, a3)), odd23 = vreinterpretq_f64_f32(vtrn2q_f32(a2, a3));
    vst1q_f32(to, vreinterpretq_f32_f64(vtrn1q_f64(even01, even23)));
    vst1q_f32(to + to_ld, vreinterpretq_f32_f64(vtrn1q_f64(odd01, odd23)));
    vst1q_f32(to + 2 * to_ld, vreinterpretq_f32_f64(vtrn2q_f64(even01, even23)));
    vst1q_f32(to + 3 * to_ld, vreinterpretq_f32_f64(vtrn2q_f64(odd01, odd23)));
}

VEC void vec_transpose8(float *to, size_t to_ld, const float *const from[8])
{
    for (size_t k = 0; k < 8; k += 4)
        for (size_t j = 0; j < 8; j += 4)
            vec_transpose4(to + k * to_ld + j, to_ld, from + j, k);
}

#endif
