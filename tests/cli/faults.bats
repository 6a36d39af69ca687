#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Disks that fail, bytes that flip, files that go away and processes that are killed while an image is used: what a
# program reads is right, or an error. HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it.
# shellcheck disable=SC1091 # the library is checked by itself
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	need_mkstore
	scratch_make
	mkdir -p "$SCRATCH/root/data"
	busybox_root "$SCRATCH/root" sh
	head -c 2500000 /dev/urandom >"$SCRATCH/root/data/large"
	for i in $(seq 40); do
		head -c $((i * 400)) /dev/urandom >"$SCRATCH/root/data/f$i"
	done
	"$MKSTORE" "$SCRATCH/site" lab/fault:1 "$SCRATCH/root" >/dev/null
	(cd "$SCRATCH/root" && busybox sh -c "$list") >"$SCRATCH/want"
	site_start
}
teardown_file() { site_end; }

setup() {
	site_use 'outage_wait = 20'
	WEB=$HPCRUN_STORE HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	cp -r "$SCRATCH/site" "$HPCRUN_STORE"
}
teardown() {
	web_store_stop "$BATS_TEST_TMPDIR/web"
	site_fault # of a test that failed
	wait_until 20 none_left
}

run_image() { timeout 60 "$HPCRUN" --no-home lab/fault:1 "$@"; }

# Names, types, sizes and content of all that matters.
list='cd data && wc -c * && md5sum *'
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

@test "faults: a cache whose disk cannot be read is fetched again" { # F2
	need strace
	HPCRUN_STORE=$WEB
	is_right
	wait_until 20 none_left
	right_with_failing pread64:error=EIO:when=3+2
}

@test "faults: a cache that cannot be written costs speed alone" { # F1 F3
	need strace
	for call in pwrite64:error=ENOSPC pwrite64:error=EDQUOT:when=2+3 mkdirat:error=EDQUOT:when=4+ linkat:error=ENOSPC \
		ftruncate:error=EIO; do
		wait_until 20 none_left
		rm -rf "$HPCRUN_CACHE"
		HPCRUN_STORE=$WEB
		right_with_failing "$call" || { echo "with $call"; return 1; }
	done
}

@test "faults: 64 descriptors are enough, and too few are named" { # F21
	(ulimit -n 64 && is_right)
	wait_until 20 none_left
	HPCRUN_STORE=$WEB
	(ulimit -n 64 && is_right)
	wait_until 20 none_left
	for files in $(seq 8 20); do
		run bash -c 'ulimit -n "$1"; exec "$0" --no-home lab/fault:1 sh -c :' "$HPCRUN" "$files"
		[ "$status" = 0 ] || { # here and there just enough
			[ "$status" = 125 ]
			[[ $output == *"Too many open files"*"hint: the limit may be too low: $files open files (ulimit -n)" ]]
		}
		[ "$files" -gt 12 ] || [ "$status" = 125 ]
	done
}

@test "faults: limits of memory and of processes are raised where they may be, else they are named" { # F21
	HPCRUN_STORE=$WEB
	(ulimit -S -v 100000 && is_right)
	wait_until 20 none_left
	run -125 bash -c 'ulimit -v 100000; exec "$0" --no-home lab/fault:1 sh -c :' "$HPCRUN"
	[[ $output == *'hint: the limit may be too low: 97 MiB of address space (ulimit -v)' ]]
	[ "$(id -u)" != 0 ] || return 0 # has as many processes as it likes
	run -125 bash -c 'ulimit -u 1; exec "$0" --no-home lab/fault:1 sh -c :' "$HPCRUN"
	[[ $output == *'hint: the limit may be too low: 1 processes and threads of the user (ulimit -u)' ]]
}

@test "faults: files that may not grow, and memory that may not be locked, are no obstacle, or are named" { # F21
	HPCRUN_STORE=$WEB
	(ulimit -f 16 && ulimit -l 0 && is_right)
	wait_until 20 none_left
	run -125 bash -c 'ulimit -f 0; exec "$0" --no-home lab/fault:1 sh -c : 2>&1 | cat; exit ${PIPESTATUS[0]}' "$HPCRUN"
	[[ $output == *'hint: the limit may be too low: 0 KiB of a file (ulimit -f)' ]]
	HPCRUN_STORE=$BATS_TEST_TMPDIR/small
	run -125 bash -c 'ulimit -f 100; "$0" import -q "$SCRATCH/root" lab/small:1 2>&1 | cat; exit ${PIPESTATUS[0]}' "$HPCRUN"
	[[ $output == *'File too large'*'hint: the limit may be too low: 100 KiB of a file (ulimit -f)' ]]
	[ -z "$("$HPCRUN" images -q)" ]
}

@test "faults: a store that others may write is not used" { # F18
	chmod g+w "$HPCRUN_STORE"
	fail_with "others may write" "$HPCRUN" lab/fault:1 true
	chmod g-w "$HPCRUN_STORE"
	find "$HPCRUN_STORE/index" -type f -exec chmod o+w {} +
	fail_with "others may write" "$HPCRUN" lab/fault:1 true
}

@test "faults: what cannot be had is not asked for in a tight loop" { # E26
	HPCRUN_STORE=$WEB
	printf 'session_linger = 0\noutage_wait = 20\nprefetch = none\nupstream = no\n' >"$HPCRUN_CONF"
	go=$BATS_TEST_TMPDIR/go
	: >"$SCRATCH/web/log"
	run_image sh -c "echo; until [ -e $go ]; do sleep 0.1; done
		for i in 1 2 3 4 5 6 7 8; do (for k in 1 2 3 4 5 6 7 8 9 10; do cat /data/large >/dev/null; done) & done; wait" \
		>"$BATS_TEST_TMPDIR/got" 2>"$BATS_TEST_TMPDIR/err" &
	pid=$!
	wait_until 20 test -s "$BATS_TEST_TMPDIR/got"
	site_fault flip
	: >"$SCRATCH/web/log"
	SECONDS=0
	touch "$go"
	wait "$pid" || :
	site_fault
	[ "$(grep -cE 'Input/output error|I/O error' "$BATS_TEST_TMPDIR/err")" -ge 80 ]
	# 80 readings failed; three requests for each of a few chunks in each second are fine
	asked=$(grep -c /packs/ "$SCRATCH/web/log")
	[ "$asked" -le $((18 * (SECONDS + 2))) ] || { echo "$asked requests in $SECONDS s"; return 1; }
}

@test "faults: while a server is out, what the node has is read as ever" { # E16
	HPCRUN_STORE=$WEB
	printf 'session_linger = 0\noutage_wait = 600\nprefetch = none\n' >"$HPCRUN_CONF"
	run_image busybox md5sum /data/f40 >/dev/null
	wait_until 20 none_left
	site_fault status 503
	: >"$SCRATCH/web/log"
	# another file than the kernel has read, of a new session; beside it, one that waits for the server
	run_image sh -c 'busybox cat /data/large >/dev/null & until [ -e '"$BATS_TEST_TMPDIR/go"' ]; do sleep 0.1; done
		busybox md5sum /data/f40; kill $!' >"$BATS_TEST_TMPDIR/got" 2>&1 3>&- &
	wait_until 20 grep -q /packs/ "$SCRATCH/web/log"
	touch "$BATS_TEST_TMPDIR/go"
	wait $! || { site_fault; cat "$BATS_TEST_TMPDIR/got"; return 1; }
	site_fault
	[ "$(sed -n 's, .*/f40$,,p' "$BATS_TEST_TMPDIR/got")" = "$(sed -n 's, .*f40$,,p' "$SCRATCH/want" | tail -n 1)" ]
}

@test "faults: a tag that moves under a program changes nothing for it" { # E23
	cp -r "$SCRATCH/site" "$BATS_TEST_TMPDIR/site"
	web_store_start "$BATS_TEST_TMPDIR/site" "$BATS_TEST_TMPDIR/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")
	go=$BATS_TEST_TMPDIR/go
	printf 'session_linger = 0\nprefetch = none\n' >"$HPCRUN_CONF"
	run_image sh -c "echo; until [ -e $go ]; do sleep 0.1; done; cd / && $list" >"$BATS_TEST_TMPDIR/got" &
	pid=$!
	wait_until 20 test -s "$BATS_TEST_TMPDIR/got"
	mkdir -p "$BATS_TEST_TMPDIR/root/data"
	busybox_root "$BATS_TEST_TMPDIR/root" sh
	echo other >"$BATS_TEST_TMPDIR/root/data/f1"
	"$MKSTORE" "$BATS_TEST_TMPDIR/site" lab/fault:1 "$BATS_TEST_TMPDIR/root" >/dev/null
	kill -9 "$(leftovers | sed -n 's/ .*hpcrun-serve.*//p')"
	all_of | cmp "$SCRATCH/want" - # it joins the session that is there
	touch "$go"
	wait "$pid"
	tail -n +2 "$BATS_TEST_TMPDIR/got" | cmp "$SCRATCH/want" -
	wait_until 20 none_left
	[ "$(run_image busybox cat /data/f1)" = other ]
}

@test "faults: an image that is removed from its store under a program goes on, and does not start again" { # E23
	cp -r "$SCRATCH/site" "$BATS_TEST_TMPDIR/site"
	web_store_start "$BATS_TEST_TMPDIR/site" "$BATS_TEST_TMPDIR/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")
	go=$BATS_TEST_TMPDIR/go
	printf 'session_linger = 0\nprefetch = none\n' >"$HPCRUN_CONF"
	run_image sh -c "echo; until [ -e $go ]; do sleep 0.1; done; cd / && $list" >"$BATS_TEST_TMPDIR/got" 3>&- &
	pid=$!
	wait_until 20 test -s "$BATS_TEST_TMPDIR/got"
	rm -r "$BATS_TEST_TMPDIR/site/"{refs,images,index,meta}
	: >"$BATS_TEST_TMPDIR/web/log"
	kill -9 "$(leftovers | sed -n 's/ .*hpcrun-serve.*//p')"
	touch "$go"
	wait "$pid"
	tail -n +2 "$BATS_TEST_TMPDIR/got" | cmp "$SCRATCH/want" -
	wait_until 20 none_left
	run ! grep -E ' /(refs|images|index|meta)/' "$BATS_TEST_TMPDIR/web/log" # what it took over is here
	fail_with "image 'lab/fault:1' is not in the store '$HPCRUN_STORE'" run_image sh -c :
}

@test "faults: a cache on a clock that went back, or with times to come, is as good as any" { # F16
	HPCRUN_STORE=$WEB
	is_right
	wait_until 20 none_left
	find "$HPCRUN_CACHE" -type f -exec touch -d '+20 years' {} +
	is_right
	wait_until 20 none_left
	find "$HPCRUN_CACHE" -type f -exec touch -d '1975-01-01' {} +
	is_right
}

@test "faults: a cache that is removed under a program is missed by nobody" { # F15
	local go=$BATS_TEST_TMPDIR/go got=$BATS_TEST_TMPDIR/got err=$BATS_TEST_TMPDIR/err log=$SCRATCH/web/log pid
	HPCRUN_STORE=$WEB
	echo 'prefetch = none' >>"$HPCRUN_CONF"
	run_image sh -c "echo; until [ -e $go ]; do sleep 0.1; done; cd / && $list" >"$got" 2>"$err" 3>&- &
	pid=$!
	wait_until 20 test -s "$got"
	rm -rf "$HPCRUN_CACHE"
	: >"$log"
	touch "$go"
	wait "$pid"
	tail -n +2 "$got" | cmp "$SCRATCH/want" -
	[ "$(wc -l <"$err")" -le 1 ]
	# it had not read all of it before
	grep -q /packs/ "$log"
	wait_until 20 none_left
	# what it fetched was written nowhere; the next session has a cache again, and the one behind that all in it
	[ -z "$(find "$HPCRUN_CACHE" -name '*.map' 2>/dev/null)" ]
	is_right
	wait_until 20 none_left
	: >"$log"
	is_right
	[ "$(grep -c /packs/ "$log")" = 0 ]
}

@test "faults: a cache that is renamed, unmounted or covered under a server is missed by nobody" { # F15
	local fault=$SCRATCH/web/fault got=$BATS_TEST_TMPDIR/got gone
	HPCRUN_STORE=$WEB
	unshare -Urm mount -t tmpfs x /mnt 2>/dev/null || skip "no tmpfs in a user namespace"
	mkdir -m 700 "$HPCRUN_CACHE"
	for gone in 'umount -nl "$HPCRUN_CACHE"' 'mount -nt tmpfs -o ro,mode=700 x "$HPCRUN_CACHE"' \
		'mv "$HPCRUN_CACHE/packs" "$HPCRUN_CACHE/away"'; do
		printf 'status 503' >"$fault" # all data comes after the cache is gone, but for metadata
		unshare -Urm bash -ec 'mount -nt tmpfs -o mode=700 x "$HPCRUN_CACHE"
			timeout 60 "$1" --no-home lab/fault:1 sh -c "cd / && $3" >"$2" &
			for ((i = 0; i < 100; i++)); do
				[ -z "$(find "$HPCRUN_CACHE" -name "*.map")" ] || break
				sleep 0.1
			done
			eval "$5"
			[ -z "$(find "$HPCRUN_CACHE/packs" -name "*.map" 2>/dev/null)" ]
			: >"$4"
			wait $!
			# it was one server that went on, with the directory it held
			[ -z "$(find "$HPCRUN_CACHE/packs" -name "*.map" 2>/dev/null)" ]' bash "$HPCRUN" "$got" "$list" "$fault" "$gone" 2>"$BATS_TEST_TMPDIR/err"
		[ ! -s "$BATS_TEST_TMPDIR/err" ]
		cmp "$SCRATCH/want" "$got"
		wait_until 20 none_left
	done
	is_right # in the directory that was covered
}

@test "faults: a cache where no file is without a name, or no file has two, is a cache" { # F8
	local lib=$HPCRUN_BUILD/tests/lib
	HPCRUN_STORE=$WEB
	for lacking in '' "$lib/without links"; do
		wait_until 20 none_left
		rm -rf "$HPCRUN_CACHE"
		for _ in first again; do
			: >"$SCRATCH/web/log"
			# shellcheck disable=SC2086 # words
			"$lib/without" tmpfile $lacking "$HPCRUN" prefetch -q lab/fault:1
		done
		[ "$(grep -c /packs/ "$SCRATCH/web/log")" = 0 ]
		[ -z "$(find "$HPCRUN_CACHE" -name '*.new-*')" ]
	done
	is_right
}

@test "faults: names in the cache that somebody made before us are not followed" { # F10 F14
	HPCRUN_STORE=$WEB
	victim=$BATS_TEST_TMPDIR/victim
	echo precious >"$victim"
	pack=$(basename "$(find "$SCRATCH/site/packs" -type f)")
	for what in symlink fifo directory unreadable; do
		wait_until 20 none_left
		rm -rf "$HPCRUN_CACHE"
		mkdir -m 700 "$HPCRUN_CACHE"
		mkdir -p "$HPCRUN_CACHE/packs/${pack:0:2}"
		chmod -R go= "$HPCRUN_CACHE"
		for name in "packs/${pack:0:2}/$pack.data" "packs/${pack:0:2}/$pack.map" packs/turns; do
			case $what in
			symlink) ln -s "$victim" "$HPCRUN_CACHE/$name" ;;
			fifo) mkfifo "$HPCRUN_CACHE/$name" ;;
			directory) mkdir "$HPCRUN_CACHE/$name" ;;
			unreadable) install -m 0 /dev/null "$HPCRUN_CACHE/$name" ;;
			esac
		done
		is_right || { echo "with a $what"; return 1; }
		[ "$(cat "$victim")" = precious ]
	done
	wait_until 20 none_left
	rm -rf "$HPCRUN_CACHE"
	ln -s "$BATS_TEST_TMPDIR" "$HPCRUN_CACHE"
	chmod 755 "$BATS_TEST_TMPDIR"
	fail_with 'the cache .* belongs to' "$HPCRUN" lab/fault:1 true
}

# flip FILE PERMILLE: invert a byte there
flip() {
	/usr/bin/python3 -c '
import sys
with open(sys.argv[1], "r+b") as f:
    at = (f.seek(0, 2) - 1) * int(sys.argv[2]) // 1000
    f.seek(at)
    b = f.read(1)
    f.seek(at)
    f.write(bytes([b[0] ^ 0x21]))' "$1" "$2"
}

@test "faults: a wrong byte in any kind of file of a cache is fetched again, of a store refused or not seen" { # F4 F5 F17 F18
	run -0 timeout 250 "$TESTS_DIR/fault/flip" -n 30 # once for each kind, at least
	for kind in files/ native/ packs/ 'stores/*/format' 'stores/*/index/' 'stores/*/refs/' 'stores/*/traces/'; do
		grep -qF "cache $kind" <<<"$output" || { echo "no $kind in the cache"; return 1; }
	done
	# of these no byte goes without a check
	for kind in 'store packs/*/*' 'store index/*/*' 'web   packs/*/*'; do
		grep -qF "$kind: 0 right, " <<<"$output" || { echo "$kind: $output"; return 1; }
	done
}

@test "faults: an index that is not what its record says is refused by 'verify = full', and from a web server" { # F4 F18
	printf 'session_linger = 0\nverify = full\n' >"$HPCRUN_CONF"
	flip "$(find "$HPCRUN_STORE/index" -type f ! -name '*.loc')" 700
	fail_with 'the image index is [0-9a-f]{64}, expected [0-9a-f]{64}' run_image sh -c :
	# and always when it comes from a web server
	rm -r "$HPCRUN_STORE/meta"
	web_store_start "$HPCRUN_STORE" "$BATS_TEST_TMPDIR/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")
	printf 'session_linger = 0\n' >"$HPCRUN_CONF"
	fail_with 'the image index of store .* is [0-9a-f]{64}, expected' run_image sh -c :
}

@test "faults: an index that is right, and of another image, is refused" { # F18
	local record other
	record=$(find "$HPCRUN_STORE/images" -type f)
	mkdir -p "$BATS_TEST_TMPDIR/root"
	busybox_root "$BATS_TEST_TMPDIR/root" sh
	"$MKSTORE" "$HPCRUN_STORE" lab/other:1 "$BATS_TEST_TMPDIR/root" >/dev/null
	other=$(find "$HPCRUN_STORE/images" -type f ! -path "$record" -exec sed -n 's/^index //p' {} +)
	[ -n "$other" ]
	chmod u+w "$record"
	sed -i "s/^index .*/index $other/" "$record"
	fail_with 'the image index is that of another image' run_image sh -c :
}

# lose HOW: what a power loss leaves of the cache, where directories and maps reached the disk and data did not
lose() {
	find "$HPCRUN_CACHE/packs" -name '*.data' -exec /usr/bin/python3 -c '
import os, random, sys
for name in sys.argv[2:]:
    size = os.stat(name).st_size
    with open(name, "r+b") as f:
        if sys.argv[1] == "tail":
            f.truncate(size // 2)
        if sys.argv[1] in ("all", "pages"):  # as pages that were never written read, and file systems that clear them
            for at in range(0, size, 4096):
                if sys.argv[1] == "all" or random.random() < 0.5:
                    f.seek(at)
                    f.write(bytes(min(4096, size - at)))
    if sys.argv[1] == "file":
        os.unlink(name)' "$1" {} +
}

@test "faults: after a power loss no byte is believed that did not reach the disk" { # F5 F6
	HPCRUN_STORE=$WEB
	is_right
	wait_until 20 none_left
	for how in pages all tail file; do
		lose "$how"
		is_right || { echo "with $how lost"; return 1; }
		wait_until 20 none_left
		: >"$SCRATCH/web/log"
		is_right # from the cache, which is whole again
		wait_until 20 none_left
		[ "$(grep -c /packs/ "$SCRATCH/web/log")" = 0 ] || { echo "asked again after $how was lost"; return 1; }
	done
}

@test "faults: a map that says all is there where nothing is, is not believed" { # F6
	HPCRUN_STORE=$WEB
	is_right
	wait_until 20 none_left
	find "$HPCRUN_CACHE/packs" -name '*.map' -exec /usr/bin/python3 -c '
import os, sys
for name in sys.argv[1:]:
    with open(name, "r+b") as f:
        f.seek(64)
        f.write(b"\1" * (os.stat(name).st_size - 64))
    with open(name[:-4] + ".data", "r+b") as f:
        f.truncate(0)
        f.truncate(10 << 20)' {} +
	is_right
}

@test "faults: files of the cache and of the store that are cut under a server cost no wrong byte and no hang" { # F11
	local go=$BATS_TEST_TMPDIR/go where
	printf 'session_linger = 0\noutage_wait = 2\nprefetch = none\nupstream = no\n' >"$HPCRUN_CONF"
	for where in "$HPCRUN_CACHE" "$HPCRUN_STORE"; do
		[ "$where" != "$HPCRUN_CACHE" ] || HPCRUN_STORE=$WEB
		rm -f "$go"
		: >"$BATS_TEST_TMPDIR/out"
		run_image sh -c "cd / && $list; until [ -e $go ]; do sleep 0.1; done; for f in data/*; do busybox md5sum \$f; done" \
			>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
		wait_until 20 grep -q large "$BATS_TEST_TMPDIR/out"
		find "$where" -type f -size +0 -exec truncate -s 100 {} +
		touch "$go"
		wait $! || :
		# each sum that was printed is one of the right ones
		sed 's, data/, ,' "$BATS_TEST_TMPDIR/out" | grep -vxFf "$SCRATCH/want" >"$BATS_TEST_TMPDIR/wrong" || :
		[ ! -s "$BATS_TEST_TMPDIR/wrong" ]
		wait_until 20 none_left
		HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	done
}

@test "faults: what other users keep beside our cache is not looked at" { # F11 F12
	need strace
	HPCRUN_STORE=$WEB
	mkdir -p "$BATS_TEST_TMPDIR/shared/other/packs"
	chmod 1777 "$BATS_TEST_TMPDIR/shared"
	HPCRUN_CACHE=$BATS_TEST_TMPDIR/shared/ours
	strace -qqf -e trace=%file,getdents64 -o "$BATS_TEST_TMPDIR/trace" timeout 60 "$HPCRUN" --no-home lab/fault:1 sh -c :
	"$HPCRUN" cache >/dev/null
	grep -q shared/ours "$BATS_TEST_TMPDIR/trace"
	# made where it is missing, never listed
	[ "$(grep -E 'shared(/other|"|/")' "$BATS_TEST_TMPDIR/trace" | grep -vc mkdir)" = 0 ]
}

# without_cache COMMAND...: as is_right, started by COMMAND..., and what keeps the cache from being used is said in one line.
without_cache() {
	local status=0
	"$@" timeout 60 "$HPCRUN" --no-home lab/fault:1 sh -c "cd / && $list" \
		>"$BATS_TEST_TMPDIR/got" 2>"$BATS_TEST_TMPDIR/err" || status=$?
	wait_until 20 none_left
	cat "$BATS_TEST_TMPDIR/err"
	[ "$status" = 0 ] && cmp "$SCRATCH/want" "$BATS_TEST_TMPDIR/got" && [ "$(grep -c . "$BATS_TEST_TMPDIR/err")" -le 1 ]
}

@test "faults: a disk without room for another file costs speed, and a line" { # F13
	local inodes room
	unshare -Urm mount -t tmpfs -o nr_inodes=9 x /mnt 2>/dev/null || skip "no tmpfs in a user namespace"
	HPCRUN_STORE=$WEB
	mkdir -m 700 "$HPCRUN_CACHE"
	room='mount -t tmpfs -o nr_inodes=$0,mode=700 x "$HPCRUN_CACHE" && exec "$@"'
	for inodes in 1 3 7 12 16 20 40; do
		without_cache unshare -Urm bash -c "$room" "$inodes"
		[ "$inodes" -gt 9 ] || grep -q 'only in memory: .*No space left' "$BATS_TEST_TMPDIR/err"
	done
	[ ! -s "$BATS_TEST_TMPDIR/err" ] # room for all that there is
}

@test "faults: a cache on a read-only disk, or that cannot be made, costs speed, and a line" { # F13 F14
	HPCRUN_STORE=$WEB
	unshare -Urm mount -t tmpfs -o ro x /mnt 2>/dev/null || skip "no tmpfs in a user namespace"
	mkdir -m 700 "$HPCRUN_CACHE"
	without_cache unshare -Urm bash -c 'mount -t tmpfs -o ro,mode=700 x "$HPCRUN_CACHE" && exec "$@"' bash
	grep -q 'only in memory: .*Read-only file system' "$BATS_TEST_TMPDIR/err"
	HPCRUN_CACHE=$BATS_TEST_TMPDIR/none/cache
	without_cache unshare -Urm bash -c 'mkdir -m 500 "${HPCRUN_CACHE%/*}" &&
		mount -t tmpfs -o ro x "${HPCRUN_CACHE%/*}" && exec "$@"' bash
	grep -q "only in memory: .*'$HPCRUN_CACHE': Read-only file system" "$BATS_TEST_TMPDIR/err"
	HPCRUN_CACHE=$SCRATCH/conf/cache # below a file
	: >"$SCRATCH/conf"
	without_cache env
	grep -q 'only in memory: .*Not a directory' "$BATS_TEST_TMPDIR/err"
	[ "$(id -u)" != 0 ] || return 0 # may write anywhere
	HPCRUN_CACHE=/proc/hpcrun-cache
	without_cache env
	grep -qE 'only in memory: .*(Permission denied|No such file)' "$BATS_TEST_TMPDIR/err"
}

@test "faults: a quota that is used up costs speed, and a line" { # F1 F13
	need strace
	HPCRUN_STORE=$WEB
	mkdir -m 700 "$HPCRUN_CACHE"
	without_cache strace -qqf -o /dev/null -P "$HPCRUN_CACHE" -e trace=mkdirat -e inject=mkdirat:error=EDQUOT
	grep -q 'only in memory: .*Disk quota exceeded' "$BATS_TEST_TMPDIR/err"
	without_cache strace -qqf -o /dev/null -e trace=pwrite64 -e inject=pwrite64:error=EDQUOT
	grep -q 'only in memory: .*Disk quota exceeded' "$BATS_TEST_TMPDIR/err"
}

@test "faults: 'prefetch' says why the cache does not take what it is for" { # F13
	HPCRUN_STORE=$WEB
	unshare -Urm mount -t tmpfs -o nr_inodes=9 x /mnt 2>/dev/null || skip "no tmpfs in a user namespace"
	mkdir -m 700 "$HPCRUN_CACHE"
	for inodes in 2 18; do
		run -125 unshare -Urm bash -c 'mount -t tmpfs -o nr_inodes=$0,mode=700 x "$HPCRUN_CACHE" && exec "$@"' "$inodes" \
			"$HPCRUN" prefetch lab/fault:1
		[[ $output == *'No space left on device'* ]]
	done
	run -125 unshare -Urm bash -c 'mount -t tmpfs -o size=1m,mode=700 x "$HPCRUN_CACHE" && exec "$@"' - "$HPCRUN" prefetch lab/fault:1
	[[ $output == *"'hpcrun cache --clear' empties '$HPCRUN_CACHE'"* ]]
}

@test "faults: a process that is stopped with a chunk claimed holds up nobody for ever" { # F13 G2
	HPCRUN_STORE=$WEB
	printf 'session_linger = 0\noutage_wait = 1\n' >"$HPCRUN_CONF"
	run_image sh -c :
	wait_until 20 none_left
	find "$HPCRUN_CACHE/packs" -name '*.data' -exec truncate -s 0 {} +
	/usr/bin/python3 -c '
import fcntl, glob, struct, sys, time
held = [open(name, "r+b") for name in glob.glob(sys.argv[2] + "/packs/*/*.map")]
for f in held:  # OFD locks of all frames, as their server would have
    fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 64, 0, 0))
open(sys.argv[1], "w").close()
time.sleep(600)' "$BATS_TEST_TMPDIR/held" "$HPCRUN_CACHE" 3>&- &
	wait_until 20 test -e "$BATS_TEST_TMPDIR/held"
	is_right || { kill $!; return 1; }
	kill $!
}

@test "faults: a process that says of what it claims that it is there, and lies, is not believed" { # F4 F13
	HPCRUN_STORE=$WEB
	run_image sh -c :
	wait_until 20 none_left
	find "$HPCRUN_CACHE/packs" -name '*.data' -exec truncate -s 0 {} +
	/usr/bin/python3 -c '
import fcntl, glob, os, struct, sys, time
held = [open(name, "r+b") for name in glob.glob(sys.argv[2] + "/packs/*/*.map")]
for f in held:
    fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 64, 0, 0))
open(sys.argv[1], "w").close()
time.sleep(1.5)
for f in held:
    os.truncate(f.name[:-4] + ".data", 10 << 20)
    os.pwrite(f.fileno(), bytes([1]) * (os.fstat(f.fileno()).st_size - 64), 64)
time.sleep(1)' "$BATS_TEST_TMPDIR/held" "$HPCRUN_CACHE" 3>&- &
	wait_until 20 test -e "$BATS_TEST_TMPDIR/held"
	is_right
	wait $!
}

@test "faults: whatever the umask, nobody else can look into the cache, or learn what is there" { # F19 F20
	HPCRUN_STORE=$WEB HPCRUN_CACHE=$SCRATCH/ours
	for mask in 077 0777 000; do
		wait_until 20 none_left
		rm -rf "$HPCRUN_CACHE"
		(umask $mask && run_image busybox cat /data/f40 >/dev/null)
		wait_until 20 none_left
		[ "$(stat -c %a "$HPCRUN_CACHE")" = 700 ]
	done
	# another user, by the path or in our name
	if [ "$(id -u)" = 0 ]; then
		chmod 755 "$SCRATCH"
		pack=$(find "$HPCRUN_CACHE/packs" -name '*.data')
		run ! as_user test -e "$pack"
		run ! as_user test -r "$HPCRUN_CACHE"
		cp "$HPCRUN_CONF" "$SCRATCH/other.conf"
		run -0 as_user env HPCRUN_CONF="$SCRATCH/other.conf" HOME=/ TMPDIR=/tmp XDG_RUNTIME_DIR= "$HPCRUN" --no-home lab/fault:1 sh -c :
		[[ $output == *"only in memory: cannot open the cache '$HPCRUN_CACHE': Permission denied"* ]]
		# nor do we use what is theirs, whatever its mode
		chown "$TEST_USER" "$HPCRUN_CACHE"
		fail_with "the cache .* belongs to uid $(id -u "$TEST_USER") with mode 0700, expected uid 0 and 0700" run_image sh -c :
	fi
}

@test "faults: a directory that gives its files a group and an access list gives them to nobody" { # F20
	HPCRUN_CACHE=$BATS_TEST_TMPDIR/given/cache
	mkdir -m 2755 "$BATS_TEST_TMPDIR/given"
	# an access list, user 1 and all others: everything; as the file system keeps it
	/usr/bin/python3 -c '
import os, struct, sys
acl = b"".join(struct.pack("<HHI", tag, 7, who) for tag, who in
               ((1, 2**32 - 1), (2, 1), (4, 2**32 - 1), (16, 2**32 - 1), (32, 2**32 - 1)))
os.setxattr(sys.argv[1], "system.posix_acl_default", struct.pack("<I", 2) + acl)' "$BATS_TEST_TMPDIR/given" ||
		skip "no access control lists here"
	HPCRUN_STORE=$BATS_TEST_TMPDIR/given/store
	"$HPCRUN" import -q "$SCRATCH/root" lab/fault:1
	[ -z "$(find "$HPCRUN_STORE" -perm /022)" ]
	is_right
	wait_until 20 none_left
	HPCRUN_STORE=$WEB
	is_right
	wait_until 20 none_left
	[ -n "$(find "$HPCRUN_CACHE/packs" -type f)" ]
	[ -z "$(find "$HPCRUN_CACHE" "$HPCRUN_CACHE/packs" -maxdepth 0 -perm /077)" ]
}

@test "faults: an image costs the cache a handful of files, however many it has" { # F22
	HPCRUN_STORE=$WEB
	is_right
	wait_until 20 none_left
	[ "$(find "$HPCRUN_CACHE" -type f | wc -l)" -le 15 ]
	# and none of them lies where those of all images lie
	[ -z "$(find "$HPCRUN_CACHE/packs" -maxdepth 1 -type f ! -name turns)" ]
}

@test "faults: kill -9 of any process at any moment leaves no wrong byte and nothing behind" { # F6 G1 G4 H2 H4
	run -0 timeout 200 "$TESTS_DIR/fault/kill" -n 15
	[[ $output == *"15 rounds"* ]]
}
