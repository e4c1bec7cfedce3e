#!/usr/bin/env bash
# Installs what is missing, builds and tests everything.  Logs lie in build*/; exit 0 when nothing failed.
#
#   tests/run.sh [--only PART]... [--slow]
#
#   install   the packages that are missing                     launch/install-deps.sh
#   build     preset release, warnings are errors               build/
#   checks    layers, format, libm                              label check
#   unit      one process                                       label unit
#   mpi       ranks, kills and resumes                          label mpi
#   asan      label unit under address and undefined checkers   build-asan/
#   tsan      label unit under the thread checker (but no_tsan), which must report a planted race      build-tsan/
#   neon      kernels for 64-bit ARM, cross-built and run by qemu         build-neon/, preset neon
#             only with --only neon: it fetches 67 MB and makes Debian's arm64 packages known to dpkg (launch/install-deps.sh --neon)
#   slow      mutants, full products, long campaigns            label slow; only with --slow or --only slow
#
# UNROLL_DATA=DIR adds the tests on real corpora (DIR/ptb, DIR/wikitext-2, ...).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

parts=() slow=false
while [ $# -gt 0 ]; do
    case $1 in
        --only) parts+=("${2:?--only needs the name of a part}"); shift 2 ;;
        --slow) slow=true; shift ;;
        -h | --help) sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "$0"; exit 0 ;;
        *) echo "$0: unknown option $1; try --help" >&2; exit 2 ;;
    esac
done
[ ${#parts[@]} -gt 0 ] || parts=(install build checks unit mpi asan tsan)
! $slow || parts+=(slow)
for part in "${parts[@]}"; do
    case $part in install | build | checks | unit | mpi | asan | tsan | neon | slow) ;;
        *) echo "$0: no part is called $part; try --help" >&2; exit 2 ;;
    esac
done

# Ranks as root (a container knows no other user), more of them than cores, and waiting ones that leave the core to others.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1
cores=$(nproc)
passed=0 failed=0 skipped=0 table=""

build() { # preset -> its folder, built; the log is shown only when that fails
    local preset=$1 folder=build
    [ "$preset" = release ] || folder=build-$preset
    mkdir -p "$folder"
    { cmake --preset "$preset" -DWERROR=ON && cmake --build --preset "$preset" -- -k 0; } >"$folder/build.log" 2>&1 && return
    grep -E -A4 'error:|warning:|undefined reference|CMake Error|FAILED:' "$folder/build.log" | grep -v ' -o ' | head -n 60
    echo "preset $preset does not build; all of it: $folder/build.log"
    return 1
}

run_labels() { # folder, name of the part, labels wanted, labels not wanted: runs them and adds to the counts
    local folder=$1 log=$1/test-$2.log bad total skips
    ctest --test-dir "$folder" -L "$3" -LE "$4" -j "$cores" --output-on-failure --no-tests=error 2>&1 | tee "$log" |
        grep --line-buffered -vE '^ +Start +[0-9]+:|^Internal ctest|^Label Time|proc \(|^$'
    local status=${PIPESTATUS[0]}
    read -r bad total < <(sed -nE 's/.*tests passed, ([0-9]+) tests? failed out of ([0-9]+)$/\1 \2/p' "$log")
    skips=$(grep -c '\*\*\*Skipped' "$log")
    bad=${bad:-1} total=${total:-1} # ctest itself failed
    passed=$((passed + total - bad - skips)) failed=$((failed + bad)) skipped=$((skipped + skips))
    why_skipped "$folder" "$log"
    return "$status"
}

why_skipped() { # folder, log: each skip with its reason, the last line that the test printed; and single cases that cmocka skipped
    awk 'FNR == NR { if (/\*\*\*Skipped/) skipped[$4]; next }
         /^[0-9]+\/[0-9]+ Test: / { name = $3 }
         /^\[ +SKIPPED \] [a-z]/ { print "skipped in " name ": " $0 }
         /^<end of output>/ && name in skipped { print "skipped " name ": " last }
         { last = $0 }' "$2" "$1/Testing/Temporary/LastTest.log"
}

run_neon() {
    if [ "$(uname -m)" = aarch64 ]; then
        skip_part neon "this is a 64-bit ARM machine: the other parts have run its table"
    elif ! launch/install-deps.sh --neon; then
        skip_part neon "what it needs cannot be installed; the reason stands above"
    elif ! command -v aarch64-linux-gnu-gcc >/dev/null || ! command -v qemu-aarch64 >/dev/null; then
        skip_part neon "no aarch64-linux-gnu-gcc or no qemu-aarch64 here"
    else
        build neon && run_labels build-neon neon '^unit$' '^(slow|bench)$'
    fi
}

skip_part() { # name, reason
    echo "skipped $1: $2"
    skipped=$((skipped + 1))
}

run_part() {
    case $1 in
        install) launch/install-deps.sh --tests ;;
        build) build release ;;
        checks) run_labels build checks '^check$' '^(slow|bench)$' ;;
        unit) run_labels build unit '^unit$' '^(slow|bench)$' ;;
        mpi) run_labels build mpi '^mpi$' '^(slow|bench)$' ;;
        asan) build asan && run_labels build-asan asan '^unit$' '^(slow|bench)$' ;;
        tsan) build tsan && run_labels build-tsan tsan '^(unit|tsan)$' '^(slow|bench|no_tsan)$' ;;
        neon) run_neon ;;
        slow) run_labels build slow '^slow$' '^bench$' ;;
    esac
}

needs_release() { case $1 in checks | unit | mpi | slow) true ;; *) false ;; esac }

ended=ok
for part in "${parts[@]}"; do
    if needs_release "$part" && [ ! -e build/build.ninja ]; then
        build release || exit 1
    fi
    echo "== $part"
    start=$SECONDS before=$failed
    run_part "$part"
    status=$?
    if [ $status -ne 0 ]; then
        ended=failed
        [ "$failed" -gt "$before" ] || failed=$((failed + 1)) # installing or building failed
    fi
    table+=$(printf '%-8s %4d s  %s' "$part" $((SECONDS - start)) "$([ $status -eq 0 ] && echo ok || echo FAILED)")$'\n'
    case $part in install | build) [ $status -eq 0 ] || break ;; esac
done
printf '\n%s%-8s %4d s\n' "$table" all $SECONDS
echo "$passed passed, $failed failed, $skipped skipped"
[ $ended = ok ]
