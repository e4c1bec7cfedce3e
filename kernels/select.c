/* select.c - which tables this program has, which of them this machine can run, and which one it shall use.
 *
 * __builtin_cpu_supports asks CPUID and, for what needs wider registers, XGETBV whether the operating
 * system saves them.  On ARM the kernel's list of the processor's abilities holds what both support. */
#include "kernels/kernels.h"

#include "kernels/simd/table.h"

#include <string.h>

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

extern const kernels kernels_scalar;
#if defined(__x86_64__)
extern const kernels kernels_avx2, kernels_avx512;
static const kernels *const tables[] = {&kernels_scalar, &kernels_avx2, &kernels_avx512};
#elif defined(__aarch64__)
extern const kernels kernels_neon;
static const kernels *const tables[] = {&kernels_scalar, &kernels_neon};
#else
static const kernels *const tables[] = {&kernels_scalar};
#endif
#define TABLES ((int)(sizeof tables / sizeof tables[0]))

const kernels *const *kernels_all(int *count)
{
    *count = TABLES;
    return tables;
}

bool kernels_usable(const kernels *k)
{
#if defined(__x86_64__)
    if (k == &kernels_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (k == &kernels_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("fma");
#elif defined(__aarch64__)
    if (k == &kernels_neon)
        return getauxval(AT_HWCAP) & HWCAP_ASIMD;
#endif
    return k == &kernels_scalar;
}

const char *kernels_name(const kernels *k)
{
    return k->isa;
}

const kernels *kernels_select(const char *name)
{
    for (int i = TABLES - 1; i >= 0; i--)
        if (kernels_usable(tables[i]) && (!name || strcmp(name, tables[i]->isa) == 0))
            return tables[i];
    return NULL;
}
