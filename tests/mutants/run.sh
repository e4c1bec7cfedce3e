#!/usr/bin/env bash
# Do the tests notice?  Each patch here plants one small defect; the program is built with it, and the tests that the patch names
# must turn red.  A defect that survives is a hole in the tests.
#
#   tests/mutants/run.sh [PATCH...]        default: all; works in a copy of the sources, a third of a minute each on two cores
#
# A patch begins with two lines, which `patch` ignores, and is made with `git diff -U1`:
#   Defect: the forget gate's bias is lost
#   Red: test_initial test_torch_golden       CTest entries of which at least one must fail
# A patch whose Red line is "nothing" is a control: it changes no behaviour, and nothing may turn red.
# Exit status: 0 when every defect was noticed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
patches=("$@")
[ ${#patches[@]} -gt 0 ] || patches=("$here"/*.patch)
for i in "${!patches[@]}"; do patches[i]=$(realpath "${patches[i]}"); done

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
(cd "$root" && tar -cf - --exclude='./build*' --exclude=./runs --exclude='./*.h5' --exclude=./.git .) | tar -C "$copy" -xf -
cd "$copy" || exit 1

header() { sed -n "s/^$2: *//p" "$1" | head -n 1; }
build() { cmake --build build >build.log 2>&1; }
tests() { ctest --test-dir build -R "^(${1// /|})\$" -j "$(nproc)" --timeout 120 --no-tests=error >test.log 2>&1; }
failures() { sed -n 's/^[[:space:]]*[0-9]* - \([^ ]*\) (.*/\1/p' test.log | tr '\n' ' '; }

cmake --preset release >configure.log 2>&1 || { cat configure.log; exit 1; }
build || { tail -n 40 build.log; exit 1; }

everything=$(for patch in "${patches[@]}"; do header "$patch" Red; done | tr ' ' '\n' | grep -v '^nothing$' | sort -u | paste -sd ' ')
if ! tests "$everything"; then
    echo "without any defect these are red already: $(failures)"
    exit 1
fi

noticed=0 survived=0
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch) red=$(header "$patch" Red)
    verdict=""
    if ! patch -p1 --forward --quiet --reject-file=- <"$patch" >patch.log 2>&1; then
        verdict="does not apply any more: $(head -n 1 patch.log)"
    elif ! build; then
        verdict="does not compile: $(grep -m 1 error build.log)"
    elif [ "$red" = nothing ]; then
        tests "$everything" || verdict="a harmless change turned red: $(failures)"
    elif tests "$red"; then
        verdict="SURVIVED $red"
    elif grep -q 'No tests were found' test.log; then
        verdict="no test is called $red"
    fi
    if [ -z "$verdict" ]; then
        noticed=$((noticed + 1))
        printf '%-36s noticed by %s\n' "$name" "$([ "$red" = nothing ] && echo "nobody, as it should be" || failures)"
    else
        survived=$((survived + 1))
        printf '%-36s %s (%s)\n' "$name" "$verdict" "$(header "$patch" Defect)"
    fi
    [[ $verdict = "does not apply"* ]] || patch -p1 --reverse --quiet <"$patch"
done
echo "$noticed of $((noticed + survived)) as expected"
[ $survived -eq 0 ]
