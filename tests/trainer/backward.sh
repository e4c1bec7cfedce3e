#!/usr/bin/env bash
# data.direction: backward on a text  ==  forward on the text turned round, bit for bit, where one row holds all of it.
#
# It covers the windows of training and of validation (parameters, progress and with it the best loss are in the digest), and eval:
# its loss, and --each, which stands in the order of the text.  The text is of bytes, so that turned round it has the same
# vocabulary; that windows of many rows are right is test_lm's.
#
#   tests/trainer/backward.sh path/of/unroll
set -euo pipefail
unroll=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
unset "${!UNROLL_@}"

text() { # LINES : without an end of line
    for i in $(seq "$1"); do
        printf 'word%d word%d; ' $((i * 7 % 11)) $((i * i % 13))
    done
}
text 90 >train.txt
text 11 >valid.txt
text 12 >test.txt
mkdir turned
for split in train valid test; do
    rev <"$split.txt" | tr -d '\n' >"turned/$split.txt"
done
"$unroll" prepare text . --level byte -o text.h5 >prepare.log 2>&1
"$unroll" prepare text turned --level byte -o turned.h5 >prepare.log 2>&1
cmp -s text.h5 turned.h5 && { echo "the two texts are one"; exit 1; }

train() { # RUN_DIR CORPUS DIRECTION
    cat >"$1.yaml" <<END
data: {corpus: $2, batch_size: 1, bptt: 20, direction: $3}
model: {cell: gru, layers: 1, embedding: 8, hidden: 8, dropout: 0.1}
optim: {name: adam, lr: 0.01}
train: {epochs: 2}
run: {dir: $1}
END
    "$unroll" train "$1.yaml" --threads 1 >"$1.log" 2>&1 || { cat "$1.log" >&2; exit 1; }
    "$unroll" eval "$1" --data "$2" --threads 1 --each "$1.each" 2>/dev/null | tail -n +2 >"$1.loss"
    "$unroll" inspect "$1" --digest >"$1.digest"
}
train backward text.h5 backward
train forward turned.h5 forward
train other text.h5 forward

bad=0
same() { # WHAT FILE FILE
    cmp -s "$2" "$3" || { echo "$1 differs"; bad=1; }
}
same "the digest of the run" backward.digest forward.digest
same "the loss that eval finds" backward.loss forward.loss
tac forward.each >turned.each
same "the log-probability of each byte" backward.each turned.each
! cmp -s backward.digest other.digest || { echo "the direction changes nothing"; bad=1; }
[ "$(tail -n 1 backward.each | cut -f 3)" = - ] || { echo "the last byte is predicted"; bad=1; }
exit $bad
