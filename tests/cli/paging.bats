#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Images of a store behind a web server, also one that misbehaves: what a program reads is right, or an error.
# HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it.
# shellcheck disable=SC1091 # the library is checked by itself
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell, and means to be one; bats sets stderr
# shellcheck disable=SC2016 # the words are for another shell

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	need_mkstore
	scratch_make
	mkdir -p "$SCRATCH/root/data"
	busybox_root "$SCRATCH/root" sh cat cmp find md5sum sleep sort true xargs
	head -c 5000000 /dev/urandom >"$SCRATCH/root/data/large"
	truncate -s 9000000 "$SCRATCH/root/data/sparse"
	printf end >>"$SCRATCH/root/data/sparse"
	for i in $(seq 300); do
		head -c $((i * 40)) /dev/urandom >"$SCRATCH/root/data/f$i"
	done
	"$MKSTORE" "$SCRATCH/site" lab/paged:1 "$SCRATCH/root" >/dev/null
	site_start
	(cd "$SCRATCH/root" && find data -type f -print0 | sort -z | xargs -0 md5sum) >"$SCRATCH/sums"
	chmod 755 "$SCRATCH"
}

teardown_file() { site_end; }

setup() { site_use 'outage_wait = 20'; }

teardown() {
	web_store_stop "$BATS_TEST_TMPDIR/web" # of a test that failed
	site_fault
	wait_until 10 none_left
}

# Not under a server that still writes its trace.
cache_remove() {
	wait_until 10 none_left
	rm -rf "$HPCRUN_CACHE${1:-}"
}

# Every start is a new session: nothing lingers.
conf() { printf '%s\n' 'session_linger = 0' "$@" >"$HPCRUN_CONF"; }
packs_asked() { grep -c '/packs/' "$SCRATCH/web/log" || :; }
bytes_asked() {
	sed -n 's/.*packs.*bytes=\([0-9]*\)-\([0-9]*\)$/\1 \2/p' "$SCRATCH/web/log" | awk '{ s += $2 - $1 + 1 } END { print s + 0 }'
}
asked_for() { [ "$(bytes_asked)" -ge "$1" ]; }
# for a second nothing more was asked for
quiet() {
	local before
	before=$(wc -l <"$SCRATCH/web/log")
	sleep 1
	[ "$(wc -l <"$SCRATCH/web/log")" = "$before" ]
}
run_image() { timeout 60 "$HPCRUN" --no-home lab/paged:1 "$@"; }

read_all() {
	run_image sh -c 'cd / && find data -type f | sort | xargs md5sum' | LC_ALL=C sort -k 2 >"$BATS_TEST_TMPDIR/sums" &&
		LC_ALL=C sort -k 2 "$SCRATCH/sums" | cmp - "$BATS_TEST_TMPDIR/sums"
}

@test "paging: every file of an image behind a web server is right" {
	read_all
}

@test "paging: only what is touched is fetched" {
	run_image true
	total=$(find "$SCRATCH/site/packs" -type f -printf '%s\n' | awk '{ s += $1 } END { print s }')
	[ "$(($(bytes_asked) * 3))" -lt "$total" ]
}

@test "paging: a second session fetches nothing, also with the server gone, which one rank says" { # E24
	local err=$BATS_TEST_TMPDIR/err first
	read_all
	: >"$SCRATCH/web/log"
	read_all
	[ "$(packs_asked)" -eq 0 ]
	site_fault all reset
	export SLURM_JOB_ID=1 SLURM_STEP_ID=2 SLURM_NODEID=0 SLURM_STEP_TASKS_PER_NODE=3
	read_all 2>>"$err" &
	first=$!
	run_image true 2>>"$err" 3>&- &
	run_image true 2>>"$err"
	wait "$first"
	[[ "$(<"$err")" == *": warning: cannot read 'http://127"*"; going on with the copy on this node" ]]
	[ "$(wc -l <"$err")" = 1 ]
}

# Two libraries in a store of their own: a needs z, which lies far behind it.
libraries_make() {
	local lib=$BATS_TEST_TMPDIR/root/usr/lib
	mkdir -p "$lib"
	busybox_root "$BATS_TEST_TMPDIR/root" sh cat head sleep
	echo 'int z(void) { return 1; }' | cc -shared -fPIC -Wl,-soname,libz.so.9 -o "$lib/libz.so.9" -x c -
	echo 'int z(void); int a(void) { return z(); }' |
		cc -shared -fPIC -Wl,-soname,liba.so.9 -o "$lib/liba.so.9" -x c - -x none "$lib/libz.so.9"
	head -c 400000 /dev/urandom | tee -a "$lib/liba.so.9" >>"$lib/libz.so.9" # what no loader looks at
	head -c 12000000 /dev/urandom >"$lib/libm" # much more than is touched
	"$HPCRUN_BUILD/tests/lib/mkstore" "$BATS_TEST_TMPDIR/site" lab/libraries:1 "$BATS_TEST_TMPDIR/root" >/dev/null
	web_store_start "$BATS_TEST_TMPDIR/site" "$BATS_TEST_TMPDIR/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")
}
# touch_library COMMAND: what is fetched for it, once the session has nothing more to fetch
touch_library() {
	: >"$BATS_TEST_TMPDIR/web/log"
	timeout 60 "$HPCRUN" --no-home lab/libraries:1 sh -c "sleep 1; $1; sleep 1"
	wait_until 10 none_left
	rm -rf "$HPCRUN_CACHE"
	SCRATCH=$BATS_TEST_TMPDIR bytes_asked
}

@test "paging: what a library needs is fetched when it is loaded, not when it is copied" {
	local none loaded copied
	libraries_make
	none=$(touch_library :)
	loaded=$(touch_library 'head -c 64 /usr/lib/liba.so.9 >/dev/null')
	copied=$(touch_library 'cat /usr/lib/liba.so.9 >/dev/null')
	web_store_stop "$BATS_TEST_TMPDIR/web"
	echo "nothing: $none, headers: $loaded, all: $copied bytes"
	[ "$loaded" -gt $((none + 700000)) ]
	[ "$copied" -lt $((none + 500000)) ]
}

# walk_start: serve an image of 600 files of 100 kB, each in a directory that is not listed, so that nothing but the pack
# tells what comes next. SCRATCH is then of these.
walk_start() {
	local root=$BATS_FILE_TMPDIR/walk site=$BATS_FILE_TMPDIR/walk.site
	[ -e "$site" ] || {
		busybox_root "$root" sh ls sort head sed xargs cat sleep
		/usr/bin/python3 -c 'import os, sys
for i in range(1000, 1600):
    os.makedirs(f"{sys.argv[1]}/data/{i}")
    with open(f"{sys.argv[1]}/data/{i}/file", "wb") as f:
        f.write(os.urandom(100000))' "$root"
		"$HPCRUN_BUILD/tests/lib/mkstore" "$site" lab/walk:1 "$root" >/dev/null
	}
	SCRATCH=$BATS_TEST_TMPDIR
	web_store_start "$site" "$SCRATCH/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$SCRATCH/web/port")
}
# walk ORDER N [COMMAND]: read N files, sorted so, then do that
walk() {
	: >"$SCRATCH/web/log"
	timeout 60 "$HPCRUN" --no-home lab/walk:1 \
		sh -c "cd /data && ls | sort $1 | head -n $2 | sed s,.*,\&/file, | xargs cat; ${3:-:}" >/dev/null
}

@test "paging: who reads files as they lie in the image is served by few large requests" {
	local there back
	walk_start
	walk '' 170 # of 600, which is less than what brings all
	cache_remove
	there=$(packs_asked)
	walk -r 170
	wait_until 10 none_left
	back=$(packs_asked)
	web_store_stop "$SCRATCH/web"
	echo "$there requests in order, $back against it"
	[ $((there * 10)) -lt $((back * 7)) ]
}

@test "paging: when a run has touched three tenths of an image the rest is fetched, too, unless nothing is to be" {
	local go=$BATS_TEST_TMPDIR/go
	walk_start
	walk -r 140 'sleep 1.5' # it is looked for twice a second
	[ "$(bytes_asked)" -lt 30000000 ]
	cache_remove
	conf 'prefetch = none'
	walk -r 230 'sleep 1.5'
	[ "$(bytes_asked)" -lt 30000000 ]
	cache_remove
	conf
	walk -r 230 "until [ -e $go ]; do sleep 0.1; done" &
	wait_until 20 asked_for 59000000
	touch "$go"
	wait $!
	web_store_stop "$SCRATCH/web"
}

@test "paging: a server that sends whole objects of many MiB is told of, not waited for" { # E9
	local begun=$SECONDS
	walk_start
	walk '' 1
	cache_remove /packs
	site_fault whole
	for upstream in no yes; do
		conf "upstream = $upstream"
		timeout 60 "$HPCRUN" --no-home lab/walk:1 sh -c 'cat /data/1599/file; sleep 1' 2>"$BATS_TEST_TMPDIR/err" >&2 || :
		grep -q 'reading fails with an input/output error: .*the server ignores Range' "$BATS_TEST_TMPDIR/err"
	done
	[ $((SECONDS - begun)) -lt 30 ]
	web_store_stop "$SCRATCH/web"
}

@test "paging: a prefetch from a server that sends whole objects ends at the first it cannot use" { # E9
	local refused upstream
	walk_start
	site_fault whole
	: >"$SCRATCH/web/log"
	for upstream in no yes; do
		conf "upstream = $upstream"
		run -125 timeout 60 "$HPCRUN" prefetch lab/walk:1
		[[ "$output" == *"chunks are not in the cache: "*"the server ignores Range"*"hint: let the server answer Range requests"* ]]
		# what it uses ends at 16 MiB; of eight threads each asks three times, not for all of 60 MB
		refused=$(sed -n 's/.*packs.*bytes=\([0-9]*\)-.*/\1/p' "$SCRATCH/web/log" | awk '$1 > 16777216' | wc -l)
		echo "$refused requests behind that"
		[ "$refused" -lt 50 ]
		rm -rf "$HPCRUN_CACHE"
		: >"$SCRATCH/web/log"
	done
	web_store_stop "$SCRATCH/web"
}

@test "paging: the next cold start of a program fetches ahead what it will read" {
	local go=$BATS_TEST_TMPDIR/go # /tmp is the host's
	local app="until [ -e $go ]; do sleep 0.1; done; for i in 9 7 5 3 1; do cat /data/f2\$i; done; cat /data/large"
	touch "$go"
	run_image sh -c "$app" >"$BATS_TEST_TMPDIR/first"
	wait_until 10 none_left
	[ "$(find "$HPCRUN_CACHE/stores" -path '*/traces/*' -type f | wc -l)" -eq 1 ]
	cache_remove /packs
	rm "$go"
	: >"$SCRATCH/web/log"
	run_image sh -c "$app" >"$BATS_TEST_TMPDIR/second" &
	# random bytes do not compress: this much has been asked for before the program reads any of it
	wait_until 20 asked_for 5000000
	wait_until 20 quiet
	site_fault all reset
	touch "$go"
	wait $!
	cmp "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/second"
}

@test "paging: 'prefetch = all' brings the whole image, 'none' nothing ahead" {
	conf 'prefetch = all'
	total=$(find "$SCRATCH/site/packs" -type f -printf '%s\n' | awk '{ s += $1 } END { print s }')
	# a pack's table and its frame are not asked for as contents: 1 %
	run_image sh -c "until [ -e $BATS_TEST_TMPDIR/go ]; do sleep 0.1; done" &
	wait_until 20 asked_for $((total - total / 100))
	wait_until 20 quiet
	touch "$BATS_TEST_TMPDIR/go"
	wait $!
	: >"$SCRATCH/web/log"
	site_fault all reset
	read_all
	site_fault
	cache_remove
	conf 'prefetch = none'
	run_image sleep 1
	[ "$(packs_asked)" -lt 8 ]
}

@test "paging: two sessions at once fetch every byte once" { # E25
	timeout 60 "$HPCRUN" --no-home --fakeroot lab/paged:1 cat /data/large >/dev/null &
	run_image cat /data/large >/dev/null
	wait $!
	# but for the table at the end of a pack, which is no content and is each session's own
	asked=$(sed -n 's/.*bytes=\([0-9]*\)-\([0-9]*\)$/\1 \2/p' "$SCRATCH/web/log" |
		grep -vxEf <(find "$SCRATCH/site/packs" -type f -size +0 -printf '%s\n' | while read -r size; do echo "[0-9]+ $((size - 1))"; done))
	[ -n "$asked" ] && [ "$(sort <<<"$asked" | uniq -d | wc -l)" -eq 0 ]
}

@test "paging: wrong bytes, wherever they come from, never reach a program" { # E10 E12 E13
	for bad in flip html elsewhere short 'status 404'; do
		cache_remove
		conf 'outage_wait = 1'
		run_image true
		site_fault "$bad"
		run ! run_image cat /data/large
		site_fault
	done
}

@test "paging: a cache on the way that keeps wrong bytes is passed by" { # E13
	run_image true
	conf 'outage_wait = 10' 'prefetch = none' 'upstream = no'
	site_fault stale
	run_image cat /data/large | cmp - "$SCRATCH/root/data/large"
}

@test "paging: bytes that were chosen for their check sum are told by their digest" { # E13
	local got=$BATS_TEST_TMPDIR/got
	run_image true
	conf 'outage_wait = 1' 'prefetch = none' 'upstream = no'
	site_fault forge
	# those that a program waits for, and those that nobody does
	run_image cat /data/large >"$got" && return 1
	cmp -n "$(stat -c %s "$got")" "$got" "$SCRATCH/root/data/large"
	run -125 "$HPCRUN" prefetch lab/paged:1
	site_fault
	read_all
}

@test "paging: a store that says of a frame that it is larger than any can be is not believed" { # F18
	local err=$BATS_TEST_TMPDIR/err
	cp -r "$SCRATCH/site" "$BATS_TEST_TMPDIR/site"
	rm -r "$BATS_TEST_TMPDIR/site/meta"
	find "$BATS_TEST_TMPDIR/site/packs" -type f -exec truncate -s 40M {} +
	/usr/bin/python3 -c '
import struct, sys
with open(sys.argv[1], "r+b") as f:
    loc = bytearray(f.read())
    packs, chunks = struct.unpack_from("<II", loc, 8)
    for i in range(chunks):  # offsets in the pack and uncompressed, length: hpcrun-store(5)
        struct.pack_into("<QQI", loc, 16 + 40 * packs + 32 * i, 0, 0, 30 << 20)
    f.seek(0)
    f.write(loc)' "$(find "$BATS_TEST_TMPDIR/site/index" -name '*.loc')"
	web_store_start "$BATS_TEST_TMPDIR/site" "$BATS_TEST_TMPDIR/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")
	conf 'outage_wait = 1' 'prefetch = none' 'upstream = no'
	run ! run_image cat /data/large
	run -125 "$HPCRUN" prefetch lab/paged:1
	web_store_stop "$BATS_TEST_TMPDIR/web"
	[[ $output == *'the location file says a frame of 31457280 bytes'* ]]
	run ! grep -q /packs/ "$BATS_TEST_TMPDIR/web/log" # nor asked for
}

@test "paging: a server whose dates, tags and sizes change with each reply is believed for its bytes" { # E12
	site_fault moved
	read_all
}

@test "paging: a pack that was replaced under a program is an error, and no wrong byte" { # E12
	local pack=$SCRATCH/site/packs go=$BATS_TEST_TMPDIR/go err=$BATS_TEST_TMPDIR/err
	conf 'outage_wait = 2' 'prefetch = none' 'upstream = no'
	pack=$(find "$pack" -type f -size +2M)
	cp "$pack" "$BATS_TEST_TMPDIR/pack"
	run_image sh -c "cat /data/f1; until [ -e $go ]; do sleep 0.1; done; cat /data/large || echo no large; cat /data/f1" \
		>"$BATS_TEST_TMPDIR/got" 2>"$err" &
	wait_until 20 test -s "$BATS_TEST_TMPDIR/got"
	head -c "$(stat -c %s "$pack")" /dev/urandom >"$pack.new"
	mv "$pack.new" "$pack"
	touch "$go"
	wait $! || :
	mv "$BATS_TEST_TMPDIR/pack" "$pack"
	# what is verified stays; of the other no byte
	{ cat "$SCRATCH/root/data/f1"; echo no large; cat "$SCRATCH/root/data/f1"; } | cmp - "$BATS_TEST_TMPDIR/got"
	grep -qE 'Input/output error|I/O error' "$err"
	read_all
}

@test "paging: a server that ignores Range works" { # E9
	site_fault whole
	read_all
}

@test "paging: a server that fails for a while delays a program and no more" { # E15 E16 E17
	run_image true
	for bad in 'status 503' 'status 429' reset short 'flip 2'; do # a wrong reply is asked for again twice, whatever the time
		cache_remove
		site_fault "$bad"
		(sleep 1; site_fault) &
		read_all || { echo "with fault $bad"; return 1; }
		wait $!
	done
}

@test "paging: a server that says when to come back is asked by nobody before" { # E15
	local asked
	run_image true
	conf 'prefetch = none'
	site_fault busy 4
	: >"$SCRATCH/web/log"
	run_image cat /data/large /data/f300 /data/f1 >"$BATS_TEST_TMPDIR/got" 3>&- &
	wait_until 10 grep -q /packs/ "$SCRATCH/web/log"
	sleep 0.5 # those that were under way
	asked=$(packs_asked)
	sleep 1.5 # three times what it would pause for
	[ "$(packs_asked)" -eq "$asked" ]
	site_fault
	wait $!
	cat "$SCRATCH/root/data/"{large,f300,f1} | cmp - "$BATS_TEST_TMPDIR/got"
}

@test "paging: an outage ends as an input/output error, never as a missing or short file" { # E16
	run_image true
	conf 'outage_wait = 2'
	site_fault status 503
	SECONDS=0
	run run_image sh -c 'cat /data/large >/dev/null'
	[ "$status" -eq 1 ]
	grep -aqE 'Input/output error|I/O error' <<<"$output"
	[ "$SECONDS" -ge 2 ]
	[ "$SECONDS" -lt 15 ]
}

@test "paging: a program that waits for data can be killed at once" { # E16
	run_image true
	conf 'outage_wait = 600'
	site_fault status 503
	"$HPCRUN" --no-home lab/paged:1 cat /data/large >/dev/null 2>&1 3>&- &
	pid=$!
	sleep 1.5
	kill -9 "$pid"
	wait_until 2 eval '! kill -0 '"$pid"' 2>/dev/null'
}

@test "paging: a damaged cache is found and fetched again" { # F4 F5
	read_all
	find "$HPCRUN_CACHE/packs" -name '*.data' -exec /usr/bin/python3 -c '
import sys
for name in sys.argv[1:]:
    with open(name, "r+b") as f:
        for i in range(0, f.seek(0, 2), 300000):
            f.seek(i)
            b = f.read(1)
            f.seek(i)
            f.write(bytes([b[0] ^ 1]))' {} +
	: >"$SCRATCH/web/log"
	read_all
	[ "$(packs_asked)" -gt 0 ]
	find "$HPCRUN_CACHE/packs" -name '*.data' -exec truncate -s 1000 {} +
	read_all
	find "$HPCRUN_CACHE/packs" -name '*.map' -exec truncate -s 70 {} +
	read_all
}

@test "paging: kill -9 of the server at any moment leaves no wrong byte" { # F6 G1
	for i in 1 2 3 4 5; do
		run_image sh -c 'cat /data/* >/dev/null' 2>/dev/null &
		sleep "0.0$((i * 2))"
		for pid in $(leftovers | grep -- '-serve-net' | cut -d' ' -f1); do
			kill -9 "$pid" || : # it may have ended by itself
		done
		wait $! || :
		read_all
		cache_remove
	done
}

@test "paging: a cache on a full disk costs speed, not correctness" { # F1
	[ "$(id -u)" = 0 ] || skip "mounting a small tmpfs needs root"
	mkdir -p "$HPCRUN_CACHE"
	mount -t tmpfs -o size=2m,mode=0700 tmpfs "$HPCRUN_CACHE"
	read_all || { umount -l "$HPCRUN_CACHE"; return 1; }
	wait_until 10 none_left
	umount "$HPCRUN_CACHE"
}

@test "paging: a mirror is asked first, and its failure is hidden" { # E19
	conf "mirror = http://127.0.0.1:1" "mirror = $HPCRUN_STORE"
	read_all
}

@test "paging: an image that the store does not have is one message" {
	fail_with "image 'lab/other:1' is not in the store 'http://127" "$HPCRUN" lab/other:1 true
}

@test "paging: a store that cannot be reached is one message" {
	HPCRUN_STORE=http://127.0.0.1:1 fail_with 'http://127.0.0.1:1.*Connection refused|Couldn.t connect|connect to' "$HPCRUN" lab/paged:1 true
}

@test "paging: a store that was silent a moment ago is given little time until it answers" {
	local web=$HPCRUN_STORE record
	run_image true
	record=$(echo "$HPCRUN_CACHE"/stores/*)/silent
	python3 -c 'import struct, sys, time; sys.stdout.buffer.write(struct.pack("<8sQ", b"hpcrOUT1", int(time.time())))' >"$record"
	site_fault all silent
	SECONDS=0
	HPCRUN_STORE="$web $SCRATCH/site" run -0 --separate-stderr run_image true
	[[ "$stderr" == *"bytes came within 3 s; going on with the copy on this node" ]]
	[ "$SECONDS" -lt 15 ] # of 20
	site_fault
	run -0 --separate-stderr run_image true
	[[ -z "$stderr" && ! -e "$record" ]]
}

@test "paging: a mirror that lets requests hang is asked last, not first each time" {
	local mirror=$BATS_TEST_TMPDIR/mirror
	# as one that hangs does, only sooner
	timeout 60 python3 -c 'import socket, time
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
while True:
    c = s.accept()[0]
    print("asked", flush=True)
    time.sleep(1.1)
    c.close()' >"$mirror" 3>&- &
	wait_until 10 test -s "$mirror"
	conf 'prefetch = none' "mirror = http://127.0.0.1:$(head -n 1 "$mirror")"
	run_image sh -c 'for i in 300 200 100 1; do cat /data/f$i; done; cat /data/large' >/dev/null
	kill $!
	grep -c asked "$mirror"
	[ "$(grep -c asked "$mirror")" -le 2 ]
}

@test "paging: a store that does not answer is passed by, and named in one line" {
	local url=$HPCRUN_STORE others
	for others in "$url" "http://127.0.0.1:2 $SCRATCH/site"; do
		HPCRUN_STORE="http://127.0.0.1:1 $others"
		run -0 --separate-stderr run_image md5sum /data/f9
		[ "${output%% *}" = "$(md5sum <"$SCRATCH/root/data/f9" | cut -d' ' -f1)" ]
		[[ "$stderr" == *"cannot read 'http://127.0.0.1:1/"*"; image 'lab/paged:1' is taken from '${others##* }'" ]]
		[ "$(wc -l <<<"$stderr")" = 1 ]
		cache_remove
	done
	HPCRUN_STORE="http://127.0.0.1:1 $url" run -0 --separate-stderr "$HPCRUN" prefetch -q lab/paged:1
	[[ "$stderr" == *"is taken from '$url'" ]]
	HPCRUN_STORE="http://127.0.0.1:1 $url" fail_with \
		"cannot read 'http://127.0.0.1:1/.*; image 'lab/other:1' is in no store that answers" "$HPCRUN" lab/other:1 true
	HPCRUN_STORE="http://127.0.0.1:1 http://127.0.0.1:2" fail_with \
		"cannot look for image 'lab/paged:1': .*127.0.0.1:1/.*; .*127.0.0.1:2/" "$HPCRUN" prefetch lab/paged:1
}

@test "paging: plain http to another machine is refused with the remedy" {
	HPCRUN_STORE=http://store.example fail_with "plain http to 'store.example' is refused" "$HPCRUN" lab/paged:1 true
}

@test "paging: a cache that belongs to others is refused" { # F14
	mkdir -m 777 "$HPCRUN_CACHE"
	chmod 777 "$HPCRUN_CACHE"
	fail_with "the cache .* belongs to" "$HPCRUN" lab/paged:1 true
}

@test "paging: a node that has nothing asks twice before the first chunk: the reference and the metadata file" {
	run_image true
	[ "$(grep -cE '/(refs|images|meta|index)/' "$SCRATCH/web/log")" -eq 2 ]
	grep -q '/meta/.* -$' "$SCRATCH/web/log"
}

@test "paging: a store without metadata files, or with a damaged one, is read by its three files" {
	meta=$(find "$SCRATCH/site/meta" -type f)
	cp "$meta" "$BATS_TEST_TMPDIR/meta"
	rm "$meta"
	run_image true || { cp "$BATS_TEST_TMPDIR/meta" "$meta"; return 1; }
	cache_remove
	tr 'a-m' 'n-z' <"$BATS_TEST_TMPDIR/meta" >"$meta"
	run_image true || { cp "$BATS_TEST_TMPDIR/meta" "$meta"; return 1; }
	cp "$BATS_TEST_TMPDIR/meta" "$meta"
	[ "$(grep -cE '/index/.*\.loc' "$SCRATCH/web/log")" -eq 2 ]
}
