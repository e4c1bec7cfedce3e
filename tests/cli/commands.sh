#!/usr/bin/env bash
# Every subcommand from the command line: exit codes, which stream speaks, and that what it prints is true.
#
#   tests/cli/commands.sh PROGRAM [SECTION...]
. "$(dirname "$0")/lib.sh"

commands="prepare train eval predict sample inspect config bench doctor"

# A finished run of two epochs in r, its corpus g.h5, its configuration c.yaml.
prepared() {
    [ ! -e r/status.json ] || return 0
    make_corpus g.h5 && write_config c.yaml r && unroll train c.yaml --threads 1 && [ $code = 0 ]
}

usage() {
    unroll
    expect_code "no command" 2
    expect_text "no command" err '^usage: unroll COMMAND'
    expect_silent "no command" out
    unroll --help
    expect_code "--help" 0
    expect_silent "--help" err
    for c in $commands; do
        expect_text "--help" out "^  $c "
    done
    unroll --version
    expect_code "--version" 0
    for part in unroll compiler BLAS HDF5 MPI kernels; do
        expect_text "--version" out "^$part +[A-Za-z0-9]"
    done
    expect_silent "--version" err
    expect_refusal "unknown command" 2 '"trian" is no command' trian
    for c in $commands; do
        unroll "$c" --help
        expect_code "$c --help" 0
        expect_text "$c --help" out "^usage: unroll $c"
        expect_silent "$c --help" err
        expect_refusal "$c, unknown option" 2 "^unroll $c: .*--colour" "$c" --colour
    done
    for c in doctor "config --help"; do
        # shellcheck disable=SC2086 # two words
        "$program" $c >/dev/full 2>"$work/err" </dev/null
        code=$?
        expect_code "$c, its output lost" 1
        expect_lines "$c, its output lost" err 1 '^unroll [a-z]+: stdout could not be written'
    done
    for c in prepare train eval predict sample inspect config; do
        expect_refusal "$c without arguments" 2 "^unroll $c: .*(no|name)" "$c"
    done
    expect_refusal "option without its value" 2 '^unroll sample: --length wants a value' sample r --length
    expect_refusal "option with a word" 2 '^unroll sample: --length: "many" is no whole number from 1' sample r --length many
    expect_refusal "option out of range" 2 '^unroll sample: --top-p: "1.5" is no number from' sample r --top-p 1.5
    expect_refusal "option with a fraction" 2 '^unroll train: --threads: "1.5"' train c.yaml --threads 1.5
    expect_refusal "unknown split" 2 '"trian" is none of train, valid, test' eval r --data g.h5 --split trian
    expect_refusal "eval without corpus" 2 'corpus: --data' eval r
    printf 'data: {corpus: g.h5}\n' >u.yaml
    expect_refusal "resume and overwrite" 2 'contradict' train u.yaml --resume auto --overwrite
    expect_refusal_of_ranks 3 "unknown option on ranks" 2 '^unroll train: --colour' train --colour
    expect_refusal_of_ranks 2 "unknown option of eval on ranks" 2 '^unroll eval: --colour' eval --colour
    expect_refusal_of_ranks 2 "unknown option of doctor on ranks" 2 '^unroll doctor: .*--colour' doctor --colour
    for c in prepare predict sample inspect config bench; do
        expect_refusal_of_ranks 3 "$c on ranks" 2 "^unroll $c: 3 ranks were started, and it works with one process; .*\`env -u OMPI_COMM_WORLD_SIZE unroll $c\`" "$c" --help
    done
    ranks 1 config --help
    expect_code "config under a launcher of one rank" 0
    # shellcheck disable=SC2016 # the ranks' own shell expands it
    mpirun -np 2 sh -c '[ $OMPI_COMM_WORLD_RANK = 1 ] || env -u OMPI_COMM_WORLD_SIZE "$0" config --help' "$program" \
        >"$work/out" 2>"$work/err" </dev/null
    code=$?
    expect_code "config on one rank, as the refusal advises" 0
    expect_text "it" out '^usage: unroll config'
    SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=1 unroll config --help
    expect_code "rank 1 of srun" 2
    expect_silent "it" out
    expect_silent "it" err
}

value() { # KEY : from the configuration just printed
    sed -nE "s/^  $1: +([^ #]*).*/\1/p" "$work/out"
}

configuration() {
    printf 'data: {corpus: g.h5}\noptim: {lr: 0.5}\ntrain: {seed: 3}\n' >one.yaml
    printf 'optim: {lr: 0.25}\n' >two.yaml
    unroll config one.yaml
    expect_code "config" 0
    expect_silent "config" err
    expect_same "a file wins over the default" "$(value lr)" 0.5
    expect_same "what no file names has its default" "$(value bptt)" 35
    unroll config one.yaml two.yaml
    expect_same "the later file wins" "$(value lr)" 0.25
    expect_same "what the later file does not name stays" "$(value seed)" 3
    UNROLL_OPTIM__LR=0.125 unroll config one.yaml two.yaml
    expect_same "the environment wins over files" "$(value lr)" 0.125
    UNROLL_OPTIM__LR=0.125 unroll config one.yaml two.yaml --set optim.lr=0.0625
    expect_same "--set wins over the environment" "$(value lr)" 0.0625
    unroll config one.yaml --set optim.lr=1 --set optim.lr=2
    expect_same "the later --set wins" "$(value lr)" 2
    unroll config one.yaml
    cp "$work/out" resolved.yaml
    unroll config resolved.yaml
    expect "the resolved configuration is a fixed point" cmp resolved.yaml "$work/out"
    unroll config one.yaml --comments
    expect_text "config --comments" out '^  bptt: 35 +# time steps'
    unroll config --help
    expect_text "config --help" out 'keep_last'
    unroll config --man
    expect_text "config --man" out '^\.TH '
    UNROLL_OPTIM__RL=1 expect_refusal "unknown key in the environment" 2 'UNROLL_OPTIM__RL.*(optim\.lr|UNROLL_OPTIM__LR)' config one.yaml
}

inspection() {
    prepared || { count "a run to look at" 1; return; }
    unroll inspect g.h5
    expect_code "inspect of a corpus" 0
    expect_text "inspect of a corpus" out '^g.h5: corpus, [0-9]+ bytes, whole$'
    expect_text "inspect of a corpus" out '^exact cross-entropy: [0-9.]+ nats'
    unroll inspect r/ckpt-0000000226.h5
    expect_code "inspect of a checkpoint" 0
    expect_text "inspect of a checkpoint" out '^step: 226$'
    expect_text "inspect of a checkpoint" out ' params/rnn.weight_hh_l0 +f32 \(64,16\)$'
    expect_text "inspect of a checkpoint" out ' rows/c_l0 +f32 \(8,16\)$'
    expect_text "inspect of a checkpoint" out '^  bptt: 10'
    cp "$work/out" of_file
    unroll inspect r
    expect "inspect of a run directory shows its newest checkpoint" cmp of_file "$work/out"
    for what in g.h5 r r/ckpt-0000000226.h5; do
        unroll inspect "$what" --digest
        expect_code "inspect $what --digest" 0
        expect_same "inspect $what --digest is one line of 64 digits" "$(grep -cE '^[0-9a-f]{64}$' "$work/out") $(wc -l <"$work/out")" "1 1"
    done
    expect_same "the digest of a run is its newest checkpoint's" "$(digest r)" "$(digest r/ckpt-0000000226.h5)"
    expect_other "the digest of another step is another" "$(digest r)" "$(digest r/ckpt-0000000220.h5)"
    expect_refusal "inspect of a missing file" 4 'nothing.h5' inspect nothing.h5
    expect_refusal "inspect of a text" 3 'c.yaml' inspect c.yaml
}

loss_of() { # the loss that eval has just printed
    sed -nE 's/^loss ([0-9.]+) nats.*/\1/p' "$work/out"
}

# --each has one log-probability a token, so its sum over their number is the loss, and exp of it the perplexity, both printed with rounding.
evaluation() {
    local loss sum
    prepared || { count "a run to evaluate" 1; return; }
    for rows in 1 10; do
        unroll eval r --data g.h5 --batch-size $rows --each each.$rows --threads 1
        expect_code "eval in $rows rows" 0
        loss=$(loss_of)
        sum=$(awk -F '\t' '$3 != "-" { s -= $3; n++ } $3 == "-" { first++ } END { printf "%.5f %d %d", s / n, n, first }' each.$rows)
        expect_same "its --each sums to the loss, $rows first tokens are not predicted" "$sum" \
            "$(printf %.5f "$loss") $(sed -nE 's/.* ([0-9]+) predicted.*/\1/p' "$work/out") $rows"
        expect_same "its perplexity is exp(loss)" "$(sed -nE 's/.*ppl ([0-9]+\.[0-9]).*/\1/p' "$work/out")" \
            "$(awk -v l="$loss" 'BEGIN { x = sprintf("%.3f", exp(l)); print substr(x, 1, length(x) - 2) }')"
        expect_same "every token of the split is there" "$(wc -l <each.$rows)" "$(sed -nE 's/.*test, ([0-9]+) tokens.*/\1/p' "$work/out")"
    done
    unroll eval r --data g.h5 --threads 1
    expect_text "eval of a run directory takes the best" err 'model: r/best-'
    unroll eval r --data g.h5 --last --threads 1
    expect_text "eval --last takes the newest" err 'model: r/ckpt-0000000226.h5'
    unroll eval r/ckpt-0000000200.h5 --data g.h5 --threads 1
    expect_text "eval of a file takes it" err 'model: r/ckpt-0000000200.h5'
    unroll eval r --data g.h5 --split valid --batch-size 8 --threads 1
    expect_same "eval finds the validation loss that training has printed" "$(printf %.5f "$(loss_of)")" \
        "$(printf %.5f "$(grep '"type": "valid"' r/metrics.jsonl | grep -oE '"loss": [0-9.]+' | tail -n 1 | cut -d ' ' -f 2)")"
    unroll eval r --data g.h5 --threads 1 --each no/each
    expect_code "--each into a folder that is not there" 2
    expect_text "--each into a folder that is not there" err '^unroll eval: --each: no/each: .*No such'
    ln g.h5 link.h5
    expect_refusals "--each over the corpus" 2 '--each link.h5: is the corpus itself' eval r --data g.h5 --batch-size 3 --threads 1 --each link.h5
    expect_refusal "--each over the checkpoint" 2 'each .*: is the checkpoint itself' eval r --last --data g.h5 --threads 1 --each "$(newest r)"
}

# Equal text of nine digits for every token is equal bits of every float.
evaluation_on_ranks() {
    local want
    prepared || { count "a run to evaluate" 1; return; }
    unroll eval r --data g.h5 --batch-size 7 --each want --threads 1
    want=$(cat "$work/out")
    for n in 2 3; do
        ranks $n eval r --data g.h5 --batch-size 7 --each have --threads 1
        expect_code "eval on $n ranks" 0
        expect "eval on $n ranks gives the same bits" cmp want have
        expect_same "eval on $n ranks prints the same, once" "$(cat "$work/out")" "$want"
    done
    for n in 2 3; do
        unroll eval r --data g.h5 --batch-size 7 --each have --threads $n
        expect "eval with $n threads gives the same bits" cmp want have
    done
    expect_refusal_of_ranks 3 "more ranks than rows" 2 '3 ranks for 2 rows' eval r --data g.h5 --batch-size 2
}

sample() { # OPTION... : the text drawn
    "$program" sample r --threads 1 --length 60 "$@" </dev/null 2>/dev/null
}

sampling() {
    local one
    prepared || { count "a run to sample from" 1; return; }
    unroll sample r --length 60 --threads 1
    expect_code "sample" 0
    expect_text "sample names its model" err '^model: r/best-'
    one=$(sample --seed 1)
    expect_same "seed 1 is the default" "$one" "$(cat "$work/out")"
    expect_same "the same seed, the same text" "$one" "$(sample --seed 1)"
    expect_same "the same text with other threads" "$one" "$("$program" sample r --threads 3 --length 60 --seed 1 2>/dev/null)"
    expect_same "the same text with other kernels" "$one" "$(UNROLL_KERNELS=scalar sample --seed 1)"
    expect_other "another seed, another text" "$one" "$(sample --seed 2)"
    expect_same "temperature 0 does not depend on the seed" "$(sample --temperature 0 --seed 1)" "$(sample --temperature 0 --seed 2)"
    expect_same "temperature 0 is top-k 1" "$(sample --temperature 0)" "$(sample --top-k 1 --seed 5)"
    expect_same "a tiny top-p is top-k 1" "$(sample --top-p 1e-9)" "$(sample --top-k 1)"
    expect_same "a text of 60 tokens" "$(sample --temperature 0 --prompt the | wc -w)" 61
    expect_same "the prompt stands in front" "$(sample --prompt 'the dog' | head -n 1 | cut -d ' ' -f 1,2)" "the dog"
    expect_other "and steers what follows" "$(sample --prompt 'the dog' | cut -d ' ' -f 3-)" "$(sample --prompt 'the dogs' | cut -d ' ' -f 3-)"
    expect_refusal "a prompt that is no UTF-8" 2 '--prompt:1:5: byte 0xff is not valid UTF-8' sample r --prompt $'the \xff'
    expect_refusal "a prompt of one huge word" 2 '--prompt:1:1: a word of more than 65536 bytes' sample r --prompt "$(printf '%070000d' 0)"
    expect_refusal "a prompt with an unknown word" 2 '"xyzzy" is not in the vocabulary' sample r --prompt 'the xyzzy'
    unroll train c.yaml --threads 1 --set run.dir=back --set train.steps=5 --set data.direction=backward
    expect_refusal "a model that reads backward" 4 'back/ckpt-0000000005.h5: has data.direction = backward' sample back
    unroll eval back --data g.h5 --threads 1
    expect_code "eval of a model that reads backward" 0
    expect_not "asks no verb for a subject that it has not read" grep -q agreement "$work/out"
    # A vocabulary with <unk> takes it instead.
    printf 'a b <unk> a\nb a a b\n%.0s' {1..100} >text.txt
    unroll prepare text text.txt -o t.h5 -q
    write_config t.yaml t t.h5
    unroll train t.yaml --threads 1 --set train.steps=5 --set data.batch_size=2 --set data.shards=1
    unroll sample t --length 5 --prompt 'a xyzzy' --threads 1
    expect_code "an unknown word becomes <unk> where there is one" 0
    expect_text "it" out '^a <unk>'
}

dry_run() {
    local before
    make_corpus d.h5
    write_config d.yaml d d.h5
    before=$(listing)
    unroll train d.yaml --threads 1 --dry-run
    expect_code "--dry-run" 0
    expect_same "--dry-run writes nothing" "$(listing)" "$before"
    expect_silent "--dry-run" err
    for how in "2 5 2 11 train.epochs=11" "10 5 1 11 optim.unfreeze_every_epochs=4"; do
        read -r epochs every frozen lowest remedy <<<"$how" # three groups: decoder, one layer, encoder
        for mode in "--overwrite --dry-run" "--overwrite --set train.steps=1"; do
            # shellcheck disable=SC2086 # words
            unroll train d.yaml --threads 1 --set train.epochs=$epochs --set optim.unfreeze_every_epochs=$every --set run.dir=f $mode
            expect_code "layers that never thaw, $mode" 0
            expect_lines "they" err 1 "warning: $frozen of 3 groups of layers stay frozen, .* epoch $lowest and train.epochs is $epochs; set ${remedy%=*} to"
            # shellcheck disable=SC2086
            unroll train d.yaml --threads 1 --set train.epochs=$epochs --set optim.unfreeze_every_epochs=$every --set run.dir=f $mode --set "$remedy"
            expect_lines "with $remedy, $mode" err 0 'stay frozen'
        done
    done
    unroll train d.yaml --threads 1 --set train.steps=5
    before=$(listing)
    unroll train d.yaml --threads 1 --dry-run --resume auto
    expect_code "--dry-run --resume auto" 0
    expect_same "--dry-run --resume auto writes nothing" "$(listing)" "$before"
    unroll train d.yaml --threads 1 --dry-run --overwrite
    expect_code "--dry-run --overwrite" 0
    expect_same "--dry-run --overwrite removes nothing" "$(listing)" "$before"
    expect_refusal "--dry-run finds what is wrong" 2 'd: already holds 1 checkpoint' train d.yaml --threads 1 --dry-run
}

# A digest covers every bit of parameters and optimiser state, so equal digests are equal arithmetic in every table that this CPU has.
kernel_tables() {
    local want
    make_corpus k.h5
    write_config k.yaml k k.h5
    UNROLL_KERNELS=scalar unroll train k.yaml --threads 1 --set train.steps=30
    expect_code "kernels scalar" 0
    want=$(digest k)
    for table in avx2 avx512; do
        grep -q "$table" <<<"$(sed -n 's/^flags/ /p;T;q' /proc/cpuinfo | tr ' ' '\n' | sed 's/^avx512f$/avx512/')" || { skip "no $table here"; continue; }
        UNROLL_KERNELS=$table unroll train k.yaml --threads 1 --set train.steps=30 --overwrite
        expect_text "kernels $table" err "kernels $table"
        expect_same "kernels $table give the bits of scalar" "$(digest k)" "$want"
    done
    UNROLL_KERNELS=abacus expect_refusal "an unknown table" 2 'UNROLL_KERNELS: "abacus"' train k.yaml --overwrite
    UNROLL_KERNELS=abacus expect_refusal_of_ranks 2 "an unknown table on ranks" 2 'UNROLL_KERNELS: "abacus"' train k.yaml --overwrite
}

examination() {
    make_corpus e.h5
    write_config e.yaml e e.h5
    unroll doctor
    expect_code "doctor" 0
    expect_text "doctor" out 'mpirun|unroll train'
    unroll doctor e.yaml --ranks 2
    expect_code "doctor with a configuration" 0
    expect_text "doctor with a configuration" out 'mpirun .*-np 2 .*train e.yaml'
    ranks 2 doctor e.yaml
    expect_code "doctor on ranks" 0
    expect_lines "doctor on ranks" out 1 'train e.yaml'
    expect_refusal "doctor with an unknown key" 2 'optim\.rl' doctor e.yaml --set optim.rl=1
    expect_not "doctor writes no run directory" test -e e
}

# What bench prints of a shape of a few milliseconds: the keys, and that its shares are those of its own rates and seconds.
speed() {
    local shape="--hidden 20 --batch 8 --bptt 5 --threads 2 --rounds 2 --seconds 0.002"
    expect_refusal "bench of an unknown cell" 2 '^unroll bench: --cell: "elman" is none of rnn_tanh' bench --cell elman
    expect_refusal "bench of no rows" 2 '^unroll bench: --batch: "0" is no whole number from 1' bench --batch 0
    expect_refusal "bench of more layers than there can be" 2 '^unroll bench: --layers: "17" is no whole number from 1 to 16' bench --layers 17
    expect_refusal "bench for no time" 2 '^unroll bench: --seconds: "0" is no number from' bench --seconds 0
    expect_refusal "bench of more shards than rows" 2 '^unroll bench: --shards: 9 of them for 8 rows' bench --batch 8 --shards 9
    expect_refusal "bench of a layer with words" 2 '^unroll bench: --vocabulary: a layer alone' bench --layer --vocabulary 9
    expect_refusal "bench of a layer of two" 2 '^unroll bench: --layers: 2 of them' bench --layer --layers 2
    expect_refusal "bench of documents in windows" 2 '^unroll bench: --bptt: --documents are read whole' bench --documents --bptt 9
    expect_refusal "bench of a layer of documents" 2 '^unroll bench: --layer and --documents: one of them' bench --layer --documents
    expect_refusal "bench of words in one direction" 2 '^unroll bench: --unidirectional: is for --documents' bench --unidirectional
    expect_refusal "bench with a word" 2 '^unroll bench: "fast": takes options only' bench fast
    expect_refusal "bench into a folder that is not there" 2 '^unroll bench: --json: no/j: cannot create a temporary file beside it: No such' bench --json no/j
    # shellcheck disable=SC2086 # words
    {
        unroll bench $shape --vocabulary 50 --json j
        expect_code "bench" 0
        expect_text "bench" out '^lstm 2 x 20, batch 8, bptt 5, vocabulary 50; 2 shards, 2 threads'
        expect_text "bench" out '^  step +[0-9.]+ +[0-9.]+ +[0-9.]+ % +[0-9.]+ % +100.0 %$'
        expect_lines "bench" out 1 '^  [0-9]+ tokens/s$'
        "$program" bench $shape --vocabulary 50 --json unseen </dev/null >/dev/null 2>&- # the next file is number 2
        code=$?
        expect_code "bench with stderr closed" 0
        unroll bench $shape --layer --cell gru --json -
        expect_code "bench of a layer" 0
        cp "$work/out" l
        unroll bench --documents --hidden 20 --embedding 24 --batch 8 --mean-length 9 --vocabulary 50 --threads 2 --rounds 1 \
            --seconds 0.5 --json documents.json
        expect_code "bench of documents" 0
        expect_text "bench of documents" out '^bidirectional lstm 1 x 20, embedding 24, batch 8, documents of 9 words, vocabulary 50; 2 shards'
        expect_lines "bench of documents" out 1 '^  [0-9]+ tokens/s; padding is [0-9.]+ % of what is computed$'
        unroll bench --documents --unidirectional --hidden 20 --batch 8 --mean-length 9 --threads 2 --rounds 1 --seconds 0.002
        expect_code "bench of documents in one direction" 0
        expect_text "bench of documents in one direction" out '^lstm 1 x 20, embedding 20, batch 8, documents of 9 words'
        for cell in rnn_relu gru_before; do
            unroll bench $shape --cell $cell --layers 1
            expect_code "bench of $cell" 0
        done
        start 1 bench $shape --rounds 1000 --seconds 1 --json ended
    }
    wait_for compgen -G 'ended.tmp.*' >/dev/null
    count "the objects of bench are begun" $?
    kill -TERM "$child"
    finish
    expect_code "TERM ends bench" 143
    expect_same "and leaves nothing of them" "$(compgen -G 'ended*' | wc -l)" 0
    command -v python3 >/dev/null || { skip "no python3 here"; return; }
    cat >judge.py <<'END'
import json, math, sys
lines, whole, tokens = [json.loads(line) for line in open(sys.argv[1])], sys.argv[2], 40
keys = ("kernel cell layers hidden batch bptt vocabulary threads seconds gflops share_of_peak share_of_kernel_peak share_of_step").split()
by = {line["kernel"]: line for line in lines}
assert len(by) == len(lines) and all(list(line)[:13] == keys for line in lines)
assert [line["kernel"] for line in lines][:4] == ["fma_peak", "kernel_peak", "weights", "bandwidth"] and lines[-1]["kernel"] == whole
close = lambda a, b: math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
for line in lines:
    assert (line["hidden"], line["batch"], line["bptt"], line["threads"]) == (20, 8, 5, 2)
    assert line["seconds"] > 0 and line["gflops"] >= 0
    assert close(line["share_of_peak"], line["gflops"] / by["fma_peak"]["gflops"])
    assert close(line["share_of_kernel_peak"], line["gflops"] / by["kernel_peak"]["gflops"])
    assert ("tokens_per_s" in line) == (line["kernel"] == "step") and set(line) <= {*keys, "tokens_per_s", "gigabytes_per_s"}
step = by[whole]
if whole == "step":
    assert close(step["tokens_per_s"] * step["seconds"], tokens)
for line in lines[4:]:
    assert close(line["share_of_step"], line["seconds"] / step["seconds"])
work = 6 * (2 * 4 * 20 * 40 + 50 * 20) if whole == "step" else 6 * 3 * 20 * 40
assert close(step["gflops"] * step["seconds"], 1e-9 * work * tokens)
assert close(sum(line["gflops"] * line["seconds"] for line in lines[4:-1]), 1e-9 * work * tokens)
assert math.isclose(sum(line["share_of_step"] for line in lines[4:-1]), 1, rel_tol=1e-6) # medians of two rounds are means
assert {"input product", "recurrent forward", "recurrent backward", "dW"} <= set(by)
assert ("optimizer" in by) == ("logits" in by) == (whole == "step")
END
    expect "bench: the JSON has the keys, and its numbers agree with each other" python3 judge.py j step
    expect "bench with stderr closed: the same" python3 judge.py unseen step
    expect "bench of a layer: the same" python3 judge.py l layer
    cat >judge_documents.py <<'END'
import ast, json, math, sys
tree = ast.parse(open(sys.argv[2]).read()) # the lengths of the peer, which needs torch to run
quantiles = next(ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "QUANTILES")
lines, B, M = [json.loads(line) for line in open(sys.argv[1])], 8, 9
step = lines[-1]
assert (step["embedding"], step["mean_length"], step["bidirectional"], step["bptt"]) == (24, M, True, 0)
operations, tokens = 1e9 * step["gflops"] * step["seconds"], step["tokens_per_s"] * step["seconds"]
assert math.isclose(operations, 6 * (2 * 4 * 20 * (24 + 20) * tokens + 2 * 40 * B), rel_tol=1e-9)
assert math.isclose(sum(line["gflops"] * line["seconds"] for line in lines[4:-1]), 1e-9 * operations, rel_tol=1e-9)
def batches():
    first = 0
    while True:
        pool = sorted(max(1, (2 * quantiles[(37 * d + 11 * (d // 64)) % 64] * M + 1000) // 2000) for d in range(first, first + 50 * B))
        for i in range(50):
            run = (17 * i + 5) % 50
            yield pool[run * B:(run + 1) * B]
        first += 50 * B
# The round had the first n batches, for one n: their words, and their padding, are those that were told.
words = places = 0
for n, batch in enumerate(batches(), 1):
    words, places = words + sum(batch), places + max(batch) * B
    if math.isclose(words / n, tokens, rel_tol=1e-9) and math.isclose(1 - words / places, step["padded"], rel_tol=1e-9):
        break
    assert n < 100000, "no number of batches has these words and this padding"
END
    expect "bench of documents: their words, their padding and the work that is counted" \
        python3 judge_documents.py documents.json "$(dirname "$script")/../peers/torch_classify.py"
}

early_stop() {
    prepared || return
    unroll train c.yaml --set run.dir=early --set optim.lr=1e-30 --set train.epochs=9 --set train.steps=0 --set train.early_stop=2 --threads 1
    expect_code "early stop" 0
    expect_text "early stop" err '^stopped early: the best validation, after step [0-9]+, is 2 validations ago \(train.early_stop\)$'
    expect_same "early stop: status" "$(field early/status.json state) $(field early/status.json reason)" "done stopped early"
}

# A profile changes nothing, and its phases fill the time: children lie inside their parents and add up to the run.
profiling() {
    local want
    make_corpus p.h5
    write_config p.yaml p p.h5
    unroll train p.yaml --threads 2
    want=$(digest p)
    expect_silent "train without --profile" out
    unroll train p.yaml --threads 2 --overwrite --profile
    expect_code "train --profile" 0
    expect_text "train --profile" out '^recurrent forward +[0-9.]+ +[0-9.]+ % +[0-9.]+ +[0-9.]+$'
    expect_text "train --profile" out '^all +[0-9.]+ +100.0 %$'
    expect_same "--profile changes no bit" "$(digest p)" "$want"
    mv p/profile.json one.json
    unroll train p.yaml --threads 1 --overwrite --profile=pause.json --set train.steps=150
    expect_code "--profile at a pause" 0
    expect_not "--profile=FILE writes FILE alone" test -e p/profile.json
    ranks 3 train p.yaml --threads 1 --resume auto --profile=three.json
    expect_code "--profile on ranks" 0
    expect_lines "--profile on ranks prints one table" out 1 '^all +[0-9]'
    expect_same "--profile on ranks, resumed, changes no bit" "$(digest p)" "$want"
    expect_refusals "--profile into a folder that is not there" 2 '^unroll train: --profile: no/p.json: ' train p.yaml --overwrite --profile=no/p.json
    expect_refusals "--profile over the corpus" 2 '^unroll train: --profile=p.h5: is there already, and no timeline' train p.yaml --overwrite --profile=p.h5
    expect_refusals "--profile over the configuration" 2 '^unroll train: --profile=p.yaml: is there already' train p.yaml --overwrite --profile=p.yaml
    expect_refusal "--profile to stdout" 2 '^unroll train: --profile=-: stdout gets the table' train p.yaml --overwrite --profile=-
    mkdir own
    unroll train p.yaml --set run.dir=own --set train.steps=20 --set run.log_every_steps=10 --profile=own/metrics.jsonl
    expect_code "--profile over what the run writes" 2
    expect_text "--profile over what the run writes" err '^unroll train: --profile=own/metrics.jsonl: is there already, and no timeline'
    expect "--profile spares what the run writes" grep -q '"loss"' own/metrics.jsonl
    for option in --profile --dry-run --overwrite --resume=auto; do
        mpirun -np 1 "$program" train p.yaml "$option" : -np 1 "$program" train p.yaml </dev/null >"$work/out" 2>"$work/err"
        code=$?
        expect_code "$option on one rank of two" 2
        expect_text "$option on one rank of two" err '^unroll train: rank 1 was given other options than rank 0'
    done
    command -v python3 >/dev/null || { skip "no python3 here"; return; }
    cat >judge.py <<'END'
import json, sys
file, ranks, first, last = sys.argv[1], *map(int, sys.argv[2:])
events = json.load(open(file))["traceEvents"]
assert {e["pid"] for e in events} == set(range(ranks))
assert min(e["ts"] for e in events if e["ph"] == "X") == 0
slack = 0.01 # of a microsecond: digits
for rank in range(ranks):
    mine = [e for e in events if e["pid"] == rank and e["ph"] == "X"]
    whole, rest = mine[0], mine[1:]
    steps = [e for e in rest if e["name"].startswith("step ")]
    phases = [e for e in rest if not e["name"].startswith("step ")]
    assert whole["name"] == "train" and [e["name"] for e in steps] == [f"step {i}" for i in range(first, last + 1)]
    end = lambda e: e["ts"] + e["dur"]
    for a, b in zip(phases, phases[1:]):
        assert abs(end(a) - b["ts"]) < slack # in order, without a gap
    for a, b in zip(steps, steps[1:]):
        assert end(a) < b["ts"] + slack
    assert abs(sum(e["dur"] for e in phases) - whole["dur"]) < slack * len(phases)
    for s in steps:
        inside = [e for e in phases if s["ts"] - slack < e["ts"] and end(e) < end(s) + slack and e["dur"] > slack]
        assert abs(sum(e["dur"] for e in inside) - s["dur"]) < slack * (len(inside) + 20)
    names = [e["name"] for e in phases]
    for name in "window read", "recurrent forward", "dW", "optimizer":
        assert names.count(name) == len(steps)
    assert names.count("wait for all ranks") == (len(steps) if ranks > 1 else 0)
    assert "checkpoint" in names and "validation and test" in names
END
    expect "the timeline of one rank" python3 judge.py one.json 1 1 226
    expect "the timeline up to a pause" python3 judge.py pause.json 1 1 150
    expect "the timeline of three ranks" python3 judge.py three.json 3 151 226
}

sections usage configuration inspection evaluation evaluation_on_ranks sampling dry_run kernel_tables examination speed early_stop profiling
