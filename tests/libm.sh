#!/usr/bin/env bash
# Rule R8: no transcendental function of libm lies between configuration and parameters, for glibc picks another body, with other
# bits, on another CPU.  Asked of the object code, so that no macro or compiler builtin can hide a call.
#
#   tests/libm.sh libkernels.a
set -euo pipefail
symbols=$(nm -A -u "$1") # a file that cannot be read ends the script here
found=$(grep -E ' U (exp|exp2|expm1|exp10|log|log2|log10|log1p|pow|sin|cos|tan|sincos|a?(sin|cos|tan)h?|atan2|cbrt|hypot|erfc?|[lt]gamma)f?(@.*)?$' <<<"$symbols") || true
if [ -n "$found" ]; then
    echo "kernels/ calls libm where kernels/dmath.h must serve:"
    echo "$found"
    exit 1
fi
