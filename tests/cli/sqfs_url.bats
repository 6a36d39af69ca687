#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Squashfs and SIF files behind a URL, run in place.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	scratch_make
	mkdir -p rootfs/{etc,data,.singularity.d} www && cd rootfs || return
	busybox_root . sh cat cp sha256sum true
	echo 'root:x:0:0:root:/root:/bin/sh' >etc/passwd
	head -c 3000000 /dev/urandom >data/random
	head -c 150000000 /dev/zero | tr '\0' 'x' >data/large
	for i in $(seq 1 40); do seq "$i" $((i * 20)) >"data/$i"; done
	printf '#!/bin/sh\necho runscript "$@"\n' >.singularity.d/runscript
	chmod 755 .singularity.d/runscript
	cd .. || return
	# its large file is stored as it is: most of the image is never wanted
	mksquashfs rootfs www/image.sqfs -quiet -no-progress -all-root -comp zstd -noD >/dev/null
	rm rootfs/data/large
	mksquashfs rootfs small.sqfs -quiet -no-progress -all-root -comp gzip >/dev/null
	mksquashfs rootfs/etc www/tiny.sqfs -quiet -no-progress -all-root >/dev/null
	"$TESTS_DIR/lib/mksif" www/image.sif small.sqfs "arch=$(sif_arch)"
	web_store_start "$SCRATCH/www" "$SCRATCH/web"
}
teardown_file() {
	leftovers_end TERM
	web_store_stop "$SCRATCH/web"
	scratch_remove
}
# Sessions linger: each test has its own, and its own cache.
setup() {
	cd "$SCRATCH" || return
	another_session run
	export HPCRUN_CACHE=$BATS_TEST_TMPDIR/cache URL
	URL=http://127.0.0.1:$(<web/port)
	: >web/fault
	: >web/log
}

sif_arch() { case $(uname -m) in aarch64) echo 04 ;; *) echo 02 ;; esac; }

another_session() {
	mkdir -m 700 "$BATS_TEST_TMPDIR/$1"
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/$1
}

# No session goes on into the test after its own: what it asks for would be in the log of that one.
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || cat web/log
	leftovers_end KILL
	wait_until 20 none_left
}

# bytes_asked: how many bytes all requests so far asked for.
bytes_asked() { sed -n 's/.* bytes=\([0-9]*\)-\([0-9]*\)$/\1 \2/p' web/log | awk '{ n += $2 - $1 + 1 } END { print n + 0 }'; }

# same_files URL: all files below data are those of rootfs, by digest.
same_files() {
	(cd rootfs && find data -type f -exec sha256sum {} + | sort) >want
	"$HPCRUN" "$1" sh -c 'cd / && for f in data/[0-9]* data/random; do sha256sum "$f"; done' | sort >got
	diff want got
}

@test "url: a squashfs starts with under 3 % of it fetched, and again with its head alone" {
	run -0 "$HPCRUN" "$URL/image.sqfs" cat /data/7
	[ "$output" = "$(cat rootfs/data/7)" ]
	asked=$(bytes_asked)
	[ "$asked" -gt 0 ]
	[ $((asked * 100)) -lt $((3 * $(stat -c %s www/image.sqfs))) ]
	another_session again
	: >web/log
	run -0 "$HPCRUN" "$URL/image.sqfs" cat /data/7
	[ "$(bytes_asked)" = 128 ]
}

@test "url: files of a squashfs and of a SIF are those that went into it" {
	same_files "$URL/image.sqfs"
	same_files "$URL/image.sif"
	run -0 "$HPCRUN" "$URL/image.sif" # its runscript
	[ "$output" = runscript ]
}

@test "url: two first starts at once make the index once" {
	local i pids=()
	another_session run-b
	echo all slow 0.5 >web/fault
	for i in run run-b; do
		XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/$i "$HPCRUN" run --no-home "$URL/image.sqfs" true 3>&- &
		pids+=("$!")
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	# nothing twice but the first bytes, which tell of which version the file is
	[ "$(grep -c ' bytes=0-127$' web/log)" = 2 ]
	[ -z "$(grep -v ' bytes=0-127$' web/log | sort | uniq -d)" ]
}

@test "url: a file that was replaced is another image" {
	cp www/image.sif www/moving
	run -0 "$HPCRUN" "$URL/moving" cat /data/7
	mkdir other && cp -a rootfs/bin other && echo new >other/new
	mksquashfs other www/moving.new -quiet -no-progress >/dev/null
	mv www/moving.new www/moving
	another_session again
	run -0 "$HPCRUN" "$URL/moving" cat /new
	[ "$output" = new ]
}

@test "url: a file that is replaced while it is in use gives EIO, and says that it was changed" { # E12
	cp www/image.sif www/moving
	chmod 644 www/moving
	# the start touches a third of this small image, and what is left would be fetched before it is replaced
	echo 'prefetch = none' >"$BATS_TEST_TMPDIR/conf"
	export HPCRUN_CONF=$BATS_TEST_TMPDIR/conf
	told "reading fails.*moving': the object was changed: its ETag is" "$HPCRUN" --bind "$SCRATCH:/mnt" "$URL/moving" \
		sh -c 'cat /data/7 >/dev/null
		cp /mnt/www/image.sif /mnt/www/new && /bin/busybox mv /mnt/www/new /mnt/www/moving
		if cat /data/random >/dev/null; then echo read; else echo failed; fi >/mnt/out
		until [ -e /mnt/told ]; do /bin/busybox sleep 0.1; done'
	grep -q failed out
}

@test "url: starts and runs with what is cached when the server is gone" {
	same_files "$URL/image.sif"
	another_session again
	echo all reset >web/fault
	run -0 --separate-stderr "$HPCRUN" "$URL/image.sif" cat /data/7
	[ "$output" = "$(cat rootfs/data/7)" ]
	[[ "$stderr" == *"warning: cannot read '$URL/image.sif'"*"; going on with what this node has of it" ]]
}

@test "url: prefetch brings all of it, once" {
	run -0 "$HPCRUN" "$URL/image.sif" cat /data/7
	run -0 "$HPCRUN" prefetch "$URL/image.sif"
	[[ $output == *"are in the cache" ]]
	: >web/log
	run -0 "$HPCRUN" prefetch "$URL/image.sif"
	[[ $output == *": 0 B fetched, all "* ]]
	[ "$(bytes_asked)" = 128 ]
	another_session again
	same_files "$URL/image.sif"
	[ "$(bytes_asked)" = 256 ]
	fail_with "there is no trace of 'nobody'" "$HPCRUN" prefetch --trace nobody "$URL/image.sif"
}

@test "url: a cached chunk that was damaged is fetched again" {
	same_files "$URL/image.sif"
	for file in "$HPCRUN_CACHE"/packs/*/*.data; do
		printf '\377\377\377\377' | dd of="$file" bs=1 seek=1000 conv=notrunc status=none
	done
	another_session again
	same_files "$URL/image.sif"
}

@test "url: a block that was read once is told from other bytes that come in its place" { # E13
	same_files "$URL/image.sif" # which notes a sum of each
	leftovers_end KILL
	wait_until 20 none_left
	rm "$HPCRUN_CACHE"/packs/*/*.{data,map}
	printf 'prefetch = none\noutage_wait = 1\n' >"$BATS_TEST_TMPDIR/conf"
	export HPCRUN_CONF=$BATS_TEST_TMPDIR/conf
	another_session again
	# random bytes lie in the file as they are: nothing else tells
	told 'reading fails.*check sum' "$HPCRUN" --bind "$SCRATCH:/mnt" "$URL/image.sif" sh -c 'cat /data/7 >/dev/null
		echo all flip >/mnt/web/fault
		if cat /data/random >/mnt/got; then echo read; else echo failed; fi >/mnt/out
		until [ -e /mnt/told ]; do /bin/busybox sleep 0.1; done'
	grep -q failed out
	cmp -n "$(stat -c %s got)" got rootfs/data/random
}

@test "url: replies that cannot be right are waited for or refused, never shown" {
	for fault in flip elsewhere; do
		another_session "s-$fault"
		rm -rf "$HPCRUN_CACHE"
		echo "all $fault" >web/fault
		fail_with "tiny.sqfs'" "$HPCRUN" "$URL/tiny.sqfs" true
		[ -z "$(find "$HPCRUN_CACHE" -name '*.index')" ]
	done
}

@test "url: replies of different files are told by size or date, too" { # E12
	echo all shrunk >web/fault
	fail_with 'the object was changed: it has [0-9]+ bytes, it had [0-9]+' "$HPCRUN" "$URL/image.sqfs" true
	echo all dated >web/fault
	fail_with 'the object was changed: at .*, not at ' "$HPCRUN" "$URL/image.sqfs" true
}

@test "url: what is no image is refused by name" {
	fail_with "nothing.sqfs.*404" "$HPCRUN" "$URL/nothing.sqfs" true
	head -c 4096 /dev/zero >www/zeros
	fail_with 'neither a squashfs nor a SIF' "$HPCRUN" "$URL/zeros" true
	fail_with "plain http to 'images.invalid' is refused" "$HPCRUN" http://images.invalid/x.sqfs true
	head -c 100000 small.sqfs >www/half.sqfs
	fail_with 'half.sqfs.*there are 100000' "$HPCRUN" "$URL/half.sqfs" true
	cp www/image.sqfs www/lies.sqfs # it says that 2 GiB of tables begin behind the superblock
	truncate -s 2G www/lies.sqfs
	printf '\0\0\0\200\0\0\0\0' | dd of=www/lies.sqfs bs=1 seek=40 conv=notrunc status=none
	printf '\140\0\0\0\0\0\0\0\200\0\0\0\0\0\0\0' | dd of=www/lies.sqfs bs=1 seek=64 conv=notrunc status=none
	fail_with 'tables of the squashfs have 2147483552 bytes' "$HPCRUN" "$URL/lies.sqfs" true
	rm www/lies.sqfs
	echo all whole >web/fault # the tables of a large file are not read by way of all of it
	fail_with 'ignores Range' "$HPCRUN" "$URL/image.sqfs" true
}

@test "url: a file is imported, under the name that it has or is given, and nothing else is left" {
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	echo all short >web/fault
	"$HPCRUN" import "$URL/image.sif" lab/sif:1 >out 2>err 3>&- &
	pid=$!
	wait_until 20 grep -q GET web/log
	: >web/fault # what broke is asked for again
	wait "$pid"
	grep -q '^sha256:' out
	grep -qF "downloading '$URL/image.sif', " err
	"$HPCRUN" import -q small.sqfs lab/small:1
	run -0 "$HPCRUN" diff -q lab/sif:1 lab/small:1
	[ "${lines[0]}" = '0 added (0 B), 0 removed (0 B), 0 changed (0 B)' ]
	"$HPCRUN" pull --json "$URL/tiny.sqfs" | jq -es '.[-1].digest | startswith("sha256:")'
	[ "$("$HPCRUN" images -q)" = "$(printf 'docker.io/%s\n' lab/sif:1 lab/small:1 library/tiny:latest)" ]
	fail_with 'nothing.sqfs.*404' "$HPCRUN" import "$URL/nothing.sqfs"
	echo all moved >web/fault
	fail_with 'the object was changed' "$HPCRUN" import -q "$URL/image.sqfs" lab/moved:1
	[ -z "$(ls "$HPCRUN_STORE/tmp")" ]
}

@test "url: inspect fetches the head of a file" {
	"$HPCRUN" inspect "$URL/image.sif" | jq -e '.format == "sif" and any(.objects[]; .run) and .bytes > 3000000'
	"$HPCRUN" inspect "$URL/image.sqfs" | jq -e '.squashfs.compressor == "zstd"'
	[ "$(bytes_asked)" -lt 20000 ]
	echo x >www/text
	fail_with 'neither a squashfs nor a SIF' "$HPCRUN" inspect "$URL/text"
}

@test "url: verbs about images of a store say how a file becomes one" {
	for verb in history plan rmi 'diff a:1' 'tag a:1' export push; do
		# shellcheck disable=SC2086
		set -- $verb "$URL/tiny.sqfs"
		[ "$1" != export ] || set -- "$@" out.tar
		[ "$1" != push ] || set -- "$@" 127.0.0.1:1/x:1
		fail_with 'is a file behind a URL, not an image of a store|a:1' "$HPCRUN" "$@"
		case $1 in diff) ;; *) fail_with 'hpcrun import http.*tiny.sqfs NAME' "$HPCRUN" "$@" ;; esac
	done
	for verb in history plan rmi prefetch; do
		fail_with 'small.sqfs. is a file, not an image of a store' "$HPCRUN" "$verb" ./small.sqfs
	done
}
