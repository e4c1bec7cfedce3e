#!/usr/bin/env bash
# What `cmake --install` puts down is all there: a program that runs where it stands, the manual page, the recipes, the licence.
#
#   tests/install.sh path/of/cmake build-folder
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$1" --install "$2" --prefix "$folder" >"$folder/log" || { tail "$folder/log"; exit 1; }

bad=0
has() { # COMMAND... : succeeds
    "$@" >"$folder/out" 2>&1 || { echo "failed: $*"; cat "$folder/out"; bad=1; }
}
has "$folder/bin/unroll" --version
has grep -q '^\.TH UNROLL' "$folder/share/man/man5/unroll-config.5"
has grep -q '^\.B batch_size' "$folder/share/man/man5/unroll-config.5"
for recipe in "$(dirname "$0")"/../launch/recipes/*.yaml; do
    has cmp "$recipe" "$folder/share/unroll/recipes/$(basename "$recipe")"
done
has test -s "$folder/share/doc/unroll/LICENSE"
exit $bad
