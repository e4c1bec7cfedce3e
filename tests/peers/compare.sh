#!/bin/sh
# compare.sh - training speed of unroll and of PyTorch on one machine, in tokens per second.
#
#   tests/peers/compare.sh [CELL LAYERS WIDTH VOCABULARY BATCH BPTT]...        default: the two shapes of the README
#
#   UNROLL   the program                            build/unroll
#   PYTHON   a python3 that has torch               python3
#   THREADS  for unroll; PyTorch tries 1..THREADS   what nproc says
#   ROUNDS   5
#   SECONDS_A_ROUND  2
#
# Both programs take turns, round by round, so that a busy host disturbs both alike.  unroll trains on random words, as
# torch_lm.py does, with SGD and clipping; its first log interval of a round warms up, the second counts.  Printed are
# medians over the rounds, for PyTorch at its best thread count, as a row of the README's table.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
: "${UNROLL:=$here/../../build/unroll}" "${PYTHON:=python3}" "${THREADS:=$(nproc)}" "${ROUNDS:=5}" "${SECONDS_A_ROUND:=2}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# corpus VOCABULARY: every word once, then 400,000 words drawn evenly, 20 a line (the line's end is one more word)
corpus() {
    rm -f "$work/corpus.h5"
    mkdir -p "$work/text"
    awk -v V="$1" 'BEGIN {
        srand(1); V--
        for (i = 0; i < V + 400000; i++)
            printf "w%d%s", i < V ? i : int(rand() * V), i % 20 == 19 ? "\n" : " "
        printf "\n" }' > "$work/text/train.txt"
    head -n 100 "$work/text/train.txt" > "$work/text/valid.txt"
    cp "$work/text/valid.txt" "$work/text/test.txt"
    "$UNROLL" prepare text "$work/text" -o "$work/corpus.h5" > "$work/prepare.log" 2>&1 || { cat "$work/prepare.log" >&2; exit 1; }
}

torch_round() { # adds a JSON line to torch.jsonl
    "$PYTHON" "$here/torch_lm.py" --cell "$cell" --layers "$layers" --embedding "$width" --hidden "$width" --vocab "$vocabulary" \
        --batch "$batch" --bptt "$bptt" --threads "$(seq -s, "$THREADS")" --rounds 1 --seconds "$SECONDS_A_ROUND" >> "$work/torch.jsonl"
}

unroll_round() { # STEPS of a log interval; adds a number to unroll.txt
    cat > "$work/config.yaml" <<END
data:  {corpus: $work/corpus.h5, batch_size: $batch, bptt: $bptt}
model: {cell: $cell, layers: $layers, embedding: $width, hidden: $width}
optim: {name: sgd, lr: 0.1, clip_norm: 0.25}
train: {epochs: 1000, steps: $((2 * $1))}
run:   {dir: $work/run, log_every_steps: $1}
END
    "$UNROLL" train "$work/config.yaml" --threads "$THREADS" --overwrite > "$work/train.log" 2>&1 ||
        { cat "$work/train.log" >&2; exit 1; }
    "$PYTHON" -c '
import json, sys
print([r["tokens_per_s"] for r in map(json.loads, open(sys.argv[1])) if r["type"] == "step"][-1])' "$work/run/metrics.jsonl" \
        >> "$work/unroll.txt"
}

interval() { # steps that take PyTorch about SECONDS_A_ROUND
    "$PYTHON" -c '
import json, sys
rate = json.loads(open(sys.argv[1]).readline())["tokens_per_s"]
print(max(2, round(rate * float(sys.argv[2]) / (int(sys.argv[3]) * int(sys.argv[4])))))' \
        "$work/torch.jsonl" "$SECONDS_A_ROUND" "$batch" "$bptt"
}

print_row() {
    "$PYTHON" - "$work" "$cell $layers x $width, V $vocabulary, B $batch, T $bptt" "$THREADS" <<'END'
import json, statistics, sys
work, shape, threads = sys.argv[1:]
runs = [json.loads(line) for line in open(work + "/torch.jsonl")]
torch = {n: statistics.median(r["by_threads"][n] for r in runs) for n in runs[0]["by_threads"]}
best = max(torch, key=torch.get)
unroll = statistics.median(float(x) for x in open(work + "/unroll.txt"))
print(f"| {shape} | {runs[0]['program']} {torch[best]:.0f} (threads: {best}) | unroll {unroll:.0f} (threads: {threads}) |"
      f" {unroll / torch[best]:.2f} |")
END
}

[ $# -gt 0 ] || set -- lstm 2 200 10000 20 20 lstm 2 650 10000 20 35
[ $(($# % 6)) -eq 0 ] || { sed -n '2,/^set/p' "$0" | sed '$d' >&2; exit 2; }
echo "| tokens/s of training | PyTorch | Unroll | ratio |"
echo "|---|---|---|---|"
while [ $# -gt 0 ]; do
    cell=$1 layers=$2 width=$3 vocabulary=$4 batch=$5 bptt=$6
    shift 6
    rm -f "$work/torch.jsonl" "$work/unroll.txt"
    corpus "$vocabulary"
    round=0
    while [ "$round" -lt "$ROUNDS" ]; do
        torch_round
        unroll_round "$(interval)"
        round=$((round + 1))
    done
    print_row
done
