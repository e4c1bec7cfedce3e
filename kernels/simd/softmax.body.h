/* softmax.body.h - maxima, exponentials and sums down the columns of a block of transposed logits.
 *
 * A column is a token and a row is a word, so a lane never meets another token, and the order of a sum is
 * that of the rows in every table.  x has `columns` columns, a multiple of 16, in rows that are `stride`
 * floats apart. */

#include "kernels/simd/side_by_side.h"

/* A panel of 16 columns, in rows of 16: x[i] += bias[i], and the columns' maxima of that. */
static void FN(panel_bias_max)(float *max, float *x, const float *bias, int rows)
{
    vf m[16 / VF];
    for (int j = 0; j < 16 / VF; j++)
        m[j] = vf_bits(vi_set1(0xff800000u)); /* -inf */
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < 16 / VF; j++) {
            vf l = vf_add(vf_load(x + i * 16 + j * VF), vf_set1(bias[i]));
            vf_store(x + i * 16 + j * VF, l);
            m[j] = vf_max(m[j], l);
        }
    for (int j = 0; j < 16 / VF; j++)
        vf_store(max + j * VF, m[j]);
}

/* max[j] = largest of x[.][j]; what is not a number is passed over here and stays one in its exponential */
static void FN(columns_max)(float *max, const float *x, int rows, size_t stride, int columns)
{
    for (int j = 0; j < columns; j += VF) {
        vf m = vf_load(x + j);
        for (int i = 1; i < rows; i++)
            m = vf_max(m, vf_load(x + (size_t)i * stride + j));
        vf_store(max + j, m);
    }
}

/* sum[j] = x[0][j] + x[1][j] + ... */
static void FN(columns_sum)(float *sum, const float *x, int rows, size_t stride, int columns)
{
    for (int j = 0; j < columns; j += VF) {
        vf s = vf_load(x + j);
        for (int i = 1; i < rows; i++)
            s = vf_add(s, vf_load(x + (size_t)i * stride + j));
        vf_store(sum + j, s);
    }
}

/* Rows i .. i+n-1 of a vector of columns; adds them to sum.  What stands ahead of a row of logits are those of the
 * same tokens and later words. */
VEC vf exps_of_rows(float *y, const float *x, vf max, size_t stride, int i, const int n, vf sum)
{
    vf e[SIDE_BY_SIDE];
    EACH(r, n) fetch_ahead(x + (size_t)(i + r) * stride);
    EACH(r, n) e[r] = vf_sub(vf_load(x + (size_t)(i + r) * stride), max);
    vf_exps(e, e, n);
    EACH(r, n) vf_store(y + (size_t)(i + r) * stride, e[r]);
    EACH(r, n) sum = vf_add(sum, e[r]);
    return sum;
}

/* y = exp(x - max), sum[j] = y[0][j] + y[1][j] + ...; y may be x and has its stride */
static void FN(columns_exp)(float *sum, float *y, const float *x, const float *max, int rows, size_t stride,
                            int columns)
{
    for (int j = 0; j < columns; j += VF) {
        vf m = vf_load(max + j), s = vf_zero();
        int i = 0;
        for (; i + 4 <= rows; i += 4)
            s = exps_of_rows(y + j, x + j, m, stride, i, 4, s);
        for (; i < rows; i++)
            s = exps_of_rows(y + j, x + j, m, stride, i, 1, s);
        vf_store(sum + j, s);
    }
}
