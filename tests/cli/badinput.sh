#!/usr/bin/env bash
# Bad input gets the right exit code and one clear sentence, on one process and on ranks, and leaves nothing half-written behind:
# the whole folder is compared before and after.
#
#   tests/cli/badinput.sh PROGRAM [SECTION...]
. "$(dirname "$0")/lib.sh"

# Corpus g.h5, configuration c.yaml, and its run r, paused at step 40 with checkpoints of 20 and 40.
prepared() {
    [ ! -e r/status.json ] || return 0
    make_corpus g.h5 && write_config c.yaml r && unroll train c.yaml --threads 1 --set train.steps=40 && [ $code = 0 ] && return 0
    count "a corpus and a run to begin with" 1
}

sources() {
    mkdir empty
    : >empty.txt
    head -c 4000 "$program" >binary.txt
    printf 'good line\nbad \xff line\n' >broken.txt
    printf 'not gzip' >broken.gz
    expect_refusal "missing source" 3 'nothing.txt.*no such file' prepare text nothing.txt -o x.h5
    expect_refusal "empty source" 3 'empty.txt.*(empty|no )' prepare text empty.txt -o x.h5
    expect_refusal "empty folder" 3 'empty: holds no ptb' prepare ptb empty -o x.h5
    expect_refusal "binary source" 3 'binary.txt:[0-9]+' prepare text binary.txt -o x.h5
    expect_refusal "invalid UTF-8" 3 'broken.txt:2' prepare text broken.txt -o x.h5
    expect_refusal "compressed source that is none" 3 'broken.gz' prepare text --train broken.gz -o x.h5
    expect_refusal "unknown format" 2 'FORMAT: "pdf" is none of ptb' prepare pdf broken.txt -o x.h5
    expect_refusal "no output" 2 '-o CORPUS.h5 is required' prepare text broken.txt
    expect_refusal "output that is there" 2 'empty.txt.*--overwrite' prepare grammar -o empty.txt
    expect_refusal "output below a file" 3 'empty.txt/x.h5: cannot be written there' prepare grammar -o empty.txt/x.h5
    expect_refusal "a vocabulary and a choice of words" 2 '--vocab is taken as it is' prepare text --train broken.txt --vocab v --max-vocab 9 -o x.h5
    expect_refusal "an output without a name" 2 '-o CORPUS.h5 is required' prepare text --train "$program" -o ""
    OMP_NUM_THREADS=100000 expect_refusal "absurd threads in the environment" 2 'OMP_NUM_THREADS: "100000" is more than 1024' \
        prepare text --train "$program" --level byte -o x.h5
    expect_refusal "threads for the grammar" 2 'grammar takes no SRC and of the options only' prepare grammar --threads 2 -o x.h5
    ulimit -S -f 8
    expect_refusal "output beyond the limit of file sizes" 3 'x.h5.*File too large' prepare grammar --tokens 1000 -o x.h5
    ulimit -S -f "$(ulimit -H -f)"
    expect_refusal "too few tokens" 2 '--tokens: "10" is no whole number from 1000' prepare grammar --tokens 10 -o x.h5
}

corpora() {
    local size
    prepared || return
    size=$(stat -c %s g.h5)
    cp g.h5 newer.h5
    printf '\x63' | dd of=newer.h5 bs=1 seek=8 conv=notrunc status=none
    head -c $((size / 2)) g.h5 >half.h5
    head -c 20 g.h5 >head.h5
    : >empty.h5
    echo "the dog sees the cat" >text.h5
    expect_refusals "corpus of another version" 3 'newer.h5: has format version 99; this program reads versions up to' train c.yaml --set data.corpus=newer.h5 --overwrite
    expect_refusals "corpus cut in half" 3 "half.h5.*($size|$((size / 2))|shorter|ends)" train c.yaml --set data.corpus=half.h5 --overwrite
    expect_refusal "corpus cut in its head" 3 'head.h5' train c.yaml --set data.corpus=head.h5 --overwrite
    expect_refusal "empty corpus" 3 'empty.h5' train c.yaml --set data.corpus=empty.h5 --overwrite
    expect_refusals "text as corpus" 3 'text.h5: not a corpus' train c.yaml --set data.corpus=text.h5 --overwrite
    expect_refusals "missing corpus" 3 'nothing.h5.*No such' train c.yaml --set data.corpus=nothing.h5 --overwrite
    expect_refusal "folder as corpus" 3 'r: ' train c.yaml --set data.corpus=r --overwrite
    expect_refusals "checkpoint as corpus" 3 'ckpt-0000000040.h5.*checkpoint' train c.yaml --set data.corpus=r/ckpt-0000000040.h5 --overwrite
    for place_in in 0 9 20 60 100 600 $((size / 2)) $((size - 1)); do
        cp g.h5 flipped.h5
        damage flipped.h5 "$place_in"
        expect_refusal "corpus with a bit turned at byte $place_in" 3 'flipped.h5' train c.yaml --set data.corpus=flipped.h5 --overwrite
    done
    expect_refusals "eval on a damaged corpus" 3 'flipped.h5' eval r --data flipped.h5 --batch-size 3
}

# yaml NAME REGEX TEXT : a file with TEXT below c.yaml is refused
yaml() {
    printf "$3" >bad.yaml
    expect_refusal "$1" 2 "$2" train c.yaml bad.yaml --overwrite
}

configurations() {
    prepared || return
    yaml "unknown key" 'bad.yaml:2.*hiden.*hidden' 'model:\n  hiden: 20\n'
    yaml "unknown section" 'bad.yaml:1.*modell.*model' 'modell: {hidden: 20}\n'
    yaml "wrong type" 'bad.yaml:1.*many' 'model: {hidden: many}\n'
    yaml "a fraction for a count" 'bad.yaml:1.*1\.5' 'model: {layers: 1.5}\n'
    yaml "a value out of range" 'bad.yaml:3.*-1' 'model: {}\noptim:\n  lr: -1\n'
    yaml "too many layers" 'bad.yaml:1.*layers.*from 1 to 16.*17' 'model: {layers: 17}\n'
    yaml "a probability of one" 'bad.yaml:1.*dropout.*1' 'model: {dropout: 1}\n'
    yaml "an unknown choice" 'bad.yaml:1.*lstn.*lstm' 'model: {cell: lstn}\n'
    yaml "a duplicate key" 'bad.yaml:3.*hidden' 'model:\n  hidden: 20\n  hidden: 20\n'
    yaml "a duplicate section" 'bad.yaml:2.*model' 'model: {hidden: 20}\nmodel: {layers: 1}\n'
    yaml "no YAML" 'bad.yaml:[12]' 'model: {hidden: 20\n'
    yaml "a list" 'bad.yaml:1' '[1, 2]\n'
    yaml "keys that contradict each other" 'model.tied' 'model: {tied: true, hidden: 24}\n'
    yaml "a key without effect" 'momentum' 'optim: {momentum: 0.9}\n'
    printf 'model:\n  hiden: 20\n' >bad.yaml
    expect_refusal_of_ranks 3 "unknown key" 2 'bad.yaml:2.*hiden.*hidden' train c.yaml bad.yaml --overwrite
    expect_refusals "missing configuration" 2 'nothing.yaml' train nothing.yaml --overwrite
    expect_refusals "--set of an unknown key" 2 'model.hiden.*hidden' train c.yaml --set model.hiden=3 --overwrite
    expect_refusals "--set without a value" 2 'model.hidden' train c.yaml --set model.hidden --overwrite
    printf 'model: {hidden: 20}\n' >bad.yaml
    expect_refusal "no corpus" 2 'data.corpus' train bad.yaml
}

shapes() {
    prepared || return
    expect_refusal_of_ranks 3 "more ranks than shards" 2 '3 ranks for data.shards = 2' train c.yaml --set data.shards=2 --overwrite --threads 1
    OMP_NUM_THREADS=100000 expect_refusals "absurd threads in the environment" 2 'OMP_NUM_THREADS: "100000" is more than 1024' \
        train c.yaml --overwrite
    expect_refusals "more rows than tokens" 2 'data.batch_size: 5000 rows.*at most [0-9]+ rows' train c.yaml --set data.batch_size=5000 --overwrite --threads 1
    printf 'a b c d e f g h\n%.0s' {1..100} >long.txt
    printf 'a b c\n' >short.txt
    unroll prepare text --train long.txt --valid long.txt --test short.txt -o short.h5 -q
    unroll prepare text --train long.txt -o train.h5 -q
    expect_refusals "a test split too short for its rows, before anything is trained" 2 'eval.batch_size: 8 rows of the test split.*at most 2 rows' \
        train c.yaml --set data.corpus=short.h5 --set run.dir=short --threads 1
    for key in optim.schedule=plateau train.early_stop=1 train.eval_every_steps=5; do
        expect_refusal "$key without a validation split" 2 "^unroll train: ${key%%=*}.*train.h5 lacks" train c.yaml --set data.corpus=train.h5 \
            --set run.dir=none --set $key --threads 1
    done
    expect_refusals "a pattern that no parameter has" 2 'optim.decay_exclude: "\*biass\*"' train c.yaml --overwrite --threads 1 \
        --set optim.weight_decay=0.1 --set 'optim.decay_exclude=decoder.weight,*biass*'
    expect_refusal "a window longer than masks can tell" 2 'data.bptt is 65537' train c.yaml --overwrite --threads 1 --set data.bptt=65537
    one_rank_lacks_memory
    expect_refusals "more shards than rows" 2 'data.shards' train c.yaml --set data.shards=9 --overwrite --threads 1
    expect_refusals "more rows than tokens in eval" 2 '--batch-size: 600 rows.*at most [0-9]+ rows' eval r --data g.h5 --batch-size 600 --threads 1
}

# The sentence comes from the rank that has too little; nobody waits for it.
one_rank_lacks_memory() {
    local before
    printf '#!/bin/sh\nulimit -v 1500000\nexec "$@"\n' >starved
    chmod +x starved
    set -- "$program" train c.yaml --overwrite --threads 1 --set model.hidden=4000 --set model.embedding=4000
    before=$(listing)
    timeout -k 5 60 mpirun -np 1 "$@" : -np 1 ./starved "$@" >"$work/out" 2>"$work/err" </dev/null
    code=$?
    judge_refusal "memory that one rank does not get" 1 'rank 1 .*this rank needs [0-9.]+ MB' "$before"
}

# Ranks that are not told the same: different files, different bytes under one name.
unequal_ranks() {
    local before
    prepared || return
    mkdir a b
    cp g.h5 a
    make_corpus b/g.h5 --seed 2
    write_config a/c.yaml "$place/u"
    cp a/c.yaml b
    write_config a/other.yaml "$place/u"
    sed -i 's/seed: 7/seed: 8/' a/other.yaml
    before=$(listing)
    mpirun -np 1 -wdir "$place/a" "$program" train c.yaml : -np 1 -wdir "$place/a" "$program" train other.yaml >"$work/out" 2>"$work/err" </dev/null
    code=$?
    judge_refusal "ranks with different configurations" 2 'rank 1 has another configuration' "$before"
    mpirun -np 1 -wdir "$place/a" "$program" train c.yaml : -np 1 -wdir "$place/b" "$program" train c.yaml >"$work/out" 2>"$work/err" </dev/null
    code=$?
    judge_refusal "ranks with different corpora" 3 'rank 1 has another corpus' "$before"
    mpirun -np 1 -wdir "$place/a" "$program" train c.yaml : -np 1 -wdir "$place" "$program" train c.yaml --set data.corpus=nothing.h5 >"$work/out" 2>"$work/err" </dev/null
    code=$?
    judge_refusal "a corpus that one rank does not find" 3 'rank 1 .*nothing.h5' "$before"
    mkdir a/r b/r # the same corpus and vocabulary, two steps of one run
    cp r/ckpt-0000000020.h5 a/r
    cp r/ckpt-0000000040.h5 b/r
    before=$(listing)
    mpirun -np 1 -wdir "$place/a" "$program" eval r --data "$place/g.h5" --batch-size 2 : -np 1 -wdir "$place/b" "$program" eval r --data "$place/g.h5" --batch-size 2 \
        >"$work/out" 2>"$work/err" </dev/null
    code=$?
    judge_refusal "eval of checkpoints that differ" 4 'rank 1 has another checkpoint' "$before"
}

checkpoints() {
    local ckpt=r/ckpt-0000000040.h5 size
    prepared || return
    size=$(stat -c %s $ckpt)
    make_corpus other.h5 --seed 2
    printf 'a b c d\nb a a b\n%.0s' {1..200} >text.txt
    unroll prepare text text.txt -o words.h5 -q
    mkdir bad
    cp $ckpt bad/newer.h5
    printf '\x63' | dd of=bad/newer.h5 bs=1 seek=8 conv=notrunc status=none
    head -c $((size - 100)) $ckpt >bad/short.h5
    echo "a text" >bad/text.h5
    expect_refusals "resume from another version" 4 'bad/newer.h5: has format version 99' train c.yaml --resume bad/newer.h5 --threads 1
    expect_refusals "resume from a text" 4 'bad/text.h5' train c.yaml --resume bad/text.h5 --threads 1
    expect_refusals "resume from a cut file" 4 'bad/short.h5' train c.yaml --resume bad/short.h5 --threads 1
    expect_refusals "resume from a corpus" 4 'g.h5.*corpus' train c.yaml --resume g.h5 --threads 1
    expect_refusals "resume from nothing" 4 'nothing.h5.*No such' train c.yaml --resume nothing.h5 --threads 1
    expect_refusals "resume of another model" 4 'model.hidden.*(16.*20|20.*16)' train c.yaml --resume auto --set model.hidden=20 --threads 1
    expect_refusal "resume with another optimiser" 4 'optim.name.*(adam.*sgd|sgd.*adam)' train c.yaml --resume auto --set optim.name=sgd --threads 1
    expect_refusal "resume with another seed" 4 'train.seed.*(7.*8|8.*7)' train c.yaml --resume auto --set train.seed=8 --threads 1
    expect_refusal "resume with other shards" 4 'data.shards.*(4.*2|2.*4)' train c.yaml --resume auto --set data.shards=2 --threads 1
    expect_refusals "resume on another corpus" 4 'another corpus.*other.h5' train c.yaml --resume auto --set data.corpus=other.h5 --threads 1
    expect_refusal "resume on another vocabulary" 4 'another corpus.*words.h5' train c.yaml --resume auto --set data.corpus=words.h5 --set data.batch_size=8 --threads 1
    expect_refusals "eval with another vocabulary" 4 'vocabulary.*words.h5|word [0-9]+ is' eval r --data words.h5 --batch-size 3 --threads 1
    expect_refusal "eval of a folder without checkpoints" 4 'bad.*holds no checkpoint' eval bad --data g.h5 --threads 1
    for where in 10 30 200 $((size / 2)) $((size - 1)); do
        cp $ckpt bad/flipped.h5
        damage bad/flipped.h5 "$where"
        expect_refusal "sample from a checkpoint with a bit turned at byte $where" 4 'bad/flipped.h5' sample bad/flipped.h5 --threads 1
    done
    expect_refusals "eval of a damaged checkpoint" 4 'bad/flipped.h5' eval bad/flipped.h5 --data g.h5 --batch-size 3 --threads 1
    expect_refusal "inspect of a damaged checkpoint" 4 'bad/flipped.h5' inspect bad/flipped.h5
    damage bad/flipped.h5 100
    expect_refusal "inspect of a checkpoint that no longer says what it is" 3 'bad/flipped.h5' inspect bad/flipped.h5
    expect_refusal "sample from a corpus" 4 'g.h5.*corpus' sample g.h5 --threads 1
    expect_refusal "a run that would end in front of what is there" 2 'ckpt-0000000040.h5: is beyond step 20' train c.yaml --resume r/ckpt-0000000020.h5 --threads 1
}

# Root writes anywhere, so: below a regular file, and where namespaces are allowed, on a file system mounted read-only.
unwritable() {
    prepared || return
    echo file >file
    expect_refusals "run directory below a file" 2 'run.dir: file/r.*Not a directory' train c.yaml --set run.dir=file/r --threads 1
    expect_refusals "run directory that is a file" 2 'run.dir: file' train c.yaml --set run.dir=file --threads 1
    expect_refusal "run directory below a file, resume" 2 'run.dir: file/r' train c.yaml --set run.dir=file/r --resume auto --threads 1
    if [ "$(id -u)" != 0 ]; then
        mkdir closed
        chmod 555 closed
        expect_refusal "run directory in a closed folder" 2 'run.dir: closed/r.*denied' train c.yaml --set run.dir=closed/r --threads 1
        expect_refusal "corpus into a closed folder" 3 'closed/x.h5.*denied' prepare grammar --tokens 1000 -o closed/x.h5
    fi
    expect_refusals "--each below a folder that is not there" 2 '--each: nowhere/each: cannot create a temporary file beside it: No such file' eval r --data g.h5 --batch-size 3 --each nowhere/each --threads 1
    mkdir folder
    expect_refusals "--each that is a folder" 2 '--each: folder: is a folder, where a file is wanted' eval r --data g.h5 --batch-size 3 --each folder --threads 1
    # Only the rank that writes must see the place.
    mkdir -p here/sub there
    mpirun -np 1 --wdir "$PWD/here" "$program" eval "$PWD/r" --data "$PWD/g.h5" --batch-size 2 --each sub/each --threads 1 : \
        -np 1 --wdir "$PWD/there" "$program" eval "$PWD/r" --data "$PWD/g.h5" --batch-size 2 --each sub/each --threads 1 >"$work/out" 2>"$work/err" </dev/null
    code=$?
    expect_code "--each where rank 0 alone can write" 0
    expect "and it is there" test -s here/sub/each
    in_namespace read_only_disk
}

read_only_disk() {
    prepared || return
    mkdir fixed
    mount -t tmpfs none fixed && mount -o remount,ro fixed || exit 1
    expect_refusals "run directory on a read-only disk" 2 'run.dir: fixed/r.*Read-only' train c.yaml --set run.dir=fixed/r --threads 1
    expect_refusal "corpus onto a read-only disk" 3 'fixed/x.h5.*Read-only' prepare grammar --tokens 1000 -o fixed/x.h5
    umount fixed
}

in_namespace() { # SECTION : in a mount namespace of its own, where we may mount
    local options=-rm
    [ "$(id -u)" != 0 ] || options=-m
    if unshare $options mount -t tmpfs none "$work" 2>/dev/null; then
        unshare $options "$script" "$program" "$1"
        count "$1, in a mount namespace" $?
    else
        skip "$1: no mount namespaces here"
    fi
}

# What must hold after a save has failed: the earlier checkpoint is whole, no temporary file is left, and with room again the run ends at
# the same bits as one that was never disturbed.  The run had 40 steps and wanted 80.
judge_failed_save() { # NAME RUN_DIR
    expect_code "$1" 4
    expect_text "$1" err '^unroll train: checkpoint of step 80 was not saved: '
    expect_text "$1: the save at step 60 is told, too" err '^warning: checkpoint of step 60 was not saved: .*the next save tries again'
    expect_same "$1: the earlier checkpoint stays" "$(newest "$2")" "$2/ckpt-0000000040.h5"
    expect_same "$1: it is whole" "$(digest "$2")" "$want40"
    expect_not "$1: no temporary file is left" compgen -G "$2/*.tmp.*"
}

judge_recovery() { # NAME RUN_DIR
    unroll train c.yaml --set run.dir="$2" --set train.steps=80 --resume auto --threads 1
    expect_code "$1: with room again the run goes on" 0
    expect_same "$1: to the same bits" "$(digest "$2")" "$want80"
}

undisturbed() { # digests at steps 40 and 80
    want40=$(digest r/ckpt-0000000040.h5)
    unroll train c.yaml --set run.dir=whole --set train.steps=80 --threads 1
    want80=$(digest whole)
}

# A limit on the size of files, which a checkpoint passes and a log does not: EFBIG at the same place where a full disk says ENOSPC.
file_limit() {
    prepared || return
    undisturbed
    cp -r r limited
    (
        trap '' XFSZ
        ulimit -f 100
        exec "$program" train c.yaml --set run.dir=limited --set train.steps=80 --resume auto --threads 1
    ) >"$work/out" 2>"$work/err" </dev/null
    code=$?
    judge_failed_save "file too large" limited
    expect_same "file too large: status" "$(field limited/status.json state) $(field limited/status.json code)" "failed 4"
    judge_recovery "file too large" limited
}

full_disk() {
    in_namespace full_disk_inside
}

full_disk_inside() {
    prepared || return
    undisturbed
    mkdir full
    mount -t tmpfs -o size=4m none full || exit 1
    cp -r r full/run
    cat /dev/zero >full/filler 2>/dev/null
    unroll train c.yaml --set run.dir=full/run --set train.steps=80 --resume auto --threads 1
    expect_code "a full disk where even the configuration has no room" 2
    expect_same "its checkpoint stays whole" "$(digest full/run)" "$want40"
    truncate -s -65536 full/filler # room for logs, not for a checkpoint
    unroll train c.yaml --set run.dir=full/run --set train.steps=80 --resume auto --threads 1
    judge_failed_save "full disk" full/run
    ranks 2 train c.yaml --set run.dir=full/run --set train.steps=80 --resume auto --threads 1
    judge_failed_save "full disk, 2 ranks" full/run
    rm full/filler
    judge_recovery "full disk" full/run
    cat /dev/zero >full/filler 2>/dev/null
    expect_refusal "corpus onto a full disk" 3 'full/x.h5.*No space' prepare grammar --tokens 10000 -q -o full/x.h5
    unroll eval r --data g.h5 --each full/each --threads 1
    expect_code "--each onto a full disk" 1
    expect_not "--each onto a full disk leaves no half file" test -e full/each
    umount full
}

# An absurd rate without clipping: the loss is not finite within a few steps.
divergence() {
    local step
    prepared || return
    for n in 1 3; do
        rm -rf nan
        if [ $n = 1 ]; then run=(unroll); else run=(ranks $n); fi
        "${run[@]}" train c.yaml --set run.dir=nan --set model.cell=rnn_relu --set optim.name=sgd --set optim.lr=1e6 --set optim.clip_norm=0 \
            --set run.checkpoint_every_steps=1 --threads 1
        expect_code "divergence on $n" 1
        expect_lines "divergence on $n" err 1 '^unroll train: the (loss|gradient) is not finite at step [0-9]+ \(epoch 1, batch [0-9]+\)'
        step=$(sed -nE 's/.*not finite at step ([0-9]+).*/\1/p' "$work/err" | head -n 1)
        expect_same "divergence on $n: status" "$(field nan/status.json state) $(field nan/status.json code) $(field nan/status.json step)" "failed 1 $((step - 1))"
        expect_same "divergence on $n: nothing of that step is saved" "$(step_of "$(newest nan)")" $((step - 1))
        expect "divergence on $n: what was saved is whole" digest nan
        # A validation may be the first to see it: it is no best one, whatever its accuracy.
        rm -rf nan
        "${run[@]}" train c.yaml --set run.dir=nan --set model.cell=rnn_relu --set optim.name=sgd --set optim.lr=1e6 --set optim.clip_norm=0 \
            --set run.checkpoint_every_steps=1 --set train.eval_every_steps=1 --threads 1
        expect_code "a validation that is not finite on $n" 1
        expect_lines "a validation that is not finite on $n" err 1 '^unroll train: the loss of the validation after step [0-9]+ is not finite'
        step=$(sed -nE 's/.*validation after step ([0-9]+) .*/\1/p' "$work/err" | head -n 1)
        expect_not "a validation that is not finite on $n: nothing of that step is saved" compgen -G "nan/*$step.h5"
        # Decay makes the parameters grow without the loss: the update of step 4 is the first that overflows.
        rm -rf nan
        "${run[@]}" train c.yaml --set run.dir=nan --set optim.name=sgd --set optim.lr=1e6 --set optim.weight_decay=1e6 --set optim.clip_norm=0 \
            --set run.checkpoint_every_steps=1 --threads 1
        expect_code "parameters that overflow on $n" 1
        expect_lines "parameters that overflow on $n" err 1 '^unroll train: a parameter is not finite after step 4: '
        expect_same "parameters that overflow on $n: they are not saved" "$(step_of "$(newest nan)")" 3
    done
}

want40='' want80=''
sections sources corpora configurations shapes unequal_ranks checkpoints unwritable file_limit full_disk divergence
