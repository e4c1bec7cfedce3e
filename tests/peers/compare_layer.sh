#!/bin/sh
# compare_layer.sh - speed of one LSTM layer, forward and backward with all gradients, in oneDNN and in unroll, in GFLOP/s.
#
#   tests/peers/compare_layer.sh [HIDDEN BATCH]...       default: 128, 200, 650 and 1500 units, 20 and 64 rows
#
#   UNROLL   the program                                 build/unroll
#   ONEDNN   onednn_lstm.cpp, built                      built here with c++ and libdnnl
#   STEPS    time steps                                  35
#   THREADS  a list of numbers                           1 and what nproc says
#   ROUNDS   5
#   CPUS     that both run on, a list for taskset        the first ones, as many as threads
#   SECONDS_A_ROUND  0.3
#
# Both take turns, round by round, on the same cores, for those of a shared host differ: so a busy one disturbs both alike.  Printed are
# medians over the rounds, the medians of the rounds' ratios, and unroll's share of the FMA peak that it measures in the same round, as rows
# of a table; in the end the geometric means of the ratios.  "oneDNN" is its primitive alone, weights as it wants them; "trainer" is the
# primitive with weights and gradients that come and go as (4H,H), which is what unroll's times hold, too.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
: "${UNROLL:=$here/../../build/unroll}" "${ONEDNN:=}" "${STEPS:=35}" "${THREADS:=1 $(nproc)}" "${ROUNDS:=5}" "${SECONDS_A_ROUND:=0.3}" "${CPUS:=}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

[ $# -gt 0 ] || set -- 128 20 200 20 650 20 1500 20 128 64 200 64 650 64 1500 64
[ $(($# % 2)) -eq 0 ] || { sed -n '2,/^set/p' "$0" | sed '$d' >&2; exit 2; }
if [ -z "$ONEDNN" ]; then
    ONEDNN=$work/onednn_lstm
    c++ -O2 -std=c++17 -fopenmp "$here/onednn_lstm.cpp" -ldnnl -o "$ONEDNN"
fi

repetitions() { # HIDDEN BATCH THREADS : that take about SECONDS_A_ROUND at 60 GFLOP/s a thread
    awk -v H="$1" -v B="$2" -v T="$STEPS" -v n="$3" -v s="$SECONDS_A_ROUND" \
        'BEGIN { r = int(s * 60e9 * n / (48 * H * H * B * T)); print r < 2 ? 2 : r }'
}

first_cpus() { # N : of those that this process may use
    python3 -c 'import os, sys; print(",".join(map(str, sorted(os.sched_getaffinity(0))[:int(sys.argv[1])])))' "$1"
}

round() { # HIDDEN BATCH THREADS : adds a line to onednn.jsonl and to unroll.jsonl
    OMP_NUM_THREADS=$3 taskset -c "$cpus" "$ONEDNN" "$1" "$2" "$STEPS" "$(repetitions "$1" "$2" "$3")" >>"$work/onednn.jsonl"
    taskset -c "$cpus" "$UNROLL" bench --layer --hidden "$1" --batch "$2" --bptt "$STEPS" --threads "$3" --rounds 1 --seconds "$SECONDS_A_ROUND" \
        --json - 2>"$work/log" >"$work/round.jsonl" || { cat "$work/log" >&2; exit 1; }
    tail -n 1 "$work/round.jsonl" >>"$work/unroll.jsonl"
}

print_row() { # HIDDEN BATCH THREADS : and adds the ratio to ratios
    python3 - "$work" "$@" <<'END'
import json, statistics, sys
work, hidden, batch, threads = sys.argv[1:]
onednn, unroll = ([json.loads(line) for line in open(f"{work}/{name}.jsonl")] for name in ("onednn", "unroll"))
median = lambda key, runs: statistics.median(run[key] for run in runs)
ratios = [statistics.median(u["gflops"] / o[key] for o, u in zip(onednn, unroll)) for key in ("gflops", "trainer_gflops")]
print(f"| {hidden} | {batch} | {threads} | {median('gflops', onednn):.0f} | {median('trainer_gflops', onednn):.0f} |"
      f" {median('gflops', unroll):.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} | {100 * median('share_of_peak', unroll):.0f} % |", flush=True)
print(*ratios, file=open(work + "/ratios", "a"))
END
}

echo "| hidden | batch | threads | oneDNN, GFLOP/s | trainer | Unroll | to oneDNN | to trainer | share of FMA peak |"
echo "|---|---|---|---|---|---|---|---|---|"
means=
for threads in $(printf '%s\n' $THREADS | awk '!seen[$0]++'); do
    rm -f "$work/ratios"
    cpus=${CPUS:-$(first_cpus "$threads")}
    shapes=$*
    # shellcheck disable=SC2086 # numbers
    set -- $shapes
    while [ $# -gt 0 ]; do
        rm -f "$work/onednn.jsonl" "$work/unroll.jsonl"
        i=0
        while [ "$i" -lt "$ROUNDS" ]; do
            round "$1" "$2" "$threads"
            i=$((i + 1))
        done
        print_row "$1" "$2" "$threads"
        shift 2
    done
    # shellcheck disable=SC2086
    set -- $shapes
    means="$means
$(awk -v n="$threads" '{ s += log($1); t += log($2); if (NR == 1 || $1 < least) least = $1; if (NR == 1 || $2 < low) low = $2 }
    END { printf "threads: %d: geometric mean to oneDNN %.2f, least %.2f; to trainer %.2f, %.2f", n, exp(s / NR), least, exp(t / NR), low }' "$work/ratios")"
done
printf '%s\n' "$means"
