#!/usr/bin/env bash
# A run that was paused, killed or damaged goes on to the bits, and the numbers in metrics.jsonl, of one that was never disturbed.
# It suffices to compare digests: they cover every bit of parameters, optimiser state, carried rows and progress (that they can
# differ is checked in commands.sh and same_bits.sh).
#
#   tests/cli/resume.sh PROGRAM [SECTION...]      many_kills (slow) runs only when it is named
. "$(dirname "$0")/lib.sh"

prepared() {
    [ ! -e c.yaml ] || return 0
    make_corpus g.h5 && write_config c.yaml r && return 0
    count "a corpus to begin with" 1
}

train() { # RUN_DIR OPTION... : one thread
    local dir=$1
    shift
    unroll train c.yaml --set run.dir="$dir" --threads 1 "$@"
}

train_on() { # RANKS RUN_DIR OPTION...
    local n=$1 dir=$2
    shift 2
    ranks "$n" train c.yaml --set run.dir="$dir" --threads 1 "$@"
}

# A run that nothing disturbs, up to a step; its folder is whole.STEP.
undisturbed() { # STEP
    [ -e "whole.$1" ] || train "whole.$1" --set train.steps="$1" --set train.epochs=1000000
}

expect_undisturbed() { # NAME RUN_DIR STEP
    undisturbed "$3"
    expect_same "$1: the bits of an undisturbed run at step $3" "$(digest "$2")" "$(digest "whole.$3")"
    expect_same "$1: its numbers, without gap or double" "$(numbers "$2")" "$(numbers "whole.$3")"
}

pause() {
    prepared || return
    train p --set train.steps=50
    expect_code "a pause" 0
    expect_same "a pause: status" "$(field p/status.json state) $(field p/status.json step) $(field p/status.json code)" "saved 50 0"
    expect_same "a pause saves at that step" "$(newest p)" p/ckpt-0000000050.h5
    expect_text "a pause says so" err '^saved at step 50: train.steps is 50; more of them and --resume auto go on$'
    train once --set train.steps=50 --set run.checkpoint_every_steps=25
    expect_same "a pause where a checkpoint was due saves once" "$(grep -c '"type": *"save".*"kind": *"checkpoint"' once/metrics.jsonl)" 2
    train p --set train.steps=130 --resume auto
    expect_code "a resumed run" 0
    expect_text "a resumed run says so" err '^resumed from p/ckpt-0000000050.h5: step 50, epoch 1$'
    expect_text "keys that may differ are printed" err 'train.steps.*50.*130'
    expect_undisturbed "paused in an epoch, resumed over its end" p 130
    train_on 2 p --set train.steps=150 --resume auto
    expect_code "resumed on 2 ranks" 0
    train_on 3 p --set train.steps=170 --resume auto
    expect_code "resumed on 3 ranks" 0
    unroll train c.yaml --set run.dir=p --threads 3 --set train.steps=190 --resume auto
    expect_code "resumed with 3 threads" 0
    expect_undisturbed "paused and resumed on 1, 2, 3 ranks and with 3 threads" p 190
    train q --set train.steps=190 --resume p/ckpt-0000000170.h5
    expect_code "resumed from a file into another folder" 0
    expect_same "and to the same bits" "$(digest q)" "$(digest p)"
    train p --set train.steps=113 --resume auto
    expect_code "a pause that lies behind" 0
    expect_same "leaves the run where it is" "$(digest p)" "$(digest whole.190)"
}

# A pause at the step that ends an epoch, and one step after it.
epoch_ends() {
    prepared || return
    for step in 113 114; do
        train "e$step" --set train.steps=$step
        train_on 2 "e$step" --set train.steps=130 --resume auto
        expect_undisturbed "paused at step $step" "e$step" 130
    done
    train best --set train.steps=114 # its best checkpoint was made behind step 113, in front of the epoch's end
    expect_same "a best checkpoint of an epoch's end" "$(newest best best)" best/best-0000000113.h5
    train from_best --set train.steps=130 --resume best/best-0000000113.h5
    expect_code "resumed from a best checkpoint" 0
    expect_same "resumed from a best checkpoint of an epoch's end: the bits" "$(digest from_best)" "$(digest whole.130)"
}

# Kills the newest process of a run that would go on for ever.
start_and_kill() { # RANKS RUN_DIR SECONDS
    local victim from
    from=$(newest "$2")
    start "$1" train c.yaml --set run.dir="$2" --set train.epochs=1000000 --threads 1 --resume auto
    until [ "$(newest "$2")" != "$from" ]; do # each turn must get on, or the test would not end
        kill -0 "$child" 2>/dev/null || break
        sleep 0.02
    done
    sleep "$3"
    victim=$(pgrep -P "$child" | tail -n 1)
    kill -KILL "${victim:-$child}"
    finish
}

kills() { # NUMBER SEED
    local step n
    prepared || return
    RANDOM=$2
    for i in $(seq "$1"); do
        n=$((i % 4 == 0 ? 2 : 1))
        start_and_kill $n k "0.$(printf %03d $((RANDOM % 200)))"
        [ "$code" = 137 ] || expect_code "kill $i, on $n" 137
    done
    step=$(($(step_of "$(newest k)") + 10))
    train k --set train.steps=$step --set train.epochs=1000000 --resume auto
    expect_code "after $1 kills" 0
    expect_undisturbed "after $1 kills" k $step
    expect_not "no temporary file is left" compgen -G "k/*.tmp.*"
    rm -rf k
}

random_kills() {
    kills 10 1
}

many_kills() {
    for seed in 2 3 4 5 6 7 8 9; do
        kills 25 $seed
    done
}

# A second training in the same folder keeps out, and disturbs nothing; a third takes it when the first was killed.
two_at_once() {
    prepared || return
    start 1 train c.yaml --set run.dir=t --set train.epochs=1000000 --threads 1
    wait_for compgen -G "t/ckpt-*"
    for how in "--resume auto" --overwrite; do
        # shellcheck disable=SC2086 # two words
        "$program" train c.yaml --set run.dir=t --threads 1 $how </dev/null >"$work/second" 2>&1
        expect_same "$how beside a run that goes on: exit 2" $? 2
        expect_text "$how beside a run that goes on" "$work/second" '^unroll train: run.dir: t: is in use by another process'
    done
    expect_not "the first run goes on" ended
    kill -KILL "$child"
    finish
    train t --set train.steps=$(($(step_of "$(newest t)") + 10)) --set train.epochs=1000000 --resume auto
    expect_code "a killed run holds its folder no longer" 0
    rm -rf t
}

damaged() {
    local size
    prepared || return
    train d --set train.steps=100
    size=$(stat -c %s d/ckpt-0000000100.h5)
    for harm in bit cut empty text; do
        rm -rf d2
        cp -r d d2
        case $harm in
            bit) damage d2/ckpt-0000000100.h5 $((size / 2)) ;;
            cut) truncate -s -1000 d2/ckpt-0000000100.h5 ;;
            empty) : >d2/ckpt-0000000100.h5 ;;
            text) echo "a text" >d2/ckpt-0000000100.h5 ;;
        esac
        train d2 --set train.steps=120 --resume auto
        expect_code "newest checkpoint damaged ($harm)" 0
        expect_text "newest checkpoint damaged ($harm)" err 'd2/ckpt-0000000100.h5: '
        expect_text "newest checkpoint damaged ($harm)" err '^resumed from d2/ckpt-0000000080.h5'
        expect_undisturbed "newest checkpoint damaged ($harm)" d2 120
    done
    # Two damaged ones; the saves that follow lie in front of the second and must not be pruned for it.
    rm -rf d2
    cp -r d d2
    : >d2/ckpt-0000000100.h5
    : >d2/ckpt-0000000080.h5
    train d2 --set train.steps=75 --set run.checkpoint_every_steps=5 --resume auto
    expect_code "two newest damaged" 0
    expect_same "what is saved in front of damaged files stays" "$(step_of "$(ls d2/ckpt-00000000[67]*.h5 | tail -n 1)")" 75
    train d2 --set train.steps=120 --resume auto
    expect_text "two newest damaged" err '^resumed from d2/ckpt-0000000075.h5'
    expect_undisturbed "two newest damaged" d2 120
    rm -rf d2
    cp -r d d2
    rm -f d2/best-*.h5
    for f in d2/ckpt-*.h5; do damage "$f" 500; done
    expect_refusals "all checkpoints damaged" 4 'd2: none of its 3 checkpoints is whole' train c.yaml --set run.dir=d2 --set train.steps=120 --resume auto --threads 1
    # A best checkpoint is offered, and nothing begins over it.
    cp d/ckpt-0000000080.h5 d2/best-0000000080.h5
    local offer='but d2/best-0000000080.h5 is: --resume d2/best-0000000080.h5 goes on from there'
    expect_refusals "all damaged but the best" 4 "d2: no checkpoint of its last steps is whole, $offer" train c.yaml --set run.dir=d2 --set train.steps=120 --resume auto --threads 1
    rm -f d2/ckpt-*.h5
    expect_refusals "nothing but the best" 4 "d2: no checkpoint of its last steps is there, $offer" train c.yaml --set run.dir=d2 --set train.steps=120 --resume auto --threads 1
}

refused() {
    prepared || return
    train f --set train.steps=20
    expect_refusals "a folder with checkpoints" 2 'f: already holds 1 checkpoint; .*--resume auto.*--overwrite' train c.yaml --set run.dir=f --threads 1
    train f --set train.steps=30 --overwrite
    expect_code "--overwrite" 0
    expect_same "--overwrite starts afresh and removes what was there" "$(ls f/*.h5 | wc -l) $(grep -c '"type": "start"' f/metrics.jsonl)" "2 1"
    expect_undisturbed "--overwrite" f 30
    train empty --set train.steps=20 --resume auto
    expect_code "--resume auto without a checkpoint" 0
    expect_undisturbed "--resume auto without a checkpoint starts afresh" empty 20
    train f --set train.steps=30 --set optim.lr=0.02 --resume auto
    expect_code "another rate on resume" 4
    expect_text "another rate on resume" err 'optim.lr.*0\.01.*0\.02|optim.lr.*0\.02.*0\.01'
    expect_same "another rate on resume changes nothing" "$(digest f)" "$(digest whole.30)"
}

tests_of() { # RUN_DIR
    grep -oE '"(tested_step|test_loss)": [0-9.]*' "$1/metrics.jsonl" | paste -d ' ' - -
}

finished() {
    local before
    prepared || return
    train n
    expect_code "a whole run" 0
    expect_text "a whole run ends with its test loss" err '^\| End of training \| test loss'
    expect_same "a whole run: status" "$(field n/status.json state) $(field n/status.json step) $(field n/status.json code)" "done 226 0"
    before=$(digest n)
    for n in 1 2; do
        train_on $n n --resume auto
        expect_code "resume of a finished run" 0
        expect_lines "resume of a finished run" err 1 'n: this run is finished \(step 226\)'
        expect_same "resume of a finished run: status" "$(field n/status.json state)" "done"
        expect_same "resume of a finished run changes nothing" "$(digest n)" "$before"
    done
    train n --set train.epochs=3 --resume auto
    expect_code "one epoch more" 0
    expect_text "one epoch more" err 'train.epochs.*2.*3'
    train m --set train.epochs=3
    expect_same "one epoch more gives the bits of a run that had it from the start" "$(digest n)" "$(digest m)"
    expect_same "and its numbers" "$(numbers n)" "$(numbers m)"
    train o --set train.epochs=3 --set train.steps=226
    train o --set train.epochs=2 --resume auto
    expect_text "a run that was stopped in front of its test" err 'o: this run is finished .step 226.; only its test is left'
    expect_same "a run that was stopped in front of its test has the same one" "$(tests_of o)" "$(tests_of n | head -n 1)"
    train o --set train.epochs=2 --resume auto
    expect_text "and only once" err 'o: this run is finished .step 226.; nothing to do'
    expect_same "and its test loss" "$(grep -o '"test_loss": [0-9.]*' n/metrics.jsonl | tail -n 1)" "$(grep -o '"test_loss": [0-9.]*' m/metrics.jsonl)"
}

kept() {
    prepared || return
    train l --set train.steps=110 --set run.keep_last=2 --set run.checkpoint_every_steps=10
    expect_same "keep_last 2" "$(ls l | grep h5 | tr '\n' ' ')" "ckpt-0000000100.h5 ckpt-0000000110.h5 "
    train b --set train.steps=100 --set train.eval_every_steps=10 --set run.keep_best=2 --set run.keep_last=1
    expect_same "keep_best 2, keep_last 1" "$(ls b | grep -c best) $(ls b | grep -c ckpt)" "2 1"
    train z --set train.steps=100 --set train.eval_every_steps=10 --set run.keep_best=0
    expect_same "keep_best 0" "$(ls z | grep -c best)" 0
    train s --set train.steps=100 --set run.checkpoint_every_steps=0
    expect_same "checkpoints only where they must be" "$(ls s | grep h5 | tr '\n' ' ')" "ckpt-0000000100.h5 "
    train t --set train.steps=5000 --set train.epochs=1000 --set train.eval_every_steps=20 --set optim.lr=1e-6 --set run.checkpoint_every_steps=0 \
        --set run.checkpoint_every_epochs=0 --set run.checkpoint_every_seconds=0.1
    expect "files of the best do not put off checkpoints by time" [ "$(grep -c '"kind": "checkpoint"' t/metrics.jsonl)" -gt 1 ]
    train i --set train.steps=30 --set run.log_every_steps=0
    expect_code "log_every_steps 0" 0
    expect_same "log_every_steps 0: no lines" "$(grep -c '"type": "step"' i/metrics.jsonl)" 0
}

# Each rank's share in metrics.jsonl sums to the whole, and what is called tokens/s is tokens over seconds, after a resume, too.
shares() {
    prepared || return
    train_on 3 w --set train.steps=35
    train_on 2 w --set train.steps=60 --resume auto
    expect_same "shares of tokens sum to the whole" "$(awk -F '"rank_tokens": ' '/"type": "step"/ {
        gsub(/[][,}]/, " ", $2); n = split($2, part, " "); sum = 0
        for (i = 1; i <= n && part[i] + 0 == part[i]; i++) sum += part[i]
        printf "%d ", sum }' w/metrics.jsonl)" "800 800 800 400 800 800 "
    expect_same "tokens/s counts what this process has trained" "$(grep '"type": "step"' w/metrics.jsonl | sed -nE 's/.*"tokens_per_s": ([^,]*), "seconds": ([^,]*),.*/\1 \2/p' |
        awk '{ printf "%.0f ", $1 * $2 }')" "800 800 800 400 800 800 "
}

# Fewer rows of validation than ranks: some have none.
few_rows() {
    prepared || return
    train v1 --set eval.batch_size=1
    for n in 2 3; do
        train_on $n v$n --set eval.batch_size=1
        expect_code "one row of validation on $n ranks" 0
        expect_same "one row of validation on $n ranks: the same bits" "$(digest v$n)" "$(digest v1)"
        expect_same "one row of validation on $n ranks: the same test" "$(tests_of v$n)" "$(tests_of v1)"
    done
}

# The best parameters stay behind when a run goes on in another folder: the test is then of the last ones, and says so.
best_elsewhere() {
    prepared || return
    train x1 --set train.epochs=3 --set optim.lr=0.4 --set run.checkpoint_every_epochs=0 --set run.checkpoint_every_steps=330
    expect_same "a test of the best, which is not the last" "$(tests_of x1 | cut -d ' ' -f 2)" "$(step_of "$(newest x1 best)")"
    expect_other "they are not the last" "$(step_of "$(newest x1 best)")" 339
    train x2 --set train.epochs=3 --set optim.lr=0.4 --set run.checkpoint_every_epochs=0 --set run.checkpoint_every_steps=330 --resume x1/ckpt-0000000330.h5
    expect_code "the best are elsewhere" 0
    expect_text "the best are elsewhere" err '^warning: the best parameters are not at hand, those of step 339 are tested: .*x2/best-'
    expect_same "the best are elsewhere: which are tested" "$(tests_of x2 | cut -d ' ' -f 2)" 339
}

# A model that begins with another's parameters and thaws layer by layer: paused while layers are frozen, on other ranks afterwards, and
# when what it began with is gone.
transferred() {
    local tuned
    prepared || return
    tuned=(--set model.init_from=source --set optim.schedule=slanted --set optim.layer_decay=2.6 --set optim.unfreeze_every_epochs=1 --set train.epochs=4)
    train source --set train.steps=60
    train tuned "${tuned[@]}" --set train.steps=150
    expect_code "a run that begins with another's parameters" 0
    expect_text "it says so" err "^begins with source/ckpt-0000000060.h5 .SHA-256 [0-9a-f]{64}.: 7 of 7 parameters; of [0-9]+ words 0 are unknown there"
    expect_text "it says when layers thaw" err '^layers thaw from the output down, one each 1 epoch: .* all from epoch 3 on$'
    train_on 2 tuned2 "${tuned[@]}" --set train.steps=150
    expect_same "on 2 ranks: the same bits" "$(digest tuned2)" "$(digest tuned)"
    train apart --set train.steps=150 --set train.epochs=4 --set optim.schedule=slanted --set optim.layer_decay=2.6 --set optim.unfreeze_every_epochs=1
    expect_other "without the source: other bits" "$(digest apart)" "$(digest tuned)"
    train whole_tuned "${tuned[@]}"
    rm -r source
    expect_refusals "what it is to begin with is missing" 4 'model.init_from: source: No such file' train c.yaml --set run.dir=tuned --overwrite "${tuned[@]}" --threads 1
    train_on 3 tuned "${tuned[@]}" --resume auto
    expect_code "resumed when the source is gone" 0
    expect_same "paused in the middle of unfreezing: the bits of an undisturbed run" "$(digest tuned)" "$(digest whole_tuned)"
    expect_same "and its numbers" "$(numbers tuned)" "$(numbers whole_tuned)"
    train tuned --set model.init_from=tuned --set train.steps=20 --overwrite
    expect_code "a run that begins with the one that it overwrites" 0
    expect_same "which is gone then" "$(ls tuned | grep h5)" ckpt-0000000020.h5
}

sections pause epoch_ends random_kills two_at_once damaged refused finished kept shares few_rows best_elsewhere transferred
