/* ahead.h - addresses to ask for.  They may lie behind their array, where no pointer may be formed by addition. */
#ifndef KERNELS_SIMD_AHEAD_H
#define KERNELS_SIMD_AHEAD_H

#include <stddef.h>
#include <stdint.h>

static inline const void *floats_ahead(const float *p, size_t floats)
{
    return (const void *)((uintptr_t)p + floats * sizeof *p);
}

#endif
