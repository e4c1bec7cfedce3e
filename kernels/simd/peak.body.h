/* peak.body.h - nothing but fused multiply-adds, in registers: the rate that no product can pass. */

#include "kernels/simd/side_by_side.h"

/* Chains that do not wait for each other: latency (4) times units (2) is 8 on x86, up to 16 on ARM.  AVX2 keeps
 * 4 of its 16 registers for operands and counters. */
#if VF == 8
#define FMA_CHAINS 12
#else
#define FMA_CHAINS 16
#endif

/* x = x a + b converges to b / (1 - a): neither overflow nor denormals, however long it runs. */
static double FN(fma_chains)(float *out, long rounds)
{
    const vf a = vf_set1(0.5f), b = vf_set1(out[0]);
    vf x[FMA_CHAINS];
    UNROLLED for (int i = 0; i < FMA_CHAINS; i++) x[i] = vf_set1((float)i);
    for (long n = 0; n < rounds; n++) {
        UNROLLED for (int i = 0; i < FMA_CHAINS; i++) x[i] = vf_fma(x[i], a, b);
    }
    vf sum = vf_zero();
    UNROLLED for (int i = 0; i < FMA_CHAINS; i++) sum = vf_add(sum, x[i]);
    float lane[VF];
    vf_store(lane, sum);
    out[0] = lane[0];
    return 2.0 * VF * FMA_CHAINS * (double)rounds;
}
