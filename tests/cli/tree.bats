#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The tree that hpcrun shows is, in every entry, metadata and content, the one that umoci unpacks.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	file_setup
	# shellcheck disable=SC2046  # names
	publish --layout "$SCRATCH/oci" $("$TESTS_DIR/lib/mkimage" --list trees)
}
teardown_file() { file_teardown; }

# What is mounted over the image, or made by hpcrun, in every container.
COVERED=(-x dev -x proc -x sys -x tmp -x etc/passwd -x etc/group -x etc/resolv.conf -x etc/hosts -x etc/localtime -x run -x treedump)

# dump COMMAND...: the dump of the tree in which COMMAND runs treedump, and its exit status in the last line
dump() {
	local status=0
	"$@" || status=$?
	echo "treedump: exit status $status"
}

# As root, without the power to read what the mode forbids: the container has it neither.
plain() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --bounding-set=-all --inh-caps=-all "$@"
	else
		"$@"
	fi
}

# same CASE [TREEDUMP-OPTION...]
same() {
	local case=$1 image=$REGISTRY/test/$1:1
	shift
	need umoci
	"$TESTS_DIR/lib/unpack" "$SCRATCH/oci" "$case" "$BATS_TEST_TMPDIR/umoci" >"$BATS_TEST_TMPDIR/log" 2>&1 ||
		{ cat "$BATS_TEST_TMPDIR/log"; return 1; }
	"$HPCRUN" pull "$image"
	dump plain "$HPCRUN_TREEDUMP" -s "${COVERED[@]}" "$@" "$BATS_TEST_TMPDIR/umoci/rootfs" >"$BATS_TEST_TMPDIR/expected"
	dump "$HPCRUN" run --no-home --workdir / --bind "$HPCRUN_TREEDUMP:/treedump" "$image" \
		/treedump -s "${COVERED[@]}" "$@" / >"$BATS_TEST_TMPDIR/shown"
	chmod -R u+rwX "$BATS_TEST_TMPDIR/umoci"
	rm -rf "$BATS_TEST_TMPDIR/umoci"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/expected")" -gt 15 ]
	diff -u "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/shown" | cut -c1-400 | head -n 40
	cmp -s "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/shown"
}

@test "tree: a small image" { same busybox; }
@test "tree: whiteouts" { same whiteouts; }
@test "tree: a name that is removed and comes back" { same whiteout-and-again; }
@test "tree: opaque directories" { same opaque-directories; }
@test "tree: hardlinks" { same hardlinks; }
@test "tree: hardlinks across layers" { same hardlinks-across-layers; }
@test "tree: replaced types" { same replaced-types; }
@test "tree: entries whose parent is a symlink" { same parent-is-a-symlink; }
@test "tree: long names" { same long-names; }
@test "tree: odd names" { same odd-names; }
# tar, unlike umoci, unpacks each layer on its own and leaves its own times on the directories it touches
@test "tree: sparse files of three formats" { same sparse-files -m . -m etc; }
@test "tree: extended attributes" { same attributes; }
@test "tree: modes and times" { same modes-and-times; }
@test "tree: 500 layers" { same five-hundred-layers; }
@test "tree: empty layers" { same empty-layers; }
@test "tree: the same layer twice" { same same-layer-twice; }
@test "tree: a path that an archive has twice" { same duplicate-entries; }
@test "tree: paths in many spellings" { same paths-in-many-spellings; }
@test "tree: gzip of several members" { same gzip-of-several-members; }
@test "tree: gzip with names and extra fields" { same gzip-with-names-and-extras; }
@test "tree: zstd layers" { same zstd-layers -m . -m etc; }
@test "tree: zstd of several frames, some to be skipped" { same zstd-of-several-frames -m . -m etc; }
@test "tree: layers that are not compressed" { same plain-layers; }
@test "tree: named pipes" { same fifos; }
@test "tree: an archive without its end" { same no-end-of-archive; }
@test "tree: bytes behind the end of an archive" { same junk-after-the-end; }
@test "tree: large and many files" { same large-and-many-files; }
@test "tree: 600 directories deep" { same deep-directories; }

@test "tree: every case of lib/cases.py has its line here" {
	for case in $("$TESTS_DIR/lib/mkimage" --list trees); do
		grep -q "{ same $case" "$BATS_TEST_FILENAME" || { echo "no test: $case"; return 1; }
	done
}

@test "tree: this test fails when a tree differs" {
	need umoci
	"$TESTS_DIR/lib/unpack" "$SCRATCH/oci" hardlinks "$BATS_TEST_TMPDIR/umoci" >/dev/null 2>&1
	"$HPCRUN_TREEDUMP" "$BATS_TEST_TMPDIR/umoci/rootfs" >"$BATS_TEST_TMPDIR/a"
	change() {
		"$@"
		"$HPCRUN_TREEDUMP" "$BATS_TEST_TMPDIR/umoci/rootfs" >"$BATS_TEST_TMPDIR/b"
		run ! cmp -s "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
		mv "$BATS_TEST_TMPDIR/b" "$BATS_TEST_TMPDIR/a"
	}
	cd "$BATS_TEST_TMPDIR/umoci/rootfs"
	change touch -d @77 single
	change chmod 600 single
	change ln single another
	change sh -c 'echo S >x; touch -d @77 x'
	change sh -c 'echo Z >x; touch -d @77 x'
	change rm x
	change ln -sfn elsewhere s1
}
