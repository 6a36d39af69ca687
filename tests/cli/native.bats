#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Large files of an image as files of the node cache, mounted over their paths.
# HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	need_mkstore
	scratch_make
	mkdir -p "$SCRATCH/root/data" "$SCRATCH/root/etc"
	busybox_root "$SCRATCH/root" sh cat chmod grep ls md5sum mv rm sleep stat true
	head -c 3000000 /dev/urandom >"$SCRATCH/root/data/large"
	truncate -s 2000000 "$SCRATCH/root/data/large" && printf a-mark-of-its-own >>"$SCRATCH/root/data/large"
	truncate -s 5000000 "$SCRATCH/root/data/large" && printf end >>"$SCRATCH/root/data/large"
	chmod 755 "$SCRATCH/root/data/large"
	touch -d '2020-02-02 02:02:02.123456789' "$SCRATCH/root/data/large"
	head -c 2000000 /dev/urandom >"$SCRATCH/root/data/name1"
	ln "$SCRATCH/root/data/name1" "$SCRATCH/root/data/name2"
	head -c 1000000 /dev/urandom >"$SCRATCH/root/data/small"
	"$MKSTORE" "$SCRATCH/store" lab/large:1 "$SCRATCH/root" >/dev/null
	SUM=$(md5sum <"$SCRATCH/root/data/large")
	export SUM
	# a cache with the files, for those tests that do not look at how they come there
	export HPCRUN_CACHE=$SCRATCH/made HPCRUN_CONF=$SCRATCH/conf
	echo 'session_linger = 0' >"$HPCRUN_CONF"
	if has_userns && has_fuse; then
		hold
		wait_until 60 large
		wait_until 60 mounted /bin/busybox
		release
	fi
}
teardown_file() { scratch_remove; }

setup() {
	need userns
	need fuse
	export HPCRUN_CACHE="$BATS_TEST_TMPDIR/cache" HPCRUN_CONF="$BATS_TEST_TMPDIR/conf"
	echo 'session_linger = 0' >"$HPCRUN_CONF"
	holder=
	cd /
}
teardown() {
	[ -z "$holder" ] || kill "$holder" 2>/dev/null
	web_store_stop "$BATS_TEST_TMPDIR/web"
	wait_until 20 none_left
}

# inside OPTION... COMMAND...: in the container; the session is shared by those with the same options.
inside() { "$HPCRUN" run --no-home "${opts[@]}" lab/large:1 "$@"; }
opts=()
mounted() { inside grep -q " $1 " /proc/self/mountinfo; }
large() { mounted /data/large; }
# start sh ARG...: a session that lives until release or the end of the test. It is the shell's, by whose name the
# list of large files is kept: nobody else may be the first to ask for it.
start() {
	"$HPCRUN" run --no-home "${opts[@]}" lab/large:1 "$@" 3>&- &
	holder=$!
	wait_until 20 grep -qxE 'sh|sleep' "/proc/$holder/comm"
}
# hold: its program has read the large files.
hold() { start sh -c 'cat /data/* >/dev/null; exec sleep 1000'; }
# release: it ends.
release() {
	kill "$holder"
	wait "$holder" || :
	holder=
	wait_until 20 none_left
}
# make_native: the files are there.
make_native() { cp -a "$SCRATCH/made" "$HPCRUN_CACHE"; }
file_of() { grep -lr "a-mark-of-its-own" "$HPCRUN_CACHE/files" --include='*[0-9a-f]'; }
server() { leftovers | sed -n 's/ .*hpcrun-serve.*//p'; }

@test "native: a large file is mounted from the node cache, and looks as it did" {
	local format='%a %s %Y %u %g %h %F'
	hold
	before=$(inside stat -c "$format" /data/large)
	wait_until 60 large
	[ "$(inside stat -c "$format" /data/large)" = "$before" ]
	[ "$(inside md5sum </dev/null /data/large)" = "${SUM%-}/data/large" ]
	[[ $(inside grep ' /data/large ' /proc/self/mountinfo) == *"$HPCRUN_CACHE/files/"*' ro,nosuid,nodev,'* ]]
	run -1 inside sh -c 'echo >>/data/large'
	[[ $output == *Read-only* ]]
	# not what would look different: another name of it, an attribute, or too small to matter
	run ! mounted /data/name1
	run ! mounted /data/name2
	run ! mounted /data/small
	# a program is executed from there, too
	wait_until 60 mounted /bin/busybox
	inside true
}

# Of the session that runs, as 'hpcrun stats' tells: /data/large and /bin/busybox, and their bytes.
two_are_mounted() {
	"$HPCRUN" stats --json | python3 -c 'import json, os, sys
now = [s["reads"]["mounted"] for s in json.load(sys.stdin) if s["state"] == "running"][-1]
sys.exit(now != {"files": 2, "bytes": 5000003 + os.path.getsize(sys.argv[1])})' "$SCRATCH/root/bin/busybox"
}

@test "native: the next session has it from its start, and it is there once" {
	make_native
	[ "$("$HPCRUN" cache --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["files"])')" -ge 1 ]
	number=$(stat -c %i "$(file_of)")
	start sh -c 'exec sleep 1000'
	wait_until 60 large
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
	wait_until 20 two_are_mounted
	kill -9 "$(server)" # the next one tells the same, once
	wait_until 20 inside true
	wait_until 20 two_are_mounted
	release
	[ "$(stat -c %i "$(file_of)")" = "$number" ]
}

@test "native: not with native_files = no" {
	echo 'native_files = no' >>"$HPCRUN_CONF"
	hold
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
	release
	[ ! -e "$HPCRUN_CACHE/files" ]
}

@test "native: below --writable files stay as they were, and can be changed" {
	need overlay
	make_native
	"$HPCRUN" run --no-home --writable lab/large:1 sh -ec '
		cat /data/large >/dev/null
		grep " /data/large " /proc/self/mountinfo && exit 1
		echo more >>/data/large
		mv /data/large /data/other
		rm /data/other'
}

@test "native: a bind of the user is not covered, nor what is below one" {
	make_native
	echo mine >"$BATS_TEST_TMPDIR/mine"
	mkdir "$BATS_TEST_TMPDIR/dir"
	cp "$SCRATCH/root/data/large" "$BATS_TEST_TMPDIR/dir/large"
	opts=(--bind "$BATS_TEST_TMPDIR/mine:/data/large")
	start sh -c 'exec sleep 1000'
	wait_until 60 mounted /bin/busybox # those of the list are mounted in its order, in one go
	[ "$(inside cat /data/large)" = mine ]
	release
	opts=(--bind "$BATS_TEST_TMPDIR/dir:/data")
	start sh -c 'exec sleep 1000'
	wait_until 60 mounted /bin/busybox
	run ! large
	inside ls -l /data/large
}

@test "native: a file that somebody changed is made again" {
	make_native
	file=$(file_of)
	chmod u+w "$file"
	echo longer >>"$file"
	hold
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
	wait_until 60 large
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
	[ "$(md5sum <"$(file_of)")" = "$SUM" ]
}

@test "native: after a boot a file is compared before it is used, and a damaged one made again" {
	make_native
	file=$(file_of)
	printf 00000000 | dd of="$file.seal" bs=1 seek=8 conv=notrunc status=none
	touch -r "$file" "$BATS_TEST_TMPDIR/time"
	printf X | dd of="$file" bs=1 seek=4000000 conv=notrunc status=none
	touch -r "$BATS_TEST_TMPDIR/time" "$file"
	start sh -c 'exec sleep 1000' # nothing of it is read: the list alone brings it up
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
	wait_until 60 large
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
	[ "$(md5sum <"$(file_of)")" = "$SUM" ]
}

@test "native: killed servers and a killed session take no mounted file away" {
	hold
	wait_until 60 large
	"$HPCRUN" run --no-home lab/large:1 sh -c 'while sleep 0.2; do md5sum </data/large; done' \
		>"$BATS_TEST_TMPDIR/sums" 3>&- &
	reader=$!
	kill -9 "$(server)"
	wait_until 20 inside true
	large
	kill -9 "$(leftovers | sed -n 's/ .*hpcrun-session//p')"
	: >"$BATS_TEST_TMPDIR/sums"
	wait_until 20 test -s "$BATS_TEST_TMPDIR/sums"
	kill "$reader"
	[ "$(sort -u "$BATS_TEST_TMPDIR/sums")" = "$SUM" ]
}

@test "native: a cache that is cleared or removed meanwhile takes nothing away" {
	hold
	wait_until 60 large
	"$HPCRUN" cache --clear >/dev/null
	[ -s "$(file_of)" ] # in use
	rm -r "$HPCRUN_CACHE"
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
	large
	release
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
}

@test "native: --fakeroot shows it as root's" {
	opts=(--fakeroot)
	hold
	wait_until 60 large
	[ "$(inside stat -c '%u %g' /data/large)" = '0 0' ]
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
}

@test "native: without room in the cache everything stays on FUSE" {
	# a file system of 4 MB, in which hpcrun's own namespaces are nested
	mkdir "$BATS_TEST_TMPDIR/tiny"
	run -0 unshare -Urm sh -ec '
		mount -t tmpfs -o size=4m,mode=0700 tiny "$1"
		export HPCRUN_CACHE=$1/cache
		"$2" run --no-home lab/large:1 sh -ec "cat /data/* >/dev/null; sleep 3; cat /data/* | md5sum
			md5sum </data/large; grep \" /data/large \" /proc/self/mountinfo || :"' \
		sh "$BATS_TEST_TMPDIR/tiny" "$HPCRUN"
	[ "${lines[1]}" = "$SUM" ]
	[ "${#lines[@]}" = 2 ]
}

@test "native: a file paged in from a web server becomes one when all of it is there" {
	web_store_start "$SCRATCH/store" "$BATS_TEST_TMPDIR/web"
	port=$(cat "$BATS_TEST_TMPDIR/web/port")
	export HPCRUN_STORE=http://127.0.0.1:$port
	hold
	wait_until 60 large
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
	release
	web_store_stop "$BATS_TEST_TMPDIR/web"
	# off the network, too
	start sh -c 'exec sleep 1000'
	wait_until 60 large
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
	release
}

# KiB that the chunks of packs take in the cache.
packs_kib() { du -ck "$HPCRUN_CACHE"/packs/*/*.data | sed -n 's/\ttotal//p'; }
packs_below() { [ "$(packs_kib)" -lt "$1" ]; }

@test "native: the cache holds a large file once, and whoever reads it through FUSE reads that" {
	web_store_start "$SCRATCH/store" "$BATS_TEST_TMPDIR/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")
	export HPCRUN_STORE
	run -0 "$HPCRUN" prefetch lab/large:1
	# name1 has two names and stays in its pack with all that is small; large and busybox do not
	packs_below 3600
	web_store_stop "$BATS_TEST_TMPDIR/web"
	echo 'native_files = no' >>"$HPCRUN_CONF"
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
	# a bad byte in it is found, and so is that nobody has another
	file=$(file_of)
	chmod u+w "$file"
	printf X | dd of="$file" bs=1 seek=1000000 conv=notrunc status=none
	echo 'outage_wait = 1' >>"$HPCRUN_CONF"
	run -1 inside md5sum /data/large
	[[ $output != *"${SUM%  -}"* ]]
}

@test "native: what was kept twice is kept once when a session has begun with it" {
	web_store_start "$SCRATCH/store" "$BATS_TEST_TMPDIR/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")
	export HPCRUN_STORE
	run -0 "$HPCRUN" prefetch lab/large:1
	rm -r "$HPCRUN_CACHE/packs" # as if evicted, and fetched again where it was not mounted
	echo 'native_files = no' >>"$HPCRUN_CONF"
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
	run ! packs_below 3000
	sed -i '/native_files/d' "$HPCRUN_CONF"
	start sh -c 'exec sleep 1000'
	wait_until 60 large
	wait_until 20 packs_below 3000
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
	release
}

@test "native: a prefetch of the image makes them, and the first session begins with them" {
	web_store_start "$SCRATCH/store" "$BATS_TEST_TMPDIR/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")
	export HPCRUN_STORE
	run -0 "$HPCRUN" prefetch lab/large:1
	[[ ${lines[1]} == 'lab/large:1: 2 large files, '*' MB, to be mounted from the cache' ]]
	number=$(stat -c %i "$(file_of)")
	# a second time there is nothing to do
	run -0 "$HPCRUN" prefetch lab/large:1
	[[ ${lines[1]} == 'lab/large:1: 2 large files, '* ]]
	[ "$(stat -c %i "$(file_of)")" = "$number" ]
	start sh -c 'exec sleep 1000' # nothing of it is read
	wait_until 60 large
	mounted /bin/busybox
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
	release
}

@test "native: a prefetch of an image in a directory makes them, too, unless they are turned off" {
	echo 'native_files = no' >>"$HPCRUN_CONF"
	run -0 "$HPCRUN" prefetch lab/large:1
	[ "${#lines[@]}" = 1 ]
	[ ! -e "$HPCRUN_CACHE" ]
	echo 'native_files = yes' >>"$HPCRUN_CONF"
	run -0 "$HPCRUN" prefetch -q lab/large:1
	[ -z "$output" ]
	[ "$(md5sum <"$(file_of)")" = "$SUM" ]
	start sh -c 'exec sleep 1000'
	wait_until 60 large
}

@test "native: a prefetch makes files of one content once, and a session mounts it over all their names" {
	root=$BATS_TEST_TMPDIR/root
	mkdir -p "$root/d"
	busybox_root "$root" cut md5sum sh sleep sort wc
	head -c 3000000 /dev/urandom >"$root/1"
	# more in a directory than are asked for one by one, more in all than are mounted at once
	for i in 2 3 4 5 6 7 8 9 d/{01..12}; do
		cp -p "$root/1" "$root/$i"
	done
	"$HPCRUN_BUILD/tests/lib/mkstore" "$BATS_TEST_TMPDIR/store" lab/same:1 "$root" >/dev/null
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	run -0 "$HPCRUN" prefetch lab/same:1
	[[ $output == *'lab/same:1: 22 large files, '* ]]
	[ "$(find "$HPCRUN_CACHE/files" -size +1M -name '*[0-9a-f]' | wc -l)" = 2 ]
	# all of them, but for the directory that is bound
	mkdir "$BATS_TEST_TMPDIR/d"
	cp "$root/1" "$BATS_TEST_TMPDIR/d/03"
	count='while read -r _ _ _ from at _; do case $from in */files/*) echo "$at" ;; esac; done </proc/self/mountinfo'
	for bind in '' "--bind=$BATS_TEST_TMPDIR/d:/d"; do
		run -0 "$HPCRUN" run --no-home ${bind:+"$bind"} lab/same:1 sh -ec '
			n=0
			until [ "$('"$count"' | wc -l)" = "$1" ] || [ $((n += 1)) = 200 ]; do sleep 0.05; done
			'"$count"'
			md5sum /[1-9] /d/* | cut -c 1-32 | sort -u' sh "$([ -n "$bind" ] && echo 10 || echo 22)"
		[ "${lines[-1]}" = "$(md5sum <"$root/1" | cut -c 1-32)" ]
		[ "$(grep -c ^/d/ <<<"$output")" = "$([ -n "$bind" ] && echo 0 || echo 12)" ]
		[ "$(grep -cE '^/[1-9]$' <<<"$output")" = 9 ]
	done
}

@test "native: a prefetch needs room for what it makes at a time, not for everything twice" {
	root=$BATS_TEST_TMPDIR/root
	mkdir -p "$root"
	for i in 1 2 3 4 5 6; do
		seq "${i}0000000" "${i}9999999" | head -c 8500000 >"$root/$i" # 51 MB in all
	done
	"$HPCRUN_BUILD/tests/lib/mkstore" "$BATS_TEST_TMPDIR/store" lab/six:1 "$root" >/dev/null
	web_store_start "$BATS_TEST_TMPDIR/store" "$BATS_TEST_TMPDIR/web"
	"$HPCRUN" prefetch -q lab/large:1
	export HPCRUN_STORE
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")
	echo 'cache_size = 96M' >>"$HPCRUN_CONF"
	run -0 "$HPCRUN" prefetch lab/six:1
	[[ ${lines[1]} == 'lab/six:1: 6 large files, '* ]]
	[ "$(du -sk "$HPCRUN_CACHE" | cut -f 1)" -lt 70000 ]
	[ -e "$(file_of)" ] # nothing had to make room
}

@test "native: a prefetch by a trace makes those of the trace, for that program" {
	web_store_start "$SCRATCH/store" "$BATS_TEST_TMPDIR/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")
	export HPCRUN_STORE
	printf 'prefetch = none\nnative_files = no\n' >>"$HPCRUN_CONF"
	inside sh -c 'cat /data/large /bin/busybox >/dev/null; exit 0'
	wait_until 20 none_left
	printf 'prefetch = none\nsession_linger = 0\n' >"$HPCRUN_CONF"
	inside true
	wait_until 20 none_left
	rm -r "$HPCRUN_CACHE/packs"
	"$HPCRUN" prefetch --trace true lab/large:1
	[ -z "$(file_of)" ] # true has read busybox alone
	run -0 "$HPCRUN" prefetch --trace sh lab/large:1
	[[ $output == *' 2 large files, '* ]]
	[ "$(find "$HPCRUN_CACHE/native" -type f | wc -l)" = 2 ]
	start sh -c 'exec sleep 1000'
	wait_until 60 large
	release
}

@test "native: 'prefetch = all' makes them without a program that reads them" {
	web_store_start "$SCRATCH/store" "$BATS_TEST_TMPDIR/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")
	export HPCRUN_STORE
	echo 'prefetch = all' >>"$HPCRUN_CONF"
	start sh -c 'exec sleep 1000'
	wait_until 60 large
	[ "$(inside md5sum /data/large)" = "${SUM%-}/data/large" ]
	release
}

@test "native: a prefetch that has no room for them says so, and is no failure" {
	mkdir "$BATS_TEST_TMPDIR/tiny"
	run -0 unshare -Urm sh -ec 'mount -t tmpfs -o size=5m,mode=0700 tiny "$1"
		"$2" prefetch --cache "$1/cache" lab/large:1' sh "$BATS_TEST_TMPDIR/tiny" "$HPCRUN"
	[[ $output == *'warning: 1 large file cannot be kept in the cache as such: no room for a file of 5000003 bytes'* ]]
	[[ $output == *'lab/large:1: 1 large file, '* ]]
}
