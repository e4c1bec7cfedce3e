#!/usr/bin/env bash
# Identity: the digest after N steps is one and the same for any ranks x threads, and for runs killed with SIGKILL and resumed, also on
# another number of ranks; dropout on, 2 optimisers, tied and untied, 3 cells.  It suffices because the digest covers every bit of
# parameters, optimiser state, carried rows and progress.  That it can differ at all is checked too: another seed, one more step.
#
# usage: same_bits.sh PROGRAM pairwise|full|sample     pairwise: 15 runs that cover every pair of values of two factors; full: the product;
# sample: one run
# Penn Treebank where UNROLL_DATA is set, the built-in grammar else.
set -u
program=$1 scope=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/same-bits.XXXXXX")
trap 'rm -rf "$work"' EXIT
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1
[ "$(id -u)" = 0 ] && export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
unset OMP_NUM_THREADS
steps=40
failures=0

if [ -n "${UNROLL_DATA:-}" ] && [ -f "$UNROLL_DATA/ptb/ptb.train.txt" ]; then
    "$program" prepare ptb "$UNROLL_DATA/ptb" -o "$work/corpus.h5" -q >/dev/null || exit 1
else
    echo "UNROLL_DATA is not set: the built-in grammar instead of Penn Treebank"
    "$program" prepare grammar --tokens 60000 -o "$work/corpus.h5" -q >/dev/null || exit 1
fi

# write_config FILE CELL OPTIM TIED DIR
write_config() {
    local lr=1.0 tied=false
    [ "$3" = adam ] && lr=0.003
    [ "$4" = tied ] && tied=true
    cat > "$1" <<YAML
data: {corpus: $work/corpus.h5, batch_size: 19, bptt: 9, shards: 8}
model: {cell: $2, layers: 2, embedding: 40, hidden: 40, tied: $tied, dropout: 0.3, init: uniform, init_scale: 0.1}
optim: {name: $3, lr: $lr, clip_norm: 0.2}
train: {epochs: 3, seed: 7, steps: $steps}
run: {dir: $5, checkpoint_every_steps: 10, keep_last: 100000, log_every_steps: 10}
YAML
}

# run RANKS THREADS CONFIG [OPTION...]
run() {
    local ranks=$1 threads=$2 config=$3
    shift 3
    if [ "$ranks" = 1 ]; then
        exec "$program" train "$config" --threads "$threads" "$@" </dev/null
    else
        exec mpirun -np "$ranks" --bind-to none "$program" train "$config" --threads "$threads" "$@" </dev/null # mpirun would eat the list of cases
    fi
}

digest() {
    "$program" inspect "$1" --digest
}

# Starts a run that would go on for ever and kills one of its processes (or the only one) as soon as a checkpoint is there.
start_and_kill() {
    local ranks=$1 threads=$2 config=$3 dir=$4 waited=0 victim
    (run "$ranks" "$threads" "$config" --set train.steps=1000000 --set train.epochs=1000) >"$work/log" 2>&1 &
    local pid=$!
    until [ -e "$dir/ckpt-0000000010.h5" ] || [ $waited -ge 600 ]; do
        kill -0 $pid 2>/dev/null || break
        sleep 0.05
        waited=$((waited + 1))
    done
    victim=$(pgrep -P $pid | tail -n 1)
    kill -KILL "${victim:-$pid}" 2>/dev/null || echo "could not kill the run"
    wait $pid 2>/dev/null
    local code=$?
    [ $code = 137 ] || { echo "  a killed run ended with $code instead of 137"; tail -n 5 "$work/log"; return 1; }
    # What it saved beyond the step at which the others stop would not be resumed but be called newer: those files go.
    for f in "$dir"/ckpt-*.h5; do
        local step=$((10#$(basename "$f" .h5 | cut -d- -f2)))
        [ $step -lt $steps ] || rm -f "$f"
    done
    [ -n "$(ls "$dir"/ckpt-*.h5 2>/dev/null)" ] || { echo "  nothing was saved before step $steps"; return 1; }
}

reference() { # CELL OPTIM TIED -> digest of one rank, one thread, never stopped
    local key="$1-$2-$3"
    if [ ! -e "$work/$key.digest" ]; then
        write_config "$work/$key.yaml" "$1" "$2" "$3" "$work/$key"
        (run 1 1 "$work/$key.yaml") >"$work/log" 2>&1 || { tail -n 5 "$work/log"; return 1; }
        digest "$work/$key" >"$work/$key.digest" || return 1
    fi
    cat "$work/$key.digest"
}

check() { # CELL OPTIM TIED RANKS THREADS KILL
    local want have dir="$work/run" config="$work/run.yaml" ranks=$4 threads=$5
    want=$(reference "$1" "$2" "$3") || { echo "FAIL  the reference of $1 $2 $3 did not run"; failures=$((failures + 1)); return; }
    rm -rf "$dir"
    write_config "$config" "$1" "$2" "$3" "$dir"
    if [ "$6" != none ]; then
        start_and_kill "$ranks" "$threads" "$config" "$dir" || failures=$((failures + 1))
        [ "$6" = other ] && { ranks=$((ranks % 4 + 1)); threads=$((threads % 3 + 1)); }
    fi
    (run "$ranks" "$threads" "$config" --resume auto) >"$work/log" 2>&1 || tail -n 5 "$work/log"
    have=$(digest "$dir")
    if [ "$have" = "$want" ]; then
        echo "ok    $* ${have:0:16}"
    else
        echo "FAIL  $* digest ${have:0:16}, one rank and thread gave ${want:0:16}"
        failures=$((failures + 1))
    fi
}

can_differ() {
    local one two three
    one=$(reference lstm sgd untied)
    write_config "$work/other.yaml" lstm sgd untied "$work/other"
    (run 1 1 "$work/other.yaml" --set train.seed=8) >/dev/null 2>&1
    two=$(digest "$work/other")
    (run 1 1 "$work/other.yaml" --overwrite --set train.steps=$((steps + 1))) >/dev/null 2>&1
    three=$(digest "$work/other")
    if [ "$one" = "$two" ] || [ "$one" = "$three" ] || [ "$two" = "$three" ] || [ -z "$three" ]; then
        echo "FAIL  a digest that does not change with the seed and the step proves nothing"
        failures=$((failures + 1))
    else
        echo "ok    the digest changes with the seed and with the step"
    fi
}

can_differ
if [ "$scope" = full ]; then
    for cell in lstm gru rnn_tanh; do for optim in sgd adam; do for tied in untied tied; do
        for ranks in 1 2 3 4 7; do for threads in 1 2 3; do for kill in none same other; do
            check $cell $optim $tied $ranks $threads $kill
        done; done; done
    done; done; done
elif [ "$scope" = sample ]; then
    check lstm sgd untied 2 2 none
else
    while read -r case; do
        # shellcheck disable=SC2086
        check $case
    done <<'CASES'
rnn_tanh sgd tied 1 2 none
lstm adam untied 4 2 same
gru adam tied 2 1 other
rnn_tanh sgd untied 7 3 other
gru sgd tied 3 3 same
rnn_tanh adam untied 3 1 none
lstm sgd tied 7 1 none
lstm adam untied 1 3 other
lstm sgd untied 2 3 none
gru sgd tied 4 1 none
gru adam untied 7 2 same
gru sgd tied 1 1 same
lstm adam untied 3 2 other
rnn_tanh adam untied 2 2 same
rnn_tanh adam tied 4 3 other
CASES
fi
echo "$failures failures"
[ $failures = 0 ]
