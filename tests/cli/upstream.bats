#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The registry as the last origin: packs that the stores have lost, while programs run and when the image is pulled
# again.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	file_setup
	publish busybox large-and-many-files hardlinks-across-layers
	export HPCRUN_CONF=$SCRATCH/conf IMAGE=$REGISTRY/test/large-and-many-files:1
	conf
	"$HPCRUN" pull -q "$IMAGE" >/dev/null
	read_all "$SCRATCH/want"
	"$HPCRUN" rmi "$IMAGE" >/dev/null
}
teardown_file() { file_teardown; }

setup() {
	need userns
	need fuse
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store HPCRUN_CACHE=$BATS_TEST_TMPDIR/cache
	conf
	"$HPCRUN" pull -q "$IMAGE" >/dev/null
	: >"$REG_LOG"
	cd /
}

teardown() {
	web_store_stop "$BATS_TEST_TMPDIR" # or another server that a test started
	wait_until 20 none_left
}

helper_runs() { leftovers | grep -q '/hpcrun-store$'; }
conf() { printf '%s\n' 'session_linger = 0' "$@" >"$HPCRUN_CONF"; }
packs() { find "$BATS_TEST_TMPDIR/store/packs" -type f; }
packs_of() { (cd "$1/packs" && find . -type f | sort); }
blobs_asked() { registry_requests '/v2/test/[a-z-]*/blobs/'; }
run_image() { timeout 60 "$HPCRUN" --no-home "$IMAGE" "$@"; }

# for sh in the image: with files of all kinds, from all packs
each_file='echo /bin/busybox /exact /large /limit /more /over /many/1??? | xargs'

# read_all FILE: all of them, with their sums
read_all() {
	run_image sh -c "$each_file md5sum" >"$1" 2>"$1.err" || { head -n 3 "$1.err" && return 1; }
	[ "$(wc -l <"$1")" -gt 1000 ]
}

is_right() {
	read_all "$BATS_TEST_TMPDIR/got" && diff "$SCRATCH/want" "$BATS_TEST_TMPDIR/got"
}

# The store behind a web server from now on.
behind_web() {
	web_store_start "$HPCRUN_STORE" "$BATS_TEST_TMPDIR"
	HPCRUN_STORE=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/port")
}

# Two bytes of each MiB of each pack.
damage_packs() {
	packs | xargs /usr/bin/python3 -c '
import sys
for name in sys.argv[1:]:
    with open(name, "r+b") as f:
        for i in range(500, f.seek(0, 2), 50000):
            f.seek(i)
            b = f.read(1)
            f.seek(i)
            f.write(bytes([b[0] ^ 1]))'
}

@test "upstream: a lost pack comes from the registry, each layer once" { # E23
	packs | xargs rm
	is_right
	[ "$(blobs_asked)" -eq 2 ]
	wait_until 20 none_left
	"$HPCRUN" stats --json | python3 -c '
import json, sys
seen = [o for s in json.load(sys.stdin) for o in s["origins"] if o["origin"].startswith(sys.argv[1] + "/")]
assert sum(o["requests"] for o in seen) >= 1 and sum(o["bytes"] for o in seen) > 100000, seen' "$REGISTRY"
	: >"$REG_LOG"
	is_right
	[ "$(blobs_asked)" -eq 0 ]
}

large_is_made() { [ -n "$(find "$HPCRUN_CACHE/files" -type f -size +8M 2>/dev/null)" ]; }
@test "upstream: what became a large file of its own is asked for once as well" {
	packs | xargs rm
	run_image sh -c "md5sum /large; until [ -e $BATS_TEST_TMPDIR/made ]; do sleep 0.1; done" >"$BATS_TEST_TMPDIR/first" 3>&- &
	wait_until 60 large_is_made
	touch "$BATS_TEST_TMPDIR/made"
	wait $!
	wait_until 20 none_left
	: >"$REG_LOG"
	# another program, for which no large files are mounted at the start
	run_image busybox md5sum /large >"$BATS_TEST_TMPDIR/second"
	cmp "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/second"
	[ "$(blobs_asked)" -eq 0 ]
}

@test "upstream: what is damaged in a pack comes from the registry" { # F4
	damage_packs
	is_right
	[ "$(blobs_asked)" -le 2 ]
}

@test "upstream: of a store behind a web server, too, where it has lost them or has them damaged" {
	behind_web
	packs | xargs rm
	is_right
	[ "$(blobs_asked)" -eq 2 ]
	wait_until 20 none_left
	rm -rf "$HPCRUN_CACHE"
	HPCRUN_STORE=$BATS_TEST_TMPDIR/store "$HPCRUN" pull -q "$IMAGE"
	damage_packs
	is_right
}

@test "upstream: also with every byte checked by sha256, and without a cache" {
	conf 'verify = full'
	packs | xargs rm
	run_image sh -c 'md5sum /bin/busybox'
	HPCRUN_CACHE=/proc/none run_image sh -c 'md5sum /bin/busybox'
}

@test "upstream: with the layer indexes gone as well" {
	packs | xargs rm
	find "$HPCRUN_STORE/layers" -type f -delete
	is_right
}

@test "upstream: 'upstream = no' makes it an input/output error" {
	conf 'upstream = no'
	packs | xargs rm
	run run_image true
	[ "$status" -ne 0 ]
	[ "$(blobs_asked)" -eq 0 ]
}

@test "upstream: a registry that is gone, too, is an input/output error and no wrong byte" {
	run_image true
	wait_until 20 none_left
	packs | xargs rm
	# the image's own registry: nothing listens there
	mkdir -p "$HPCRUN_STORE/refs/127.0.0.1:1/test"
	mv "$HPCRUN_STORE"/refs/*/test/large-and-many-files "$HPCRUN_STORE/refs/127.0.0.1:1/test/"
	conf 'outage_wait = 2'
	IMAGE=127.0.0.1:1/test/large-and-many-files:1
	run run_image sh -c "$each_file cat >/dev/null"
	[ "$status" -ne 0 ]
	grep -aqE 'Input/output error|I/O error' <<<"$output"
}

@test "upstream: a program that waits for the registry can be killed at once" {
	run_image true # what it needs to start
	wait_until 20 none_left
	packs | xargs rm
	# a registry that takes connections and says nothing
	/usr/bin/python3 -c '
import socket, sys, time
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(50)
open(sys.argv[1], "w").write(str(s.getsockname()[1]))
time.sleep(60)' "$BATS_TEST_TMPDIR/port" 3>&- &
	echo $! >"$BATS_TEST_TMPDIR/pid"
	wait_until 20 test -s "$BATS_TEST_TMPDIR/port"
	silent=127.0.0.1:$(cat "$BATS_TEST_TMPDIR/port")
	mkdir -p "$HPCRUN_STORE/refs/$silent/test"
	mv "$HPCRUN_STORE/refs/$REGISTRY/test/large-and-many-files" "$HPCRUN_STORE/refs/$silent/test/"
	setsid "$HPCRUN" --no-home "$silent/test/large-and-many-files:1" \
		sh -c "$each_file cat" >/dev/null 2>&1 3>&- &
	pid=$!
	wait_until 20 helper_runs
	kill -KILL -- "-$pid"
	# nobody is left: neither who waited, nor the helper
	wait_until 10 none_left
}

@test "upstream: a registry that wants a login gets the one of 'hpcrun login'" { # E2
	registry_start "$BATS_TEST_TMPDIR/registry" tester secret
	echo "$REG_PID" >"$BATS_TEST_TMPDIR/pid"
	publish busybox
	"$HPCRUN" login -u tester --password-stdin "$REGISTRY" <<<secret
	HPCRUN_STORE=$BATS_TEST_TMPDIR/private
	"$HPCRUN" pull -q "$REGISTRY/test/busybox:1"
	find "$HPCRUN_STORE/packs" -type f -delete
	run -0 timeout 60 "$HPCRUN" --no-home "$REGISTRY/test/busybox:1" echo ran
	[ "$output" = ran ]
	# what needed a login is for nobody else
	[ "$(stat -c %a "$HPCRUN_CACHE")" = 700 ]
}

@test "upstream: four sessions at once download each layer once" { # E25
	packs | xargs rm
	running=()
	for i in 1 2 3 4; do
		timeout 60 "$HPCRUN" --no-home --env "N=$i" "$IMAGE" sh -c "$each_file md5sum" >"$BATS_TEST_TMPDIR/sum$i" 3>&- &
		running+=("$!")
	done
	wait "${running[@]}"
	for i in 1 2 3 4; do
		diff "$SCRATCH/want" "$BATS_TEST_TMPDIR/sum$i"
	done
	[ "$(blobs_asked)" -le 2 ]
}

@test "prefetch: gets from the registry what a store behind a web server has lost" {
	behind_web
	packs | head -n 1 | xargs rm
	"$HPCRUN" prefetch -q "$IMAGE"
	: >"$REG_LOG"
	echo 'all reset' >"$BATS_TEST_TMPDIR/fault"
	is_right
	[ "$(blobs_asked)" -eq 0 ]
}

@test "pull: repairs an image whose packs were lost, and nothing else is fetched" { # F4
	lost=$(packs | head -n 1)
	rm "$lost"
	conf 'upstream = no'
	"$HPCRUN" pull -q "$IMAGE"
	[ "$(blobs_asked)" -eq 1 ]
	is_right
}

@test "pull: repairs an image whose chunks lay in the lost pack of another" {
	HPCRUN_STORE=$BATS_TEST_TMPDIR/shared
	conf 'upstream = no'
	# the second image's lowest layer is the first one's
	"$HPCRUN" pull -q "$REGISTRY/test/busybox:1"
	"$HPCRUN" pull -q "$REGISTRY/test/hardlinks-across-layers:1"
	find "$HPCRUN_STORE/packs" -type f -delete
	"$HPCRUN" pull -q "$REGISTRY/test/hardlinks-across-layers:1"
	"$HPCRUN" pull -q "$REGISTRY/test/busybox:1"
	timeout 60 "$HPCRUN" --no-home "$REGISTRY/test/busybox:1" sh -c 'cat /bin/* >/dev/null'
	timeout 60 "$HPCRUN" --no-home "$REGISTRY/test/hardlinks-across-layers:1" sh -c 'cat /bin/* >/dev/null'
}

@test "pull: a disk that fails at any step is a message, and leaves nothing half-made" { # F1 F3
	need strace
	IMAGE=$REGISTRY/test/busybox:1
	for call in write:error=ENOSPC:when=3 write:error=ENOSPC:when=9 pwrite64:error=EDQUOT fsync:error=EIO:when=2 \
		rename:error=ENOSPC:when=2 renameat:error=ENOSPC:when=2 mkdirat:error=EDQUOT:when=8; do
		HPCRUN_STORE=$BATS_TEST_TMPDIR/full
		rm -rf "$HPCRUN_STORE"
		if strace -qqf -o /dev/null -e trace=none -e "inject=$call" "$HPCRUN" pull -q "$IMAGE" >/dev/null 2>"$BATS_TEST_TMPDIR/err"; then
			continue # it makes no such call
		fi
		grep -q '^hpcrun: ' "$BATS_TEST_TMPDIR/err" || { cat "$BATS_TEST_TMPDIR/err"; return 1; }
		run -0 "$HPCRUN" images -q
		[ -z "$output" ] || { echo "$call: an image after a failure"; return 1; }
		"$HPCRUN" pull -q "$IMAGE"
		run_image true
	done
	# what is interrupted goes on
	HPCRUN_STORE=$BATS_TEST_TMPDIR/eintr
	strace -qqf -o /dev/null -e trace=none -e inject=write,pwrite64,read,pread64:error=EINTR:when=5+9 "$HPCRUN" pull -q "$IMAGE"
	run_image true
}

# As many as are asked for, eight in a row of tests; 128 of them take a minute. tests/unit/test_store_writers.c is 128
# writers of a store without a registry.
@test "pull: eight at once store everything once" { # F7
	local n=${HPCRUN_TEST_PULLS:-8}
	HPCRUN_STORE=$BATS_TEST_TMPDIR/shared
	: >"$REG_LOG"
	running=()
	for i in $(seq "$n"); do
		timeout 300 "$HPCRUN" pull -q "$IMAGE" >/dev/null 3>&- &
		running+=("$!")
	done
	for pid in "${running[@]}"; do
		wait "$pid"
	done
	is_right
	# two layers once, the config by each
	[ "$(blobs_asked)" -le $((2 + n)) ]
	[ "$(packs_of "$HPCRUN_STORE")" = "$(packs_of "$BATS_TEST_TMPDIR/store")" ]
}
