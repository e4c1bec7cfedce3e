#!/usr/bin/env bash
# Trains under mpirun, on this host or on several, until the run is done; starts again from the newest checkpoint when a rank is
# lost, and hands a request to stop on to the ranks.
#
#   launch/starters/mpirun.sh RANKS CONFIG... [--set a.b=c]...
#
# Everything behind RANKS goes to `unroll train`, with --resume auto.  The environment may hold
#   HOSTS=node1:2,node2:2   where: each host with its number of ranks (default: all on this host)
#   THREADS=8               threads of each rank (default: the cores of this host over its ranks)
#   RETRIES=3               how often a job that lost a rank is started again
#   UNROLL=path             the program (default: build/unroll of this repository, or unroll in PATH); all hosts must see it
#
# Exit status: that of the job.  0 done; 75 saved because it was asked to stop, start again to go on; see `unroll train --help`.
set -uo pipefail
if [ $# -lt 2 ]; then
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" >&2
    exit 2
fi
case $1 in
    '' | 0* | *[!0-9]*) echo "$0: RANKS is a whole number above 0, not \"$1\"" >&2; exit 2 ;;
esac
ranks=$1
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
unroll=${UNROLL:-$root/build/unroll}
if [ -n "${UNROLL:-}" ]; then
    command -v "$UNROLL" >/dev/null || { echo "$0: UNROLL=$UNROLL is no program" >&2; exit 2; }
elif [ ! -x "$unroll" ]; then
    unroll=$(command -v unroll) || { echo "$0: no unroll program; build it first, or set UNROLL" >&2; exit 2; }
fi

# A rank and its threads own neighbouring cores.  Without PE=, mpirun would bind all threads of a rank to one core.
cores=$(lscpu -p=CORE,SOCKET | grep -v '^#' | sort -u | wc -l)
first=${HOSTS:-here:$ranks}
first=${first%%,*}
ranks_here=${first##*:}
threads=${THREADS:-$((cores / ranks_here > 0 ? cores / ranks_here : 1))}
options=(-np "$ranks" -x "OMP_NUM_THREADS=$threads")
[ -z "${HOSTS:-}" ] || options+=(-H "$HOSTS")
if [ $((threads * ranks_here)) -le "$cores" ]; then
    options+=(--map-by "slot:PE=$threads" --bind-to core)
else
    options+=(--oversubscribe --bind-to none)
fi
if [ "$(id -u)" -eq 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

job="" stopping=false heard=false
stop() { # USR2 is the request that mpirun forwards and answers with the ranks' own status, 75; after TERM it kills in one second
    stopping=true heard=true
    [ -z "$job" ] || kill -USR2 "$job" 2>/dev/null
}
trap stop TERM INT HUP USR2
trap 'heard=true; [ -z "$job" ] || kill -USR1 "$job"' USR1

for ((attempt = 0;; attempt++)); do
    # A session of its own: a terminal gives Ctrl-C to all of this group, and mpirun would answer it by killing.
    setsid mpirun "${options[@]}" "$unroll" train "$@" --resume auto </dev/null &
    job=$!
    while :; do # a signal ends `wait` before the job has ended
        heard=false
        wait "$job"
        status=$?
        $heard || break
    done
    case $status in
        5 | 13[0-9] | 14[0-9]) ;; # a rank was lost or killed: the checkpoint is good
        *) exit $status ;;
    esac
    if $stopping || [ $attempt -ge "${RETRIES:-3}" ]; then
        exit $status
    fi
    echo "A rank was lost (status $status); starting again from the newest checkpoint in 5 seconds" >&2
    sleep 5
done
