/* fill.h - initial values: uniform, normal, orthogonal, as functions of a place in the random numbers (rng.h)
 * and of nothing else; and the mean of rows that are there.
 *
 * uniform     w[i] = (float)((2u - 1) s),  u = rng_uniform of element i                    in [-s, s)
 * normal      w[i] = (float)(s sqrt(-2 log(1-u1)) cos(2 pi u2)),  u1, u2 = 53-bit uniforms 2i, 2i+1  (Box & Muller 1958)
 * orthogonal  a (n,n) matrix of normals, rows made orthonormal by modified Gram-Schmidt, twice (Saxe, McClelland, Ganguli 2014)
 *
 * mean row    mean[k] = (float)(sum over the rows of x[row][k], in double, in their order, / rows)
 *
 * Elements are counted from `first`; place.row is the tensor, place.step holds element >> 30.  Any thread;
 * fill_orthogonal allocates n*n doubles and returns false when it cannot. */
#ifndef KERNELS_FILL_H
#define KERNELS_FILL_H

#include "kernels/rng.h"

#include <stdbool.h>
#include <stddef.h>

void fill_uniform(rng_place place, double s, float *w, size_t n);
void fill_normal(rng_place place, double s, float *w, size_t first, size_t n);
bool fill_orthogonal(rng_place place, float *w, size_t first, int n);
/* x (rows,cols), rows >= 1 -> mean (cols), which is no part of x. */
void fill_mean_row(const float *x, size_t rows, size_t cols, float *mean);

#endif
