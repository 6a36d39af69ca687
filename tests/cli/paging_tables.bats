#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The tables of packs, which have the digests of frames: fetched when that pays, never needed.
# HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it.
# shellcheck disable=SC1091 # the library is checked by itself
# shellcheck disable=SC2030,SC2031 # each test is a subshell, and means to be one

bats_require_minimum_version 1.5.0

setup_file() {
	. "$BATS_TEST_DIRNAME/../lib/common.bash"
	mkstore=${HPCRUN_BUILD:-}/tests/lib/mkstore
	[ -x "$mkstore" ] || skip "no $mkstore"
	scratch_make
	mkdir -p "$SCRATCH/root/data"
	busybox_root "$SCRATCH/root" sh cat true
	# digits take half of their bytes, and so a table saves its own many times over
	head -c 6000000 /dev/urandom | od -An -v -tx1 >"$SCRATCH/root/data/digits"
	head -c 1000000 /dev/urandom >"$SCRATCH/root/data/random"
	"$mkstore" "$SCRATCH/site" lab/digits:1 "$SCRATCH/root" >/dev/null
	pack=$(find "$SCRATCH/site/packs" -type f)
	web_store_start "$SCRATCH/site" "$SCRATCH/web"
	export pack mkstore
	chmod 755 "$SCRATCH"
}

teardown_file() {
	. "$BATS_TEST_DIRNAME/../lib/common.bash"
	web_store_stop "$SCRATCH/web"
	scratch_remove
}

setup() {
	. "$BATS_TEST_DIRNAME/../lib/common.bash"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$SCRATCH/web/port")
	export HPCRUN_STORE HPCRUN_CACHE="$BATS_TEST_TMPDIR/cache" HPCRUN_CONF="$BATS_TEST_TMPDIR/conf"
	printf 'session_linger = 0\noutage_wait = 5\nupstream = no\nnative_files = no\n' >"$HPCRUN_CONF"
	fault
	: >"$SCRATCH/web/log"
	cd /
}

teardown() {
	. "$BATS_TEST_DIRNAME/../lib/common.bash"
	web_store_stop "$BATS_TEST_TMPDIR/web"
	fault
	wait_until 10 no_leftovers
}

no_leftovers() { [ -z "$(leftovers)" ]; }
fault() { printf '%s' "$*" >"$SCRATCH/web/fault"; }
run_image() { timeout 60 "$HPCRUN" --no-home lab/digits:1 "$@"; }
# how often something of the last bytes of the pack was asked for
tables_asked() { grep -c "/packs/.*-$(($(stat -c %s "$pack") - 1))\$" "$SCRATCH/web/log" || :; }
# all of the image comes, in a cache of its own
brings_all() {
	rm -rf "$HPCRUN_CACHE"
	"$HPCRUN" prefetch lab/digits:1
}
# and is right
is_right() {
	fault all reset
	run_image cat /data/digits /data/random | cmp - <(cat "$SCRATCH/root/data/digits" "$SCRATCH/root/data/random")
}

@test "tables: one is asked for once, and not for a program that touches little" {
	need userns
	need fuse
	brings_all
	[ "$(tables_asked)" -eq 1 ]
	is_right
	fault
	wait_until 10 no_leftovers
	rm -rf "$HPCRUN_CACHE"
	: >"$SCRATCH/web/log"
	run_image true
	grep -q /packs/ "$SCRATCH/web/log"
	[ "$(tables_asked)" -eq 0 ]
	wait_until 10 no_leftovers
	run_image cat /data/digits /data/random | cmp - <(cat "$SCRATCH/root/data/digits" "$SCRATCH/root/data/random")
	[ "$(tables_asked)" -le 1 ]
}

@test "tables: one that is not there, slow, short or wrong is done without" {
	need userns
	need fuse
	for bad in 'status 404' short flip 'slow 1'; do
		: >"$SCRATCH/web/log"
		fault table "$bad"
		brings_all
		[ "$(tables_asked)" -eq 1 ]
	done
	is_right
	wait_until 10 no_leftovers
	rm -rf "$HPCRUN_CACHE"
	fault table silent
	SECONDS=0
	run_image cat /data/digits /data/random | cmp - <(cat "$SCRATCH/root/data/digits" "$SCRATCH/root/data/random")
	[ "$SECONDS" -lt 15 ]
}

@test "tables: a pack with one of before has no table of today, and is read" {
	cp -r "$SCRATCH/site" "$BATS_TEST_TMPDIR/site"
	/usr/bin/python3 "$BATS_TEST_DIRNAME/../lib/old_table.py" "$BATS_TEST_TMPDIR/site"
	web_store_start "$BATS_TEST_TMPDIR/site" "$BATS_TEST_TMPDIR/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")
	brings_all
}

@test "tables: a frame that another writer made of the same chunk is as good" {
	fault frames other
	brings_all
	[ "$(tables_asked)" -eq 1 ]
}

@test "tables: with the right table, bytes that were chosen for their check sum are refused" { # E13
	fault frames forge
	run -125 "$HPCRUN" prefetch lab/digits:1
	[ "$(tables_asked)" -ge 1 ]
	fault
	brings_all
}

@test "tables: a frame with the digest that the table has for it is believed, and no other" {
	# digests of chunks that are wrong: until the table is there nothing is right, then all is
	"$mkstore" "$BATS_TEST_TMPDIR/site" lab/digits:1 "$SCRATCH/root" 1 wrong
	web_store_start "$BATS_TEST_TMPDIR/site" "$BATS_TEST_TMPDIR/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")
	run -125 "$HPCRUN" prefetch lab/digits:1
	[[ $output =~ ([0-9]+)' of '([0-9]+)' chunks are not in the cache' ]]
	[ "${BASH_REMATCH[1]}" -lt "${BASH_REMATCH[2]}" ]
	printf frames\ other >"$BATS_TEST_TMPDIR/web/fault"
	rm -rf "$HPCRUN_CACHE"
	run -125 "$HPCRUN" prefetch lab/digits:1
	[[ $output =~ ([0-9]+)' of '([0-9]+)' chunks are not in the cache' ]]
	[ "${BASH_REMATCH[1]}" -eq "${BASH_REMATCH[2]}" ]
}
