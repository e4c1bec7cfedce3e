#!/usr/bin/env bash
# Task classify from the command line: what it learns, that it has the bits that the main job promises, what eval, doctor, inspect and
# --profile say of it, what is refused.
#
# The documents are made here: words of no meaning, and "up" and "down" among them; which of the two comes first, or that "still" comes
# second, decides the class, so that counting words is not enough.
#
#   tests/cli/classify.sh PROGRAM [SECTION...]
. "$(dirname "$0")/lib.sh"

table() { # N SEED : a .tsv of N documents of 4 to 18 words
    awk -v n="$1" -v x="$2" '
        function below(m) { x = (x * 1103515245 + 12345) % 2147483648; return int(x / 65536) % m }
        BEGIN {
            print "text\tlabel"
            split("up down up", first, " "); split("down up still", second, " "); split("fell rose stayed", label, " ")
            for (i = 0; i < n; i++) {
                c = i % 3 + 1; words = 4 + below(15); a = below(words - 1); b = a + 1 + below(words - 1 - a); text = ""
                for (k = 0; k < words; k++) text = text (k ? " " : "") (k == a ? first[c] : k == b ? second[c] : "w" below(30))
                print text "\t" label[c]
            }
        }'
}

prepared() {
    [ ! -e c.yaml ] || return 0
    table 360 1 >train.tsv && table 90 2 >test.tsv && table 60 3 | sed 's/stayed/fell/' >two.tsv
    "$program" prepare labelled --train train.tsv --test test.tsv --valid-share 0.2 -q -o t.h5 >/dev/null &&
        "$program" prepare labelled two.tsv -q -o two.h5 >/dev/null || { count "a corpus to begin with" 1; return 1; }
    make_corpus g.h5
    # For the bits: odd sizes, every dropout, documents longer than the gradient flows, batches of which the last is not full.
    cat >c.yaml <<'YAML'
task: {name: classify}
data: {corpus: t.h5, batch_size: 13, shards: 5}
model: {cell: gru, layers: 2, embedding: 9, hidden: 11, dropout: 0.2}
classify: {pooling: attention, hidden: 7, dropout: 0.1, label_smoothing: 0.1, class_weights: "1,2,0.5", backprop_steps: 8}
optim: {name: adam, lr: 0.01, clip_norm: 1.0}
train: {epochs: 3, seed: 7}
run: {dir: r, checkpoint_every_steps: 5, log_every_steps: 10}
YAML
    cat >learn.yaml <<'YAML'
task: {name: classify}
data: {corpus: t.h5, batch_size: 12, shards: 4}
model: {cell: lstm, layers: 1, embedding: 16, hidden: 24}
optim: {name: adam, lr: 0.01, clip_norm: 1.0}
train: {epochs: 12, seed: 7}
run: {dir: learnt, log_every_steps: 24}
YAML
}

train_on() { # RANKS THREADS RUN_DIR OPTION...
    local n=$1 threads=$2 dir=$3
    shift 3
    set -- train c.yaml --set run.dir="$dir" --threads "$threads" "$@"
    [ "$n" = 1 ] && unroll "$@" || ranks "$n" "$@"
}

learn() { # RUN_DIR OPTION...
    local dir=$1
    shift
    unroll train learn.yaml --threads 1 --set run.dir="$dir" "$@"
}

learnt() { # two models, which other sections look at
    prepared || return
    [ -e forward ] || learn forward --set classify.pooling=concat
    [ -e both ] || learn both --set classify.pooling=max --set model.cell=gru --set model.bidirectional=true
}

learns() {
    learnt || return
    for dir in forward both; do
        expect_text "$dir" $dir/train.log 'valid accuracy 100.00 %$'
        expect_text "$dir" $dir/train.log '^\| End of training \| test loss +[0-9.]+ \| test accuracy +[0-9.]+ %$'
        expect "$dir: the test's accuracy" awk -v a="$(field $dir/metrics.jsonl test_accuracy)" 'BEGIN { exit !(a > 0.97 && a <= 1) }'
        expect_text "$dir" $dir/train.log '^train: 288 documents, [0-9]+ tokens, the longest 19, none cut$'
        expect_text "$dir" $dir/metrics.jsonl '"type": "valid".*"predicted": 72, "accuracy": 1.0'
    done
    expect_text "both" both/train.log 'vocabulary [0-9]+; bidirectional gru 1 x 24, '
    expect_text "forward" forward/train.log '^3 classes, concat pooling, 24 batches an epoch; batches are [0-9.]+ % longer than their documents$'
    learn short --set classify.max_length=3 --set classify.keep=end --set train.epochs=1
    expect_text "cutting is reported" err '^train: 288 documents, 864 tokens, the longest 3, cut to the last 3: 288$'
    learn bested --set classify.best_by=accuracy --set train.epochs=8
    expect_text "the best by accuracy: the first of the best" bested/metrics.jsonl "\"type\": \"valid\", \"step\": $(step_of "$(newest bested best)"),.*\"accuracy\": 1.0"
    unroll inspect bested
    expect_text "inspect" out '^best validation: accuracy 100.00 %$'
    unroll inspect forward
    expect_text "inspect" out '^best validation: [0-9.]+ nats per document$'
    expect_text "inspect" out '  labels/bytes +u8 \(14\)$'
}

# Any ranks and threads; paused, killed in the middle of an epoch, asked to leave: the bits and numbers of a run that nothing disturbs.
same_bits() {
    local victim step from
    prepared || return
    train_on 1 1 whole
    expect_code "alone" 0
    for case in "1 2" "2 1" "2 2" "3 1" "3 2"; do
        # shellcheck disable=SC2086 # two words
        train_on $case "on $case"
        expect_same "ranks and threads $case: the same bits" "$(digest "on $case")" "$(digest whole)"
        expect_same "ranks and threads $case: the same numbers" "$(numbers "on $case")" "$(numbers whole)"
        expect_same "ranks and threads $case: the same test" "$(field "on $case/metrics.jsonl" test_loss)" "$(field whole/metrics.jsonl test_loss)"
    done
    train_on 3 1 paused --set train.steps=31 # in the middle of the second epoch of 23
    expect_same "paused" "$(step_of "$(newest paused)")" 31
    train_on 2 2 paused --resume auto
    expect_same "paused and resumed on other ranks: the same bits" "$(digest paused)" "$(digest whole)"
    expect_same "and the same numbers" "$(numbers paused)" "$(numbers whole)"
    for n in 1 2; do
        start $n train c.yaml --set run.dir=k --set train.epochs=1000000 --threads 1 --resume auto
        from=$(newest k)
        until [ "$(newest k)" != "$from" ] || ended; do sleep 0.02; done
        if [ $n = 1 ]; then
            kill -KILL "$child"
            finish
            expect_code "killed" 137
        else
            kill -USR2 "$child"
            finish
            expect_code "asked to leave" 75
        fi
    done
    step=$(($(step_of "$(newest k)") + 7))
    train_on 3 2 k --set train.steps=$step --set train.epochs=1000000 --resume auto
    train_on 1 1 whole.k --set train.steps=$step --set train.epochs=1000000
    expect_same "killed, then asked to leave: the bits of an undisturbed run at step $step" "$(digest k)" "$(digest whole.k)"
    expect_same "and its numbers" "$(numbers k)" "$(numbers whole.k)"
    train_on 1 1 seed --set train.seed=8
    expect_other "another seed, other bits" "$(digest seed)" "$(digest whole)"
    rm -rf k whole.k
}

norms() { # RUN_DIR : gradient norms, and what the parameters were worth
    grep -oE '"grad_norm": [^,]*' "$1/metrics.jsonl"
    grep '"type": "valid"' "$1/metrics.jsonl" | grep -oE '"loss": [^,]*'
}

# Settings that must change something, or nothing.
settings() {
    prepared || return
    for key in train.seed=7 classify.class_weights=1,1,1 classify.class_weights=2,2,2 classify.class_weights=balanced classify.class_weights=4,1,1 \
        classify.backprop_steps=19 classify.backprop_steps=1000 classify.backprop_steps=4 classify.max_length=19 classify.max_length=6 data.direction=backward; do
        learn "s-$key" --set train.steps=30 --set "$key"
        expect_code "$key" 0
    done
    for key in classify.class_weights=1,1,1 classify.class_weights=balanced classify.max_length=19 classify.backprop_steps=19 classify.backprop_steps=1000; do
        # the classes are equally frequent, the longest document has 19 tokens
        expect_same "$key changes nothing here" "$(digest "s-$key")" "$(digest s-train.seed=7)"
    done
    expect_same "twice the weights: twice the sums, divided by twice as much" "$(norms s-classify.class_weights=2,2,2)" "$(norms s-train.seed=7)"
    for key in classify.class_weights=4,1,1 classify.backprop_steps=4 classify.max_length=6 data.direction=backward; do
        expect_other "$key changes something" "$(digest "s-$key")" "$(digest s-train.seed=7)"
    done
    learn dry --dry-run
    expect_code "--dry-run" 0
    expect_not "--dry-run writes nothing" [ -e dry ]
}

evaluates() {
    local first
    learnt || return
    unroll eval forward --data t.h5 --json -
    expect_code "--json -" 0
    expect_same "the loss is that of the training's end" "$(field "$work/out" loss)" "$(field forward/metrics.jsonl test_loss)"
    expect_same "the accuracy too" "$(field "$work/out" accuracy)" "$(field forward/metrics.jsonl test_accuracy)"
    expect_same "--json - prints one line" "$(wc -l <"$work/out")" 1
    for models in forward "forward both"; do
        # shellcheck disable=SC2086 # several words
        unroll eval $models --data t.h5 --each each.tsv --json table.json
        expect_code "$models" 0
        expect_text "$models" out '^t.h5: test, 90 labelled documents, [0-9]+ tokens$'
        expect_text "$models" out '^documents 90, loss [0-9.]+ nats, accuracy [0-9.]+ % \(95 %: '
        expect_same "$models: a line for each document" "$(wc -l <each.tsv)" 90
        mv "$work/out" first && mv each.tsv first.tsv && mv table.json first.json
        for how in "1 5" "2 32" "3 3" "3 90"; do
            # shellcheck disable=SC2086
            ranks ${how% *} eval $models --data t.h5 --each each.tsv --json table.json --batch-size ${how#* } --threads 2
            expect "$models, ranks and rows $how: the same tables" cmp "$work/out" first
            expect "$models, ranks and rows $how: the same probabilities" cmp each.tsv first.tsv
            expect "$models, ranks and rows $how: the same JSON" cmp table.json first.json
        done
        cp first.tsv "${models// /+}.tsv"
    done
    unroll eval both --data t.h5 --each both.tsv
    expect "two models: the mean of their probabilities" awk '
        FNR == 1 { file++ }
        file < 3 { for (c = 4; c <= 6; c++) sum[FNR, c] += $c }
        file == 3 { for (c = 4; c <= 6; c++) { off = $c - sum[FNR, c] / 2; if (off > 1e-6 || off < -1e-6) exit 1 } }' forward.tsv both.tsv forward+both.tsv
    unroll eval forward --data t.h5 --split valid --last
    expect_text "another split" out '^t.h5: valid, 72 labelled documents'
    unroll prepare labelled train.tsv --vocab t.h5 -q -o untested.h5
    expect_refusals "a split that is not there" 3 'untested.h5: has no test split; there is --split train, --split valid$' eval forward --data untested.h5
    expect_refusals "other words" 4 'forward/best-.*prepare the text with --vocab' eval forward --data two.h5
    expect_refusal_of_ranks 3 "more ranks than rows" 2 '3 ranks for 2 rows' eval forward --data t.h5 --batch-size 2
    write_config lm.yaml lm && unroll train lm.yaml --threads 1 --set train.steps=3
    expect_refusals "two language models" 2 '2 language models; their predictions are not averaged' eval lm lm --data g.h5
    expect_refusals "a classifier and a language model" 4 'is a language model, no classifier' eval forward lm --data t.h5
    write_config lm.yaml b/m t.h5 && unroll train lm.yaml --threads 1 --set train.steps=3
    mkdir a && cp -r forward a/m
    local before
    before=$(listing)
    timeout 60 mpirun -np 1 -wdir "$place/a" "$program" eval m --data "$place/t.h5" : -np 1 -wdir "$place/b" "$program" eval m --data "$place/t.h5" \
        >"$work/out" 2>"$work/err" </dev/null
    code=$?
    judge_refusal "a classifier on one rank, a language model on another" 4 'rank 1 has another checkpoint' "$before"
    expect_refusals "--json of a language model" 2 '--json: is for classifiers' eval lm --data g.h5 --json -
    expect_refusals "a result that cannot be written" 2 '--json: no/such/folder.json: cannot create a temporary file beside it: No such file' eval forward --data t.h5 --json no/such/folder.json
    expect_refusals "--each over the corpus" 2 '--each t.h5: is the corpus itself' eval forward --data t.h5 --each t.h5
    expect_refusals "--each over the second model" 2 '--each both/best.*: is the checkpoint itself' eval forward both --data t.h5 --each "$(newest both best)"
    expect_refusal "--json over the second model" 2 '--json both/best.*: is the checkpoint itself' eval forward both --data t.h5 --json "$(newest both best)"
    expect_refusal "one file for both" 2 '--json ./new.tsv: is the --each, too' eval forward --data t.h5 --each new.tsv --json ./new.tsv
    expect_refusal "text of a classifier" 4 'is a classifier, no language model; `unroll predict` labels texts with it' sample forward
    unroll prepare labelled --train train.tsv --test train.tsv --vocab t.h5 --valid-share 0 -q -o same.h5
    unroll eval forward --data same.h5
    expect_code "another corpus with the same words and labels" 0
    grep -v 'stayed$' test.tsv >fewer.tsv
    unroll prepare labelled --train train.tsv --test fewer.tsv --vocab t.h5 --valid-share 0 -q -o absent.h5
    unroll eval forward --data absent.h5 --json absent.json
    expect_text "a class without documents" out '^stayed +- +- +- +- +0$'
    expect_text "a class without documents" out '^no document here is of 1 of the 3 classes; the means leave it out$'
    expect_text "in JSON" absent.json '"recall": \[[0-9.]+, [0-9.]+, null\]'
    expect_not "in JSON, nan is no number" grep -q nan absent.json
    sed 's/\bup\b/Up/g' train.tsv >case.tsv
    unroll prepare labelled --train case.tsv --test case.tsv --vocab t.h5 --valid-share 0 --lower no -q -o case.h5
    expect_refusals "words cut in another way" 4 'forward/best-.* has learnt from texts that were cut .*in lower case, those of case.h5 were cut .*case as written' eval forward --data case.h5
    cut -f 1 test.tsv >lines.txt
    unroll prepare text --train lines.txt --test lines.txt --vocab t.h5 -q -o lines.h5
    expect_refusals "a text for a language model of documents" 4 'cut .*in lower case, those of lines.h5 were cut at white space; prepare them' eval b/m --data lines.h5
    sed 's/stayed/stood/' train.tsv >other.tsv
    unroll prepare labelled --train other.tsv --test other.tsv --vocab t.h5 --valid-share 0 -q -o other.h5
    expect_refusals "other labels" 4 'has other labels than other.h5' eval forward --data other.h5
}

examined() {
    learnt || return
    local small large
    unroll doctor c.yaml
    expect_code "doctor" 0
    small=$(sed -nE 's/^memory.*activations ([0-9.]+),.*/\1/p' "$work/out")
    unroll doctor c.yaml --set classify.backprop_steps=1000 --set data.batch_size=208 --set model.hidden=88
    large=$(sed -nE 's/^memory.*activations ([0-9.]+),.*/\1/p' "$work/out")
    expect "doctor knows how long the documents are: $small and $large MB" awk -v s="$small" -v l="$large" 'BEGIN { exit !(s > 0 && s < 1 && l > 4 * s && l < 100) }'
    unroll doctor c.yaml --set data.corpus=g.h5
    expect_code "doctor on a corpus without documents" 0
    expect_text "doctor on a corpus without documents" out '^warning: no estimate of memory and disk: g.h5: holds no documents with labels'
    unroll doctor c.yaml --set model.init_from=nowhere.h5
    expect_code "doctor, to begin with a model that is not there" 0
    expect_text "doctor, to begin with a model that is not there" out '^warning: a fresh run cannot begin: model.init_from: nowhere.h5'
    expect_text "doctor, to begin with a model that is not there" out '^memory'
    printf 'word 1 2 3\n' >other.vec
    unroll doctor c.yaml --set model.vectors=other.vec
    expect_code "doctor, to begin with vectors of another width" 0
    expect_text "doctor, to begin with vectors of another width" out '^warning: a fresh run cannot begin: model.vectors .*other.vec:1'
    unroll train learn.yaml --threads 1 --set run.dir=profiled --set train.steps=20 --profile --set model.bidirectional=true
    expect_code "--profile" 0
    expect_text "--profile" out '^recurrent forward +[0-9.]+ +[0-9.]+ % +[0-9.]+ +[0-9.]+$'
    expect_text "--profile: a classifier's output is no work" out '^logits +[0-9.]+ +[0-9.]+ % +[0-9.]+$'
}

refused() {
    prepared || return
    expect_refusals "a corpus without documents" 3 'g.h5: holds no documents with labels; make one' train c.yaml --set data.corpus=g.h5 --threads 1
    expect_refusals "too few weights" 2 'classify.class_weights = "1,2": allowed are balanced, or 3 comma-separated numbers' \
        train c.yaml --set classify.class_weights=1,2 --threads 1
    train_on 1 1 weighted --set classify.class_weights=1,2,3 --set train.steps=1
    expect_code "weights 1,2,3, so that what follows is refused for what it says" 0
    for odd in 1,2,3,4 1,2,0 1,2,-1 1,2,nan 1,2,inf a,b,c 1,,2 1,2,3, Balanced; do
        expect_refusal "weights $odd" 2 'classify.class_weights = ".*": allowed are balanced, or 3' train c.yaml --set classify.class_weights="$odd" --threads 1
    done
    expect_refusals "labels without an example" 2 'classify.train_documents = 1: none of these documents has the label' train c.yaml --set classify.train_documents=1 --threads 1
    awk 'BEGIN { print "text\tlabel"; print "up\trose"; for (i = 0; i < 65536; i++) printf "up "; print "\tfell" }' >long.tsv
    unroll prepare labelled long.tsv --valid-share 0 -q -o long.h5
    expect_refusals "more steps than masks" 2 'the longest document has 65537 tokens; with model.dropout .*: set classify.max_length' \
        train c.yaml --set data.corpus=long.h5 --set classify.class_weights= --threads 1
    expect_refusals "one logit for three classes" 2 'classify.output = sigmoid: is for two classes, the corpus has 3' train c.yaml --set classify.output=sigmoid --threads 1
    unroll train learn.yaml --set run.dir=two --set data.corpus=two.h5 --set classify.output=sigmoid --set train.steps=5 --threads 1
    expect_code "one logit for two classes" 0
    expect_refusals "tied" 2 'model.tied = true .*only with task.name=lm' train c.yaml --set model.tied=true --set model.embedding=11 --threads 1
    expect_refusals "more ranks than shards" 2 'data.batch_size|data.shards' train c.yaml --set data.shards=14 --threads 1
    expect_refusals "vectors and another model" 2 'both would give the embedding its rows' train c.yaml --set model.vectors=v.txt --set model.init_from=r --threads 1
    expect_refusals "vectors that are not there" 3 'model.vectors .*no-such.txt' train c.yaml --set model.vectors=no-such.txt --threads 1
    printf 'up 1 2 3\n' >narrow.txt
    expect_refusals "vectors of another width" 3 'model.vectors .model.embedding is 9.: narrow.txt:1: .*vectors of 9 are wanted' train c.yaml --set model.vectors=narrow.txt --threads 1
    printf 'nowhere 1 2 3 4 5 6 7 8 9\n' >strange.txt
    expect_refusals "vectors of other words" 3 'strange.txt: has none of the 3[0-9] words of t.h5' train c.yaml --set model.vectors=strange.txt --threads 1
}

# An embedding that begins with word vectors, or a classifier with a language model of its documents.
beginnings() {
    prepared || return
    awk 'BEGIN { print "21 9"; for (i = 0; i < 20; i++) { printf "%s", i < 18 ? "w" i : i == 18 ? "up" : "nowhere"; for (k = 0; k < 9; k++) printf " %.3f", (i * 9 + k) % 17 / 8 - 1; print "" }
        print "w3 9 9 9 9 9 9 9 9 9" }' >v.txt
    train_on 1 1 plain --set train.steps=12
    train_on 1 1 v1 --set train.steps=12 --set model.vectors=v.txt
    expect_code "word vectors" 0
    expect_text "word vectors" err '^encoder.weight begins with v.txt: 19 of 3[0-9] words have a vector among its 21, the others keep their initial values \(SHA-256 of all rows [0-9a-f]{64}\)$'
    expect_text "word vectors" err '^v.txt: 1 line of a word that stands in an earlier one, which counts$'
    expect_other "they change something" "$(digest v1)" "$(digest plain)"
    for n in 2 3; do
        train_on $n 1 v$n --set train.steps=$((n == 2 ? 12 : 5)) --set model.vectors=v.txt
    done
    train_on 1 1 piped --set train.steps=12 --set model.vectors=<(cat v.txt)
    expect_code "vectors through a pipe" 0
    expect_same "they are the same" "$(digest piped)" "$(digest v1)"
    rm v.txt
    train_on 2 1 v3 --set train.steps=12 --set model.vectors=v.txt --resume auto
    expect_same "on 2 ranks: the same bits" "$(digest v2)" "$(digest v1)"
    expect_same "on 3 ranks, resumed when the file is gone: the same bits" "$(digest v3)" "$(digest v1)"
    write_config lm.yaml doclm t.h5 && unroll train lm.yaml --threads 1 --set train.steps=20
    learn tuned --set model.init_from=doclm --set model.hidden=16 --set train.steps=48
    expect_code "a language model of the documents" 0
    expect_text "a language model of the documents" err '^begins with doclm/.* 5 of 7 parameters; of 3[0-9] words 0 are unknown there'
    expect_refusals "one of another width" 2 'model.init_from: doclm/.*: has model.hidden = 16, this run 24; they must be the same$' \
        train learn.yaml --set run.dir=wide --set model.init_from=doclm --threads 1
    expect_lines "cut alike: no warning" err 0 'that model has learnt from texts'
    unroll prepare labelled train.tsv --lower no -q -o as-written.h5
    learn cased --set model.init_from=doclm --set model.hidden=16 --set train.steps=2 --set data.corpus=as-written.h5
    expect_text "cut in another way: a warning" err '^warning: that model has learnt from texts that were cut .*in lower case; those here were cut .*case as written$'
    expect_text "its output is another" tuned/train.log '^decoder.weight keeps its initial values: another output layer$'
}

sections learns same_bits settings evaluates examined refused beginnings
