/* arrays.h - arrays of floats for the tests of kernels: random ones, and blank ones that show what was written.
 *
 * Behind the n floats of each stands a canary; array_check() fails the test where something was written over it.
 * A random array is a function of its arguments.  malloc'ed: free() them. */
#ifndef TESTS_KERNELS_ARRAYS_H
#define TESTS_KERNELS_ARRAYS_H

#include "kernels/kernels.h"

float *array_blank(size_t n);                                       /* a value that no kernel makes */
float *array_random(size_t n, float scale, uint32_t which);         /* uniform in [-scale, scale) */
float *array_rows(size_t rows, int n, float scale, uint32_t which); /* (rows,PAD16(n)), zeros behind the n */
void array_check(const float *x, size_t n);
/* Rows [row0, row0 + rows) of each step of x (T,B,ld), as (T,rows,ld); and such a part back to its place. */
float *array_cut(const float *x, int T, int B, int ld, int row0, int rows);
void array_put(float *x, const float *part, int T, int B, int ld, int row0, int rows);
double *array_doubles(size_t n); /* zeros */

#endif
