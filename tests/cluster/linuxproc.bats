#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Where Slurm ends no left-over process itself, sessions end on their own; and they survive what is killed.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; $ is for the shells on the nodes; bats sets output and status

bats_require_minimum_version 1.5.0
load common

setup_file() { [ -z "${CLUSTER:-}" ] || cluster_up PROCTRACK=linuxproc; }
teardown_file() { [ -z "${CLUSTER:-}" ] || cluster_up; }

setup() { need_cluster; }
teardown() { cancel_all; }

LIBEXEC=$(dirname "$(dirname "$HPCRUN")")/libexec/hpcrun
# pids_of NODE PROGRAM
pids_of() {
	on_node "$1" sh -c 'for p in /proc/[0-9]*; do [ "$(readlink $p/exe)" != "$0" ] || echo ${p#/proc/}; done' "$LIBEXEC/$2"
}
there() { [ -n "$(pids_of "$@")" ]; }

# other_server COMMAND: directory "libexec" with a server that is COMMAND, the server's name and its arguments
other_server() {
	mkdir libexec
	cp -P "$LIBEXEC"/* libexec/
	rm libexec/hpcrun-serve
	printf '#!/bin/sh\n%s "%s" "$@"\n' "$1" "$LIBEXEC/hpcrun-serve" >libexec/hpcrun-serve
	chmod 755 libexec/hpcrun-serve
}

@test "leftovers: sessions of several images in one step end with it" {
	printf '0-2 %s app:1 true\n3-4 %s app:2 true\n5 /bin/true\n' "$HPCRUN" "$HPCRUN" >mpmd
	job srun -N 1 -n 6 --multi-prog "$SCRATCH/work/mpmd"
	assert_nothing_left
}

@test "leftovers: a session of which some ranks never come ends with its step" {
	job srun -n 4 sh -c '[ $SLURM_PROCID = 0 ] || exit 0; $HPCRUN app:1 true'
	assert_nothing_left
}

@test "leftovers: the session of a cancelled step ends" {
	job srun -N 2 -n 4 "$HPCRUN" app:1 sh -c "$WAIT" 3>&- &
	wait_until 30 arrived here 4
	on_login root scancel "$(job_id)"
	run ! wait $!
	wait_until 30 no_job
	assert_nothing_left
}

@test "leftovers: the session of ranks that were killed in the middle of its start ends" {
	# a server that never gets ready
	other_server "touch $SCRATCH/work/here.\$SLURM_NODEID; exec sleep 1000;"
	LOGIN_ENV+=(HPCRUN_LIBEXECDIR="$SCRATCH/work/libexec")
	job srun -N 1 -n 4 "$HPCRUN" app:1 true 3>&- &
	wait_until 30 arrived here 1
	on_login root scancel "$(job_id)"
	run ! wait $!
	wait_until 30 no_job
	assert_nothing_left
}

@test "leftovers: a server that hangs in its end is ended" { # G2
	command -v cc >/dev/null || skip 'no C compiler'
	# it never comes back from what it calls first
	cc -shared -fPIC -o hang.so -x c - <<<'int pause(void); unsigned alarm(unsigned s) { for (;;) pause(); }'
	other_server "LD_PRELOAD=$SCRATCH/work/hang.so exec"
	LOGIN_ENV+=(HPCRUN_LIBEXECDIR="$SCRATCH/work/libexec")
	job srun -N 1 -n 2 "$HPCRUN" app:1 cat /etc/where
	assert_nothing_left
}

@test "survival: a server that is stopped goes on" { # G2
	JOB_S=20 job srun -N 1 -n 4 "$HPCRUN" app:1 sh -c "$WAIT; cat /etc/where" >out 2>&1 3>&- &
	wait_until 30 arrived here 4
	on_node 1 kill -STOP "$(pids_of 1 hpcrun-serve)"
	touch go
	wait $!
	[ "$(grep -cx 'inside the image' out)" = 4 ]
	assert_nothing_left
}

@test "survival: a server that is killed under load is replaced within a second, and no read fails" { # G1
	local i pid killed=''
	busybox_tree tree
	mkdir tree/data
	for i in $(seq 40); do # none is as large as what is mounted in place of being served
		head -c 700000 /dev/urandom >"tree/data/$i"
	done
	make_image load:1 tree
	cp "$HPCRUN_BUILD/tests/lib/readers" .
	chown -R "$TEST_USER:" .
	# they drop what they have read from the page cache, so they ask the server
	job srun -N 1 -n 2 "$HPCRUN" run --bind /usr --bind /lib --bind /lib64 --bind "$PWD" load:1 sh -c '
		touch $WORK/here.$SLURM_PROCID
		until test -e $WORK/go; do $WORK/readers $WORK/tree/data /data 1 4; done' >out 2>&1 3>&- &
	wait_until 30 arrived here 2
	for _ in 1 2 3; do
		sleep 0.4 # they are to read a while
		wait_until 2 there 1 hpcrun-serve
		pid=$(pids_of 1 hpcrun-serve)
		on_node 1 kill -KILL "$pid"
		killed+=" $pid"
	done
	sleep 0.4
	touch go
	wait $!
	echo "killed:$killed"
	cat out
	[ "$(xargs -n 1 <<<"$killed" | sort -u | wc -l)" = 3 ]
	[ "$(grep -vcE '^[0-9]+ reads, 0 wrong, 0 failed, longest [0-9]{1,3} ms$' out)" = 0 ]
	[ "$(awk '{ n += $1 } END { print n }' out)" -ge 200 ]
	assert_nothing_left
}

@test "survival: programs run on when the holder of their session is killed" {
	local pid
	job srun -N 1 -n 8 "$HPCRUN" app:1 sh -c "$WAIT; cat /etc/where" >out 2>&1 3>&- &
	wait_until 30 arrived here 8
	for pid in $(pids_of 1 hpcrun-session); do
		on_node 1 kill -KILL "$pid" || : # the builder has just ended
	done
	touch go
	wait $!
	[ "$(grep -cx 'inside the image' out)" = 8 ]
	assert_nothing_left
}

@test "survival: when the first rank is killed before it is served, the others run" {
	# strace kills the starting rank at a call that comes after it has begun the session
	need strace
	local call
	for call in clone wait4 sendmsg recvmsg setns; do
		rm -f "$SCRATCH"/work/*
		run job srun -N 1 -n 4 --kill-on-bad-exit=0 sh -c '
			[ $SLURM_PROCID != 0 ] || exec strace -o /dev/null -e inject='$call':signal=KILL:when=1 $HPCRUN app:1 true
			exec $HPCRUN app:1 cat /etc/where'
		[ "$(grep -cx 'inside the image' <<<"$output")" = 3 ]
	done
	assert_nothing_left
}
