#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun cache: what it says of the node cache, and what it removes.
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
	"$MKSTORE" "$SCRATCH/site" lab/one:1 "$SCRATCH/root" >/dev/null
	head -c 5000000 /dev/urandom >"$SCRATCH/root/data/large"
	"$MKSTORE" "$SCRATCH/site" lab/two:1 "$SCRATCH/root" >/dev/null
	site_start
}
teardown_file() { site_end; }

setup() { site_use 'prefetch = none' 'cache_size = 3G'; }
teardown() { wait_until 10 none_left; }

# fill NAME: read an image through the cache; its session, which pins the packs, is over afterwards.
fill() { "$HPCRUN" --no-home "lab/$1:1" cat /data/large | wc -c && wait_until 10 none_left; }
field() { "$HPCRUN" cache "${@:2}" --json | python3 -c "import json, sys; print(json.load(sys.stdin)['$1'])"; }

@test "cache: one that is not there is empty, and is not made" {
	run -0 "$HPCRUN" cache
	[[ $output == *"$HPCRUN_CACHE (not there yet)"* ]]
	[ "$(field exists)" = False ]
	[ "$(field bytes)" = 0 ]
	run -0 "$HPCRUN" cache --clear
	[ ! -e "$HPCRUN_CACHE" ]
}

@test "cache: shows directory, size, packs and limit" {
	[ "$(fill one)" = 5000000 ]
	[ "$(field directory)" = "$HPCRUN_CACHE" ]
	[ "$(field exists)" = True ]
	[ "$(field packs)" -ge 1 ]
	[ "$(field bytes)" -ge 5000000 ]
	[ "$(field limit)" = $((3 * 1024 * 1024 * 1024)) ]
	run -0 "$HPCRUN" cache
	[[ $output == *'size '*' MB'* ]]
	[[ $output == *'limit '*'3.22 GB'* ]]
}

@test "cache: --clear removes everything, and the next run fetches it again" {
	fill one
	[ "$(field freed --clear)" -ge 5000000 ]
	[ "$(field bytes)" = 0 ]
	[ "$(field packs)" = 0 ]
	[ "$(field metadata_bytes)" = 0 ]
	[ -z "$(find "$HPCRUN_CACHE/stores" -type f)" ]
	[ "$(fill one)" = 5000000 ]
	[ "$(field bytes)" -ge 5000000 ]
}

@test "cache: --clear leaves what a session uses" {
	local fifo=$BATS_TEST_TMPDIR/fifo
	mkfifo "$fifo"
	"$HPCRUN" --no-home lab/one:1 sh -c 'cat /data/large >/dev/null; echo read; exec cat' <"$fifo" >"$BATS_TEST_TMPDIR/out" 3>&- &
	exec 9>"$fifo"
	wait_until 20 grep -q read "$BATS_TEST_TMPDIR/out"
	[ "$(field freed --clear)" = 0 ]
	[ "$(field bytes)" -ge 5000000 ]
	[ "$(field metadata_bytes)" -gt 0 ]
	exec 9>&-
	wait
	wait_until 10 none_left
	[ "$(field freed --clear)" -ge 5000000 ]
}

@test "cache: --limit removes no more than it takes" {
	local both left
	fill one
	fill two
	both=$(field bytes)
	[ "$(field packs)" = 2 ]
	[ "$(field freed --clear --limit $((both + 4096)))" = 0 ]
	# one of two packs must go, and one is enough
	[ "$(field packs --clear --limit $((both - 4096)))" = 1 ]
	left=$(field bytes)
	[ "$left" -gt 0 ]
	[ "$left" -lt "$both" ]
	fail_with '--limit goes with --clear' "$HPCRUN" cache --limit 1G
}

@test "cache: --cache names another; one that others can enter is refused" {
	mkdir -m 700 "$BATS_TEST_TMPDIR/other"
	[ "$(field directory --cache "$BATS_TEST_TMPDIR/other")" = "$BATS_TEST_TMPDIR/other" ]
	mkdir -m 755 "$BATS_TEST_TMPDIR/open"
	fail_with "$BATS_TEST_TMPDIR/open" "$HPCRUN" cache --clear --cache "$BATS_TEST_TMPDIR/open"
	: >"$BATS_TEST_TMPDIR/file"
	fail_with "$BATS_TEST_TMPDIR/file" "$HPCRUN" cache --cache "$BATS_TEST_TMPDIR/file"
}

@test "cache: in memory is said to be no local disk" {
	[ -d /dev/shm ] && [ "$(stat -f -c %T /dev/shm)" = tmpfs ] || skip 'no tmpfs in /dev/shm'
	[ "$(field local_disk --cache /dev/shm/hpcrun-no-such-cache)" = False ]
	run -0 "$HPCRUN" cache --cache /dev/shm/hpcrun-no-such-cache
	[[ $output == *'memory (tmpfs)'* ]]
}

@test "cache: that it lies in memory is said to who runs something, unless it was chosen" {
	local nodisk='
		mount -t tmpfs x /var/tmp
		mount --rbind /tmp /tmp
		mount -o remount,bind,ro /tmp'
	unshare -Urm sh -ec "$nodisk" 2>/dev/null || skip 'cannot mount over /var/tmp'
	nodisk+='
		mkdir -m 700 /var/tmp/run /var/tmp/tmp
		XDG_RUNTIME_DIR=/var/tmp/run TMPDIR=/var/tmp/tmp "$@"'
	run -0 unshare -Urm sh -ec "$nodisk" sh env -u HPCRUN_CACHE "$HPCRUN" --no-home lab/one:1 true
	[[ $output == *"warning: the cache of this node, '/var/tmp/hpcrun-cache-0', is on memory (tmpfs); name a local disk"* ]]
	[ "${#lines[@]}" = 1 ]
	wait_until 20 none_left
	run -0 unshare -Urm sh -ec "$nodisk" sh env HPCRUN_CACHE=/var/tmp/chosen "$HPCRUN" --no-home lab/one:1 true
	[ -z "$output" ]
}

@test "cache: --cache of a run is the cache that 'cache' and 'prefetch' name with it" {
	mkdir -m 700 "$BATS_TEST_TMPDIR/other"
	cd "$BATS_TEST_TMPDIR"
	"$HPCRUN" --no-home --cache other lab/one:1 cat /data/large >/dev/null
	wait_until 20 none_left
	[ "$(field bytes --cache "$BATS_TEST_TMPDIR/other")" -ge 5000000 ]
	[ ! -e "$HPCRUN_CACHE" ]
	"$HPCRUN" prefetch -q --cache "$BATS_TEST_TMPDIR/third" lab/two:1
	: >"$SCRATCH/web/log"
	"$HPCRUN" --no-home --cache "$BATS_TEST_TMPDIR/third" lab/two:1 cat /data/large >/dev/null
	run -1 grep -q /packs/ "$SCRATCH/web/log"
}
