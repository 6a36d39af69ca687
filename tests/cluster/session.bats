#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Sessions in the steps of a real Slurm: who shares what, what signals do, and that nothing is left when a step ends.
# shellcheck disable=SC2016,SC2154  # $ is for the shells on the nodes; bats sets output and status

bats_require_minimum_version 1.5.0
load common

setup() { need_cluster; }
teardown() { cancel_all; }

# How many different values a column of $output has.
count() { awk -v f="$1" '{ print $f }' <<<"$output" | sort -u | wc -l; }
servers_on() { on_node "$1" sh -c 'for p in /proc/[0-9]*/exe; do readlink $p; done 2>/dev/null' | grep -c '/hpcrun-serve$'; }
names_on() { on_node "$1" awk '$4 == "00010000" && $8 ~ /^@hpcrun-/' /proc/net/unix; }
no_names_on() { [ -z "$(names_on "$1")" ]; }
# What the processes of hpcrun on a node have of its memory, in kB; pages that are shared count in parts.
hpcrun_memory() {
	on_node "$1" sh -c 'for p in /proc/[0-9]*; do case $(readlink $p/exe) in
		*/hpcrun*) cat $p/smaps_rollup ;; esac; done 2>/dev/null' | awk '/^Pss:/ { n += $2 } END { print n + 0 }'
}
# A requeued job is made to wait for minutes, unless it is told not to.
started_again() {
	arrived run-1 2 || {
		on_login root scontrol update JobId="$1" StartTime=now
		return 1
	}
}

@test "step: the ranks of a node share one container, those of two nodes do not" {
	# all at one time: the number of a namespace that has gone is given to another
	run -0 job srun -N 4 --ntasks-per-node=8 "$HPCRUN" app:1 sh -c \
		'echo $(readlink /proc/self/ns/user) $(readlink /proc/self/ns/mnt) $(id -u) $(cat /etc/where)
		touch $WORK/here.$SLURM_PROCID
		until [ $(ls $WORK | grep -c here) = 32 ]; do sleep 0.1; done'
	[ "${#lines[@]}" = 32 ]
	[ "$(count 1)" = 4 ]
	[ "$(count 2)" = 4 ]
	[ "$(grep -c "$(id -u "$TEST_USER") inside the image" <<<"$output")" = 32 ]
	assert_nothing_left
}

@test "step: one server on each node, and a joined rank leaves no process of hpcrun" {
	job srun -N 2 --ntasks-per-node=16 "$HPCRUN" app:1 sh -c "$WAIT" 3>&- &
	wait_until 30 arrived here 32
	[ "$(servers_on 1)" = 1 ]
	[ "$(servers_on 2)" = 1 ]
	[ "$(node_processes | grep -cE '/bin/hpcrun( |$)')" = 0 ]
	[ "$(node_processes | grep -c 'hpcrun-session ')" = 2 ]
	touch go
	wait $!
	assert_nothing_left
}

@test "step: hpcrun has memory for the node, not for each rank, and none in a rank" {
	local n
	local -A kilobytes
	for n in 2 64; do
		job srun -N 1 -n "$n" "$HPCRUN" app:1 sh -c "grep hpcrun /proc/self/maps; $WAIT" >out 3>&- &
		wait_until 30 arrived here "$n"
		kilobytes[$n]=$(hpcrun_memory 1)
		touch go
		wait $!
		rm -f go here.*
		[ ! -s out ]
	done
	echo "${kilobytes[2]} kB with 2 ranks, ${kilobytes[64]} kB with 64"
	[ "${kilobytes[2]}" -gt 1000 ]
	# what the server has at a moment is some MB more or less; a rank that cost 64 kB would be seen
	[ $((kilobytes[64] - kilobytes[2])) -lt 4000 ]
	assert_nothing_left
}

@test "step: ranks that come late join the container that the early ones have left" {
	run -0 job srun -n 4 sh -c '
		[ $SLURM_PROCID = 0 ] || until test -e $WORK/first; do sleep 0.1; done
		$HPCRUN app:1 readlink /proc/self/ns/mnt
		touch $WORK/first'
	[ "${#lines[@]}" = 4 ]
	[ "$(count 1)" = 1 ]
	assert_nothing_left
}

@test "step: a script may run several programs, of several images" {
	run -0 job srun -n 2 sh -c 'for i in 1 2 3; do $HPCRUN app:$((i % 2 + 1)) cat /etc/where; done'
	[ "$(grep -cx 'inside the image' <<<"$output")" = 2 ]
	[ "$(grep -cx 'the other image' <<<"$output")" = 4 ]
	assert_nothing_left
}

@test "step: a task may run program after program of one image" {
	# each holds the container for the other; no task waits for one that has gone
	run -0 job srun -n 2 bash -c '$HPCRUN app:1 cat /etc/where; $HPCRUN app:1 cat /etc/where; exec $HPCRUN app:1 cat /etc/where'
	[ "$(grep -cx 'inside the image' <<<"$output")" = 6 ]
	[ "${#lines[@]}" = 6 ]
	assert_nothing_left
}

@test "step: two at once of a task that Slurm takes for one share its container" {
	run -0 job srun -n 1 sh -c '
		$HPCRUN app:1 sh -c "readlink /proc/self/ns/mnt; touch $WORK/there; until test -e $WORK/go; do sleep 0.1; done" &
		until test -e $WORK/there; do sleep 0.1; done
		$HPCRUN app:1 readlink /proc/self/ns/mnt
		touch $WORK/go
		wait'
	[ "${#lines[@]}" = 2 ]
	[ "$(count 1)" = 1 ]
	assert_nothing_left
}

@test "step: a session has no name any more as soon as the last task that might come has ended, or come" {
	# it looks for such tasks rarely: 1.6 s and 3.2 s after the beginning
	for last in exit true; do
		job srun -n 3 sh -c "[ \$SLURM_PROCID != 1 ] || { sleep 1.7; touch \$WORK/last; $last; }
			[ \$SLURM_PROCID != 2 ] || { sleep 1; exit; }
			exec \$HPCRUN app:1 sh -c '$WAIT'" 3>&- &
		wait_until 30 arrived here 1
		[ -n "$(names_on 1)" ]
		wait_until 10 test -e last
		wait_until 1 no_names_on 1
		touch go
		wait $!
		rm -f go last here.*
	done
	assert_nothing_left
}

@test "step: programs of different images in one step each have theirs" {
	printf '0-2 %s app:1 cat /etc/where\n3-5 %s app:2 cat /etc/where\n' "$HPCRUN" "$HPCRUN" >mpmd
	run -0 job srun -N 1 -n 6 --multi-prog "$SCRATCH/work/mpmd"
	[ "$(grep -cx 'inside the image' <<<"$output")" = 3 ]
	[ "$(grep -cx 'the other image' <<<"$output")" = 3 ]
	assert_nothing_left
}

@test "step: two steps and two jobs on one node have a container each" {
	job srun -w "$(node 1)" -n 2 "$HPCRUN" app:1 sh -c "readlink /proc/self/ns/mnt; $WAIT" >out.1 3>&- &
	wait_until 30 arrived here 2
	run -0 job salloc -Q -w "$(node 1)" -n 2 sh -c 'for i in 1 2; do
		srun --overlap -n 1 $HPCRUN app:1 sh -c "readlink /proc/self/ns/mnt; sleep 0.3" & done; wait'
	touch go
	wait
	[ "$(cat out.1 - <<<"$output" | sort -u | wc -l)" = 3 ]
	assert_nothing_left
}

@test "step: srun has the exit status of the program, and of a signal that ends it" {
	run -7 job srun -n 1 "$HPCRUN" app:1 sh -c 'exit 7'
	run -137 job srun -n 1 "$HPCRUN" app:1 sh -c 'kill -9 $$'
	run -127 job srun -n 2 "$HPCRUN" app:1 no-such-program
	assert_nothing_left
}

@test "step: a failure is printed once by each node, not by each rank" {
	run -125 job srun -N 2 --ntasks-per-node=8 "$HPCRUN" absent:1 true
	[ "$(grep -c "image 'absent:1' is not in the store" <<<"$output")" = 2 ]
	assert_nothing_left
}

@test "step: the program gets the signals of scancel, and nothing is left when it dies of one" {
	job srun -N 2 -n 4 "$HPCRUN" app:1 sh -c "trap 'touch \$WORK/usr1.\$SLURM_PROCID' USR1; $WAIT" 3>&- &
	wait_until 30 arrived here 4
	on_login root scancel --signal=USR1 "$(job_id).0"
	wait_until 20 arrived usr1 4
	on_login root scancel "$(job_id)"
	run ! wait $!
	wait_until 20 no_job
	assert_nothing_left
}

@test "step: nothing is left of a program that ignores SIGTERM, nor of its children" {
	job srun -N 2 -n 4 "$HPCRUN" app:1 sh -c "trap '' TERM; (sleep 1000) & $WAIT" 3>&- &
	wait_until 30 arrived here 4
	on_login root scancel "$(job_id)"
	run ! wait $!
	wait_until 30 no_job
	assert_nothing_left
}

@test "step: nothing is left of a session that is killed with the step and could do nothing about it" {
	# where Slurm leaves it alone it has to end by itself
	local signal=CONT
	! grep -q "^ProctrackType=proctrack/cgroup" "$CLUSTER/slurm.conf" || signal=STOP
	run -0 job srun -n 1 sh -c '
		$HPCRUN app:1 sh -c "touch $WORK/there; until test -e $WORK/go; do sleep 0.1; done; cat /etc/where" &
		until test -e $WORK/there; do sleep 0.1; done
		kill -$0 $(pgrep -x hpcrun-session)
		touch $WORK/go
		wait' "$signal"
	[ "$output" = 'inside the image' ]
	assert_nothing_left
}

@test "step: ctrl-C twice ends srun and all that it started" {
	# a shell without job control starts its background jobs with SIGINT ignored; env undoes that
	job env --default-signal=INT sh -c 'echo $$ >pid; exec "$@"' sh srun -N 2 -n 4 \
		"$HPCRUN" app:1 sh -c "trap '' INT; $WAIT" 3>&- &
	wait_until 30 arrived here 4
	kill -INT "$(cat pid)"
	sleep 0.3 # a person's
	kill -INT "$(cat pid)"
	run ! wait "$!"
	wait_until 30 no_job
	assert_nothing_left
}

@test "step: a job that is requeued starts again in a container of its own" {
	printf '#!/bin/sh\nsrun -n 2 $HPCRUN app:1 sh -c '\''%s'\''\n' \
		'touch $WORK/run-$SLURM_RESTART_COUNT.$SLURM_PROCID; until test -e $WORK/go; do sleep 0.1; done' >script
	id=$(job sbatch --parsable -n 2 --requeue -o /dev/null "$SCRATCH/work/script")
	wait_until 30 arrived run- 2
	on_login root scontrol requeuehold "$id"
	wait_until 30 on_login root scontrol release "$id"
	wait_until 40 started_again "$id"
	touch go
	wait_until 30 no_job
	assert_nothing_left
}
