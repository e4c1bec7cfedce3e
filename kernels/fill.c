#include "kernels/fill.h"

#include "kernels/dmath.h"

#include <math.h>
#include <stdlib.h>

/* Elements per value of place.step: two words each must fit the 32-bit unit. */
#define ELEMENTS_SHIFT 30

static uint32_t element(rng_place *place, size_t i)
{
    place->step = (uint32_t)(i >> ELEMENTS_SHIFT);
    return (uint32_t)(i & (((size_t)1 << ELEMENTS_SHIFT) - 1));
}

void fill_uniform(rng_place place, double s, float *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t unit = element(&place, i);
        w[i] = (float)((2.0 * (double)rng_uniform(&place, unit) - 1.0) * s);
    }
}

static double normal(rng_place *place, size_t i)
{
    static const double two_pi = 6.283185307179586476925286766559;
    uint32_t unit = element(place, i);
    double u1 = rng_uniform53(place, 2 * unit), u2 = rng_uniform53(place, 2 * unit + 1);
    return sqrt(-2.0 * d_log(1.0 - u1)) * d_cos(two_pi * u2); /* 1 - u1 lies in (0,1] */
}

void fill_normal(rng_place place, double s, float *w, size_t first, size_t n)
{
    for (size_t i = 0; i < n; i++)
        w[i] = (float)(s * normal(&place, first + i));
}

static double dot(const double *a, const double *b, int n)
{
    double sum = 0;
    for (int k = 0; k < n; k++)
        sum = fma(a[k], b[k], sum);
    return sum;
}

/* Removes from row its parts along the rows before it, and scales it to length one. */
static void orthonormal_row(double *a, int row, int n)
{
    double *x = a + (size_t)row * n;
    for (int round = 0; round < 2; round++) /* the second round removes what rounding left of the first */
        for (int j = 0; j < row; j++) {
            const double *q = a + (size_t)j * n;
            double along = dot(x, q, n);
            for (int k = 0; k < n; k++)
                x[k] = fma(-along, q[k], x[k]);
        }
    double length = sqrt(dot(x, x, n));
    for (int k = 0; k < n; k++)
        x[k] /= length;
}

bool fill_orthogonal(rng_place place, float *w, size_t first, int n)
{
    size_t count = (size_t)n * (size_t)n;
    double *a = malloc(count * sizeof *a);
    if (!a)
        return false;
    for (size_t i = 0; i < count; i++)
        a[i] = normal(&place, first + i);
    for (int row = 0; row < n; row++)
        orthonormal_row(a, row, n);
    for (size_t i = 0; i < count; i++)
        w[i] = (float)a[i];
    free(a);
    return true;
}

void fill_mean_row(const float *x, size_t rows, size_t cols, float *mean)
{
    for (size_t k = 0; k < cols; k++) {
        double sum = 0;
        for (size_t row = 0; row < rows; row++)
            sum += (double)x[row * cols + k];
        mean[k] = (float)(sum / (double)rows);
    }
}
