#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun prefetch: an image is on the node before a program asks for it.
# HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	need_mkstore
	scratch_make
	mkdir -p "$SCRATCH/root/data"
	busybox_root "$SCRATCH/root" sh cat sleep true
	head -c 5000000 /dev/urandom >"$SCRATCH/root/data/large"
	cp "$SCRATCH/root/data/large" "$SCRATCH/large.one"
	"$MKSTORE" "$SCRATCH/site" lab/one:1 "$SCRATCH/root" >/dev/null
	head -c 5000000 /dev/urandom >"$SCRATCH/root/data/large"
	"$MKSTORE" "$SCRATCH/site" lab/two:1 "$SCRATCH/root" >/dev/null
	site_start
}
teardown_file() { site_end; }

setup() { site_use 'prefetch = none' 'outage_wait = 20'; }
teardown() {
	web_store_stop "$BATS_TEST_TMPDIR/web"
	site_fault
	wait_until 10 none_left
}

# fill NAME: read an image through the cache; its session, which pins the packs, is over afterwards.
fill() { "$HPCRUN" --no-home "lab/$1:1" cat /data/large | wc -c && wait_until 10 none_left; }
packs_asked() { grep -c '/packs/' "$SCRATCH/web/log" || :; }

@test "prefetch: afterwards a run asks for nothing" {
	run -0 "$HPCRUN" prefetch lab/one:1
	[[ ${lines[0]} == "lab/one:1: "*' fetched, all '*' are in the cache' ]]
	[ "$(packs_asked)" -gt 0 ]
	: >"$SCRATCH/web/log"
	[ "$(fill one)" = 5000000 ]
	[ "$(packs_asked)" = 0 ]
}

@test "prefetch: a second time fetches nothing, and the network may be down" {
	"$HPCRUN" prefetch --json lab/one:1 >"$BATS_TEST_TMPDIR/first"
	jq -e '.image == "lab/one:1" and .from == env.HPCRUN_STORE and .fetched >= .cached and .cached > 5000000' "$BATS_TEST_TMPDIR/first"
	: >"$SCRATCH/web/log"
	run -0 "$HPCRUN" prefetch lab/one:1
	[[ $output == 'lab/one:1: 0 B fetched'* ]]
	[ "$(packs_asked)" = 0 ]
	run -0 "$HPCRUN" prefetch --quiet lab/one:1
	[ -z "$output" ]
	site_fault all reset
	run -0 "$HPCRUN" prefetch lab/one:1
	[[ $output == *'going on with the copy on this node'* ]]
}

@test "prefetch: two at once fetch every byte once" {
	local a b
	"$HPCRUN" prefetch lab/one:1 >"$BATS_TEST_TMPDIR/a" 3>&- &
	a=$!
	"$HPCRUN" prefetch lab/one:1 >"$BATS_TEST_TMPDIR/b" 3>&- &
	b=$!
	wait "$a"
	wait "$b"
	# one pack: no range is asked for twice
	[ -z "$(grep '/packs/' "$SCRATCH/web/log" | sort | uniq -d)" ]
}

@test "prefetch: --trace brings what an earlier run touched, and no more" {
	fail_with "no trace of 'cat'" "$HPCRUN" prefetch --trace cat lab/one:1
	"$HPCRUN" --no-home lab/one:1 cat /bin/sh >/dev/null
	wait_until 10 none_left
	rm -rf "$HPCRUN_CACHE/packs" # the trace stays; "cache --clear" takes it, too
	: >"$SCRATCH/web/log"
	run -0 "$HPCRUN" prefetch --trace cat lab/one:1
	[[ ${lines[0]} == *'in the cache' ]]
	[ "$(packs_asked)" -gt 0 ]
	: >"$SCRATCH/web/log"
	"$HPCRUN" --no-home lab/one:1 cat /bin/sh >/dev/null
	[ "$(packs_asked)" = 0 ]
	[ "$(fill one)" = 5000000 ]
	[ "$(packs_asked)" -gt 0 ]
}

@test "prefetch: an image that no store has, and a store that does not answer" {
	fail_with "image 'lab/other:1' is not in the store" "$HPCRUN" prefetch lab/other:1
	HPCRUN_STORE=http://127.0.0.1:1 fail_with 'http://127.0.0.1:1' "$HPCRUN" prefetch lab/one:1
}

@test "prefetch: of an image in a directory there is nothing to fetch" {
	run -0 "$HPCRUN" prefetch --store "$SCRATCH/site" lab/one:1
	[[ ${lines[0]} == *'nothing to fetch' ]]
	[ -z "$(find "$HPCRUN_CACHE/packs" -type f)" ]
	run -0 "$HPCRUN" prefetch --store "$BATS_TEST_TMPDIR/empty" --store "$HPCRUN_STORE" lab/one:1
	[[ ${lines[0]} == *'in the cache' ]]
}

@test "prefetch: packs that the store has lost are a failure, by name" {
	cp -r "$SCRATCH/site" "$BATS_TEST_TMPDIR/site"
	find "$BATS_TEST_TMPDIR/site/packs" -type f -delete
	web_store_start "$BATS_TEST_TMPDIR/site" "$BATS_TEST_TMPDIR/web"
	fail_with 'chunks are not in the cache: .*/packs/' "$HPCRUN" prefetch --store "http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")" lab/one:1
}

@test "prefetch: killed at any moment it leaves a cache that is right" {
	local i
	for i in 1 2 3 4 5; do
		"$HPCRUN" prefetch -q lab/one:1 3>&- &
		sleep "0.0$((i * 2))"
		kill -KILL $! 2>/dev/null || :
		wait $! 2>/dev/null || :
	done
	"$HPCRUN" prefetch -q lab/one:1
	"$HPCRUN" --no-home lab/one:1 cat /data/large | cmp - "$SCRATCH/large.one"
}
