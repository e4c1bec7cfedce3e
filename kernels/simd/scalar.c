/* scalar.c - the kernel table in portable C: the table that every machine has, and the one to read first.
 * fmaf keeps the one rounding of an fma, with or without hardware for it. */
#include "kernels/simd/table.h"
#include "kernels/simd/vec_scalar.h"

#define FN(name)    name##_scalar
#define KERNELS_ISA "scalar"

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
