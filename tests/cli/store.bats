#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# What a pull leaves in a store, seen from outside: nothing twice, nothing half, the same everywhere.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	file_setup
	publish busybox five-hundred-layers large-and-many-files sparse-files hardlinks-across-layers
}
teardown_file() { file_teardown; }

setup() { export HPCRUN_STORE=$BATS_TEST_TMPDIR/store; }

# The bytes of all packs.
packs_size() { find "$HPCRUN_STORE/packs" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'; }

# Every object but where chunks lie, with its content: what must be the same in all stores.
contents() {
	(cd "$1" && find layers index images docs blobs -type f ! -name '*.loc' -exec sha256sum {} + | LC_ALL=C sort)
}

nothing_half_made() { [ -z "$(find "$HPCRUN_STORE/tmp" "$HPCRUN_STORE/leases" -type f 2>/dev/null)" ]; }

# tar_image DIRECTORY TAG: test/tar:TAG in the registry, one layer
tar_image() {
	tar -C "$1" --sort=name --owner=0 --group=0 -cf "$BATS_TEST_TMPDIR/$2.tar" .
	publish --layout "$BATS_TEST_TMPDIR/oci" --tar "$BATS_TEST_TMPDIR/$2.tar" "$2"
	skopeo copy -q --dest-tls-verify=false "oci:$BATS_TEST_TMPDIR/oci:$2" "docker://$REGISTRY/test/tar:$2"
}

# some_files DIRECTORY: 1500 small files that do not compress, and a larger one; the same in each run, for where chunks
# are cut depends on what files hold
some_files() {
	mkdir -p "$1"
	bytes 12000000 1 | split -b 8000 -a 4 - "$1/f"
	bytes 3000000 2 >"$1/large"
}
bytes() { head -c "$1" /dev/zero | openssl enc -aes-128-ctr -K "$2" -iv 0 2>/dev/null; }

@test "store: threads and their timing do not change a byte of what is stored" {
	HPCRUN_STORE=$BATS_TEST_TMPDIR/a "$HPCRUN" pull -q -t 1 -j 1 "$REGISTRY/test/large-and-many-files:1"
	HPCRUN_STORE=$BATS_TEST_TMPDIR/b "$HPCRUN" pull -q -t 8 -j 8 "$REGISTRY/test/large-and-many-files:1"
	diff <(contents "$BATS_TEST_TMPDIR/a") <(contents "$BATS_TEST_TMPDIR/b")
}

@test "store: what was there before does not change a byte of what is stored" {
	HPCRUN_STORE=$BATS_TEST_TMPDIR/a "$HPCRUN" pull -q "$REGISTRY/test/sparse-files:1"
	"$HPCRUN" pull -q "$REGISTRY/test/hardlinks-across-layers:1"
	"$HPCRUN" pull -q "$REGISTRY/test/sparse-files:1"
	contents "$BATS_TEST_TMPDIR/a" >"$BATS_TEST_TMPDIR/alone"
	contents "$HPCRUN_STORE" >"$BATS_TEST_TMPDIR/both"
	[ -z "$(LC_ALL=C comm -23 "$BATS_TEST_TMPDIR/alone" "$BATS_TEST_TMPDIR/both")" ]
}

@test "store: a pack is what zstd reads, chunk for chunk" {
	command -v zstd >/dev/null || skip "not there: zstd"
	"$HPCRUN" pull -q "$REGISTRY/test/large-and-many-files:1"
	for pack in "$HPCRUN_STORE"/packs/*/*; do
		zstd -qdc "$pack" >"$BATS_TEST_TMPDIR/chunks"
		[ -s "$BATS_TEST_TMPDIR/chunks" ]
	done
}

@test "store: a rebuilt layer costs little more than what changed" {
	need skopeo
	some_files "$BATS_TEST_TMPDIR/tree"
	tar_image "$BATS_TEST_TMPDIR/tree" one
	"$HPCRUN" pull -q "$REGISTRY/test/tar:one"
	before=$(packs_size)
	bytes 5000 3 >"$BATS_TEST_TMPDIR/tree/faabc"
	tar_image "$BATS_TEST_TMPDIR/tree" two
	run -0 "$HPCRUN" pull "$REGISTRY/test/tar:two"
	[[ $output == *"% deduplicated"* ]]
	[ $(($(packs_size) - before)) -lt $((before / 20)) ]
}

@test "store: the dict is made again when it was removed" {
	need skopeo
	some_files "$BATS_TEST_TMPDIR/tree"
	tar_image "$BATS_TEST_TMPDIR/tree" three
	"$HPCRUN" pull -q "$REGISTRY/test/tar:three"
	before=$(packs_size)
	rm -rf "$HPCRUN_STORE/dict"
	echo new >"$BATS_TEST_TMPDIR/tree/new"
	tar_image "$BATS_TEST_TMPDIR/tree" four
	"$HPCRUN" pull -q "$REGISTRY/test/tar:four"
	[ $(($(packs_size) - before)) -lt $((before / 20)) ]
	find "$HPCRUN_STORE/dict" -type f | while read -r part; do echo damaged >"$part"; done
	echo newer >"$BATS_TEST_TMPDIR/tree/newer"
	tar_image "$BATS_TEST_TMPDIR/tree" five
	"$HPCRUN" pull -q "$REGISTRY/test/tar:five"
	[ $(($(packs_size) - before)) -lt $((before / 10)) ]
}

@test "store: a killed pull keeps the layers that it finished" { # F6
	"$HPCRUN" pull -q -j 2 "$REGISTRY/test/five-hundred-layers:1" >/dev/null 2>&1 3>&- &
	pid=$!
	wait_until 60 sh -c '[ $(find "$0/blobs" -type f 2>/dev/null | wc -l) -ge 20 ]' "$HPCRUN_STORE"
	kill -9 "$pid"
	wait "$pid" || :
	run -0 "$HPCRUN" pull "$REGISTRY/test/five-hundred-layers:1"
	[ "$(grep -c 'already here' <<<"$output")" -ge 20 ]
	nothing_half_made
}

@test "store: a lease of a process that is gone is in nobody's way" { # F6
	"$HPCRUN" pull -q "$REGISTRY/test/busybox:1"
	digest=$("$HPCRUN" pull -q "$REGISTRY/test/large-and-many-files:1" | tail -n 1)
	boot=$(tr -d - </proc/sys/kernel/random/boot_id | cut -c1-16)
	ns=$(stat -L -c %i /proc/self/ns/pid)
	printf 'host gone\nprocess %s-%s-%s-1\nserial 0\n' "$boot" "$ns" $((1 << 22)) \
		>"$HPCRUN_STORE/leases/import-${digest#sha256:}"
	: >"$HPCRUN_STORE/tmp/$boot-$ns-$((1 << 22))-1-0"
	# forced, since a pull of what is here takes no lease
	timeout 20 "$HPCRUN" pull -q --force "$REGISTRY/test/large-and-many-files:1"
	nothing_half_made
}

@test "store: --force repairs a damaged pack" { # F4
	"$HPCRUN" pull -q "$REGISTRY/test/busybox:1"
	pack=$(find "$HPCRUN_STORE/packs" -type f | head -n 1)
	before=$(sha256sum <"$pack")
	printf 'damage' | dd of="$pack" bs=1 seek=1000 conv=notrunc status=none
	"$HPCRUN" pull -q --force "$REGISTRY/test/busybox:1"
	[ "$(sha256sum <"$pack")" = "$before" ]
}

@test "store: a layer whose index is damaged is fetched again" { # F4
	"$HPCRUN" pull -q "$REGISTRY/test/busybox:1"
	layer=$(find "$HPCRUN_STORE/layers" -type f ! -name '*.loc')
	before=$(sha256sum <"$layer")
	truncate -s 100 "$layer"
	"$HPCRUN" pull -q "$REGISTRY/test/busybox:1"
	[ "$(sha256sum <"$layer")" = "$before" ]
}

@test "store: a config that is damaged is fetched again, not built into an index" { # F4
	"$HPCRUN" pull -q "$REGISTRY/test/busybox:1"
	"$HPCRUN" inspect "$REGISTRY/test/busybox:1" >"$BATS_TEST_TMPDIR/before"
	"$HPCRUN" rmi "$REGISTRY/test/busybox:1"
	rm -r "$HPCRUN_STORE/images" "$HPCRUN_STORE/index"
	config=$(grep -rl diff_ids "$HPCRUN_STORE/docs")
	sed -i 's/PATH=/path=/' "$config"
	"$HPCRUN" pull -q "$REGISTRY/test/busybox:1"
	"$HPCRUN" inspect "$REGISTRY/test/busybox:1" | grep -v pulled >"$BATS_TEST_TMPDIR/after"
	grep -v pulled "$BATS_TEST_TMPDIR/before" | cmp - "$BATS_TEST_TMPDIR/after"
	[ "$(sha256sum <"$config" | cut -c1-64)" = "$(basename "$config")" ]
}

@test "store: modes do not depend on the umask" { # F20
	(umask 077 && "$HPCRUN" pull -q "$REGISTRY/test/busybox:1")
	[ "$(stat -c %a "$HPCRUN_STORE")" = 700 ]
	[ -z "$(find "$HPCRUN_STORE" -type f ! -perm 644)" ]
	[ -z "$(find "$HPCRUN_STORE" -mindepth 1 -type d ! -perm 755)" ]
}
