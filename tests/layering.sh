#!/usr/bin/env bash
# The rules that keep the rooms apart and the files readable, as searches over the sources.
#
#   tests/layering.sh [DIR]        prints "rule: place: what is wrong" for each violation in DIR (default: this repository); exit 1 if any
#   tests/layering.sh --self-test  plants one violation of each rule in a copy and demands that exactly that rule speaks
#
# Words that the rules forbid are written with a bracket here (T[O]DO), so that this file does not violate them.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")/.." && pwd)

# Who may include what of ours.  tests/ may include everything.
may_include() {
    case $1 in
        kernels) echo 'kernels' ;;
        io) echo 'io' ;;
        trainer) echo 'trainer|kernels|io' ;;
        launch) echo 'launch|trainer|kernels|io' ;;
    esac
}
# A library's header, and the only files that may see it.
library_owners='
mpi\.h                                    ^trainer/comm/[^/]*\.c$
(cblas|openblas[^>"]*)\.h                 ^kernels/gemm_blas\.c$
(hdf5(_hl)?|H5[A-Za-z]*)\.h               ^io/
(yaml|jansson|utf8proc|xxhash|xxh3)\.h    ^io/
(archive|archive_entry)\.h                ^io/
openssl/[^>"]*                            ^io/
Random123/[^>"]*                          ^kernels/rng\.[ch]$
hwloc[^>"]*                               ^launch/
cmocka\.h                                 ^tests/
'
top_level='trainer kernels io launch tests CMakeLists.txt CMakePresets.json README.md LICENSE'

sources() { find kernels io trainer launch tests -type f "$@" | sort; }
ours() { find kernels io trainer launch -name '*.[ch]' | sort; }
say() { sed "s|^|$1: |"; } # puts the rule's name in front of each line
search() { xargs -r grep -HnE "$@" || true; }

rule_top_level() { # the first thing that a stranger sees stays small; dot files, build folders and runs/ do not count
    for entry in *; do
        case " $top_level " in *" $entry "*) continue ;; esac
        case $entry in build | build-* | runs | *.h5) continue ;; esac
        echo "$entry: no such thing at the top level; it holds $top_level"
    done
    for entry in $top_level; do
        [ -e "$entry" ] || echo "$entry: missing from the top level"
    done
}
rule_room_readme() {
    for room in trainer kernels io launch tests; do
        [ -e "$room/README.md" ] || echo "$room/README.md: missing"
    done
}
rule_direction() { # launch -> trainer -> {kernels, io}
    for room in kernels io trainer launch; do
        find $room -name '*.[ch]' | search '^ *# *include *"' | grep -vE "include *\"($(may_include $room))/" || true
    done
}
rule_include_path() { # by path from the root, of a file that exists
    sources -name '*.[ch]' | search '^ *# *include *"' | sed -E 's/^(.*include *"([^"]*)".*)$/\2 \1/' |
        while read -r path line; do
            [ -e "$path" ] || [ -e "$path.in" ] || echo "$line (no such file from the root)"
        done
}
rule_library() { # each library has one door
    local pattern owners
    while read -r pattern owners; do
        [ -n "$pattern" ] || continue
        { [[ $pattern = cmocka* ]] && sources -name '*.[ch]' || ours; } | grep -vE "$owners" | search "^ *# *include *[<\"]${pattern}[>\"]"
    done <<<"$library_owners"
}
rule_simd() { # single-thread bodies: threads and products are the callers' business
    find kernels/simd -name '*.[ch]' | search '# *pragma +omp|include *[<"](omp|cblas)\.h|kernels/team\.h'
}
rule_float_sum() { # R2, R3: no sum whose order the runtime picks
    ours | search '# *pragma +omp.*reduction *\(|MPI_FLOAT|MPI_DOUBLE'
}
rule_flags() { # R8: the same instructions for all, chosen at run time
    { echo CMakeLists.txt; echo CMakePresets.json; sources -name CMakeLists.txt -o -name '*.sh' -o -name '*.cmake'; } |
        grep -v '^tests/layering\.sh$' | search '(^|[^a-z])-(march=[n]ative|mtune=[n]ative|O[f]ast|f[f]ast-math|funsafe-math)'
}
rule_listed() { # a source that no CMakeLists.txt of its room names is dead
    for room in kernels io trainer launch tests; do
        lists=$(find $room -name CMakeLists.txt -exec cat {} +)
        lists+=$(sed -nE 's/^ *foreach\(name (.*)\)$/\1/p' <<<"$lists" | tr ' ' '\n' | sed 's/.*/ test_&.c /') # tests in a loop
        find $room -name '*.c' | sort | while IFS= read -r file; do
            grep -qE "(^|[/ (\"])${file##*/}([ )\"]|$)" <<<"$lists" || echo "$file: no CMakeLists.txt of $room names it"
        done
    done
}
rule_size() {
    sources -name '*.[ch]' | while IFS= read -r file; do
        lines=$(wc -l <"$file")
        [ "$lines" -lt 700 ] || echo "$file: $lines lines; which two things is it?"
    done
}
rule_unfinished() {
    { echo README.md; echo CMakeLists.txt
      sources \( -name '*.[ch]' -o -name '*.sh' -o -name '*.txt' -o -name '*.cmake' -o -name '*.py' -o -name '*.md' -o -name '*.yaml' \); } |
        grep -v '^tests/data/' | search '\b(T[O]DO|FI[X]ME|X[X]X|HA[C]K)\b|^ *# *if +[0] *$|not imp[l]emented|unimp[l]emented|\bst[u]b\b|placeh[o]lder'
}
rule_private_path() { # a path of somebody's machine
    { echo README.md; echo CMakeLists.txt; echo CMakePresets.json; sources; } | search -I '(^|[^A-Za-z0-9_.}*-])/(home|root|wor[k]|Users|mnt|srv)/'
}
rule_typedef() { # names that end in _t belong to POSIX
    ours | search '^(typedef .*|\}) *[a-z0-9_]+_t;'
}
rule_script() { # what is meant to be run can be, and parses
    sources -name '*.sh' | while IFS= read -r file; do
        [ -x "$file" ] || [ "$(head -c 2 "$file")" != '#!' ] || echo "$file: not executable"
        bash -n "$file" 2>&1 || true
    done
}
rules=$(declare -F | sed -n 's/^declare -f rule_//p')

check() { # all rules over the directory $1; prints violations
    cd "$1"
    for rule in $rules; do
        "rule_$rule" | say "$rule"
    done
}

# One violation per rule: "rule: command that plants it in the copy".
planted="
top_level: mkdir utils
room_readme: rm -f io/README.md
direction: echo '#include \"trainer/comm/comm.h\"' >>kernels/shards.h
include_path: echo '#include \"kernels/no_such_file.h\"' >>kernels/shards.h
library: echo '#include <mpi.h>' >>trainer/params.h
simd: echo '#pragma omp barrier' >>kernels/simd/table.h
float_sum: echo '#pragma omp parallel for reduction(+ : sum)' >>kernels/shards.h
flags: echo 'add_compile_options(-O''fast)' >>io/CMakeLists.txt
listed: echo >io/orphan.c
size: seq -f '/* %g */' 700 >io/long.h
unfinished: echo '/* TO''DO */' >>io/status.h
private_path: echo '# ask /ho''me/me/corpus' >>launch/install-deps.sh
typedef: echo 'typedef int size_in_t;' >>io/status.h
script: echo 'if' >>launch/install-deps.sh
"
self_test() {
    local failed=0 before after rule command
    copy=$(mktemp -d) # global, for the trap
    trap 'rm -rf "$copy"' EXIT
    tar -C "$here" -cf "$copy/tree.tar" --exclude='./build*' --exclude=./runs --exclude='./*.h5' --exclude=./.git .
    for rule in $rules; do
        grep -q "^$rule: " <<<"$planted" || { echo "rule $rule: no violation is planted for it"; failed=1; }
    done
    while IFS=: read -r rule command; do
        [ -n "$rule" ] || rule=none # the first, empty line: the tree as it is
        rm -rf "$copy/tree" && mkdir "$copy/tree" && tar -C "$copy/tree" -xf "$copy/tree.tar"
        (cd "$copy/tree" && eval "$command")
        after=$(check "$copy/tree" | sort)
        if [ $rule = none ]; then
            before=$after
        elif [ "$(comm -13 <(echo "$before") <(echo "$after") | cut -d: -f1 | sort -u)" != "$rule" ]; then
            echo "rule $rule: not exactly this rule spoke of:$command"
            failed=1
        fi
    done < <(echo "$planted" | sed '$d')
    [ $failed -eq 0 ] && echo "$(grep -c : <<<"$planted") planted violations, each found by its rule alone"
    return $failed
}

if [ "${1:-}" = --self-test ]; then
    self_test
else
    found=$(check "${1:-$here}")
    [ -z "$found" ] || { echo "$found"; exit 1; }
fi
