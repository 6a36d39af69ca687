#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Disks that fail, bytes that flip, files that go away and processes that are killed while an image is used: what a
# program reads is right, or an error. HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it.
# shellcheck disable=SC1091 # the library is checked by itself
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	export MKSTORE=${HPCRUN_BUILD:-}/tests/lib/mkstore
	[ -x "$MKSTORE" ] || skip "no $MKSTORE"
	scratch_make
	mkdir -p "$SCRATCH/root/bin" "$SCRATCH/root/data" "$SCRATCH/web"
	cp /bin/busybox "$SCRATCH/root/bin/busybox"
	ln -s busybox "$SCRATCH/root/bin/sh"
	head -c 2500000 /dev/urandom >"$SCRATCH/root/data/large"
	for i in $(seq 40); do
		head -c $((i * 400)) /dev/urandom >"$SCRATCH/root/data/f$i"
	done
	"$MKSTORE" "$SCRATCH/site" lab/fault:1 "$SCRATCH/root" >/dev/null
	(cd "$SCRATCH/root" && busybox sh -c "$list") >"$SCRATCH/want"
	: >"$SCRATCH/web/fault"
	/usr/bin/python3 "$TESTS_DIR/lib/web_store.py" "$SCRATCH/site" "$SCRATCH/web" >"$SCRATCH/web/out" 2>&1 3>&- &
	echo $! >"$SCRATCH/web/pid"
	wait_until 20 test -e "$SCRATCH/web/port"
}
teardown_file() {
	[ -e "$SCRATCH/web/pid" ] && kill "$(cat "$SCRATCH/web/pid")"
	scratch_remove
}

setup() {
	need userns
	need fuse
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store HPCRUN_CACHE=$BATS_TEST_TMPDIR/cache HPCRUN_CONF=$BATS_TEST_TMPDIR/conf
	printf 'session_linger = 0\noutage_wait = 20\n' >"$HPCRUN_CONF"
	cp -r "$SCRATCH/site" "$HPCRUN_STORE"
	cd /
}
teardown() { wait_until 20 none_left; }

none_left() { [ -z "$(leftovers)" ]; }
run_image() { timeout 60 "$HPCRUN" --no-home lab/fault:1 "$@"; }

# Names, types, sizes and content of all that matters.
list='cd data && for f in *; do echo "$f $(wc -c <"$f") $(md5sum <"$f")"; done'
all_of() { run_image sh -c "cd / && $list"; }
is_right() { all_of >"$BATS_TEST_TMPDIR/got" && cmp "$SCRATCH/want" "$BATS_TEST_TMPDIR/got"; }

# failing CALL:error=NAME[:when=N]: as is_right, with this system call failing in every process of ours.
right_with_failing() {
	strace -qqf -o /dev/null -e trace=none -e "inject=$1" timeout 60 "$HPCRUN" --no-home lab/fault:1 \
		sh -c "cd / && $list" >"$BATS_TEST_TMPDIR/got" &&
		cmp "$SCRATCH/want" "$BATS_TEST_TMPDIR/got"
}

@test "gc: a program goes on in an image that was removed meanwhile" { # F9
	go=$BATS_TEST_TMPDIR/go
	run_image sh -c "echo; until [ -e $go ]; do sleep 0.1; done; cd / && $list" >"$BATS_TEST_TMPDIR/got" &
	pid=$!
	wait_until 20 test -s "$BATS_TEST_TMPDIR/got"
	"$HPCRUN" rmi lab/fault:1
	"$HPCRUN" gc --grace 0
	[ -z "$(find "$HPCRUN_STORE/packs" -type f)" ]
	touch "$go"
	wait "$pid"
	tail -n +2 "$BATS_TEST_TMPDIR/got" | cmp "$SCRATCH/want" -
}

@test "faults: a pack that another host replaced is opened again" { # F8
	need strace
	right_with_failing pread64:error=ESTALE:when=4+7
}
