#!/bin/sh
# compare_classify.sh - training speed of a bidirectional document classifier in unroll and in PyTorch on one machine, in real
# tokens per second.
#
#   tests/peers/compare_classify.sh [CELL LAYERS HIDDEN EMBEDDING VOCABULARY BATCH MEAN_LENGTH]...    default: three shapes
#
#   UNROLL   the program                            build/unroll
#   PYTHON   a python3 that has torch               python3
#   THREADS  for unroll; PyTorch tries 1..THREADS   what nproc says
#   ROUNDS   5
#   SECONDS_A_ROUND  2
#
# All take turns, round by round, so that a busy host disturbs them alike: PyTorch packed and padded at each number of threads
# (torch_classify.py), then `unroll bench --documents`, which has the same batches in the same order.  Printed are medians over
# the rounds, of PyTorch those of its best form and number of threads, the ratio of these, and unroll's work as a share of the
# FMA peak, and of its kernels' own, measured in the same rounds, as rows of a table.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
: "${UNROLL:=$here/../../build/unroll}" "${PYTHON:=python3}" "${THREADS:=$(nproc)}" "${ROUNDS:=5}" "${SECONDS_A_ROUND:=2}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

torch_round() { # adds a JSON line for each form and number of threads to torch.jsonl
    for form in packed padded; do
        for threads in $(seq "$THREADS"); do
            "$PYTHON" "$here/torch_classify.py" "$form" "$cell" "$layers" "$hidden" "$embedding" "$vocabulary" "$batch" \
                "$mean_length" "$threads" "$SECONDS_A_ROUND" >> "$work/torch.jsonl"
        done
    done
}

unroll_round() { # adds a JSON line to unroll.jsonl
    "$UNROLL" bench --documents --cell "$cell" --layers "$layers" --hidden "$hidden" --embedding "$embedding" \
        --vocabulary "$vocabulary" --batch "$batch" --mean-length "$mean_length" --threads "$THREADS" --rounds 1 \
        --seconds "$SECONDS_A_ROUND" --json - 2> "$work/log" > "$work/round.jsonl" || { cat "$work/log" >&2; exit 1; }
    tail -n 1 "$work/round.jsonl" >> "$work/unroll.jsonl"
}

print_row() {
    "$PYTHON" - "$work" "$cell $layers x $hidden, E $embedding, V $vocabulary, B $batch, $mean_length words" "$THREADS" <<'PRINT'
import json, statistics, sys
work, shape, threads = sys.argv[1:]
torch, unroll = ([json.loads(line) for line in open(f"{work}/{name}.jsonl")] for name in ("torch", "unroll"))
median = lambda key, runs: statistics.median(run[key] for run in runs)
ways = {(r["form"], r["threads"]) for r in torch}
speed = {way: median("tokens_per_s", [r for r in torch if (r["form"], r["threads"]) == way]) for way in ways}
best = max(speed, key=speed.get)
ours = median("tokens_per_s", unroll)
print(f"| {shape} | {torch[0]['program']} {speed[best]:.0f} ({best[0]}, threads: {best[1]}) | unroll {ours:.0f} (threads: {threads}) |"
      f" {ours / speed[best]:.2f} | {median('gflops', unroll):.0f} | {100 * median('share_of_peak', unroll):.0f} % |"
      f" {100 * median('share_of_kernel_peak', unroll):.0f} % |", flush=True)
PRINT
}

[ $# -gt 0 ] || set -- lstm 1 128 128 20000 32 230 gru 1 128 128 20000 32 230 lstm 1 256 256 20000 64 230
[ $(($# % 7)) -eq 0 ] || { sed -n '2,/^set/p' "$0" | sed '$d' >&2; exit 2; }
echo "| tokens/s of training, bidirectional | PyTorch | Unroll | ratio | GFLOP/s | of the FMA peak | of the kernel peak |"
echo "|---|---|---|---|---|---|---|"
while [ $# -gt 0 ]; do
    cell=$1 layers=$2 hidden=$3 embedding=$4 vocabulary=$5 batch=$6 mean_length=$7
    shift 7
    rm -f "$work/torch.jsonl" "$work/unroll.jsonl"
    round=0
    while [ "$round" -lt "$ROUNDS" ]; do
        torch_round
        unroll_round
        round=$((round + 1))
    done
    print_row
done
