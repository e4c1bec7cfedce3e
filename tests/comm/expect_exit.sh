#!/bin/sh
# expect_exit.sh CODE SECONDS COMMAND...: passes when the command ends by itself within so many seconds with exit status CODE.
want=$1 seconds=$2
shift 2
timeout -k 5 "$seconds" "$@"
got=$?
[ "$got" -eq 124 ] && echo "still running after $seconds s"
[ "$got" -eq "$want" ] || { echo "exit status $got, expected $want"; exit 1; }
