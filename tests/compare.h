/* compare.h - compares computed numbers with expected ones: says where the worst element is, and lets no NaN
 * pass.
 *
 *   error of an element = |got - want| / (floor + |want|)          0 when got == want, so that equal infinities are equal
 *
 * `floor` is the size below which an error counts as absolute: 1 for values of order one, the largest |want|
 * of a tensor (compare_largest) for gradients.  An element is bad unless its error is at most the tolerance;
 * in this form a NaN on either side is always bad.
 *
 * compare_* only measure.  close_* and same_bits also print one line to stderr when something is bad, and are
 * for
 *   assert_true(close_floats("rnn.weight_hh_l0", got, want, n, compare_largest(want, n), 1e-5));
 * Plain functions of their arguments; any thread. */
#ifndef TESTS_COMPARE_H
#define TESTS_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct difference {
    size_t bad;   /* elements over the tolerance or not a number */
    size_t worst; /* the element with the largest error; the first NaN, when there is one */
    double error; /* its error; infinity for a NaN */
    double got, want;
} difference;

difference compare_doubles(const double *got, const double *want, size_t n, double floor, double tolerance);
difference compare_floats(const float *got, const double *want, size_t n, double floor, double tolerance);
/* Largest |x|; NaN are passed over.  Never 0, so that it can serve as a floor. */
double compare_largest(const double *x, size_t n);

bool close_doubles(const char *what, const double *got, const double *want, size_t n, double floor,
                   double tolerance);
bool close_floats(const char *what, const float *got, const double *want, size_t n, double floor,
                  double tolerance);
bool close_double(const char *what, double got, double want, double tolerance); /* relative: floor 0 */
/* Bit for bit: +0 and -0 differ, a NaN equals itself. */
bool same_bits(const char *what, const float *got, const float *want, size_t n);

#endif
