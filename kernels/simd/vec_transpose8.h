/* vec_transpose8.h - turns 8 rows of 8 floats into columns; for the vector headers of instruction sets
 * that have AVX. */
#ifndef KERNELS_SIMD_VEC_TRANSPOSE8_H
#define KERNELS_SIMD_VEC_TRANSPOSE8_H

#include <immintrin.h>
#include <stddef.h>

/* to[k*to_ld + j] = from[j][k], j, k < 8 */
static inline __attribute__((always_inline, unused)) void vec_transpose8(float *to, size_t to_ld,
                                                                         const float *const from[8])
{
    __m256 a[8], b[8];
    for (int i = 0; i < 8; i++)
        a[i] = _mm256_loadu_ps(from[i]);
    for (int i = 0; i < 4; i++) { /* pairs of rows: elements 0,1 and 2,3 of each half */
        b[2 * i] = _mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]);
    }
    for (int i = 0; i < 8; i += 4) { /* four rows: element 0, 1, 2, 3 of each half */
        a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
        a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
        a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
        a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) { /* all eight */
        _mm256_storeu_ps(to + (size_t)i * to_ld, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
        _mm256_storeu_ps(to + (size_t)(i + 4) * to_ld, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
    }
}

#endif
