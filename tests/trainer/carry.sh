#!/usr/bin/env bash
# data.carry, seen from the losses of single steps.  With a learning rate too small to change a parameter, two epochs read the
# same windows with the same parameters, so a step's loss depends on the state that it starts from and on nothing else:
#
#   epoch    h, c are zero at the start of each epoch:  epoch 2 repeats epoch 1, step by step
#   always   the second epoch goes on from the first:   its first step differs, and so may all
#   never    h, c are zero at each window:              epoch 2 repeats epoch 1, and its second step is not that of `epoch`
#
#   tests/trainer/carry.sh path/of/unroll
set -euo pipefail
unroll=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
unset "${!UNROLL_@}"

for i in $(seq 400); do
    echo "word$((i * 7 % 11)) word$((i * i % 13)) word$((i * 5 % 17))"
done >text.txt
"$unroll" prepare text text.txt -o text.h5 >prepare.log

losses() { # carry -> the losses of all steps, one a line
    cat >"$1.yaml" <<END
data: {corpus: text.h5, batch_size: 4, bptt: 20, carry: $1}
model: {cell: lstm, layers: 1, embedding: 8, hidden: 8, init: uniform, init_scale: 0.5}
optim: {name: sgd, lr: 1e-30}
train: {epochs: 2}
run: {dir: $1, log_every_steps: 1, keep_best: 0}
END
    "$unroll" train "$1.yaml" --threads 1 >"$1.log" 2>&1 || { cat "$1.log" >&2; exit 1; }
    sed -n 's/.*"type": *"step".*"loss": *\([^,}]*\).*/\1/p' "$1/metrics.jsonl"
}

bad=0
expect() { # description, wanted same|different, two lists
    local found=different
    [ "$3" != "$4" ] || found=same
    [ $found = "$2" ] || { echo "$1: $found, should be $2"; bad=1; }
}
for carry in epoch always never; do
    mapfile -t loss < <(losses $carry)
    half=$((${#loss[@]} / 2))
    [ $half -ge 5 ] || { echo "carry $carry: only ${#loss[@]} steps"; exit 1; }
    first="${loss[*]:0:half}" second="${loss[*]:half}"
    case $carry in
        epoch) expect "carry epoch, the second epoch" same "$first" "$second"; second_step=${loss[1]} ;;
        always) expect "carry always, the second epoch's first step" different "${loss[0]}" "${loss[half]}" ;;
        never)
            expect "carry never, the second epoch" same "$first" "$second"
            expect "carry never, the second step" different "${loss[1]}" "$second_step"
            ;;
    esac
done
exit $bad
