# lib.sh - what the tests of the whole program share: running it, expecting something of it, counting.  Sourced, not run.
#
#   . "$(dirname "$0")/lib.sh"        at the top of a script that is called as   SCRIPT PROGRAM [SECTION...]
#   sections one two three            at its end: runs the functions one, two, three, or those of them that SECTION names
#
# The script works in an empty folder of its own, "$place", which is also the working directory and goes when the script ends.
# Every expectation prints "ok" or "FAIL" with its name; the script ends with 1 if one failed.

set -u
program=$(realpath "$1") || exit 1
shift
wanted=("$@")
script=$(realpath "$0")
work=$(mktemp -d "${TMPDIR:-/tmp}/unroll-cli.XXXXXX") || exit 1
place=$work/place
mkdir "$place" && cd "$place" || exit 1
children=()
trap leave EXIT

# Root may start ranks (a container knows no other user); there may be more ranks than cores, and waiting ones leave the core to others.
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
unset OMP_NUM_THREADS "${!UNROLL_@}"

checks=0 failures=0 code=0

leave() { # nothing that this script started outlives it
    for child in ${children[@]+"${children[@]}"}; do
        kill -KILL "$child" 2>/dev/null
    done
    cd / && rm -rf "$work"
}

# ---- running ---------------------------------------------------------------------------------------------------------

unroll() { # ARGUMENT... : fills $code, $work/out and $work/err
    "$program" "$@" </dev/null >"$work/out" 2>"$work/err"
    code=$?
}

ranks() { # N ARGUMENT... : the same on N ranks
    local n=$1
    shift
    mpirun -np "$n" "$program" "$@" </dev/null >"$work/out" 2>"$work/err"
    code=$?
}

start() { # N ARGUMENT... : in the background, on N ranks (1: without mpirun); $child is its process
    local n=$1 launcher=()
    shift
    [ "$n" = 1 ] || launcher=(mpirun -np "$n")
    ${launcher[@]+"${launcher[@]}"} "$program" "$@" </dev/null >"$work/out" 2>"$work/err" &
    child=$!
    children+=("$child")
}

ended() {
    ! kill -0 "$child" 2>/dev/null
}

finish() { # waits for $child, at most a minute, then kills it; fills $code
    local turns=0
    until ended || [ $turns -ge 1200 ]; do
        sleep 0.05
        turns=$((turns + 1))
    done
    ended || { echo "      still running after a minute"; kill -KILL "$child"; }
    wait "$child" 2>/dev/null
    code=$?
}

wait_for() { # CONDITION... : until it holds, at most a minute, or until $child has ended
    local turns=0
    until "$@"; do
        [ $turns -lt 1200 ] && ! ended || return 1
        sleep 0.05
        turns=$((turns + 1))
    done
}

device() { # FILE MINOR : a character device of our own: 3 is a /dev/null, 7 a /dev/full.  False where none can be made.
    mknod "$1" c 1 "$2" 2>/dev/null && : 2>/dev/null >>"$1"
}

skip() { # REASON
    echo "skipped: $1"
    [ $checks -gt 0 ] || exit 77
}

# ---- expecting -------------------------------------------------------------------------------------------------------

count() { # NAME STATUS
    checks=$((checks + 1))
    if [ "$2" = 0 ]; then
        echo "ok    $1"
    else
        failures=$((failures + 1))
        echo "FAIL  $1"
    fi
    return "$2"
}

show() { # what the program said last
    tail -n 4 "$work/out" "$work/err" 2>/dev/null | sed 's/^/      | /'
}

expect() { # NAME COMMAND... : the command succeeds
    local name=$1
    shift
    "$@" >/dev/null 2>&1
    count "$name" $?
}

expect_not() { # NAME COMMAND... : it does not
    local name=$1
    shift
    ! "$@" >/dev/null 2>&1
    count "$name" $?
}

expect_code() { # NAME CODE : of the last run
    local name=$1
    [ "$code" = "$2" ]
    count "$name: exit $2" $? || { echo "      exit code $code"; show; }
}

expect_text() { # NAME out|err|FILE REGEX : some line matches
    local file=$2
    case $file in out | err) file=$work/$file ;; esac
    grep -qE -- "$3" "$file" 2>/dev/null
    count "$1: says \"$3\"" $? || { [ "$file" != "$2" ] && show || tail -n 3 "$file"; }
}

expect_lines() { # NAME out|err N REGEX : exactly N lines match
    local n
    n=$(grep -cE -- "$4" "$work/$2")
    [ "$n" = "$3" ]
    count "$1: \"$4\" $3 times" $? || { echo "      $n times"; show; }
}

expect_silent() { # NAME out|err
    [ ! -s "$work/$2" ]
    count "$1: nothing on std$2" $? || show
}

expect_same() { # NAME A B
    [ -n "$2" ] && [ "$2" = "$3" ]
    count "$1" $? || printf '      %s\n      %s\n' "${2:-(nothing)}" "${3:-(nothing)}"
}

expect_other() { # NAME A B : both are there and differ
    [ -n "$2" ] && [ -n "$3" ] && [ "$2" != "$3" ]
    count "$1" $? || printf '      %s\n' "${2:-(nothing)}"
}

# The whole of what a user may expect when something is wrong: the exit code, a sentence, nothing on stdout, nothing left behind.
expect_refusal() { # NAME CODE REGEX ARGUMENT...
    local name=$1 want=$2 regex=$3 before
    shift 3
    before=$(listing)
    unroll "$@"
    judge_refusal "$name" "$want" "$regex" "$before"
}

expect_refusal_of_ranks() { # N NAME CODE REGEX ARGUMENT... : and one speaks
    local n=$1 name=$2 want=$3 regex=$4 before
    shift 4
    before=$(listing)
    ranks "$n" "$@"
    judge_refusal "$name" "$want" "$regex" "$before"
}

expect_refusals() { # NAME CODE REGEX ARGUMENT... : alone and on 3 ranks
    expect_refusal "$@"
    expect_refusal_of_ranks 3 "$@"
}

judge_refusal() { # NAME CODE REGEX LISTING-BEFORE
    local faults=() sentences
    sentences=$(grep -v '^unroll: warning' "$work/err" | grep -c '^unroll')
    [ "$code" = "$2" ] || faults+=("exit code $code instead of $2")
    grep -E '^unroll' "$work/err" | grep -qE -- "$3" || faults+=("no sentence with \"$3\"")
    [ "$sentences" = 1 ] || faults+=("$sentences sentences instead of one")
    [ ! -s "$work/out" ] || faults+=("something on stdout")
    [ "$(listing)" = "$4" ] || faults+=("changed: $(diff <(echo "$4") <(listing) | tail -n +2 | tr '\n' ' ')")
    count "$1: $(grep -m 1 '^unroll' "$work/err")" $((${#faults[@]} > 0)) || { printf '      %s\n' "${faults[@]}"; show; }
}

listing() { # every file under $place with its content, every folder
    find "$place" -type f -exec sha256sum {} + 2>/dev/null | sort -k 2
    find "$place" ! -type f 2>/dev/null | sort
}

# ---- looking at runs -------------------------------------------------------------------------------------------------

field() { # FILE KEY : of a flat JSON object
    sed -nE "s/.*\"$2\": \"?([^\",}]*)\"?.*/\1/p" "$1" 2>/dev/null
}

digest() { # FILE|RUN_DIR
    "$program" inspect "$1" --digest 2>/dev/null
}

newest() { # RUN_DIR [ckpt|best] : the newest file, by its name
    local files=("$1/${2:-ckpt}"-*.h5)
    [ -e "${files[-1]}" ] && echo "${files[-1]}"
}

step_of() { # FILE
    local name=${1##*-}
    echo $((10#${name%.h5}))
}

numbers() { # RUN_DIR : all of metrics.jsonl that may depend on the step alone
    grep -E '"type": "(step|valid)"' "$1/metrics.jsonl" |
        grep -oE '"(type|step|epoch|tokens|loss|lr|grad_norm|predicted|accuracy)": [^,}]*'
}

damage() { # FILE OFFSET : turns over one bit
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\x$(printf %02x $((byte ^ 16)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# ---- what most scripts need ------------------------------------------------------------------------------------------

make_corpus() { # FILE [OPTION...] : a small grammar corpus
    local out=$1
    shift
    "$program" prepare grammar --tokens 10000 -q -o "$out" "$@" >/dev/null 2>&1
}

write_config() { # FILE RUN_DIR [CORPUS] : a model that trains at about a millisecond a step, 113 steps an epoch
    cat >"$1" <<YAML
data: {corpus: ${3:-g.h5}, batch_size: 8, bptt: 10, shards: 4}
model: {cell: lstm, layers: 1, embedding: 16, hidden: 16, dropout: 0.2}
optim: {name: adam, lr: 0.01, clip_norm: 1.0}
train: {epochs: 2, seed: 7}
run: {dir: $2, checkpoint_every_steps: 20, log_every_steps: 10}
YAML
}

sections() { # NAME... : runs them, or those that the command line names; ends the script
    local name
    [ ${#wanted[@]} -gt 0 ] || wanted=("$@")
    for name in "${wanted[@]}"; do
        echo "== $name"
        "$name"
    done
    echo "$checks checks, $failures failed"
    [ $checks -gt 0 ] && [ $failures = 0 ]
    exit $?
}
