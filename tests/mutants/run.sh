#!/usr/bin/env bash
# Do the tests notice?  Each patch here plants one small defect; what the named tests need is built with it, and all of them must
# turn red.  A defect that survives is a hole in the tests.
#
#   tests/mutants/run.sh [--keep DIR] [PATCH...]     default: all patches, about ten minutes on four cores
#
# It works in a copy of the sources, which is removed at the end; with --keep the copy and its build stay in DIR, and the next run
# copies and builds only what has changed.  CMAKE_BUILD_PARALLEL_LEVEL sets how many processes build and test (the cores).
#
# A patch begins with two lines, which `patch` ignores, and is made with `git diff -U1`, so that it goes on applying while the file changes
# elsewhere:
#   Defect: the forget gate's bias is lost
#   Red: test_initial cli_resume/kept       the CTest entries that must fail, the quickest that do; behind a slash: a section of
#                                           tests/cli/resume.sh that is run instead of all of it
# A patch whose Red line is "nothing" is a control: it changes no behaviour, and nothing that any patch names may turn red.
# Exit status: 0 when every defect was noticed by every test that it names.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}

copy=""
if [ "${1:-}" = --keep ]; then
    mkdir -p "${2:?--keep wants a folder}" && copy=$(cd "$2" && pwd) || exit 1
    shift 2
fi
patches=("$@")
[ ${#patches[@]} -gt 0 ] || patches=("$here"/*.patch)
for i in "${!patches[@]}"; do patches[i]=$(realpath "${patches[i]}"); done

if [ -z "$copy" ]; then
    copy=$(mktemp -d)
    trap 'rm -rf "$copy"' EXIT
fi
cd "$copy" || exit 1

# Unchanged files keep their time, or everything would be built again; a file that an interrupted run left changed is replaced.
fetch_sources() {
    local file
    (cd "$root" && find . \( -path './build*' -o -path ./runs -o -path ./.git \) -prune -o -type f ! -name '*.h5' -print0) |
        while IFS= read -r -d '' file; do
            cmp -s "$root/$file" "$file" && continue
            mkdir -p "${file%/*}" && cp "$root/$file" "$file" || return 1
        done
}

header() { sed -n "s/^$2: *//p" "$1" | head -n 1; }

# A test program is the target of its name, perhaps without an ending (number of ranks, environment); all others are scripts that run
# the program.
build_for() { # NAMES
    local name targets=()
    for name in $1; do
        name=${name%%/*}
        until grep -qx "$name: phony" build/targets.txt; do
            case $name in *_*) name=${name%_*} ;; *) name=unroll && break ;; esac
        done
        targets+=("$name")
    done
    cmake --build build -j "$jobs" --target "${targets[@]}" >build/build.log 2>&1
}

# Runs the tests of these names; $red is what failed.
run_tests() { # NAMES
    local name entries=() failed=()
    for name in $1; do
        case $name in
            */*) timeout 200 "tests/cli/$(script_of "$name").sh" build/unroll "${name#*/}" >build/section.log 2>&1 || failed+=("$name") ;;
            *) entries+=("$name") ;;
        esac
    done
    if [ ${#entries[@]} -gt 0 ]; then
        ctest --test-dir build -R "^($(IFS='|'; echo "${entries[*]}"))\$" -j "$jobs" --timeout 200 >build/test.log 2>&1
        mapfile -t -O ${#failed[@]} failed < <(sed -nE 's/^[[:space:]]*[0-9]+ - ([^ ]+) \(.*/\1/p' build/test.log)
    fi
    red=${failed[*]-}
}

script_of() { # cli_resume/kept -> resume
    local name=${1%%/*}
    echo "${name#cli_}"
}

unknown() { # NAMES : those that are no CTest entry, or no section of its script
    local name
    for name in $1; do
        grep -qx "${name%%/*}" build/entries.txt || echo "$name"
        [[ $name != */* ]] || grep -qx "${name#*/}() {" "tests/cli/$(script_of "$name").sh" || echo "$name"
    done
}

fetch_sources && mkdir -p build || exit 1 # logs and lists go there: they are no part of the tree that layering.sh judges
cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
cmake --build build --target help | grep -v '^test:' >build/targets.txt # that one runs all tests, this script among them
ctest --test-dir build -N | sed -nE 's/^ +Test +#[0-9]+: //p' >build/entries.txt

named=$(for patch in "${patches[@]}"; do header "$patch" Red; done | tr ' ' '\n' | grep -vx nothing | sort -u | paste -sd ' ')
if [ -n "$(unknown "$named")" ]; then
    echo "no such tests: $(unknown "$named" | paste -sd ' ')"
    exit 1
fi
build_for "$named" || { tail -n 40 build/build.log; exit 1; }
run_tests "$named"
if [ -n "$red" ]; then
    echo "without any defect these are red already: $red"
    exit 1
fi

judge() { # PATCH : fills $verdict, empty when all is as it should be
    local want survivors
    want=$(header "$1" Red)
    if [ -z "$want" ]; then
        verdict="names no test"
    elif [ "$want" = nothing ]; then
        build_for "$named" && run_tests "$named"
        verdict=${red:+"a harmless change turned red: $red"}
    elif ! build_for "$want"; then
        verdict="does not compile: $(grep -m 1 error build/build.log)"
    else
        run_tests "$want"
        survivors=$(comm -23 <(tr ' ' '\n' <<<"$want" | sort) <(tr ' ' '\n' <<<"$red" | sort) | paste -sd ' ')
        verdict=${survivors:+"SURVIVED $survivors"}
    fi
}

noticed=0 survived=0
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch) start=$SECONDS red=""
    if patch -p1 --forward --quiet --reject-file=- <"$patch" >build/patch.log 2>&1; then
        judge "$patch"
        patch -p1 --reverse --quiet <"$patch"
    else
        verdict="does not apply any more: $(head -n 1 build/patch.log)"
    fi
    if [ -z "$verdict" ]; then
        noticed=$((noticed + 1))
        verdict="noticed by ${red:-nobody, as it should be}"
    else
        survived=$((survived + 1))
        verdict="$verdict ($(header "$patch" Defect))"
    fi
    printf '%-34s %3d s  %s\n' "$name" $((SECONDS - start)) "$verdict"
done
echo "$noticed of $((noticed + survived)) as expected, $SECONDS s"
[ $survived -eq 0 ]
