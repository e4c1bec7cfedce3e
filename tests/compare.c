/* compare.c - see compare.h. */
#include "tests/compare.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void compare_element(difference *d, size_t i, double got, double want, double floor, double tolerance)
{
    double error = got == want ? 0.0 : fabs(got - want) / (floor + fabs(want));
    if (!(error >= 0.0)) /* a NaN, or a finite number against an infinity */
        error = INFINITY;
    if (!(error <= tolerance))
        d->bad++;
    if (i == 0 || error > d->error)
        *d = (difference){.bad = d->bad, .worst = i, .error = error, .got = got, .want = want};
}

difference compare_doubles(const double *got, const double *want, size_t n, double floor, double tolerance)
{
    difference d = {0};
    for (size_t i = 0; i < n; i++)
        compare_element(&d, i, got[i], want[i], floor, tolerance);
    return d;
}

difference compare_floats(const float *got, const double *want, size_t n, double floor, double tolerance)
{
    difference d = {0};
    for (size_t i = 0; i < n; i++)
        compare_element(&d, i, (double)got[i], want[i], floor, tolerance);
    return d;
}

double compare_largest(const double *x, size_t n)
{
    double largest = DBL_MIN;
    for (size_t i = 0; i < n; i++)
        if (fabs(x[i]) > largest)
            largest = fabs(x[i]);
    return largest;
}

static bool report(const char *what, const difference *d, size_t n, double tolerance)
{
    if (d->bad > 0)
        fprintf(stderr, "%s[%zu]: got %.9g, want %.9g, error %.3g > %.3g; %zu of %zu elements are off\n",
                what, d->worst, d->got, d->want, d->error, tolerance, d->bad, n);
    return d->bad == 0;
}

bool close_doubles(const char *what, const double *got, const double *want, size_t n, double floor,
                   double tolerance)
{
    difference d = compare_doubles(got, want, n, floor, tolerance);
    return report(what, &d, n, tolerance);
}

bool close_floats(const char *what, const float *got, const double *want, size_t n, double floor,
                  double tolerance)
{
    difference d = compare_floats(got, want, n, floor, tolerance);
    return report(what, &d, n, tolerance);
}

bool close_double(const char *what, double got, double want, double tolerance)
{
    return close_doubles(what, &got, &want, 1, 0.0, tolerance);
}

bool same_bits(const char *what, const float *got, const float *want, size_t n)
{
    size_t bad = 0, first = 0;
    for (size_t i = 0; i < n; i++)
        if (memcmp(got + i, want + i, sizeof(float)) != 0 && bad++ == 0)
            first = i;
    if (bad > 0)
        fprintf(stderr, "%s[%zu]: got %a, want %a; %zu of %zu elements differ\n", what, first,
                (double)got[first], (double)want[first], bad, n);
    return bad == 0;
}
