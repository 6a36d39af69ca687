#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Where each job has a /tmp and a /dev/shm of its own (job_container/tmpfs): sessions are found, and end, all the same.
# shellcheck disable=SC2016,SC2034,SC2154,SC2206  # $ is for the shells on the nodes, LOGIN_ENV for lib.bash; bats sets output and status

bats_require_minimum_version 1.5.0
load common

setup_file() { [ -z "${CLUSTER:-}" ] || cluster_up PRIVATE_TMP=yes; }
# shellcheck disable=SC2119  # as it is by default
teardown_file() { [ -z "${CLUSTER:-}" ] || cluster_up; }

# The job's /tmp covers what the nodes share with this machine below it; they have it here, too ("node").
PREFIX=/run/hold/2 SHARED=/run/hold/3
setup() {
	need_cluster
	LOGIN_ENV=(HPCRUN=$PREFIX/bin/hpcrun HPCRUN_LIBEXECDIR=$PREFIX/libexec/hpcrun HPCRUN_STORE=$SHARED/store
		HPCRUN_PULL=never WORK=$SHARED/work HPCRUN_BIND=$SHARED/work)
	job srun -D / -N 1 sh -c 'grep -q " /tmp " /proc/mounts && test ! -e "$0"' "$SCRATCH" ||
		skip 'this Slurm does not make a /tmp for each job'
}
teardown() { cancel_all; }

# What jobs leave in their directories goes with these; what Slurm itself has there must go, too.
no_job_directory() {
	local k
	for k in $(seq "$(wc -l <"$CLUSTER/nodes")"); do
		[ -z "$(on_node "$k" find /run/jobs -mindepth 2)" ] || return
	done
}

@test "private /tmp: the ranks of a node share one container, with the job's /tmp and /dev/shm in it" {
	run -0 job srun -D / -N 2 --ntasks-per-node=4 sh -c '
		[ $SLURM_LOCALID != 0 ] || { echo $SLURM_NODEID >/tmp/mine; echo $SLURM_NODEID >/dev/shm/mine; }
		exec $HPCRUN app:1 sh -c "echo >\$WORK/here.\$SLURM_PROCID
			until test -e \$WORK/here.0 && test -e \$WORK/here.4; do sleep 0.1; done
			echo \$(readlink /proc/self/ns/mnt) \$(cat /tmp/mine /dev/shm/mine)"'
	echo "$output"
	[ "${#lines[@]}" = 8 ]
	[ "$(sort -u <<<"$output" | wc -l)" = 2 ]
	[ "$(grep -c ' 0 0$' <<<"$output")" = 4 ]
	[ "$(grep -c ' 1 1$' <<<"$output")" = 4 ]
	assert_nothing_left
	wait_until 10 no_job_directory
}

@test "private /tmp: ranks that come late, and programs in turn, join; two jobs do not meet" {
	run -0 job srun -D / -n 4 sh -c '
		[ $SLURM_PROCID = 0 ] || until test -e $WORK/first; do sleep 0.1; done
		$HPCRUN app:1 readlink /proc/self/ns/mnt
		touch $WORK/first
		$HPCRUN app:2 cat /etc/where'
	[ "$(grep -c '^mnt:' <<<"$output")" = 4 ]
	[ "$(grep '^mnt:' <<<"$output" | sort -u | wc -l)" = 1 ]
	[ "$(grep -cx 'the other image' <<<"$output")" = 4 ]
	rm -f first
	for i in 1 2; do
		job srun -D / -N 1 -w "$(node 1)" -n 2 sh -c '$HPCRUN app:1 sh -c "readlink /proc/self/ns/mnt; touch \$WORK/here.\$0.\$SLURM_PROCID
			until test -e \$WORK/go; do sleep 0.1; done" "$0"' "$i" >"out.$i" 3>&- &
	done
	wait_until 30 arrived here 4
	touch go
	wait
	[ "$(sort -u out.1 | wc -l)" = 1 ]
	[ "$(sort -u out.1 out.2 | wc -l)" = 2 ]
	assert_nothing_left
	wait_until 10 no_job_directory
}

@test "private /tmp: nothing is left of a job that is cancelled, nor of its directories" {
	job srun -D / -N 2 -n 8 sh -c 'exec $HPCRUN app:1 sh -c "touch \$WORK/here.\$SLURM_PROCID; sleep 600"' 3>&- &
	wait_until 30 arrived here 8
	on_login root scancel "$(job_id)"
	run ! wait $!
	wait_until 30 no_job
	assert_nothing_left
	wait_until 10 no_job_directory
}
