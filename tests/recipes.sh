#!/usr/bin/env bash
# Every recipe is a configuration that the program takes, and taking its resolved form again changes nothing.
#
#   tests/recipes.sh path/of/unroll
set -euo pipefail
unroll=$(realpath "$1")
cd "$(dirname "$0")/../launch/recipes"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

bad=0
for recipe in *.yaml; do
    if ! "$unroll" config "$recipe" >"$folder/once.yaml" || ! "$unroll" config "$folder/once.yaml" >"$folder/twice.yaml" ||
        ! cmp "$folder/once.yaml" "$folder/twice.yaml"; then
        echo "$recipe: not taken"
        bad=1
    fi
done
exit $bad
