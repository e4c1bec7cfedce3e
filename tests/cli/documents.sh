#!/usr/bin/env bash
# `unroll prepare imdb` and `prepare labelled` from the command line: what they make, what they say, what they refuse.
#
#   tests/cli/documents.sh PROGRAM [SECTION...]
. "$(dirname "$0")/lib.sh"

table() { # N : a .tsv of N documents of each of two labels
    printf 'id\ttext\tlabel\n'
    for i in $(seq "$1"); do
        printf '%d\tA fine film, number %d!\tgood\n%d\tAwful... <br /> number %d\tbad\n' "$i" "$i" "$i" "$i"
    done
}

# tree FOLDER N : the same texts as FOLDER/{good,bad}/*.txt
tree() {
    mkdir -p "$1/good" "$1/bad"
    for i in $(seq "$2"); do
        printf 'A fine film, number %d!' "$i" >"$1/good/$i.txt"
        printf 'Awful... <br /> number %d' "$i" >"$1/bad/$i.txt"
    done
}

tables() {
    table 20 >t.tsv
    unroll prepare labelled t.tsv -o t.h5 -q
    expect_code "a .tsv" 0
    expect_text "it" out '^train +36 '
    expect_text "it" out '^valid +4 '
    expect_text "it" out '^bad +18 +2 +0$'
    expect_text "it" out '^good +18 +2 +0$'
    expect_silent "it" err
    unroll inspect t.h5
    expect_code "inspect" 0
    expect_text "inspect" out '^tokenizer: words, lower case$'
    expect_text "inspect" out '^documents of train: 36, mean length [0-9.]+, longest 8; bad 18; good 18$'
    gzip -k t.tsv
    unroll prepare labelled t.tsv.gz -o gz.h5 -q
    expect_same "compressed, the same bytes" "$(sha256sum <gz.h5)" "$(sha256sum <t.h5)"
    awk -F '\t' '{ print $1 "," (NR > 1 ? "\"" $2 "\"" : $2) "," $3 }' t.tsv >t.csv
    unroll prepare labelled t.csv -o csv.h5 -q
    expect_same "as .csv, the same bytes" "$(sha256sum <csv.h5)" "$(sha256sum <t.h5)"
    awk -F '\t' 'NR > 1 { printf "{\"text\": \"%s\", \"label\": \"%s\"}\n", $2, $3 }' t.tsv >t.jsonl
    unroll prepare labelled t.jsonl -o json.h5 -q
    expect_same "as .jsonl, the same bytes" "$(sha256sum <json.h5)" "$(sha256sum <t.h5)"
    tail -n +2 t.tsv >bare.tsv
    unroll prepare labelled bare.tsv --no-header --text-column 2 --label-column 3 -o bare.h5 -q
    expect_same "without header, the same bytes" "$(sha256sum <bare.h5)" "$(sha256sum <t.h5)"
    cut -f 2,3 bare.tsv >plain.tsv
    unroll prepare labelled plain.tsv --no-header -o plain.h5 -q
    expect_same "whose columns are text and label, the same bytes" "$(sha256sum <plain.h5)" "$(sha256sum <t.h5)"
    unroll prepare labelled t.tsv --seed 2 -o other.h5 -q
    expect_other "another seed, other bytes" "$(sha256sum <other.h5)" "$(sha256sum <t.h5)"
    unroll prepare labelled --train t.tsv --valid t.tsv --test t.tsv --lower no -o three.h5 -q
    expect_code "three tables" 0
    expect_text "they" out '^good +20 +20 +20$'
    expect_text "they" out '^duplicates +40 +texts stand in both train and test$'
    unroll prepare labelled t.tsv --vocab t.h5 --valid-share 0 -o vocab.h5 -q
    expect_code "the vocabulary of another corpus" 0
    write_config lm.yaml lm t.h5
    unroll train lm.yaml --threads 1 --set train.steps=3 --set data.batch_size=4 --set data.shards=2 --set data.bptt=5
    expect_code "a language model trains on documents" 0
}

trees() {
    tree d 20
    unroll prepare labelled d -o d.h5 -q
    expect_code "a folder" 0
    tar -cf d.tar.gz --auto-compress d
    unroll prepare labelled d.tar.gz -o tar.h5 -q
    expect_same "an archive of it, the same bytes" "$(sha256sum <tar.h5)" "$(sha256sum <d.h5)"
    mkdir -p up/aclImdb
    tree up/aclImdb/train 20 && tree up/aclImdb/test 2
    for split in train test; do mv up/aclImdb/$split/good up/aclImdb/$split/pos && mv up/aclImdb/$split/bad up/aclImdb/$split/neg; done
    mkdir up/aclImdb/train/unsup
    echo "Who knows" >up/aclImdb/train/unsup/0_0.txt
    unroll prepare imdb up --with-unsup -o imdb.h5 -q
    expect_code "imdb, from the folder above" 0
    expect_text "it" out '^pos +18 +2 +2$'
    expect_text "it" out '^\(none\) +1$'
    unroll prepare imdb up/aclImdb --with-unsup -o imdb2.h5 -q
    expect_same "from the folder itself, the same bytes" "$(sha256sum <imdb2.h5)" "$(sha256sum <imdb.h5)"
    unroll prepare imdb up -o without.h5 -q
    expect_text "without the unlabelled ones" out '^train +36 '
}

# Corpora that are made, and hardly wanted.
warned() {
    { table 20; printf '41\tSo rare\trare\n'; } >rare.tsv
    unroll prepare labelled rare.tsv -o rare.h5 -q
    expect_code "a class of one document" 0
    expect_lines "it" err 1 '^unroll prepare: warning: no document of rare is held out'
    tree beside 3 && tree beside/train 10
    unroll prepare labelled beside -o beside.h5 -q
    expect_code "documents outside of the splits" 0
    expect_lines "they" err 1 '^unroll prepare: warning: files LABEL/NAME.txt outside of .* are left out: 6$'
    for i in $(seq 20); do printf 'w%dx\tgood\nv%dx\tbad\n' "$i" "$i"; done >once.tsv
    unroll prepare labelled once.tsv --no-header -o once.h5 -q
    expect_code "no word twice" 0
    expect_lines "it" err 1 '^unroll prepare: warning: the vocabulary is <eos> and <unk> alone'
    cut -f 1 once.tsv >once.txt
    unroll prepare text once.txt --min-count 2 -o once-text.h5 -q
    expect_lines "in a text" err 1 '^unroll prepare: warning: the vocabulary is <eos> and <unk> alone'
    unroll prepare text once.txt -o every.h5 -q
    expect_silent "a text of words" err
}

refused() {
    table 5 >t.tsv
    tree d 3
    printf 'text,label\na,x\nb,y\nc\n' >columns.csv
    printf 'text,label\na,x\nb,"y\n' >quote.csv
    printf 'text,label\na,x\n!,\n<br>,y\n' >empty.csv
    printf 'text,label\na,x\nb,x\n' >one.csv
    printf 'text,label\n' >none.csv
    printf 'text,label\na,x\n\xff,y\n' >broken.csv
    printf 'text,label\na,x\nb,y\n' >few.csv
    printf 'text,label\na,x\nb,z\n' >new.csv
    printf 'text,label\na,\nb,z\n' >bare.csv
    printf '{"text": "a", "label": 1}\n{"text": "b"}\n' >key.jsonl
    printf '"a"\n' >string.jsonl
    echo "a text" >plain.txt
    expect_refusal "a missing column of a line" 3 'columns.csv:4: has 1 column; the first line has 2' prepare labelled columns.csv -o x.h5 -q
    expect_refusal "an open quote" 3 'quote.csv:3: the quote that opens here is never closed' prepare labelled quote.csv -o x.h5 -q
    expect_refusal "an empty document" 3 'empty.csv:4: an empty document' prepare labelled empty.csv -o x.h5 -q
    expect_refusal "one class" 3 'one.csv:2: all documents have the one label "x"' prepare labelled one.csv -o x.h5 -q
    expect_refusal "no documents" 3 'none.csv: holds no document' prepare labelled none.csv -o x.h5 -q
    expect_refusal "invalid UTF-8" 3 'broken.csv:3:1: byte 0xff is not valid UTF-8' prepare labelled broken.csv -o x.h5 -q
    unroll prepare labelled broken.csv --invalid replace --valid-share 0 -o fine.h5 -q
    expect_text "--invalid replace" out '^replaced +1 '
    cut -f 1 -d , few.csv >single.csv
    expect_refusal "a table of texts without labels" 3 'single.csv:1: column "2": without a header, --label-column is a number from 1 to 1' \
        prepare labelled single.csv --no-header -o x.h5 -q
    mkfifo pipe.tsv
    expect_refusal "a pipe" 3 'pipe.tsv: is neither a file nor a directory .*it cannot be a pipe' prepare labelled pipe.tsv -o x.h5 -q
    expect_refusal "too few to hold out" 3 'too few documents to hold out' prepare labelled few.csv -o x.h5 -q
    expect_refusal "a label unseen in training" 3 'new.csv:3: label "z" has no example in the training split' \
        prepare labelled --train few.csv --valid few.csv --test new.csv -o x.h5 -q
    expect_refusal "an unlabelled document to test on" 3 'bare.csv:2: has no label' prepare labelled --train few.csv --test bare.csv -o x.h5 -q
    expect_refusal "a column that is not there" 3 'few.csv:1: there is no column "words" \(--text-column\) among: text, label' \
        prepare labelled few.csv --text-column words -o x.h5 -q
    expect_refusal "a key that is not there" 3 'key.jsonl:2: the object has no "label"' prepare labelled key.jsonl -o x.h5 -q
    expect_refusal "JSON that is no object" 3 'string.jsonl:1: is JSON, but no object' prepare labelled string.jsonl -o x.h5 -q
    expect_refusal "no table" 3 'plain.txt: labelled documents stand in' prepare labelled plain.txt -o x.h5 -q
    printf '[{"text": "a", "label": "x"}]\n' >array.json
    expect_refusal "a JSON array" 3 'array.json: labelled documents stand in .*; JSON as one object a line' prepare labelled array.json -o x.h5 -q
    mkdir d/none
    expect_refusal "a class without example" 3 'd: none holds no .txt file: a class without example' prepare labelled d -o x.h5 -q
    expect_refusal "no reviews" 3 'd: holds no document \(\{train,test\}' prepare imdb d -o x.h5 -q
    expect_refusal "characters" 2 '--level char: documents are cut into words' prepare labelled t.tsv --level char -o x.h5 -q
    for option in "--split 8,1,1" "--threads 1" "--tokens 100000"; do
        # shellcheck disable=SC2086 # two words
        expect_refusal "$option for a table" 2 "prepare: ${option% *} does not go with format labelled" prepare labelled t.tsv $option -o x.h5 -q
    done
    table 20 | awk -F '\t' -v OFS='\t' 'NR > 1 { print $3, $2 }' >swapped.tsv
    expect_refusal "columns exchanged" 3 '40 labels for 40 documents, .*: are the columns of text and label exchanged' \
        prepare labelled swapped.tsv --no-header -o x.h5 -q
    mkdir -p $'e/c\xe9' && echo text >$'e/c\xe9/1.txt'
    expect_refusal "a label that is no UTF-8" 3 'e/c\\xe9/1.txt: a label is UTF-8 .*: "c\\xe9"' prepare labelled e -o x.h5 -q
    expect_refusal "--with-unsup for a table" 2 '--with-unsup goes with format imdb' prepare labelled t.tsv --with-unsup -o x.h5 -q
    expect_refusal "columns for a folder" 2 'go with a table; d is none' prepare labelled d --no-header -o x.h5 -q
    expect_refusal "a share of all" 2 '--valid-share: "1" is no number from 0 to 0.9' prepare labelled t.tsv --valid-share 1 -o x.h5 -q
    expect_refusal "a share beside a validation split" 2 'there is a validation split already' \
        prepare labelled --train t.tsv --valid t.tsv --valid-share 0.2 -o x.h5 -q
    expect_refusal "--lower for a text" 2 'go with formats imdb and labelled' prepare text plain.txt --lower no -o x.h5 -q
    expect_refusal "the table as output" 2 'is one of the texts' prepare labelled t.tsv -o t.tsv --overwrite -q
}

# A signal in the middle leaves nothing, and the shell sees the signal.
stopped() {
    local before
    mkdir s
    table 200000 >s/t.tsv
    before=$(listing)
    start 1 prepare labelled s/t.tsv -o s/x.h5 -q
    wait_for compgen -G 's/x.h5.tmp.*' >/dev/null # the corpus is begun once all rows are read
    count "the corpus is begun" $?
    kill -TERM "$child"
    finish
    expect_code "TERM" 143
    expect_same "TERM leaves nothing" "$(listing)" "$before"
}

sections tables trees warned refused stopped
