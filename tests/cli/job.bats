#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# All nodes of a job step take a tag for the same image, though it moves while they start. A node is a runtime
# directory and a cache of its own. HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it.
# shellcheck disable=SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	need_mkstore
	scratch_make
	busybox_root "$SCRATCH/root" cat
	mkdir "$SCRATCH/site"
	site_start
}
teardown_file() { site_end; }

setup() {
	need userns
	need fuse
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store HPCRUN_CONF=$BATS_TEST_TMPDIR/conf
	printf '%s\n' 'session_linger = 0' 'upstream = no' >"$HPCRUN_CONF"
	export SLURM_JOB_ID=4711 SLURM_STEP_ID=0 SLURM_STEP_NUM_NODES=2 SLURM_STEP_TASKS_PER_NODE='1(x2)'
	cd /
}
teardown() { wait_until 20 none_left; }

# publish_as WORD STORE: the tag means an image that has the word in it.
publish_as() {
	echo "$1" >"$SCRATCH/root/word"
	"$MKSTORE" "$2" lab/app:1 "$SCRATCH/root" >/dev/null
}
# node N [COMMAND...]: what the image is there, started by that command.
node() {
	[ -d "$BATS_TEST_TMPDIR/run$1" ] || mkdir -m 700 "$BATS_TEST_TMPDIR/run$1"
	XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run$1 HPCRUN_CACHE=$BATS_TEST_TMPDIR/cache$1 SLURM_NODEID=$1 \
		"${@:2}" timeout 60 "$HPCRUN" --no-home lab/app:1 cat /word
}

@test "job: the second node runs what the first one found, though the tag moved" {
	publish_as old "$HPCRUN_STORE"
	[ "$(node 0)" = old ]
	publish_as new "$HPCRUN_STORE"
	[ "$(node 1)" = old ]
	SLURM_STEP_ID=1 run -0 node 1
	[ "$output" = new ]
	SLURM_RESTART_COUNT=1 run -0 node 1
	[ "$output" = new ]
	[ "$(find "$HPCRUN_STORE/jobs" -type f | wc -l)" = 3 ]
	[ -z "$(find "$HPCRUN_STORE/tmp" -type f)" ]
}

@test "job: the first one is that, too, in a store where no file has two names" { # F8
	local without=("$HPCRUN_BUILD/tests/lib/without" links)
	publish_as old "$HPCRUN_STORE"
	[ "$(node 0 "${without[@]}")" = old ]
	publish_as new "$HPCRUN_STORE"
	[ "$(node 1 "${without[@]}")" = old ]
	[ -z "$(find "$HPCRUN_STORE/tmp" -type f)" ]
}

@test "job: also of a store behind a web server, if the user's own comes first" {
	publish_as old "$SCRATCH/site"
	HPCRUN_STORE="$HPCRUN_STORE http://127.0.0.1:$(cat "$SCRATCH/web/port")"
	"$MKSTORE" "${HPCRUN_STORE%% *}" lab/other:1 "$SCRATCH/root" >/dev/null
	[ "$(node 0)" = old ]
	publish_as new "$SCRATCH/site"
	[ "$(node 1)" = old ]
	[ "$(SLURM_STEP_ID=1 node 1)" = new ]
}

@test "job: past a store that does not answer no node takes a tag for what others may not" {
	local own=$HPCRUN_STORE dead=http://127.0.0.1:1 url
	url=http://127.0.0.1:$(cat "$SCRATCH/web/port")
	publish_as old "$own"
	publish_as new "$SCRATCH/site"
	HPCRUN_STORE="$dead $own"
	[ "$(node 0)" = old ] # which is recorded
	HPCRUN_STORE="$url $own"
	[ "$(node 1)" = old ]
	export SLURM_STEP_ID=1
	[ "$(node 0)" = new ]
	HPCRUN_STORE="$dead $own"
	fail_with "cannot read '$dead/.*; image 'lab/app:1' is in no store that answers" node 1
	HPCRUN_STORE="$dead $url" # nowhere to agree
	fail_with "other nodes of the job may find another image 'lab/app:1' there" node 1
	[ "$(SLURM_STEP_NUM_NODES=1 node 1)" = new ]
}

@test "job: nothing is recorded for one node, or outside a step" {
	publish_as old "$HPCRUN_STORE"
	[ "$(SLURM_STEP_NUM_NODES=1 node 0)" = old ]
	unset SLURM_STEP_ID
	[ "$(node 0)" = old ]
	[ ! -e "$HPCRUN_STORE/jobs" ]
}

@test "job: a store that cannot be written to, and a damaged or old record, are no obstacle" {
	publish_as old "$HPCRUN_STORE"
	: >"$HPCRUN_STORE/jobs"
	[ "$(node 0)" = old ]
	rm "$HPCRUN_STORE/jobs"
	[ "$(node 0)" = old ]
	publish_as new "$HPCRUN_STORE"
	sed -i 's/^pulled .*/pulled 1000000000/' "$HPCRUN_STORE"/jobs/*
	[ "$(node 1)" = new ]
	echo damaged >"$(find "$HPCRUN_STORE/jobs" -type f)"
	[ "$(node 1)" = new ]
}
