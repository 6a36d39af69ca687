#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The first run of an image that nobody has pulled, and --pull.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	file_setup
	publish busybox whiteouts
	export HPCRUN_CONF=$SCRATCH/conf REAL_LIBEXEC
	echo 'session_linger = 0' >"$HPCRUN_CONF"
	unset HPCRUN_LIBEXECDIR
	REAL_LIBEXEC=$(dirname "$HPCRUN")/../libexec/hpcrun
	[ -x "$REAL_LIBEXEC/hpcrun-session" ] || REAL_LIBEXEC=${HPCRUN_BUILD:-}
}
teardown_file() { file_teardown; }

setup() {
	need userns
	need fuse
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store IMAGE=$REGISTRY/test/busybox:1 HPCRUN_LIBEXECDIR=$REAL_LIBEXEC
	unset HPCRUN_PULL
	: >"$REG_LOG"
	cd "$SCRATCH" || return
}

teardown() {
	local pid
	# what a failed test left must not hold up the others
	for pid in $(leftovers | cut -d' ' -f1); do
		kill -KILL "$pid" 2>/dev/null
	done
	return 0
}

stores_at_work() { leftovers | grep -c 'hpcrun-store$'; }
pulls_run() { [ "$(stores_at_work)" -ge "$1" ]; }
in_step() { # RANKS: look like the only node of a Slurm step
	export SLURM_JOB_ID=7 SLURM_STEP_ID=$BATS_TEST_NUMBER SLURM_NODEID=0 SLURM_STEP_TASKS_PER_NODE=$1
}

# slow_pull: from now on hpcrun-store waits before it begins, until the file "go" is there. Each start is a line of
# the file "pulls".
slow_pull() {
	local dir=$BATS_TEST_TMPDIR/libexec
	mkdir -p "$dir"
	ln -sf "$REAL_LIBEXEC"/hpcrun-* "$dir/"
	rm "$dir/hpcrun-store"
	cat >"$dir/hpcrun-store" <<-WRAP
		#!/bin/sh
		echo "\$*" >>'$BATS_TEST_TMPDIR/pulls'
		for sig in INT TERM; do
			trap "echo 'hpcrun: interrupted' >&2; trap - \$sig; kill -\$sig \$\$" \$sig
		done
		until [ -e '$BATS_TEST_TMPDIR/go' ]; do sleep 0.05; done
		exec '$REAL_LIBEXEC/hpcrun-store' "\$@"
	WRAP
	chmod 755 "$dir/hpcrun-store"
	export HPCRUN_LIBEXECDIR=$dir
}
pulls() { [ "$(grep -c . "$BATS_TEST_TMPDIR/pulls" 2>/dev/null)" = "$1" ]; }
go() { : >"$BATS_TEST_TMPDIR/go"; }

@test "first run: an image that is not there is pulled, and run" {
	run -0 --separate-stderr "$HPCRUN" "$IMAGE" echo ran
	[ "$output" = ran ]
	[[ $stderr == *"pulling $IMAGE"* ]]
	run -0 "$HPCRUN" images
	[[ $output == *test/busybox* ]]
}

@test "first run: of exec and shell, too" {
	run -0 --separate-stderr "$HPCRUN" exec "$IMAGE" echo ran
	[ "$output" = ran ]
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/other
	run -0 --separate-stderr bash -c 'echo "echo typed" | "$HPCRUN" shell "$IMAGE"'
	[ "$output" = typed ]
}

@test "first run: the program's standard input is untouched by the pull" {
	run -0 --separate-stderr bash -c 'echo words | "$HPCRUN" "$IMAGE" cat'
	[ "$output" = words ]
}

@test "first run: what is there is run without a word to the registry" {
	"$HPCRUN" pull "$IMAGE"
	: >"$REG_LOG"
	run -0 "$HPCRUN" "$IMAGE" echo ran
	[ "$output" = ran ]
	[ "$(registry_requests /)" = 0 ]
}

@test "first run: 16 ranks at once make one pull, and one container" {
	local i
	for i in $(seq 16); do
		"$HPCRUN" "$IMAGE" ls -l /proc/self/ns/mnt >"$BATS_TEST_TMPDIR/out.$i" 2>"$BATS_TEST_TMPDIR/err.$i" 3>&- &
	done
	wait
	[ "$(grep -ho 'mnt:.*' "$BATS_TEST_TMPDIR"/out.* | wc -l)" = 16 ]
	[ "$(grep -ho 'mnt:.*' "$BATS_TEST_TMPDIR"/out.* | sort -u | wc -l)" = 1 ]
	[ "$(cat "$BATS_TEST_TMPDIR"/err.* | grep -c "^pulling $IMAGE")" = 1 ]
	[ "$(registry_requests '/v2/test/busybox/manifests/')" = 1 ]
	# the config and the one layer
	[ "$(registry_requests '/v2/test/busybox/blobs/')" = 2 ]
}

@test "first run: nodes that share a store import once" {
	local i
	slow_pull
	for i in $(seq 8); do
		# another step is another session, as another node is
		SLURM_JOB_ID=7 SLURM_STEP_ID=$i "$HPCRUN" "$IMAGE" echo ran >"$BATS_TEST_TMPDIR/out.$i" 2>&1 3>&- &
	done
	wait_until 20 pulls 8
	go
	wait
	[ "$(grep -lx ran "$BATS_TEST_TMPDIR"/out.* | wc -l)" = 8 ]
	[ "$(registry_requests '/v2/test/busybox/blobs/')" = 2 ]
}

@test "first run: one that waits for another's pull is told so, once" {
	local i
	slow_pull
	"$HPCRUN" "$IMAGE" true 2>"$BATS_TEST_TMPDIR/err.1" 3>&- &
	wait_until 20 pulls 1
	for i in 2 3 4; do
		"$HPCRUN" "$IMAGE" true 2>"$BATS_TEST_TMPDIR/err.$i" 3>&- &
	done
	# by the directory: not all of the files need be there yet
	wait_until 20 grep -rq --include 'err.*' "waiting for another process of yours, which pulls '$IMAGE'" "$BATS_TEST_TMPDIR"
	sleep 1.5
	go
	wait
	[ "$(cat "$BATS_TEST_TMPDIR"/err.* | grep -c 'waiting for')" = 1 ]
	[ "$(wc -l <"$BATS_TEST_TMPDIR/pulls")" = 1 ]
}

@test "first run: the rank that pulls may be killed; another one pulls" {
	local first
	slow_pull
	"$HPCRUN" "$IMAGE" true 3>&- &
	first=$!
	wait_until 20 pulls 1
	"$HPCRUN" "$IMAGE" echo second >"$BATS_TEST_TMPDIR/out" 3>&- &
	sleep 0.3
	kill -KILL "$first"
	wait_until 20 pulls 2
	go
	wait $!
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = second ]
	wait_until 10 none_left
}

@test "first run: when all that wanted the image are killed, nothing stays" {
	slow_pull
	"$HPCRUN" "$IMAGE" true 3>&- &
	wait_until 20 pulls 1
	kill -KILL $!
	go
	wait_until 20 none_left
	# and the next one is well served
	run -0 "$HPCRUN" "$IMAGE" echo ran
	[ "$output" = ran ]
}

@test "first run: the session may be killed during the pull" {
	local pid
	slow_pull
	"$HPCRUN" "$IMAGE" echo ran >"$BATS_TEST_TMPDIR/out" 3>&- &
	pid=$!
	wait_until 20 pulls 1
	# the older one; the other is its builder
	kill -KILL "$(leftovers | sed -n 's/ .*hpcrun-session$//p' | sort -n | head -n 1)"
	go
	wait "$pid"
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = ran ]
}

@test "first run: an interrupt ends the pull, and leaves nothing half made" {
	local sig status
	for sig in INT:130 TERM:143; do
		slow_pull
		rm -f "$BATS_TEST_TMPDIR/pulls"
		# a background job of a shell has SIGINT ignored; setsid -w has not
		/usr/bin/python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' "$HPCRUN" "$IMAGE" true 2>"$BATS_TEST_TMPDIR/err" 3>&- &
		wait_until 20 pulls 1
		sleep 0.2
		kill -"${sig%:*}" $!
		status=0
		wait $! || status=$?
		[ "$status" = "${sig#*:}" ]
		[ "$(cat "$BATS_TEST_TMPDIR/err")" = 'hpcrun: interrupted' ]
		wait_until 10 none_left
	done
	go
	run -0 "$HPCRUN" "$IMAGE" true
}

@test "first run: a pull that fails is told once, by itself" {
	fail_with 'test/absent' "$HPCRUN" "$REGISTRY/test/absent:1" true
	run -125 "$HPCRUN" "$REGISTRY/test/absent:1" true
	[ "$(grep -c 'cannot pull' <<<"$output")" = 1 ]
	[ "$(grep -vc 'hint: ' <<<"$output")" = 1 ]
	# nothing is in the way of the next one
	run -0 --separate-stderr "$HPCRUN" "$IMAGE" echo ran
	[ "$output" = ran ]
}

@test "first run: the registry is down" {
	fail_with "cannot pull '127.0.0.1:1/test/busybox:1'" "$HPCRUN" 127.0.0.1:1/test/busybox:1 true
}

@test "first run: in a step a pull that fails is told once per node" {
	local i
	in_step 8
	for i in $(seq 8); do
		"$HPCRUN" "$REGISTRY/test/absent:1" true >"$BATS_TEST_TMPDIR/out.$i" 2>&1 3>&- || echo "status $?" >>"$BATS_TEST_TMPDIR/out.$i" &
	done
	wait
	[ "$(cat "$BATS_TEST_TMPDIR"/out.* | grep -cx 'status 125')" = 8 ]
	[ "$(cat "$BATS_TEST_TMPDIR"/out.* | grep -c 'cannot pull')" = 1 ]
	[ "$(cat "$BATS_TEST_TMPDIR"/out.* | grep -c '^hpcrun: ')" -le 2 ]
	wait_until 10 none_left
}

@test "first run: hpcrun-store that dies is told" {
	slow_pull
	printf '#!/bin/sh\nkill -KILL $$\n' >"$HPCRUN_LIBEXECDIR/hpcrun-store"
	fail_with 'killed by signal 9' "$HPCRUN" "$IMAGE" true
	rm "$HPCRUN_LIBEXECDIR/hpcrun-store"
	fail_with "cannot start '.*hpcrun-store'" "$HPCRUN" "$IMAGE" true
}

@test "first run: --store says where the image goes" {
	run -0 --separate-stderr "$HPCRUN" run --store "$BATS_TEST_TMPDIR/given" --store "$BATS_TEST_TMPDIR/second" "$IMAGE" echo ran
	[ "$output" = ran ]
	[ -d "$BATS_TEST_TMPDIR/given/packs" ]
	[ ! -e "$BATS_TEST_TMPDIR/second" ]
	[ ! -e "$HPCRUN_STORE" ]
}

@test "first run: a mistyped verb is not pulled" {
	fail_with "did you mean 'hpcrun images'" "$HPCRUN" imags
	fail_with "did you mean 'hpcrun inspect'" "$HPCRUN" insepct "$IMAGE"
}

@test "first run: a bare digest that is nowhere cannot be pulled" {
	fail_with 'is not in the store' "$HPCRUN" "sha256:$(printf '%064d' 1)" true
	[ "$(registry_requests /)" = 0 ]
}

# -- --pull

@test "pull=never: the image is missing, and how to get it" {
	fail_with "hpcrun pull $IMAGE" "$HPCRUN" run --pull=never "$IMAGE" true
	HPCRUN_PULL=never fail_with "is not in the store" "$HPCRUN" "$IMAGE" true
	[ "$(registry_requests /)" = 0 ]
	# the option is the last word
	HPCRUN_PULL=never run -0 "$HPCRUN" run --pull missing "$IMAGE" true
}

@test "pull: another word than missing, always or never is refused" {
	fail_with "--pull 'sometimes' is none of: missing, always, never" "$HPCRUN" run --pull=sometimes "$IMAGE" true
	fail_with "HPCRUN_PULL 'no' is none of" env HPCRUN_PULL=no "$HPCRUN" "$IMAGE" true
}

@test "pull=always: asks the registry once, and says nothing when nothing changed" {
	"$HPCRUN" pull "$IMAGE"
	: >"$REG_LOG"
	run -0 "$HPCRUN" run --pull=always "$IMAGE" echo ran
	[ "$output" = ran ]
	[ "$(registry_requests /)" = 1 ]
}

@test "pull=always: a tag that moved is followed, also right after another run" {
	publish_moving busybox
	run -0 --separate-stderr "$HPCRUN" run --pull=always "$REGISTRY/test/moving:1" cat /etc/passwd
	publish_moving whiteouts
	: >"$REG_LOG"
	run -0 --separate-stderr "$HPCRUN" "$REGISTRY/test/moving:1" true
	[ "$(registry_requests /)" = 0 ]
	echo 'session_linger = 60' >"$BATS_TEST_TMPDIR/conf"
	export HPCRUN_CONF=$BATS_TEST_TMPDIR/conf
	run -0 --separate-stderr "$HPCRUN" run --pull=always "$REGISTRY/test/moving:1" true
	[[ $stderr == *"pulling $REGISTRY/test/moving:1"* ]]
	publish_moving busybox
	run -0 --separate-stderr "$HPCRUN" run --pull=always "$REGISTRY/test/moving:1" true
	[[ $stderr == *"pulling $REGISTRY/test/moving:1"* ]]
}

# publish_moving NAME: give test/moving:1 the content of test/NAME:1.
publish_moving() {
	need skopeo
	skopeo copy -q --insecure-policy --src-tls-verify=false --dest-tls-verify=false \
		"docker://$REGISTRY/test/$1:1" "docker://$REGISTRY/test/moving:1"
}

@test "pull=always: without the registry the run fails, although the image is there" {
	"$HPCRUN" pull "$IMAGE"
	mkdir -p "$HPCRUN_STORE/refs/127.0.0.1:1/test"
	cp -r "$HPCRUN_STORE/refs/$REGISTRY/test/busybox" "$HPCRUN_STORE/refs/127.0.0.1:1/test/"
	run -0 "$HPCRUN" 127.0.0.1:1/test/busybox:1 true
	fail_with 'cannot pull' "$HPCRUN" run --pull=always 127.0.0.1:1/test/busybox:1 true
}

@test "pull=always: a digest that is there is not pulled" {
	local digest
	run -0 "$HPCRUN" pull -q "$IMAGE"
	digest=$output
	: >"$REG_LOG"
	run -0 "$HPCRUN" run --pull=always "$REGISTRY/test/busybox@$digest" echo ran
	[ "$output" = ran ]
	run -0 "$HPCRUN" run --pull=always "$digest" echo ran
	[ "$output" = ran ]
	[ "$(registry_requests /)" = 0 ]
}

@test "pull=always: the ranks of a node that run at once ask once" {
	local i
	in_step 16
	"$HPCRUN" pull "$IMAGE"
	: >"$REG_LOG"
	for i in $(seq 16); do
		"$HPCRUN" run --pull=always "$IMAGE" echo ran >"$BATS_TEST_TMPDIR/out.$i" 2>&1 3>&- &
	done
	wait
	[ "$(cat "$BATS_TEST_TMPDIR"/out.* | grep -cx ran)" = 16 ]
	[ "$(registry_requests /)" = 1 ]
}

@test "pull: the second pull of a tag that has not moved is one request, and changes no file" {
	"$HPCRUN" pull "$IMAGE"
	find "$HPCRUN_STORE" -type f -newermt '1970-01-02' -printf '%p %T@\n' | sort >"$BATS_TEST_TMPDIR/before"
	: >"$REG_LOG"
	run -0 "$HPCRUN" pull "$IMAGE"
	[[ $output == *"already here"* ]]
	run -0 "$HPCRUN" pull --if-changed "$IMAGE"
	[ -z "$output" ]
	[ "$(registry_requests /)" = 2 ]
	find "$HPCRUN_STORE" -type f -newermt '1970-01-02' -printf '%p %T@\n' | sort | cmp "$BATS_TEST_TMPDIR/before"
}

@test "pull: an unchanged tag whose pack is missing is pulled again" {
	"$HPCRUN" pull "$IMAGE"
	find "$HPCRUN_STORE/packs" -type f -delete
	"$HPCRUN" pull --if-changed "$IMAGE"
	run -0 "$HPCRUN" "$IMAGE" echo ran
	[ "$output" = ran ]
}
