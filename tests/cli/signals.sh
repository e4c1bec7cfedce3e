#!/usr/bin/env bash
# Signals: USR1 saves and goes on; USR2, TERM, INT and HUP save and leave with 75; a second one leaves now.  Afterwards the run goes on to the
# bits of one that was never disturbed.  status.json tells the truth throughout.
#
#   tests/cli/signals.sh PROGRAM [SECTION...]
. "$(dirname "$0")/lib.sh"

prepared() {
    [ ! -e c.yaml ] || return 0
    make_corpus g.h5 && write_config c.yaml r && return 0
    count "a corpus to begin with" 1
}

endless=(train c.yaml --threads 1 --set train.epochs=1000000 --set run.checkpoint_every_steps=0 --set run.checkpoint_every_epochs=0)

state() { # RUN_DIR STATE
    [ "$(field "$1/status.json" state)" = "$2" ]
}

trained() { # RUN_DIR STEP : it has logged a step beyond
    local last
    last=$(grep '"type": "step"' "$1/metrics.jsonl" 2>/dev/null | tail -n 1)
    [ -n "$last" ] && [ "$(sed -nE 's/.*"step": ([0-9]+),.*/\1/p' <<<"$last")" -gt "$2" ]
}

saved() { # RUN_DIR : it holds a checkpoint
    [ -n "$(newest "$1")" ]
}

begin() { # RANKS RUN_DIR : an endless run that has done some steps
    start "$1" "${endless[@]}" --set run.dir="$2"
    wait_for trained "$2" 10 || { count "$2: a run that trains" 1; show; return 1; }
}

# The run of this folder, which was stopped with everything saved, goes on for 20 steps; another does all of it undisturbed.
expect_goes_on() { # NAME RUN_DIR
    local step
    step=$(($(step_of "$(newest "$2")") + 20))
    unroll "${endless[@]}" --set run.dir="$2" --set train.steps=$step --resume auto
    expect_code "$1: resumed" 0
    unroll "${endless[@]}" --set run.dir="$2.whole" --set train.steps=$step
    expect_same "$1: the bits of an undisturbed run at step $step" "$(digest "$2")" "$(digest "$2.whole")"
    expect_same "$1: and its numbers" "$(numbers "$2")" "$(numbers "$2.whole")"
}

# Leaves with 75, everything saved, and says so in the one place that scripts read.
expect_saved() { # NAME RUN_DIR
    local step
    expect_code "$1" 75
    expect_lines "$1" err 1 '^unroll train: saved at step [0-9]+ on request; start again with --resume auto$'
    step=$(sed -nE 's/.*saved at step ([0-9]+).*/\1/p' "$work/err")
    expect_same "$1: status" "$(field "$2/status.json" state) $(field "$2/status.json" code) $(field "$2/status.json" step)" "saved 75 $step"
    expect_same "$1: the checkpoint is of that step" "$(step_of "$(newest "$2")")" "$step"
    expect_not "$1: no temporary file is left" compgen -G "$2/*.tmp.*"
}

save_and_go_on() {
    local first
    prepared || return
    for n in 1 2; do
        begin $n "u$n" || return
        expect "USR1 on $n: status running" state "u$n" running
        expect_not "USR1 on $n: nothing is saved before" saved "u$n"
        kill -USR1 "$child"
        expect "USR1 on $n: a checkpoint comes" wait_for saved "u$n"
        first=$(newest "u$n")
        expect "USR1 on $n: and is whole" digest "$first"
        expect "USR1 on $n: the run goes on" wait_for trained "u$n" "$(step_of "$first")"
        kill -USR2 "$child"
        finish
        expect_saved "USR1, then USR2 on $n" "u$n"
        expect_goes_on "USR1, then USR2 on $n" "u$n"
    done
}

save_and_leave() {
    prepared || return
    for signal in USR2 TERM HUP; do
        begin 1 "l$signal" || return
        kill -$signal "$child"
        finish
        expect_saved "$signal" "l$signal"
        expect_goes_on "$signal" "l$signal"
    done
}

# A shell starts its background jobs with INT ignored; the program wants it all the same.
interrupt() {
    prepared || return
    begin 1 i || return
    kill -INT "$child"
    finish
    expect_saved INT i
    expect_goes_on INT i
}

ranks_leave() {
    prepared || return
    for n in 2 3; do
        begin $n "m$n" || return
        kill -USR2 "$child"
        finish
        expect_saved "USR2 to mpirun -np $n" "m$n"
        expect_goes_on "USR2 to mpirun -np $n" "m$n"
    done
    # A request to one rank is a request to all.
    begin 2 one || return
    kill -USR2 "$(pgrep -P "$child" | tail -n 1)"
    finish
    expect_saved "USR2 to one rank of two" one
}

# mpirun answers TERM by killing its ranks, so the starter turns it into USR2; and a run that mpirun has killed goes on, too.
terminate_mpirun() {
    local starter
    prepared || return
    starter=$(dirname "$script")/../../launch/starters/mpirun.sh
    for odd in x 0 -1 ""; do
        expect_same "the starter refuses \"$odd\" ranks" "$(UNROLL=$program "$starter" "$odd" c.yaml 2>&1 | grep -c 'RANKS is a whole number above 0')" 1
    done
    expect_same "the starter refuses a program that is none" "$(UNROLL=/nowhere/unroll "$starter" 2 c.yaml 2>&1 | grep -c 'UNROLL=/nowhere/unroll is no program')" 1
    for group in "" -; do # the starter alone; all of its group, as a terminal does with Ctrl-C
        UNROLL=$program THREADS=1 setsid "$starter" 2 "${endless[@]:1}" --set run.dir="starter$group" </dev/null >"$work/out" 2>"$work/err" &
        child=$!
        children+=("$child")
        wait_for trained "starter$group" 10 || { count "starter: a run that trains" 1; show; return; }
        kill -TERM -- "$group$child"
        finish
        expect_saved "TERM to the starter${group:+ and its group}" "starter$group"
    done
    start 2 "${endless[@]}" --set run.dir=t --set run.checkpoint_every_steps=10
    wait_for saved t || { count "t: a run that saves" 1; show; return; }
    kill -TERM "$child"
    finish
    expect_not "TERM to mpirun does not look like success" [ "$code" = 0 ]
    expect_goes_on "TERM to mpirun" t
}

# Steps of seconds, so that the second signal finds the first waiting for the end of one.
leave_now() {
    local begun
    prepared || return
    start 1 train c.yaml --threads 1 --set run.dir=x --set model.hidden=1500 --set model.embedding=1000 --set data.bptt=400
    wait_for state x running || { count "x: a run that trains" 1; show; return; }
    begun=$SECONDS
    kill -TERM "$child"
    sleep 0.2
    expect "a first TERM waits for the end of the step" kill -0 "$child"
    kill -TERM "$child"
    finish
    expect_code "a second TERM" 143
    expect "a second TERM leaves at once" [ $((SECONDS - begun)) -le 2 ]
    expect_not "a second TERM leaves nothing half-written" compgen -G "x/*.h5*"
}

hears() { # the program has taken USR2, signal 12, into its hands (before exec it is a shell, which catches signals of its own)
    local mask
    [ "/proc/$child/exe" -ef "$program" ] || return 1
    mask=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$child/status" 2>/dev/null)
    [ -n "$mask" ] && [ $((0x$mask & 1 << 11)) != 0 ]
}

# A request that comes before the first step is not lost, nor is it a crash.
at_once() {
    prepared || return
    for signal in USR1 USR2; do
        start 1 "${endless[@]}" --set run.dir="a$signal" --set train.steps=500
        until hears || ! kill -0 "$child" 2>/dev/null; do :; done
        kill -$signal "$child" 2>/dev/null
        finish
        case $signal in
            USR1) expect_code "USR1 at the start" 0 ;;
            USR2) expect_saved "USR2 at the start" aUSR2 ;;
        esac
    done
}

states() {
    prepared || return
    unroll train c.yaml --threads 1 --set run.dir=s
    expect_same "status of a finished run" "$(field s/status.json state) $(field s/status.json step) $(field s/status.json code)" "done 226 0"
    unroll train c.yaml --threads 1 --set run.dir=s --set train.epochs=3 --set train.steps=230 --resume auto
    expect_same "status of a paused run" "$(field s/status.json state) $(field s/status.json step) $(field s/status.json code)" "saved 230 0"
    begin 1 k || return
    kill -KILL "$child"
    finish
    expect_same "a killed run cannot change its status" "$(field k/status.json state)" running
}

sections save_and_go_on save_and_leave interrupt ranks_leave terminate_mpirun leave_now at_once states
