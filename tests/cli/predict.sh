#!/usr/bin/env bash
# `unroll predict` from the command line: its numbers are eval's, whatever the batch; what it reads, refuses and explains.
#
#   tests/cli/predict.sh PROGRAM [SECTION...]
. "$(dirname "$0")/lib.sh"

# Texts of common words, of which a word in capitals decides: Splendid pos, Dreadful neg, neither: plain.
texts() { # SEED N : a .tsv of 3 N documents
    awk -v seed="$1" -v n="$2" 'BEGIN {
        srand(seed)
        common = split("the a film was it and plot actor scene long short very music two one", word, " ")
        split("Splendid Dreadful", key, " ")
        split("pos neg plain", label, " ")
        print "text\tlabel"
        for (i = 0; i < 3 * n; i++) {
            class = i % 3 + 1
            many = 3 + int(rand() * 20)
            at = int(rand() * many)
            text = ""
            for (k = 0; k < many; k++)
                text = text (k ? " " : "") (k == at && class < 3 ? key[class] : word[1 + int(rand() * common)])
            print text ".\t" label[class]
        }
    }'
}

configure() { # FILE RUN_DIR CORPUS CELL [KEY]... : a classifier that learns the keywords in a second
    local file=$1
    cat >"$file" <<YAML
task: {name: classify}
data: {corpus: $3, batch_size: 16, shards: 4}
model: {cell: $4, layers: 1, embedding: 16, hidden: 16}
optim: {name: adam, lr: 0.02, clip_norm: 1.0}
train: {epochs: 6, seed: 7}
run: {dir: $2, log_every_steps: 100}
YAML
    shift 4
    for key in "$@"; do sed -i "s/^\(${key%%:*}: {.*\)}$/\1, ${key#*:}}/" "$file"; done
}

# Corpus k.h5 of train.tsv and test.tsv; classifier uni reads windows of 5, both reads in both directions, back from the end.
prepared() {
    [ ! -e ready ] || return 0
    texts 1 150 >train.tsv
    texts 2 40 >test.tsv
    tail -n +2 test.tsv | cut -f 1 >test.txt
    unroll prepare labelled --train train.tsv --valid test.tsv --test test.tsv -o k.h5 -q
    configure uni.yaml uni k.h5 gru
    printf 'classify: {pooling: concat, backprop_steps: 5}\n' >>uni.yaml
    configure both.yaml both k.h5 lstm 'model:bidirectional: true'
    printf 'classify: {pooling: mean, max_length: 300, keep: end}\n' >>both.yaml
    configure back.yaml back k.h5 gru 'data:direction: backward'
    printf 'classify: {pooling: last}\n' >>back.yaml
    for run in uni both back; do
        unroll train $run.yaml --threads 2
        [ $code = 0 ] || { count "a classifier $run" 1; return 1; }
    done
    make_corpus g.h5 && write_config lm.yaml lm && unroll train lm.yaml --threads 1 --set train.steps=5 && touch ready
}

labels_of() { # what was printed, but for places
    cut -f 2-5 "$1"
}

# eval counts documents in the corpus's order, which is drawn: the rows are compared as sets here, their order is the file's.
numbers_of_eval() {
    local models
    prepared || return
    for models in uni both back "uni both" "uni both back"; do
        # shellcheck disable=SC2086 # one to three words
        unroll eval $models --data k.h5 --split test --each each --threads 2
        expect_code "eval of $models" 0
        # shellcheck disable=SC2086
        unroll predict $models test.tsv --threads 2
        expect_code "predict with $models" 0
        cp "$work/out" "of $models"
        expect_text "it" err '^accuracy: 1.0000, 120 of 120 labelled documents$'
        expect_same "predict with $models: the numbers of eval, bit for bit" \
            "$(tail -n +2 "$work/out" | awk -F '\t' -v OFS='\t' '{ print $7, $2, $4, $5, $6 }' | sort)" "$(cut -f 2-6 each | sort)"
    done
    expect_same "the header" "$(head -n 1 "of uni")" "$(printf 'place\tlabel\tprobability\tp_neg\tp_plain\tp_pos\ttruth')"
    expect_same "the order of the file" "$(tail -n +2 "of uni" | cut -f 1,7)" \
        "$(tail -n +2 test.tsv | awk -F '\t' -v OFS='\t' '{ print "test.tsv:" NR + 1, $2 }')"
    expect_other "another model, other numbers" "$(labels_of "of uni")" "$(labels_of "of both")"
    expect_same "the probability is its label's, and the largest" "$(tail -n +2 "of both" | cut -f 2,3)" "$(
        awk -F '\t' -v OFS='\t' 'NR == 1 { split($0, name); next }
            { best = 4; for (c = 5; c < 7; c++) if ($c + 0 > $best + 0) best = c; print substr(name[best], 3), $best }' "of both"
    )"
}

ways() {
    prepared || return
    unroll predict both test.tsv --threads 1 && cp "$work/out" all.tsv
    for how in "--batch-size 1 --threads 1" "--batch-size 7 --threads 3" "--batch-size 500"; do
        # shellcheck disable=SC2086
        unroll predict both test.tsv $how
        expect "$how: the same bytes" cmp all.tsv "$work/out"
    done
    unroll predict both test.tsv --output labels.tsv
    expect_silent "--output" out
    expect "--output: the same bytes" cmp all.tsv labels.tsv
    unroll predict both test.txt
    expect_same "lines: the same numbers" "$(labels_of "$work/out")" "$(labels_of all.tsv)"
    expect_lines "lines have no truth" out 0 'truth'
    "$program" predict both <(cat test.txt) >"$work/out" 2>"$work/err" </dev/null
    expect_same "a pipe: the same numbers" "$(labels_of "$work/out")" "$(labels_of all.tsv)"
    expect_text "a pipe has a place" out '^/dev/fd/[0-9]+:1.'
    mkfifo fifo.tsv.gz
    gzip -c test.tsv >fifo.tsv.gz &
    unroll predict both fifo.tsv.gz
    expect_same "a pipe with the name of a table" "$(labels_of "$work/out")" "$(labels_of all.tsv)"
    rm fifo.tsv.gz
    "$program" predict both - <test.txt >"$work/out" 2>"$work/err"
    expect_same "standard input: the same numbers" "$(labels_of "$work/out")" "$(labels_of all.tsv)"
    gzip -c test.tsv | "$program" predict both - --input tsv >"$work/out" 2>"$work/err"
    expect_same "a compressed table on it, too" "$(labels_of "$work/out")" "$(labels_of all.tsv)"
    tail -n +2 test.tsv >bare.tsv
    unroll predict both bare.tsv --no-header
    expect_same "without header, the same numbers" "$(labels_of "$work/out" | tail -n +2)" "$(labels_of all.tsv | tail -n +2)"
    awk -F '\t' 'NR > 1 { printf "{\"body\": \"%s\", \"class\": \"%s\"}\n", $1, $2 }' test.tsv >test.jsonl
    unroll predict both test.jsonl --text-column body --label-column class --format jsonl
    expect_code "JSON to JSON" 0
    expect_text "it" out '^\{"place": ?"test.jsonl:1", ?"label": ?"pos", ?"probability": ?[0-9.e-]+, ?"p_neg": ?[0-9.e-]+, ?"p_plain": ?[0-9.e-]+, ?"p_pos": ?[0-9.e-]+, ?"truth": ?"pos"\}$'
    expect_text "it" err '^accuracy: 1.0000, 120 of 120'
    for i in $(seq 70); do cat test.txt; done >many.txt
    unroll predict both many.txt --batch-size 64
    expect_same "several groups of texts" "$(labels_of "$work/out" | tail -n 120)" "$(labels_of all.tsv | tail -n 120)"
    expect_same "all of them are answered" "$(wc -l <"$work/out")" 8401
}

# What a classifier does not read changes nothing; what it cannot read at once it reads in windows.
long_texts() {
    prepared || return
    { head -n 1 test.txt | tr -d '\n'; for i in $(seq 25000); do printf ' it was one Dreadful'; done; echo; } >long.txt
    { cat test.txt; cat long.txt; tail -n 300 test.txt; } >mixed.txt
    unroll predict uni mixed.txt
    expect_code "a text of 100,000 words, in windows" 0
    expect_text "it" out '^mixed.txt:121.neg'
    expect_same "those beside it have the numbers that they have alone" "$(tail -n 120 "$work/out" | cut -f 2-6)" \
        "$(unroll predict uni test.txt && tail -n +2 "$work/out" | cut -f 2-6)"
    for i in $(seq 300); do printf 'it '; done >tail.txt # max_length is 300, <eos> one of them
    { printf 'Dreadful '; cat tail.txt; echo; cut -c 4- tail.txt; } >cut.txt
    unroll predict both cut.txt
    expect_same "the end of a text that is too long for both directions" "$(sed -n 2p "$work/out" | cut -f 2-6)" \
        "$(sed -n 3p "$work/out" | cut -f 2-6)"
}

spans() { # PAGE : the words in full colour for the predicted class
    sed -nE 's/^<span class="for" style="--a:1\.000" title="[^"]*">([^<]*)<\/span>$/\1/p' "$1"
}

explained() {
    prepared || return
    awk -F '\t' 'NR == 1 || $2 != "plain"' test.tsv >keys.tsv
    for models in uni both back "uni both back"; do
        # shellcheck disable=SC2086
        unroll predict $models keys.tsv
        cp "$work/out" plain.tsv
        # shellcheck disable=SC2086
        unroll predict $models keys.tsv --explain page.html --explain-documents 30
        expect_code "--explain with $models" 0
        expect_text "it" err '^explained: 30 documents in 32 steps; contributions miss .* by [0-9.e+-]+ on average, [0-9.e+-]+ at most$'
        expect_same "--explain with $models: the keyword has the largest contribution" "$(spans page.html)" \
            "$(for i in $(seq 15); do printf 'splendid\ndreadful\n'; done)"
        expect "the numbers stay" cmp plain.tsv "$work/out"
        expect_same "contributions of few steps miss more" "$(miss)" "$(
            before=$(miss)
            # shellcheck disable=SC2086
            unroll predict $models keys.tsv --explain other.html --explain-documents 30 --explain-steps 2
            awk -v a="$before" -v b="$(miss)" 'BEGIN { print a < b ? a : "no: " b }'
        )"
    done
    unroll predict uni keys.tsv --explain again.html --explain-documents 30 --threads 3
    unroll predict uni keys.tsv --explain other.html --explain-documents 30 --batch-size 5 --threads 1
    expect "the same page on any threads, in any batch" cmp again.html other.html
    { for i in $(seq 40); do printf 'it was '; done; echo Dreadful; } >cut.txt
    unroll predict uni cut.txt --explain cut.html --explain-words 10
    expect_text "a long text" cut.html 'explained: the first 10 of its 82 words'
    expect_same "so many are shown" "$(sed '1,/^<section>/d' cut.html | grep -c '^<span')" 10
    unroll predict both cut.txt --explain cut.html --explain-words 10
    expect_text "of one whose end is kept" cut.html 'explained: the last 10 of its 82 words'
    expect_same "so the keyword is there" "$(spans cut.html)" dreadful
}

miss() { # of the page just made
    sed -nE 's/^explained: .* by ([0-9.e-]+) on average.*/\1/p' "$work/err"
}

refused() {
    prepared || return
    printf 'text,label\nit was,pos\n,neg\n' >empty.csv
    printf 'it was\n\xff film\n' >broken.txt
    printf 'text,label\nit was\n' >columns.csv
    printf 'text\tlabel\nit was\tgood\nvery Splendid\tpos\n' >strange.tsv
    : >nothing.txt
    expect_refusal "an empty document" 3 'empty.csv:3: an empty document; --empty row' predict uni empty.csv
    unroll predict uni empty.csv --empty row
    expect_code "--empty row" 0
    expect_same "it has a row without label" "$(sed -n 3p "$work/out")" "$(printf 'empty.csv:3\t\t\t\t\t\tneg')"
    expect_text "it" err '^empty documents: 1 of 2, without a label$'
    unroll predict uni empty.csv --empty row --format jsonl
    expect_same "in JSON, too" "$(sed -n 2p "$work/out" | tr -d ' ')" '{"place":"empty.csv:3","truth":"neg"}'
    expect_refusal "invalid UTF-8" 3 'broken.txt:2:1: byte 0xff is not valid UTF-8' predict uni broken.txt --output x
    unroll predict uni broken.txt --invalid replace
    expect_code "--invalid replace" 0
    expect_text "it" err '^invalid parts replaced by U\+FFFD: 1$'
    expect_refusal "a missing column of a line" 3 'columns.csv:2: has 1 column' predict uni columns.csv --output x --explain y
    expect_refusal "a column that is not there" 3 'no column "words" \(--text-column\)' predict uni test.tsv --text-column words
    printf 'it\0was\n' >nul.txt
    printf 'it was\rvery\r' >mac.txt
    expect_refusal "a NUL byte" 3 'nul.txt:1:3: NUL byte: the file is binary or UTF-16; texts and documents are UTF-8' predict uni nul.txt
    expect_refusal "lines of an old Mac" 3 'mac.txt:1: has no line end but CR' predict uni mac.txt
    expect_refusal "a label column that is not there" 3 'no column "class" \(--label-column\)' predict uni test.tsv --label-column class
    expect_refusal "no texts" 3 'nothing.txt: holds no document' predict uni nothing.txt
    expect_refusal "a missing file" 3 'none.tsv: .*(No|no) such file' predict uni none.tsv
    expect_refusal "a language model" 4 'is a language model, no classifier; `unroll sample`' predict lm test.tsv
    expect_refusal "a language model among classifiers" 4 'is a language model, no classifier' predict uni lm test.tsv
    expect_refusal "no checkpoint" 4 'test.txt' predict test.txt test.tsv
    expect_refusal "a missing checkpoint" 4 'none' predict none test.tsv
    expect_refusal "one name" 2 'and then the FILE of texts, or - for standard input; 1 name is given' predict uni
    expect_refusal "an unknown format" 2 '--format: "xml" is none of tsv, jsonl' predict uni test.tsv --format xml
    expect_refusal "an unknown input" 2 '--input: "xml" is none of lines, tsv, csv, jsonl' predict uni test.tsv --input xml
    expect_refusal "an unknown way with invalid bytes" 2 '--invalid: "skip" is none of error, replace' predict uni test.tsv --invalid skip
    expect_refusal "an unknown way with empty texts" 2 '--empty: "skip" is none of error, row' predict uni test.tsv --empty skip
    expect_refusal "a batch of none" 2 '--batch-size: "0" is no whole number from 1' predict uni test.tsv --batch-size 0
    expect_refusal "a path of no steps" 2 '--explain-steps: "0"' predict uni test.tsv --explain x.html --explain-steps 0
    expect_refusal "steps without a page" 2 'go with --explain PAGE.html' predict uni test.tsv --explain-steps 5
    printf '[{"text": "it was", "label": "pos"}]\n' >array.json
    expect_refusal "JSON that is no lines" 3 'array.json: labelled documents stand in a .tsv, .csv or .jsonl file .*JSON as one object a line' predict uni array.json
    printf 'text\tlabel\tlabel\nit was\tpos\tneg\n' >twice.tsv
    expect_refusal "two columns of labels" 3 'twice.tsv:1: columns 2 and 3 are both called "label"' predict uni twice.tsv
    for name in texts.dat texts.txt texts; do
        printf 'it was\n' >$name
        unroll predict uni $name
        expect_lines "$name: is it said that lines are a guess" err "$([ $name = texts.dat ] && echo 1 || echo 0)" 'is read as one text a line \(--input says otherwise\)$'
    done
    unroll predict uni texts.dat --input lines
    expect_lines "not where it was asked for" err 0 'one text a line'
    expect_refusal "columns of lines" 2 'test.txt is read as lines' predict uni test.txt --text-column 1
    expect_refusal "a header of JSON" 2 '--no-header goes with a table' predict uni test.tsv --input jsonl --no-header
    expect_refusal "the input as output" 2 '--output test.tsv: is the input itself' predict uni test.tsv --output test.tsv
    expect_refusal "the input as page" 2 '--explain test.tsv: is the input itself' predict uni test.tsv --explain test.tsv
    expect_refusal "the checkpoint of a run as output" 2 '--output uni/ckpt.*: is the checkpoint itself' predict uni --last test.tsv --output "$(newest uni)"
    expect_refusal "that of a second one as page" 2 '--explain both/best.*: is the checkpoint itself' predict uni both test.tsv --explain "$(newest both best)"
    expect_refusal "one file for both" 2 '--explain x: is the --output, too' predict uni test.tsv --explain x --output x
    expect_refusal "an output below a file" 2 '--output: .*test.txt/x' predict uni test.tsv --output test.txt/x
    expect_refusal "a page below a file" 2 '--explain: .*test.txt/x' predict uni test.tsv --explain test.txt/x
    unroll predict uni strange.tsv
    expect_text "a label unseen in training" err '^labels that the model does not know: 1, counted as wrong$'
    expect_text "counts as wrong" err '^accuracy: 0.5000, 1 of 2'
    "$program" predict uni test.tsv >/dev/full 2>"$work/err" </dev/null
    code=$?
    expect_code "output lost" 1
    expect_lines "output lost" err 1 '^unroll predict: stdout could not be written'
}

# What stands at the place of a result: a file gives way when the new one is whole, nothing else does.  A result that cannot be
# written is status 1, whoever writes it.
places() {
    local before what
    prepared || return
    unroll predict uni test.tsv && cp "$work/out" all.tsv
    mkfifo pipe
    timeout 20 cat pipe >piped.tsv &
    unroll predict uni test.tsv --output pipe
    expect_code "--output into a pipe" 0
    wait $!
    expect "it brings the same bytes" cmp all.tsv piped.tsv
    expect "the pipe stays" test -p pipe
    "$program" predict uni test.tsv --output /dev/stdout >direct.tsv 2>"$work/err" </dev/null
    expect "--output /dev/stdout, into a file" cmp all.tsv direct.tsv
    standard_output
    cp test.txt read.txt
    for option in --output --explain; do
        before=$(listing)
        "$program" predict uni - $option read.txt <read.txt >"$work/out" 2>"$work/err"
        code=$?
        judge_refusal "$option over standard input" 2 "^unroll predict: $option read.txt: is the input itself" "$before"
    done
    mkdir there
    expect_refusal "a folder as output" 2 '--output: there: is a folder, where a file is wanted' predict uni test.tsv --output there
    expect_refusal "a folder as page" 2 '--explain: there: is a folder' predict uni test.tsv --explain there
    if device null 3 && device full 7; then
        for option in --output --explain; do
            unroll predict uni test.tsv $option null
            expect_code "$option to a device" 0
            expect "it stays a device" test -c null
            unroll predict uni test.tsv $option full
            expect_code "$option onto a full disk" 1
            expect_lines "it" err 1 "^unroll predict: $option: full: cannot write: No space left"
        done
        for what in "uni --data k.h5 --each" "uni --data k.h5 --json" "lm --data g.h5 --each"; do
            # shellcheck disable=SC2086 # words
            unroll eval $what null
            expect_code "eval $what null" 0
            expect "it stays a device" test -c null
            # shellcheck disable=SC2086
            unroll eval $what full
            expect_code "eval $what: a full disk" 1
            expect_lines "it" err 1 '^unroll eval: --[a-z]+: full: cannot write: No space left'
        done
        expect_refusal "a corpus onto a device" 2 '-o null: is there and is no regular file' prepare labelled test.tsv -o null --overwrite -q
        unroll train lm.yaml --threads 1 --overwrite --set train.steps=2 --profile=null
        expect_code "--profile to a device" 0
        expect "it stays a device" test -c null
    else
        echo "skipped: no devices can be made here"
    fi
    before=$(listing)
    mkfifo "$work/slow"
    start 1 predict uni "$work/slow" --output new.tsv --explain new.html
    exec 9>"$work/slow"
    echo 'it was splendid indeed' >&9 # its beginning is awaited before any result is opened
    wait_for both_begun
    count "both results are begun" $?
    kill -TERM "$child"
    finish
    exec 9>&-
    expect_code "TERM, while it waits for texts" 143
    expect_same "TERM leaves nothing" "$(listing)" "$before"
}

both_begun() {
    compgen -G 'new.tsv.tmp.*' >/dev/null && compgen -G 'new.html.tmp.*' >/dev/null
}

# /dev/stdout, behind which `>` has put a file: the result and what is printed besides stand in it one after the other, whole.
# Who may not write in /dev, nor where the file is, may do that too.
standard_output() {
    local what as=()
    for what in "uni --data k.h5 --each" "uni --data k.h5 --json" "lm --data g.h5 --each"; do
        # shellcheck disable=SC2086 # words
        unroll eval $what apart
        # shellcheck disable=SC2086
        "$program" eval $what /dev/stdout >joined 2>/dev/null </dev/null
        expect "eval $what /dev/stdout, into a file" cmp <(cat "$work/out" apart) joined
    done
    unroll predict uni test.tsv --explain apart --explain-documents 3 --batch-size 1
    "$program" predict uni test.tsv --explain /dev/stdout --explain-documents 3 --batch-size 1 >joined 2>/dev/null </dev/null
    expect "predict --explain /dev/stdout, into a file: rows, page and more rows" cmp <(sort "$work/out" apart) <(sort joined)
    "$program" predict uni test.tsv --output /dev/stdout >joined 2>&1 </dev/null
    expect_same "predict --output /dev/stdout and stderr, into one file" "$(grep -v -e '^model: ' -e '^accuracy: ' joined)" "$(cat all.tsv)"
    expect_same "what stderr said is there, too" "$(grep -c -e '^model: ' -e '^accuracy: ' joined)" 2
    [ "$(id -u)" != 0 ] || as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    chmod 711 "$work" && chmod 555 "$place"
    if ${as[@]+"${as[@]}"} "$program" inspect k.h5 >/dev/null 2>&1; then
        ${as[@]+"${as[@]}"} "$program" eval uni --data k.h5 --each /dev/stdout >"$work/mine" 2>"$work/err" </dev/null
        code=$?
        expect_code "eval --each /dev/stdout, by a user who may write nowhere" 0
        expect_same "all rows are there" "$(grep -cE '^[0-9]+	' "$work/mine")" 120
    else
        echo "skipped: no other user can run the program here"
    fi
    chmod 755 "$place"
    rm -f joined apart
}

# Models that cannot answer together.
unlike() {
    prepared || return
    sed 's/\tplain$/\ttruth/' train.tsv >dull.tsv
    unroll prepare labelled dull.tsv -o dull.h5 -q
    unroll prepare labelled train.tsv --lower no -o case.h5 -q
    for other in dull case; do
        configure $other.yaml $other $other.h5 gru
        unroll train $other.yaml --threads 1 --set train.steps=2
    done
    expect_refusal "other labels" 4 'dull/.*: has other labels than uni/' predict uni dull test.tsv
    unroll predict dull dull.tsv
    expect_same "a class called as a column of ours: no name twice" "$(head -n 1 "$work/out")" \
        "$(printf 'place\tlabel\tprobability\tp_neg\tp_pos\tp_truth\ttruth')"
    expect_refusal "other words" 4 'case/.*: cuts texts .*case as written, uni/.* cuts them .*in lower case$' predict uni case test.tsv
}

# A prompt is cut as the corpus was.
prompts() {
    prepared || return
    write_config words.yaml words k.h5
    unroll train words.yaml --threads 1 --set train.steps=5 --set data.batch_size=4 --set data.shards=2 --set data.bptt=5
    unroll sample words --prompt 'IT was Splendid!' --length 3 --unk
    expect_code "a prompt of raw text" 0
    expect_text "it is cut as the corpus was" out '^it was splendid <unk> '
}

sections numbers_of_eval ways long_texts explained refused places unlike prompts
