#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The tables of packs, which have the digests of frames: fetched when that pays, never needed.
# HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it.
# shellcheck disable=SC1091 # the library is checked by itself
# shellcheck disable=SC2030,SC2031 # each test is a subshell, and means to be one

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	need_mkstore
	scratch_make
	mkdir -p "$SCRATCH/root/data"
	busybox_root "$SCRATCH/root" sh cat true
	# digits take half of their bytes, and so a table saves its own many times over
	head -c 6000000 /dev/urandom | od -An -v -tx1 >"$SCRATCH/root/data/digits"
	head -c 1000000 /dev/urandom >"$SCRATCH/root/data/random"
	"$MKSTORE" "$SCRATCH/site" lab/digits:1 "$SCRATCH/root" >/dev/null
	pack=$(find "$SCRATCH/site/packs" -type f)
	export pack
	site_start
	chmod 755 "$SCRATCH"
}

teardown_file() { site_end; }

setup() { site_use 'outage_wait = 5' 'upstream = no' 'native_files = no'; }

teardown() {
	web_store_stop "$BATS_TEST_TMPDIR/web" # of a test that failed
	site_fault
	wait_until 10 none_left
}

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
	site_fault all reset
	run_image cat /data/digits /data/random | cmp - <(cat "$SCRATCH/root/data/digits" "$SCRATCH/root/data/random")
}

@test "tables: one is asked for once, and not for a program that touches little" {
	brings_all
	[ "$(tables_asked)" -eq 1 ]
	is_right
	site_fault
	wait_until 10 none_left
	rm -rf "$HPCRUN_CACHE"
	: >"$SCRATCH/web/log"
	run_image true
	grep -q /packs/ "$SCRATCH/web/log"
	[ "$(tables_asked)" -eq 0 ]
	wait_until 10 none_left
	run_image cat /data/digits /data/random | cmp - <(cat "$SCRATCH/root/data/digits" "$SCRATCH/root/data/random")
	[ "$(tables_asked)" -le 1 ]
}

@test "tables: one that is not there, slow, short or wrong is done without" {
	for bad in 'status 404' short flip 'slow 1'; do
		: >"$SCRATCH/web/log"
		site_fault table "$bad"
		brings_all
		[ "$(tables_asked)" -eq 1 ]
	done
	is_right
	wait_until 10 none_left
	site_fault table silent
	SECONDS=0
	brings_all
	rm -rf "$HPCRUN_CACHE"
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
	site_fault frames other
	brings_all
	[ "$(tables_asked)" -eq 1 ]
}

@test "tables: with the right table, bytes that were chosen for their check sum are refused" { # E13
	site_fault frames forge
	run -125 "$HPCRUN" prefetch lab/digits:1
	[ "$(tables_asked)" -ge 1 ]
	site_fault
	brings_all
}

@test "tables: a frame with the digest that the table has for it is believed, and no other" {
	# digests of chunks that are wrong: until the table is there nothing is right, then all is
	"$MKSTORE" "$BATS_TEST_TMPDIR/site" lab/digits:1 "$SCRATCH/root" 1 wrong
	web_store_start "$BATS_TEST_TMPDIR/site" "$BATS_TEST_TMPDIR/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")
	export HPCRUN_STORE
	run -125 "$HPCRUN" prefetch lab/digits:1
	[[ $output =~ ([0-9]+)' of '([0-9]+)' chunks are not in the cache' ]]
	[ "${BASH_REMATCH[1]}" -lt "${BASH_REMATCH[2]}" ]
	printf frames\ other >"$BATS_TEST_TMPDIR/web/fault"
	rm -rf "$HPCRUN_CACHE"
	run -125 "$HPCRUN" prefetch lab/digits:1
	[[ $output =~ ([0-9]+)' of '([0-9]+)' chunks are not in the cache' ]]
	[ "${BASH_REMATCH[1]}" -eq "${BASH_REMATCH[2]}" ]
}
