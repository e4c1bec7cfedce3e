/* vec_avx2.h - the vector types of the kernel bodies with AVX2 and FMA; see vec_scalar.h for what each
 * name means. Only kernels/simd/avx2.c may include it: no other file is compiled with the flags it needs. */
#ifndef KERNELS_SIMD_VEC_AVX2_H
#define KERNELS_SIMD_VEC_AVX2_H

#include "kernels/simd/vec_transpose8.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define VF 8
#define VD 4
typedef __m256 vf;
typedef __m256i vi;
typedef __m256d vd;
typedef __m256 vm;

#define VEC static inline __attribute__((always_inline, unused))

VEC vi vec_first(size_t n)
{
    /* a mask of the first n lanes */
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
VEC vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
VEC void vf_store(float *p, vf a)
{
    _mm256_storeu_ps(p, a);
}
VEC vf vf_load_part(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, vec_first(n));
}
VEC void vf_store_part(float *p, size_t n, vf a)
{
    _mm256_maskstore_ps(p, vec_first(n), a);
}
VEC vf vf_set1(float x)
{
    return _mm256_set1_ps(x);
}
VEC vf vf_zero(void)
{
    return _mm256_setzero_ps();
}
VEC vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
VEC vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
VEC vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
VEC vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
VEC vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
VEC vf vf_fma_at(const float *a, vf b, vf c)
{
    return vf_fma(vf_set1(*a), b, c);
}
VEC vf vf_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
VEC vf vf_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}
VEC vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
VEC vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
VEC vf vf_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
VEC vf vf_copysign(vf size, vf sign)
{
    const vf bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(bit, size), _mm256_and_ps(bit, sign));
}

VEC vm vf_lt(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
VEC vm vf_le(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LE_OQ);
}
VEC vm vf_ge(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_GE_OQ);
}
VEC vm vf_eq(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}
VEC int vm_all(vm m)
{
    return _mm256_movemask_ps(m) == 0xff;
}
VEC vf vf_select(vm m, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, m);
}

VEC vi vi_bits(vf a)
{
    return _mm256_castps_si256(a);
}
VEC vf vf_bits(vi a)
{
    return _mm256_castsi256_ps(a);
}
VEC vf vf_of_int(vi a)
{
    return _mm256_cvtepi32_ps(a);
}
VEC vi vi_load(const uint32_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}
VEC void vi_store(uint32_t *p, vi a)
{
    _mm256_storeu_si256((__m256i *)p, a);
}
VEC vi vi_set1(uint32_t x)
{
    return _mm256_set1_epi32((int)x);
}
VEC vi vi_iota(void)
{
    return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
}
VEC vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}
VEC vi vi_sub(vi a, vi b)
{
    return _mm256_sub_epi32(a, b);
}
VEC vi vi_xor(vi a, vi b)
{
    return _mm256_xor_si256(a, b);
}
#define vi_sll(a, n) _mm256_slli_epi32(a, n)
#define vi_srl(a, n) _mm256_srli_epi32(a, n)
#define vi_sra(a, n) _mm256_srai_epi32(a, n)
VEC vi vi_mul_lo(vi a, vi b)
{
    return _mm256_mullo_epi32(a, b);
}
VEC vi vi_mul_hi(vi a, vi b)
{
    vi even = _mm256_srli_epi64(_mm256_mul_epu32(a, b), 32);
    vi odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
    return _mm256_blend_epi32(even, odd, 0xaa);
}

VEC vd vd_load(const double *p)
{
    return _mm256_loadu_pd(p);
}
VEC void vd_store(double *p, vd a)
{
    _mm256_storeu_pd(p, a);
}
VEC vd vd_load_floats(const float *p)
{
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
}
VEC vd vd_fma(vd a, vd b, vd c)
{
    return _mm256_fmadd_pd(a, b, c);
}

#endif
