#!/usr/bin/env bash
# The first hour in five minutes: installs what is missing, builds, and does the main job once on a corpus that needs no
# download: prepare, train on two ranks, be stopped half way, resume, evaluate, sample.  Each command is printed before it runs,
# so that you can run it yourself.
#
#   launch/quickstart.sh [DIR]        DIR: where corpus and run go (default: runs/quickstart); a run from before is replaced
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:-runs/quickstart}
unroll=build/unroll
corpus=$dir/grammar.h5

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*" && "$@"; }

say "1. Install what is missing, and build"
launch/install-deps.sh
mkdir -p build "$dir"
if ! { cmake --preset release && cmake --build --preset release --target unroll; } >build/build.log 2>&1; then
    cat build/build.log >&2
    exit 1
fi
run $unroll --version

say "2. Prepare the corpus: sentences of a small grammar, whose exact cross-entropy is known"
run $unroll prepare grammar -o "$corpus" --overwrite | tee "$dir/prepare.txt"

# Two ranks share the cores; their threads may go where the system puts them.  A container knows no other user than root.
cores=$(nproc)
threads=$((cores / 2 > 0 ? cores / 2 : 1))
if [ "$(id -u)" -eq 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
train=(mpirun -np 2 --oversubscribe --bind-to none "$unroll" train launch/recipes/grammar.yaml
    --set "data.corpus=$corpus" --set "run.dir=$dir/run" --threads "$threads")
validations() { grep -s '"valid"' "$dir/run/metrics.jsonl" | wc -l; }

say "3. Train on two ranks of $threads thread(s) each, and stop half way"
rm -f "$dir/run/metrics.jsonl"
printf '$ %s\n' "${train[*]} --overwrite"
"${train[@]}" --overwrite &
job=$!
trap 'kill -TERM $job 2>/dev/null' EXIT
half=$(($(sed -n 's/^  epochs: *\([0-9]*\).*/\1/p' launch/recipes/grammar.yaml) / 2))
until [ "$(validations)" -ge $half ] || ! kill -0 $job 2>/dev/null; do sleep 0.2; done
sleep 1 # into the middle of the next epoch
printf '$ kill -USR2 %d      # save, and leave with status 75\n' $job
kill -USR2 $job 2>/dev/null || true
status=0
wait $job || status=$?
trap - EXIT
echo "mpirun ended with status $status"
[ $status -eq 75 ] || exit 1

say "4. Resume where it stopped; the result has the same bits as if it had never been stopped"
run "${train[@]}" --resume auto

say "5. Evaluate: perplexity against the exact floor, and whether verbs agree with their subjects"
run $unroll eval "$dir/run" --data "$corpus" --split test | tee "$dir/eval.txt"

say "6. Sample some text"
run $unroll sample "$dir/run" --length 60 --temperature 1.0 --seed 1

say "7. Compare: README.md has the digest of this recipe on one rank, never stopped"
run $unroll inspect "$dir/run" --digest | tee "$dir/digest.txt"
wanted=$(sed -nE 's/^\| `grammar`.*\| `([0-9a-f]{16})`.*/\1/p' README.md)
if [ "$(cut -c 1-16 "$dir/digest.txt" | tail -n 1)" = "$wanted" ]; then
    echo "It begins with $wanted there, too: the same bits on two ranks, stopped and resumed."
else
    echo "There it begins with $wanted: that run is of another version of the sources."
fi

# The first number behind a word, in what a command said.
number() { grep -oE "$2[^0-9]*[0-9]+[.]?[0-9]*" "$dir/$1.txt" | grep -oE '[0-9]+[.]?[0-9]*$' | head -n 1; }
say "What was learnt"
cat <<END
The model's loss is $(number eval 'this model is') % above the lowest that is possible on these sentences; a trigram's is $(number prepare '[(][+]') %.
Of the verbs 9 or more words from their subject it gets $(number eval '^ +9[+]') % right in number, the trigram $(number prepare '^ +9[+]') %: what it
carries through time is the structure of the sentence, not the last few words.  In between it was stopped and resumed.

Next: a published result.  With Mikolov's Penn Treebank files ptb.{train,valid,test}.txt in DIR,

    build/unroll prepare ptb DIR -o ptb.h5
    launch/starters/mpirun.sh 2 launch/recipes/ptb-zaremba-small.yaml

README.md goes on from here; build/unroll doctor tells what this machine can do.
END
