/* unrolled.h - UNROLLED for (...): a loop of constant length whose turns the compiler writes out, so that what
 * it indexes stays in registers. */
#ifndef KERNELS_SIMD_UNROLLED_H
#define KERNELS_SIMD_UNROLLED_H

#ifdef __clang__
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

#endif
