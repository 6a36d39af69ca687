#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Verbs that tell what there is: history, version.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	scratch_make
	# an image of two layers and three steps, and one whose config tells nothing or the wrong thing
	python3 - <<-EOF2
		import sys
		sys.path.insert(0, "$TESTS_DIR/lib")
		import oci, tarball as t
		l = oci.Layout("layout")
		a = l.add_layer(t.dir("d") + t.file("d/f", b"x" * 5000) + t.end())
		b = l.add_layer(t.dir("d") + t.file("d/g", b"y" * 50) + t.end())
		steps = [
		    {"created": "2024-01-01T00:00:00Z", "created_by": "/bin/sh -c #(nop) ADD file:abc in / "},
		    {"created": "2024-01-02T00:00:00Z", "created_by": "ENV A=\x1b[2J", "empty_layer": True},
		    {"created_by": "RUN " + "long " * 40, "comment": "buildkit"},
		]
		l.add_image("told", [a, b], history=steps)
		l.add_image("silent", [a, b], history=[])
		l.add_image("lies", [a, b], history=steps * 3 + ["word", {"created_by": 7, "created": []}])
		l.add_image("word", [a], history="none")
	EOF2
	for name in told silent lies word; do
		"$HPCRUN" import "oci:layout:$name" "lab/$name:1" 2>/dev/null
	done
}
teardown_file() { scratch_remove; }
setup() { cd "$SCRATCH" || return; }

@test "history: the last step first, with its layer and sizes" {
	run -0 "$HPCRUN" history lab/told:1
	[ "${#lines[@]}" = 4 ]
	[[ ${lines[0]} == LAYER*CREATED*SIZE*BLOB*"CREATED BY" ]]
	[[ ${lines[1]} =~ ^[0-9a-f]{12}\ +-\ .*\ B\ \ RUN\ long.*\.\.$ ]]
	[[ ${lines[2]} == "- "*"0 B    0 B  ENV A="'\x1b[2J' ]]
	[[ ${lines[3]} =~ years\ ago.*ADD\ file:abc\ in\ /\ ?$ ]]
	run -0 "$HPCRUN" history --no-trunc lab/told:1
	[[ ${lines[1]} =~ ^sha256:[0-9a-f]{64}\ .*RUN\ (long ){40}$ ]]
	[[ ${lines[3]} == *"/bin/sh -c #(nop) ADD"* ]]
	# the sizes are those of the layers
	"$HPCRUN" history --json lab/told:1 >out
	jq -e 'length == 3 and .[0].size == 2560 and .[2].size == 7168 and .[1].diff_id == null and .[1].size == 0
		and .[0].comment == "buildkit" and .[0].created == null' out
	[ "$(jq '[.[].compressed] | add' out)" = "$("$HPCRUN" inspect lab/told:1 | jq .compressed)" ]
	[ "$(jq -c '[.[2, 0].diff_id]' out)" = "$("$HPCRUN" inspect lab/told:1 | jq -c '[.layers[].diff_id]')" ]
}

@test "history: layers are listed whatever the config tells" {
	for name in silent lies; do
		"$HPCRUN" history --json "lab/$name:1" >out
		[ "$(jq '[.[] | select(.diff_id)] | length' out)" = 2 ]
	done
	[ "$(jq length out)" = 11 ]
	run -0 "$HPCRUN" history lab/word:1
	[ "${#lines[@]}" = 2 ]
	fail_with "'lab/none:1' is not in the store" "$HPCRUN" history lab/none:1
}

@test "history: a layer that the store has lost has no size" {
	cp -r "$HPCRUN_STORE" "$BATS_TEST_TMPDIR/store"
	find "$BATS_TEST_TMPDIR/store/layers" "$BATS_TEST_TMPDIR/store/blobs" -type f -delete
	"$HPCRUN" history --json --store "$BATS_TEST_TMPDIR/store" lab/told:1 |
		jq -e '.[0] | .size == null and .compressed == null and .diff_id'
}

@test "version: is one line as an option, all as a verb" {
	run -0 "$HPCRUN" --version
	[ "${#lines[@]}" = 1 ]
	[ "$("$HPCRUN" version | head -n 1)" = "$output" ]
	"$HPCRUN" version --json | jq -e --arg v "${output#hpcrun }" '.version == $v and (.features | index("sif"))
		and all(.libraries[]; .built != "") and any(.libraries[]; .loaded)'
	fail_with "surplus operand 'x'" "$HPCRUN" version x
}
