/* Worst errors seen against 64-bit-mantissa libm, in units of the last place (tests/kernels/test_dmath.c
 * asks for these):
 *
 *   d_exp  0.64    d_log  0.51    d_pow  0.66    where the result is normal
 *   d_cos  0.74    up to |x| = 1e5, also beside its zeros
 *
 * Each function reduces its argument to a small r in two doubles (hi + lo, the error of every step
 * recovered with fma), takes a Taylor series, whose coefficients need no table and no source, and rounds
 * once at the end.  pow needs the second double: an error of log x is multiplied by y, and beta^step has y
 * up to 1e7.  Round-to-nearest is assumed; where denormals are flushed, results below 2.3e-308 are 0 and
 * such arguments count as 0. */
#include "kernels/dmath.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Products of these heads with a binary exponent (11 bits) or a quadrant (17 bits) are exact. */
static const double ln2_head = 0x1.62e42fefa3000p-1, ln2_tail = 0x1.3de6af278ece6p-42,
                    log2_e = 0x1.71547652b82fep+0;
static const double half_pi_1 = 0x1.921fb54440000p+0, half_pi_2 = 0x1.68c234c4c0000p-39,
                    half_pi_3 = 0x1.98a2e03707345p-77;
static const double two_over_pi = 0x1.45f306dc9c883p-1;
static const double two_thirds_head = 0x1.5555555555555p-1, two_thirds_tail = 0x1.5555555555555p-55;

typedef struct twice {
    double hi, lo; /* hi + lo, |lo| <= ulp(hi)/2 or so */
} twice;

static twice sum(double a, double b) /* exact; any a and b (Knuth) */
{
    double s = a + b, t = s - a;
    return (twice){s, (a - (s - t)) + (b - t)};
}

static twice sum_ordered(double a, double b) /* exact; |a| >= |b| or a = 0 (Dekker) */
{
    double s = a + b;
    return (twice){s, b - (s - a)};
}

static double nearest(double x) /* nearest integer, |x| < 2^51 */
{
    return (x + 0x1.8p52) - 0x1.8p52;
}

static double power_of_two(int e) /* -1022 <= e <= 1023 */
{
    uint64_t bits = (uint64_t)(e + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* c[0] + c[1] x + ... + c[n-1] x^(n-1), Horner */
static double polynomial(const double *c, int n, double x)
{
    double p = c[n - 1];
    for (int i = n - 2; i >= 0; i--)
        p = fma(p, x, c[i]);
    return p;
}

/* exp(x.hi + x.lo): x = k ln 2 + r, |r| <= 0.3466; the series ends before r^14/14! < 2^-57 of the result. */
static double exp_twice(twice x)
{
    static const double inverse_factorial[] = {
        1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,        1.0 / 5040,
        1.0 / 40320., 1.0 / 362880., 1.0 / 3628800., 1.0 / 39916800., 1.0 / 479001600., 1.0 / 6227020800.,
    };
    if (x.hi != x.hi)
        return x.hi;
    if (x.hi > 709.8)
        return INFINITY;
    if (x.hi < -745.2)
        return 0.0;
    double k = nearest(x.hi * log2_e);
    twice r = sum(fma(-k, ln2_head, x.hi), -k * ln2_tail);
    r = sum(r.hi, r.lo + x.lo); /* so that r.lo * r.hi is nothing */
    double tail = fma(r.hi * r.hi, polynomial(inverse_factorial, 12, r.hi), r.lo);
    twice head = sum_ordered(1.0, r.hi);
    double y = head.hi + (head.lo + tail);
    int e = (int)k; /* two factors, for 2^k itself may be out of range */
    return y * power_of_two(e / 2) * power_of_two(e - e / 2);
}

/* log x for 0 < x < inf: x = 2^e m, m in [sqrt(1/2), sqrt 2), s = (m-1)/(m+1),
 *
 *   log m = 2 s + 2/3 s^3 + 2/5 s^5 + ...
 *
 * The first two terms in two doubles: what is left is below 2^-12 of the sum, its rounding below 2^-64. */
static twice log_twice(double x)
{
    static const double odd[] = {2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11, 2.0 / 13,
                                 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23};
    int e = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        e = -54;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    e += (int)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffff) | (uint64_t)1023 << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 0x1.6a09e667f3bcdp0) {
        m *= 0.5;
        e++;
    }
    double f = m - 1.0; /* exact */
    twice g = sum_ordered(m > 1.0 ? m : 1.0, m > 1.0 ? 1.0 : m);
    double s = f / g.hi, s_lo = (fma(-s, g.hi, f) - s * g.lo) / g.hi;
    double z = s * s, z_lo = fma(s, s, -z) + 2.0 * s * s_lo;
    double cube = s * z, cube_lo = fma(s, z, -cube) + (s * z_lo + s_lo * z);
    double third = cube * two_thirds_head;
    double third_lo =
        fma(cube, two_thirds_head, -third) + (cube * two_thirds_tail + cube_lo * two_thirds_head);
    double rest = cube * z * polynomial(odd, 10, z);
    twice series = sum_ordered(2.0 * s, third);
    twice whole = sum(e * ln2_head, series.hi);
    return sum_ordered(whole.hi, whole.lo + (e * ln2_tail + (series.lo + (2.0 * s_lo + (third_lo + rest)))));
}

double d_exp(double x)
{
    return exp_twice((twice){x, 0.0});
}

double d_log(double x)
{
    if (x > 0.0 && x < INFINITY)
        return log_twice(x).hi;
    return x == 0.0 ? -INFINITY : x > 0.0 ? x : NAN;
}

double d_pow(double x, double y)
{
    if (y == 0.0 || x == 1.0)
        return 1.0;
    if (x == 0.0 || x == INFINITY)
        return y != y ? y : (y > 0.0) == (x > 0.0) ? INFINITY : 0.0;
    if (!(x > 0.0) || y != y)
        return NAN;
    twice l = log_twice(x);
    double hi = y * l.hi;
    if (!(hi > -1000.0 && hi < 1000.0))
        return hi > 0.0 ? INFINITY : 0.0;
    return exp_twice(sum_ordered(hi, fma(y, l.hi, -hi) + y * l.lo));
}

static double cos_small(twice r) /* |r| <= pi/4 */
{
    static const double c[] = {
        1.0 / 24,         -1.0 / 720,          1.0 / 40320,           -1.0 / 3628800,
        1.0 / 479001600., -1.0 / 87178291200., 1.0 / 20922789888000., -1.0 / 6402373705728000.};
    double z = r.hi * r.hi, z_lo = fma(r.hi, r.hi, -z);
    twice head = sum_ordered(1.0, -0.5 * z);
    return head.hi + (head.lo + (fma(z * z, polynomial(c, 8, z), -0.5 * z_lo) - r.hi * r.lo));
}

static double sin_small(twice r)
{
    static const double c[] = {
        -1.0 / 6,         1.0 / 120,         -1.0 / 5040,           1.0 / 362880,
        -1.0 / 39916800., 1.0 / 6227020800., -1.0 / 1307674368000., 1.0 / 355687428096000.};
    double z = r.hi * r.hi;
    return r.hi + (fma(r.hi * z, polynomial(c, 8, z), r.lo) - 0.5 * z * r.lo);
}

double d_cos(double x)
{
    if (!(x >= -1e5 && x <= 1e5))
        return NAN;
    double k = nearest(x * two_over_pi);
    twice r = sum(fma(-k, half_pi_1, x), -k * half_pi_2);
    r = sum(r.hi, r.lo - k * half_pi_3);
    switch ((int)k & 3) {
    case 0:
        return cos_small(r);
    case 1:
        return -sin_small(r);
    case 2:
        return -cos_small(r);
    default:
        return sin_small(r);
    }
}
