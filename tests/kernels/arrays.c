/* arrays.c - see arrays.h. */
#include "tests/kernels/arrays.h"

#include "kernels/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CANARY = 16 };
static const float canary = -12345.0f;

float *array_blank(size_t n)
{
    float *x = malloc((n + CANARY) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n + CANARY; i++)
        x[i] = canary;
    return x;
}

float *array_random(size_t n, float scale, uint32_t which)
{
    const rng_place place = {.seed = 11, .row = which, .purpose = RNG_TEST};
    float *x = array_blank(n);
    rng_fill(&place, x, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        x[i] = scale * (2.0f * x[i] - 1.0f);
    return x;
}

float *array_rows(size_t rows, int n, float scale, uint32_t which)
{
    const size_t ld = (size_t)PAD16(n);
    float *x = array_random(rows * ld, scale, which);
    for (size_t i = 0; i < rows; i++)
        memset(x + i * ld + n, 0, (ld - (size_t)n) * sizeof *x);
    return x;
}

void array_check(const float *x, size_t n)
{
    for (size_t i = n; i < n + CANARY; i++)
        assert_true(x[i] == canary);
}

float *array_cut(const float *x, int T, int B, int ld, int row0, int rows)
{
    const size_t run = (size_t)rows * (size_t)ld;
    float *part = array_blank((size_t)T * run);
    for (int t = 0; t < T; t++)
        memcpy(part + (size_t)t * run, x + (size_t)(t * B + row0) * (size_t)ld, run * sizeof *x);
    return part;
}

void array_put(float *x, const float *part, int T, int B, int ld, int row0, int rows)
{
    const size_t run = (size_t)rows * (size_t)ld;
    for (int t = 0; t < T; t++)
        memcpy(x + (size_t)(t * B + row0) * (size_t)ld, part + (size_t)t * run, run * sizeof *x);
}

double *array_doubles(size_t n)
{
    double *x = calloc(n + 1, sizeof *x);
    assert_non_null(x);
    return x;
}
