#!/usr/bin/env bash
# Each script of this folder is given a program with one defect, and the check that stands for it must turn red: a test that cannot fail
# proves nothing.  The defective program is the real one behind a few lines of shell.
#
#   tests/cli/can_fail.sh PROGRAM [SECTION...]
. "$(dirname "$0")/lib.sh"
tests=$(dirname "$script")

# deceive SCRIPT SECTION CHECK <BODY : runs the section with a program made of BODY, in which "$real" is the true one; CHECK, a regular
# expression, must be among the names of the failed checks.
deceive() {
    local body
    body=$(cat)
    printf '#!/usr/bin/env bash\nreal=%q\n%s\n' "$program" "$body" >impostor
    chmod +x impostor
    if "$tests/$1" "$PWD/impostor" "$2" >verdict 2>&1; then
        count "$1 $2: did not see that ${body//$'\n'/; }" 1
    else
        grep -qE "^FAIL  .*$3" verdict
        count "$1 $2: turns red at \"$3\"" $? || grep '^FAIL' verdict | head -n 3
    fi
}

commands() {
    deceive commands.sh usage 'no command: exit 2' <<<'exit 0'
    deceive commands.sh usage 'train --help: nothing on stderr' <<<'exec "$real" "$@" >&2'
    deceive commands.sh usage 'unknown option on ranks' <<<'"$real" "$@" && exit; echo "unroll train: --colour"; echo "unroll train: --colour" >&2; exit 2'
    deceive commands.sh configuration 'the environment wins' <<<'unset UNROLL_OPTIM__LR; exec "$real" "$@"'
    deceive commands.sh inspection 'another step is another' <<<'case "$*" in *--digest) printf "%064d\n" 0 ;; *) exec "$real" "$@" ;; esac'
    deceive commands.sh evaluation '--last takes the newest' <<<'for a; do shift; [ "$a" = --last ] || set -- "$@" "$a"; done; exec "$real" "$@"'
    deceive commands.sh evaluation 'sums to the loss' <<<'"$real" "$@"; code=$?; [ ! -e each.1 ] || sed -i "9s/-[0-9]/-7/" each.1; exit $code'
    deceive commands.sh evaluation_on_ranks 'prints the same, once' <<<'unset "${!OMPI_@}" "${!PMIX_@}"; exec "$real" "$@"'
    deceive commands.sh sampling 'another seed, another text' <<<'exec "$real" "$@" $([ "$1" = sample ] && echo --seed 1)'
    deceive commands.sh sampling 'the same seed, the same text' <<<'exec "$real" "$@" $([ "$1" = sample ] && echo --seed $RANDOM)'
    deceive commands.sh dry_run 'writes nothing' <<<'[ "${*: -1}" != --dry-run ] || set -- "${@:1:$#-1}"; exec "$real" "$@"'
    deceive commands.sh kernel_tables 'an unknown table' <<<'[ "${UNROLL_KERNELS:-}" != abacus ] || unset UNROLL_KERNELS; exec "$real" "$@"'
}

badinput() {
    deceive badinput.sh sources 'binary source' <<<'"$real" "$@"; code=$?; echo half >x.h5; exit $code'
    deceive badinput.sh corpora 'bit turned at byte' <<<'case "$*" in *flipped.h5*) exit 0 ;; *) exec "$real" "$@" ;; esac'
    deceive badinput.sh configurations 'a duplicate key' <<<'"$real" "$@"; code=$?; [ $code != 2 ] || exit 1; exit $code'
    deceive badinput.sh shapes 'more ranks than shards' <<<'"$real" "$@" || { code=$?; echo "unroll train: as I said" >&2; exit $code; }'
    deceive badinput.sh unequal_ranks 'different configurations' <<<'unset "${!OMPI_@}" "${!PMIX_@}"; exec "$real" "$@"'
    deceive badinput.sh file_limit 'the earlier checkpoint stays' <<<'"$real" "$@"; code=$?; [ $code != 4 ] || rm -f limited/ckpt-0000000040.h5; exit $code'
    deceive badinput.sh divergence 'nothing of that step is saved' <<<'"$real" "$@"; code=$?; [ $code != 1 ] || cp nan/ckpt-0000000001.h5 nan/ckpt-0000000002.h5; exit $code'
}

resume() {
    deceive resume.sh pause 'a resumed run says so' <<<'[ "${*: -2}" != "--resume auto" ] || set -- "${@:1:$#-2}" --overwrite; exec "$real" "$@"'
    deceive resume.sh pause 'without gap or double' <<<'"$real" "$@"; code=$?; [ ! -e p/metrics.jsonl ] || tail -n 3 p/metrics.jsonl >>p/metrics.jsonl; exit $code'
    deceive resume.sh epoch_ends 'the bits of an undisturbed run' <<<'[ -z "${OMPI_COMM_WORLD_SIZE:-}" ] || set -- "$@" --set train.steps=129; exec "$real" "$@"'
    deceive resume.sh random_kills 'without gap or double' <<<'for d in k whole*; do [ ! -e $d/metrics.jsonl ] || sed -i "5d" $d/metrics.jsonl; done; exec "$real" "$@"'
    deceive resume.sh damaged 'resumed from d2/ckpt-0000000080' <<<'[ ! -e d2/ckpt-0000000080.h5 ] || rm -f d2/ckpt-0000000080.h5; exec "$real" "$@"'
    deceive resume.sh refused 'a folder with checkpoints' <<<'case "$*" in train*--threads\ 1) set -- "$@" --overwrite ;; esac; exec "$real" "$@"'
    deceive resume.sh kept 'keep_last 2' <<<'exec "$real" "$@" $([ "$1" = train ] && echo --set run.keep_last=3)'
}

signals() {
    deceive signals.sh save_and_leave 'USR2: exit 75' <<<'"$real" "$@" & trap "kill -KILL $!; exit 0" USR2 TERM INT; wait'
    deceive signals.sh save_and_go_on 'nothing is saved before' <<<'exec "$real" "$@" $([ "$1" = train ] && echo --set run.checkpoint_every_steps=2)'
    deceive signals.sh states 'status of a paused run' <<<'setpriv --pdeathsig KILL "$real" "$@"; code=$?; [ ! -e s/status.json ] || sed -i s/saved/done/ s/status.json; exit $code'
}

same_bits() {
    deceive same_bits.sh sample 'lstm sgd untied 2' <<<'exec "$real" "$@" $([ -z "${OMPI_COMM_WORLD_SIZE:-}" ] || echo --set optim.clip_norm=0.1)'
    deceive same_bits.sh sample 'does not change' <<<'case "$*" in *--digest) printf "%064d\n" 0 ;; *) exec "$real" "$@" ;; esac'
}

sections commands badinput resume signals same_bits
