/* gemm_blas.c - the packed product by way of OpenBLAS: a second opinion for tests, and a back end for roles
 * that may have it (gemm.h).
 *
 * A panel [K][16] is a row-major matrix of 16 columns, so that one call serves a panel.  OpenBLAS chooses
 * its order of summation by shape, CPU and version: results agree with the packed kernel's to rounding
 * only, and a call must never hold rows of two shards (rule R3). Each call runs on the calling thread
 * alone. */
#include "kernels/gemm.h"

#include <cblas.h>
#include <string.h>

/* C starts as what the chain starts with; the product is then added by beta = 1. */
static void start_rows(int M, int P, float *c, size_t c_row, gemm_start start, const float *bias)
{
    for (int i = 0; i < M && start != GEMM_CONTINUE; i++) {
        float *row = c + (size_t)i * c_row;
        if (start == GEMM_BIAS)
            memcpy(row, bias, (size_t)P * 16 * sizeof *row);
        else
            memset(row, 0, (size_t)P * 16 * sizeof *row);
    }
}

void gemm_blas(int M, int P, int K, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_panel,
               float *c, size_t c_row, gemm_start start, const float *bias)
{
    if (openblas_get_num_threads() != 1)
        openblas_set_num_threads(1);
    start_rows(M, P, c, c_row, start, bias);
    const bool by_rows = a_k == 1;
    for (int p = 0; p < P && K > 0; p++)
        cblas_sgemm(CblasRowMajor, by_rows ? CblasNoTrans : CblasTrans, CblasNoTrans, M, 16, K, 1.0f, a,
                    (int)(by_rows ? a_row : a_k), b + (size_t)p * b_panel, 16, 1.0f, c + 16 * (size_t)p,
                    (int)c_row);
}

void gemm_blas_also(int M, int P, int K, const float *a, size_t a_row, size_t a_k, const float *b,
                    size_t b_panel, float *c, size_t c_row, gemm_start start, const float *bias,
                    const gemm_extra *extra)
{
    gemm_blas(M, P, K, a, a_row, a_k, b, b_panel, c, c_row, start, bias);
    for (int i = 0; i < M; i++) {
        float *row = c + (size_t)i * c_row, *out = extra->out ? extra->out + (size_t)i * extra->out_row
                                                              : row - (size_t)extra->merges * extra->below;
        const size_t out_panel = extra->out ? extra->out_panel : 16;
        for (int j = 0; j < 16 * P; j++) {
            float sum = row[j];
            for (int m = 1; m <= extra->merges; m++)
                sum = row[j - (ptrdiff_t)((size_t)m * extra->below)] + sum;
            out[(size_t)(j / 16) * out_panel + (size_t)(j % 16)] = sum;
        }
    }
}

const char *gemm_blas_flavour(void)
{
    return openblas_get_config();
}
