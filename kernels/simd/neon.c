/* neon.c - the kernel table with Advanced SIMD (64-bit ARM), which has fused multiply-adds from its start. */
#include "kernels/simd/table.h"
#include "kernels/simd/vec_neon.h"

#define FN(name)    name##_neon
#define KERNELS_ISA "neon"

#include "kernels/simd/math.body.h"

#include "kernels/simd/gemm.body.h"

#include "kernels/simd/gru.body.h"
#include "kernels/simd/lstm.body.h"
#include "kernels/simd/narrow.body.h"
#include "kernels/simd/rnn.body.h"

#include "kernels/simd/sums.body.h"

#include "kernels/simd/dropout.body.h"
#include "kernels/simd/optim.body.h"
#include "kernels/simd/softmax.body.h"

#include "kernels/simd/peak.body.h"

#include "kernels/simd/table.body.h"
