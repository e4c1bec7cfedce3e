/* dmath.h - exp, log, pow and cos in double precision for schedules, optimisers, initialisation and losses
 * (rule R8).
 *
 * No libm transcendental may lie between configuration and parameters: glibc's answers change with its
 * version and the CPU.  These are made from fma, multiply, add, divide and sqrt only, so that they give
 * the same bits everywhere.  Worst errors are stated in dmath.c and tested. */
#ifndef KERNELS_DMATH_H
#define KERNELS_DMATH_H

double d_exp(double x);
double d_log(double x);
double d_pow(double x, double y); /* x >= 0 */
double d_cos(double x);           /* |x| <= 1e5 */

#endif
