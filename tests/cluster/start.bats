#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The start of a rank in a step, by its system calls: what it opens, asks and executes before it becomes the program.
# shellcheck disable=SC2016,SC2154  # $ is for the shells on the nodes; bats sets output and status

bats_require_minimum_version 1.5.0
load common

setup() {
	need_cluster
	need strace
}
teardown() { cancel_all; }

# Start two ranks, the second one when the session is there, under strace; leave its calls before it executes the
# program in $calls.
trace_joining_rank() {
	run -0 job srun -n 2 sh -c '
		if [ $SLURM_PROCID = 0 ]; then
			$HPCRUN app:1 sh -c "touch $WORK/there; until test -e $WORK/go; do sleep 0.1; done"
		else
			until test -e $WORK/there; do sleep 0.1; done
			strace -f -o $WORK/trace $HPCRUN app:1 true
			touch $WORK/go
		fi'
	calls=$(sed 's/^[0-9]* *//' "$SCRATCH/work/trace" | awk 'NR == 1 { next } /^execve/ { exit } { print }')
	sed 's/^[0-9]* *//' "$SCRATCH/work/trace" | grep -q '^execve("/bin/true"'
}

@test "start: a joining rank opens what it has to and nothing else" {
	trace_joining_rank
	opened=$(grep -oE '^(open|openat|openat2|readlink|readlinkat|access|faccessat2?|newfstatat|stat|lstat|statx)\([^"]*"[^"]+"' \
		<<<"$calls" | sed 's/.*"\(.*\)"$/\1/' | sort -u)
	# /proc/self/exe: the C library of a program that is linked with it
	strange=$(grep -vxE '/etc/ld\.so\.(cache|preload)|/lib(64)?/.*/?libc\.so\.6|/proc/sys/kernel/random/boot_id|/proc/self/ns/(user|mnt)|/proc/self/(oom_score_adj|exe)|/tmp/hpcrun-[0-9]+|secret' \
		<<<"$opened" || :)
	echo "$strange"
	[ "$(grep -c boot_id <<<"$opened")" = 1 ]
	[ -z "$strange" ]
}

@test "start: a joining rank makes fewer than 60 system calls, starts nothing and asks nobody but its session" {
	trace_joining_rank
	echo "$(wc -l <<<"$calls") system calls"
	[ "$(wc -l <<<"$calls")" -lt 60 ]
	[ "$(grep -cE '^(clone|clone3|fork|vfork|flock|bind|mkdir|unlink|rename)' <<<"$calls")" = 0 ]
	# one socket, to the session: no resolver, no name service, no bus
	[ "$(grep -cE '^socket\(' <<<"$calls")" = 1 ]
	[ "$(grep -cE '^connect\(' <<<"$calls")" = 1 ]
	[ "$(grep -cE '^connect\(.*sun_path=@"hpcrun-[0-9a-f]{32}"' <<<"$calls")" = 1 ]
}
