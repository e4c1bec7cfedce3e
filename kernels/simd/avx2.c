/* avx2.c - the kernel table with AVX2 and FMA. */
#include "kernels/simd/table.h"
#include "kernels/simd/vec_avx2.h"

#define FN(name)    name##_avx2
#define KERNELS_ISA "avx2"

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
