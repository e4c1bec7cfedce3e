/* vec_avx512.h - the vector types of the kernel bodies with AVX-512 (F and DQ); see vec_scalar.h for what
 * each name means. Only kernels/simd/avx512.c may include it: no other file is compiled with the flags it
 * needs. */
#ifndef KERNELS_SIMD_VEC_AVX512_H
#define KERNELS_SIMD_VEC_AVX512_H

#include "kernels/simd/vec_transpose8.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define VF 16
#define VD 8
typedef __m512 vf;
typedef __m512i vi;
typedef __m512d vd;
typedef __mmask16 vm;

#define VEC static inline __attribute__((always_inline, unused))

VEC __mmask16 vec_first(size_t n)
{
    /* a mask of the first n lanes */
    return (__mmask16)((1u << n) - 1);
}
VEC vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
VEC void vf_store(float *p, vf a)
{
    _mm512_storeu_ps(p, a);
}
VEC vf vf_load_part(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(vec_first(n), p);
}
VEC void vf_store_part(float *p, size_t n, vf a)
{
    _mm512_mask_storeu_ps(p, vec_first(n), a);
}
VEC vf vf_set1(float x)
{
    return _mm512_set1_ps(x);
}
VEC vf vf_zero(void)
{
    return _mm512_setzero_ps();
}
VEC vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
VEC vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
VEC vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
VEC vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
VEC vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
/* Written out: the compiler would fetch *a into a register of its own, one instruction more to decode. */
VEC vf vf_fma_at(const float *a, vf b, vf c)
{
    __asm__("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(c) : "v"(b), "m"(*a));
    return c;
}
VEC vf vf_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}
#define HAVE_VF_SCALE
VEC vf vf_scale(vf x, vf n)
{
    return _mm512_scalef_ps(x, n);
}
VEC vf vf_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}
VEC vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
VEC vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
VEC vf vf_abs(vf a)
{
    return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a);
}
VEC vf vf_copysign(vf size, vf sign)
{
    const vf bit = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(bit, size), _mm512_and_ps(bit, sign));
}

VEC vm vf_lt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
VEC vm vf_le(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ);
}
VEC vm vf_ge(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
}
VEC vm vf_eq(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
VEC int vm_all(vm m)
{
    return m == 0xffff;
}
VEC vf vf_select(vm m, vf a, vf b)
{
    return _mm512_mask_blend_ps(m, b, a);
}

VEC vi vi_bits(vf a)
{
    return _mm512_castps_si512(a);
}
VEC vf vf_bits(vi a)
{
    return _mm512_castsi512_ps(a);
}
VEC vf vf_of_int(vi a)
{
    return _mm512_cvtepi32_ps(a);
}
VEC vi vi_load(const uint32_t *p)
{
    return _mm512_loadu_si512((const __m512i *)p);
}
VEC void vi_store(uint32_t *p, vi a)
{
    _mm512_storeu_si512((__m512i *)p, a);
}
VEC vi vi_set1(uint32_t x)
{
    return _mm512_set1_epi32((int)x);
}
VEC vi vi_iota(void)
{
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
VEC vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}
VEC vi vi_sub(vi a, vi b)
{
    return _mm512_sub_epi32(a, b);
}
VEC vi vi_xor(vi a, vi b)
{
    return _mm512_xor_si512(a, b);
}
#define vi_sll(a, n) _mm512_slli_epi32(a, n)
#define vi_srl(a, n) _mm512_srli_epi32(a, n)
#define vi_sra(a, n) _mm512_srai_epi32(a, n)
VEC vi vi_mul_lo(vi a, vi b)
{
    return _mm512_mullo_epi32(a, b);
}
VEC vi vi_mul_hi(vi a, vi b)
{
    vi even = _mm512_srli_epi64(_mm512_mul_epu32(a, b), 32);
    vi odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
    return _mm512_mask_blend_epi32(0xaaaa, even, odd);
}

VEC vd vd_load(const double *p)
{
    return _mm512_loadu_pd(p);
}
VEC void vd_store(double *p, vd a)
{
    _mm512_storeu_pd(p, a);
}
VEC vd vd_load_floats(const float *p)
{
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}
VEC vd vd_fma(vd a, vd b, vd c)
{
    return _mm512_fmadd_pd(a, b, c);
}

#endif
