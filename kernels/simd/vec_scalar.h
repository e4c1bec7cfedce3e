/* vec_scalar.h - the vector types of the kernel bodies, one lane wide, in portable C.
 *
 * The four headers vec_{scalar,avx2,avx512,neon}.h define the same names, so that a body is written once and
 * included once per instruction set.  Every operation is one IEEE operation per lane (or exact integer
 * arithmetic), and so gives the same bits in all of them; there are no estimates (rcp, rsqrt), because
 * vendors differ in them.
 *
 *   vf (VF lanes of float), vi (VF lanes of 32-bit integers), vd (VD lanes of double), vm (a mask of VF
 *   lanes)
 *
 *   vf_load, vf_store             any alignment            vf_fma(a,b,c)    a*b + c, rounded once
 *   vf_load_part(p,n)             n < VF lanes, rest 0     vf_fnma(a,b,c)   c - a*b, rounded once
 *   vf_store_part(p,n,a)          n < VF lanes             vf_max(a,b)      a > b ? a : b, b if one is NaN
 *   vf_lt, le, gt, ge, eq         false if NaN             vf_min(a,b)      a < b ? a : b, b if one is NaN
 *   vm_all(m)                     all lanes
 *   vf_select(m,a,b)              m ? a : b                vi_bits, vf_bits the same bits as the other type
 *   vf_of_int(i)                  signed integer to float  vi_mul_hi, lo    halves of 32 x 32 bits, unsigned
 *   vec_transpose8(to,ld,from)    to[k*ld + j] = from[j][k], j, k < 8
 *   vf_fma_at(p,b,c)              p[0]*b + c, rounded once; p fetched by the instruction itself where it can be
 *   vd_load_floats(p)             VD floats, widened       vi_iota()        0, 1, ..., VF-1
 *   vf_scale(x,n)                 x * 2^n for whole n, rounded once; only where HAVE_VF_SCALE is defined */
#ifndef KERNELS_SIMD_VEC_SCALAR_H
#define KERNELS_SIMD_VEC_SCALAR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VF 1
#define VD 1
typedef float vf;
typedef uint32_t vi;
typedef double vd;
typedef int vm;

#define VEC static inline __attribute__((always_inline, unused))

VEC vf vf_load(const float *p)
{
    return *p;
}
VEC void vf_store(float *p, vf a)
{
    *p = a;
}
VEC vf vf_load_part(const float *p, size_t n)
{
    return n ? *p : 0.0f;
}
VEC void vf_store_part(float *p, size_t n, vf a)
{
    if (n)
        *p = a;
}
VEC vf vf_set1(float x)
{
    return x;
}
VEC vf vf_zero(void)
{
    return 0.0f;
}
VEC vf vf_add(vf a, vf b)
{
    return a + b;
}
VEC vf vf_sub(vf a, vf b)
{
    return a - b;
}
VEC vf vf_mul(vf a, vf b)
{
    return a * b;
}
VEC vf vf_div(vf a, vf b)
{
    return a / b;
}
VEC vf vf_fma(vf a, vf b, vf c)
{
    return fmaf(a, b, c);
}
VEC vf vf_fma_at(const float *a, vf b, vf c)
{
    return vf_fma(vf_set1(*a), b, c);
}
VEC vf vf_fnma(vf a, vf b, vf c)
{
    return fmaf(-a, b, c);
}
VEC vf vf_sqrt(vf a)
{
    return sqrtf(a);
}
VEC vf vf_max(vf a, vf b)
{
    return a > b ? a : b;
}
VEC vf vf_min(vf a, vf b)
{
    return a < b ? a : b;
}
VEC vf vf_abs(vf a)
{
    return fabsf(a);
}
VEC vf vf_copysign(vf size, vf sign)
{
    return copysignf(size, sign);
}

VEC vm vf_lt(vf a, vf b)
{
    return a < b;
}
VEC vm vf_le(vf a, vf b)
{
    return a <= b;
}
VEC vm vf_ge(vf a, vf b)
{
    return a >= b;
}
VEC vm vf_eq(vf a, vf b)
{
    return a == b;
}
VEC int vm_all(vm m)
{
    return m;
}
VEC vf vf_select(vm m, vf a, vf b)
{
    return m ? a : b;
}

VEC vi vi_bits(vf a)
{
    vi r;
    memcpy(&r, &a, sizeof r);
    return r;
}
VEC vf vf_bits(vi a)
{
    vf r;
    memcpy(&r, &a, sizeof r);
    return r;
}
VEC vf vf_of_int(vi a)
{
    return (float)(int32_t)a;
}
VEC vi vi_load(const uint32_t *p)
{
    return *p;
}
VEC void vi_store(uint32_t *p, vi a)
{
    *p = a;
}
VEC vi vi_set1(uint32_t x)
{
    return x;
}
VEC vi vi_iota(void)
{
    return 0;
}
VEC vi vi_add(vi a, vi b)
{
    return a + b;
}
VEC vi vi_sub(vi a, vi b)
{
    return a - b;
}
VEC vi vi_xor(vi a, vi b)
{
    return a ^ b;
}
#define vi_sll(a, n) ((vi)((a) << (n)))
#define vi_srl(a, n) ((vi)((a) >> (n)))
#define vi_sra(a, n) ((vi)((int32_t)(a) >> (n)))
VEC vi vi_mul_lo(vi a, vi b)
{
    return a * b;
}
VEC vi vi_mul_hi(vi a, vi b)
{
    return (vi)(((uint64_t)a * b) >> 32);
}

VEC vd vd_load(const double *p)
{
    return *p;
}
VEC void vd_store(double *p, vd a)
{
    *p = a;
}
VEC vd vd_load_floats(const float *p)
{
    return *p;
}
VEC vd vd_fma(vd a, vd b, vd c)
{
    return fma(a, b, c);
}

VEC void vec_transpose8(float *to, size_t to_ld, const float *const from[8])
{
    for (size_t k = 0; k < 8; k++)
        for (size_t j = 0; j < 8; j++)
            to[k * to_ld + j] = from[j][k];
}

#endif
