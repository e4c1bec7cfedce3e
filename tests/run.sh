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
#   tsan      label unit under the thread checker, which must report a planted race      build-tsan/
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
    case $part in install | build | checks | unit | mpi | asan | tsan | slow) ;;
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

attribute() { sed -nE "0,/<testsuite/{s/.*[[:space:]]$2=\"([0-9]+)\".*/\1/p}" "$1" | head -n 1; }

run_labels() { # folder, name of the part, labels wanted, labels not wanted: runs them and adds to the counts
    local folder=$1 name=$2 report total bad skips
    report=$PWD/$folder/test-$name.xml
    rm -f "$report"
    ctest --test-dir "$folder" -L "$3" -LE "$4" -j "$cores" --output-on-failure --no-tests=error --output-junit "$report" |
        tee "$folder/test-$name.log" | grep -vE '^ +Start +[0-9]+:|^Internal ctest|^Label Time|proc \(|^$'
    local status=${PIPESTATUS[0]}
    total=$(tr '\n\t' '  ' <"$report" 2>/dev/null | grep -oE '<testsuite [^>]*>' | head -n 1)
    bad=$(grep -oE ' failures="[0-9]+"' <<<"$total" | tr -dc 0-9)
    skips=$(grep -oE ' skipped="[0-9]+"' <<<"$total" | tr -dc 0-9)
    total=$(grep -oE ' tests="[0-9]+"' <<<"$total" | tr -dc 0-9)
    bad=${bad:-0} skips=${skips:-0} total=${total:-0}
    [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1 # a test that could not be started is a failure, too
    passed=$((passed + total - bad - skips > 0 ? passed + total - bad - skips : passed))
    failed=$((failed + bad)) skipped=$((skipped + skips))
    why_skipped "$folder"
    return "$bad"
}

why_skipped() { # a skip tells its reason: the last line that the test printed
    awk '/^[0-9]+\/[0-9]+ Test: / { name = $3 }
         /^Test (Skipped|time)|^<end of output>|^-+$|^Output:|^Command:|^Directory:|^"/ { if (/^Test Skipped/) print "skipped " name ": " last; next }
         NF { last = $0 }' "$1/Testing/Temporary/LastTest.log" 2>/dev/null
}

run_part() {
    case $1 in
        install) launch/install-deps.sh --tests ;;
        build) build release ;;
        checks) run_labels build checks '^check$' '^(slow|bench)$' ;;
        unit) run_labels build unit '^unit$' '^(slow|bench)$' ;;
        mpi) run_labels build mpi '^mpi$' '^(slow|bench)$' ;;
        asan) build asan && run_labels build-asan asan '^unit$' '^(slow|bench)$' ;;
        tsan) build tsan && run_labels build-tsan tsan '^(unit|tsan)$' '^(slow|bench)$' ;;
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
