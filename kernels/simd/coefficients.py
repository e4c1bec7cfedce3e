#!/usr/bin/env python3
"""Makes the polynomial coefficients of math.body.h and prints them with their worst error before rounding to float.

Each is the minimax polynomial of a function on an interval in relative error weighted by w, found by Remez exchange in
50 digits (E. Ya. Remez, 1934).  Needs mpmath.  Usage: coefficients.py"""
from mpmath import mp, mpf, exp, log, log1p, sqrt, tanh, lu_solve, matrix, polyval, cos, pi
import struct

mp.dps = 50


def remez(f, w, a, b, degree, rounds=12, grid=4000):
    """p of this degree that minimises max |(p(x) - f(x)) * w(x)| on [a, b]; returns coefficients from x^0 up, and the max."""
    n = degree + 2
    xs = [(a + b) / 2 - (b - a) / 2 * cos(pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    dense = [a + (b - a) * i / grid for i in range(grid + 1)]
    target = [f(x) for x in dense]
    weight = [w(x) for x in dense]
    for _ in range(rounds):
        rows = [[x**j for j in range(degree + 1)] + [(-1) ** i / w(x)] for i, x in enumerate(xs)]
        c = list(lu_solve(matrix(rows), matrix([f(x) for x in xs])))[: degree + 1]
        error = [(polyval(c[::-1], x) - t) * v for x, t, v in zip(dense, target, weight)]
        peaks, start = [], 0
        for i in range(1, grid + 2):  # the largest error of every run of one sign
            if i == grid + 1 or (error[i] > 0) != (error[start] > 0):
                peaks.append(max(range(start, i), key=lambda j: abs(error[j])))
                start = i
        while len(peaks) > n:
            peaks.remove(min((peaks[0], peaks[-1]), key=lambda j: abs(error[j])))
        if len(peaks) < n:
            raise SystemExit("the exchange lost a peak: use a finer grid")
        xs = [dense[j] for j in peaks]
    return c, max(abs(e) for e in error)


def as_float(x):
    return struct.unpack("f", struct.pack("f", float(x)))[0]


def show(name, made):
    c, worst = made
    print(f"{name}: worst weighted error {float(worst):.2e}")
    for j, v in enumerate(c):
        print(f"    x^{j}  {as_float(v):.9e}f")


def split(name, value, bits):
    """value = high + low, where high has so few bits that a small integer times it is exact."""
    unit = mpf(2) ** (-bits)
    high = mp.floor(value / unit) * unit
    print(f"{name}: high {float(high).hex()}  low {as_float(value - high):.9e}f")


half_ln2 = log(2) / 2 * mpf("1.001")
# exp(r) = 1 + r + r^2 q(r); the error counts against exp(r)
show("exp q(r)", remez(lambda r: (exp(r) - 1 - r) / r**2 if abs(r) > mpf(10) ** -12 else mpf(1) / 2 + r / 6,
                       lambda r: max(abs(r), mpf(10) ** -6) ** 2 / exp(r), -half_ln2, half_ln2, 4, grid=4001))
# log(1+f) = f - f^2/2 + f^3 p(f); the error counts against log(1+f)
show("log p(f)", remez(lambda f: (log1p(f) - f + f**2 / 2) / f**3 if abs(f) > mpf(10) ** -9 else mpf(1) / 3 - f / 4,
                       lambda f: f**3 / log1p(f) if abs(f) > mpf(10) ** -6 else mpf(10) ** -12,
                       sqrt(mpf(2)) / 2 - 1, sqrt(mpf(2)) - 1, 8, grid=4001))
# tanh x = x + x^3 t(x^2); the error counts against tanh x
show("tanh t(x^2)", remez(lambda z: (tanh(sqrt(z)) / sqrt(z) - 1) / z if z > mpf(10) ** -12 else -mpf(1) / 3 + 2 * z / 15,
                          lambda z: max(z, mpf(10) ** -12) * sqrt(max(z, mpf(10) ** -12)) / tanh(sqrt(max(z, mpf(10) ** -12))),
                          mpf(0), mpf("0.6252") ** 2, 4, grid=4001))
split("ln 2", log(2), 16)
print(f"1/ln 2: {as_float(1 / log(2)):.9e}f")
