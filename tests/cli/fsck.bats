#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun store fsck: what it finds.
# shellcheck disable=SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	file_setup
	publish busybox whiteouts
	export HPCRUN_STORE=$SCRATCH/master
	"$HPCRUN" pull -q "$REGISTRY/test/busybox:1"
	"$HPCRUN" pull -q "$REGISTRY/test/whiteouts:1"
}
teardown_file() { file_teardown; }

setup() {
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	cp -a "$SCRATCH/master" "$HPCRUN_STORE"
}

# flip FILE: change one byte in its middle, for one that is not there.
flip() {
	local at was
	at=$(($(stat -c %s "$1") / 2))
	was=$(od -An -tu1 -j $at -N 1 "$1")
	printf '%b' "\\x$(printf %x $((was ^ 0x11)))" | dd of="$1" bs=1 seek=$at conv=notrunc status=none
}

@test "store fsck: a sound store is sound, and all of it was read" {
	run -0 "$HPCRUN" store fsck
	[[ "$output" == *'no damage'* ]]
	run -0 "$HPCRUN" store fsck --json
	[ "$(jq .damaged <<<"$output")" = 0 ]
	[ "$(jq .bytes <<<"$output")" -ge "$(find "$HPCRUN_STORE/packs" -type f -printf '%s\n' | paste -sd+ | bc)" ]
	run -0 "$HPCRUN" store fsck -q
	[ -z "$output" ]
}

@test "store fsck, verify: show on a terminal how far they are, and nowhere else" {
	need python3
	on_terminal() { python3 -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)' "$@" </dev/null | tr '\r' '\n'; }
	on_terminal "$HPCRUN" store fsck >"$BATS_TEST_TMPDIR/shown"
	grep -qE 'checked [0-9.]+ k?M?B of about [0-9.]+ MB$' "$BATS_TEST_TMPDIR/shown"
	grep -qx 'no damage' "$BATS_TEST_TMPDIR/shown"
	on_terminal "$HPCRUN" verify "$REGISTRY/test/busybox:1" >"$BATS_TEST_TMPDIR/shown"
	grep -qE 'checked [0-9.]+ k?M?B$' "$BATS_TEST_TMPDIR/shown"
	on_terminal "$HPCRUN" store fsck -q >"$BATS_TEST_TMPDIR/shown"
	[ ! -s "$BATS_TEST_TMPDIR/shown" ]
	"$HPCRUN" store fsck 2>"$BATS_TEST_TMPDIR/shown"
	[ ! -s "$BATS_TEST_TMPDIR/shown" ]
}

@test "store fsck: finds a wrong byte in an object of any kind, and names it alone" {
	local dir file n=0
	for dir in docs blobs layers images meta index packs dict; do
		for file in $(cd "$HPCRUN_STORE" && find "$dir" -type f | sort | head -n 2); do
			cp "$HPCRUN_STORE/$file" saved
			flip "$HPCRUN_STORE/$file"
			run -1 "$HPCRUN" store fsck -q
			# a wrong name of a pack looks as if that were lost
			[ "${#lines[@]}" = 1 ] && [[ "$output" == "$file: "* || "$output" == packs/*" '$file' names it" ]] || {
				echo "$file: $output" && false
			}
			cp saved "$HPCRUN_STORE/$file"
			n=$((n + 1))
		done
	done
	[ $n -ge 14 ]
	run -0 "$HPCRUN" store fsck -q
}

@test "store fsck: finds what is missing or cut, and references that lead nowhere" {
	local ref=refs/$REGISTRY/test/busybox/_tags/1 layer
	rm "$HPCRUN_STORE"/images/*/"$(sed -n 's/^manifest sha256://p' "$HPCRUN_STORE/$ref")"
	run -1 "$HPCRUN" store fsck -q
	[[ "${lines[0]}" == images/*': it is missing' ]]
	echo 'manifest sha256:nonsense' >"$HPCRUN_STORE/$ref"
	run -1 "$HPCRUN" store fsck --json
	[ "$(jq -r 'select(.event == "damaged") | .path' <<<"$output")" = "$ref" ]
	rm "$HPCRUN_STORE/$ref"
	run -0 "$HPCRUN" store fsck -q
	layer=$(cd "$HPCRUN_STORE" && find layers -name '*.loc' | head -n 1)
	truncate -s -1 "$HPCRUN_STORE/$layer"
	run -1 "$HPCRUN" store fsck -q
	[[ "$output" == "$layer: location file of "* ]]
	rm "$HPCRUN_STORE/$layer"
	run -1 "$HPCRUN" store fsck -q
	[ "$output" = "$layer: it is missing" ]
}

@test "store fsck: finds references with a time or a server that cannot be true, and mends them" {
	local ref=refs/$REGISTRY/test/busybox/_tags/1
	sed -i "s/^pulled .*/pulled $(($(date +%s) + 100000))/" "$HPCRUN_STORE/$ref"
	run -1 "$HPCRUN" store fsck -q
	[[ "$output" == "$ref: it was pulled in the future: "* ]]
	sed -i 's/^server .*/server h.example:port/' "$HPCRUN_STORE/$ref"
	run -0 "$HPCRUN" store fsck --repair
	[[ "$output" == *"$REGISTRY/test/busybox:1: repaired"* ]]
	[ "$(sed -n 's/^server //p' "$HPCRUN_STORE/$ref")" = - ]
	sed -i "s/^pulled .*/pulled 7/; s,^server .*,server a/b," "$HPCRUN_STORE/$ref"
	run -1 "$HPCRUN" store fsck -q
	[ "$output" = "$ref: its server 'a/b' is no host" ]
	run -0 "$HPCRUN" store fsck --repair -q
	[ "$(sed -n 's/^pulled //p' "$HPCRUN_STORE/$ref")" = 7 ]
}

@test "store fsck: a store that is not there, or behind a URL, is a failure and no damage" {
	run -125 --separate-stderr "$HPCRUN" store fsck --store "$SCRATCH/none"
	[[ "$stderr" == *"'hpcrun store init $SCRATCH/none' makes one"* ]]
	run -125 --separate-stderr "$HPCRUN" store fsck --store https://h.example/s
	[[ "$stderr" == *'is a URL, not a directory'* ]]
	run -125 --separate-stderr "$HPCRUN" store fcsk
	[[ "$stderr" == *"did you mean 'hpcrun store fsck'?"* ]]
}

# What the images hold, whatever packs it lies in.
contents() {
	local image
	for image in busybox whiteouts; do
		"$HPCRUN" export --force "$REGISTRY/test/$image:1" "$BATS_TEST_TMPDIR/$image.tar" >/dev/null
	done
	cat "$BATS_TEST_TMPDIR"/*.tar | sha256sum
}

@test "store fsck --repair: makes good a wrong byte in an object of any kind, all at once" {
	local dir file before
	before=$(contents)
	for dir in docs blobs layers images meta index packs dict; do
		for file in $(cd "$HPCRUN_STORE" && find "$dir" -type f | sort | head -n 2); do
			flip "$HPCRUN_STORE/$file"
		done
	done
	run -1 "$HPCRUN" store fsck -q
	run -0 "$HPCRUN" store fsck --repair
	[[ "$output" == *"$REGISTRY/test/busybox:1: repaired"* ]]
	[[ "${lines[-1]}" == 'no damage' ]]
	run -0 "$HPCRUN" store fsck -q
	[ "$(contents)" = "$before" ]
	# nothing is left of what was damaged once its readers are gone
	"$HPCRUN" gc --grace 0
	run find "$HPCRUN_STORE/packs" -name '*.old'
	[ -z "$output" ]
	run -0 "$HPCRUN" store fsck -q
}

@test "store fsck --repair: what is lost is fetched, and a registry that is gone costs nothing more" {
	local pack
	pack=$(cd "$HPCRUN_STORE" && find packs -type f | sort | head -n 1)
	rm "$HPCRUN_STORE/$pack"
	rm "$HPCRUN_STORE"/index/*/*
	run -0 "$HPCRUN" store fsck --repair -q
	flip "$HPCRUN_STORE/$(cd "$HPCRUN_STORE" && find packs -type f ! -name '*.old' | sort | head -n 1)"
	mv "$REG_STORAGE/docker" "$REG_STORAGE/away"
	run -1 "$HPCRUN" store fsck --repair
	mv "$REG_STORAGE/away" "$REG_STORAGE/docker"
	[[ "$output" == *": cannot be repaired: "* ]]
	run -0 "$HPCRUN" store fsck --repair -q
}
