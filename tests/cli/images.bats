#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun images, inspect, rmi and gc.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	file_setup
	publish busybox whiteouts large-and-many-files
}
teardown_file() { file_teardown; }

setup() {
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
}

store_bytes() { find "$HPCRUN_STORE/packs" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'; }

@test "images: of a store that is not there yet is empty, and makes none" {
	run -0 "$HPCRUN" images
	[ "${#lines[@]}" -le 1 ]
	[ ! -e "$HPCRUN_STORE" ]
}

@test "images: has the columns REPOSITORY TAG DIGEST CREATED SIZE SERVER" {
	"$HPCRUN" pull "$REGISTRY/test/busybox:1"
	run -0 "$HPCRUN" images
	for column in REPOSITORY TAG DIGEST CREATED SIZE SERVER; do
		[[ ${lines[0]} == *$column* ]]
	done
	[[ ${lines[1]} == *"test/busybox"*" 1 "* ]]
}

@test "images: --json names the image and its digest" {
	"$HPCRUN" pull "$REGISTRY/test/busybox:1"
	"$HPCRUN" images --json | jq -es 'flatten | .[] | tostring | select(contains("test/busybox")) | test("sha256:[0-9a-f]{64}")'
}

@test "images: lists an image in a --store, and HPCRUN_STORE has no part in it" {
	"$HPCRUN" pull --store "$BATS_TEST_TMPDIR/other" "$REGISTRY/test/busybox:1"
	run -0 "$HPCRUN" images --store "$BATS_TEST_TMPDIR/other"
	[[ $output == *test/busybox* ]]
	run -0 "$HPCRUN" images
	[[ $output != *test/busybox* ]]
}

@test "inspect: shows manifest digest, layers and the environment as JSON" {
	"$HPCRUN" pull "$REGISTRY/test/whiteouts:1"
	"$HPCRUN" inspect "$REGISTRY/test/whiteouts:1" >"$BATS_TEST_TMPDIR/out"
	jq -e . "$BATS_TEST_TMPDIR/out" >/dev/null
	grep -qE 'sha256:[0-9a-f]{64}' "$BATS_TEST_TMPDIR/out"
	grep -q IMAGE_SAYS=hello "$BATS_TEST_TMPDIR/out"
}

@test "inspect: an image that is not there is exit status 125, and says how to get it" {
	fail_with 'hpcrun pull' "$HPCRUN" inspect "$REGISTRY/test/absent:1"
}

@test "rmi: the name is gone, and the image cannot be run" {
	"$HPCRUN" pull "$REGISTRY/test/busybox:1"
	fail_with "did you mean tag '1', which is here" "$HPCRUN" pull "$REGISTRY/test/busybox:1x"
	"$HPCRUN" tag "$REGISTRY/test/busybox:1" "127.0.0.1:1/away:1.0"
	fail_with "did you mean tag '1.0', which is here\? else: " "$HPCRUN" pull 127.0.0.1:1/away:1.1
	"$HPCRUN" rmi "$REGISTRY/test/busybox:1"
	run -0 "$HPCRUN" images
	[[ $output != *test/busybox* ]]
	fail_with 'test/busybox' "$HPCRUN" run "$REGISTRY/test/busybox:1" true
}

@test "rmi: an image that is not there is exit status 125" {
	fail_with 'test/absent' "$HPCRUN" rmi "$REGISTRY/test/absent:1"
}

@test "gc: gives back the space of removed images" {
	"$HPCRUN" pull "$REGISTRY/test/large-and-many-files:1"
	[ "$(store_bytes)" -gt 9000000 ]
	"$HPCRUN" rmi "$REGISTRY/test/large-and-many-files:1"
	"$HPCRUN" gc
	[ "$(store_bytes)" -lt 100000 ]
	[ -z "$(find "$HPCRUN_STORE/index" "$HPCRUN_STORE/layers" -type f)" ]
}

@test "gc: keeps what another image shares, byte for byte" {
	"$HPCRUN" pull "$REGISTRY/test/busybox:1"
	"$HPCRUN" pull "$REGISTRY/test/large-and-many-files:1"
	"$HPCRUN" rmi "$REGISTRY/test/large-and-many-files:1"
	"$HPCRUN" gc
	run -0 "$HPCRUN" run "$REGISTRY/test/busybox:1" cat /bin/busybox
	cmp <("$HPCRUN" run "$REGISTRY/test/busybox:1" cat /bin/busybox) /bin/busybox
}

@test "gc: of a store where all is in use removes nothing" {
	"$HPCRUN" pull "$REGISTRY/test/whiteouts:1"
	before=$(find "$HPCRUN_STORE" -type f ! -path '*/dict/*' | sort)
	"$HPCRUN" gc
	[ "$before" = "$(find "$HPCRUN_STORE" -type f ! -path '*/dict/*' | sort)" ]
}

@test "gc: an image can be pulled again after it" {
	"$HPCRUN" pull "$REGISTRY/test/whiteouts:1"
	"$HPCRUN" rmi "$REGISTRY/test/whiteouts:1"
	"$HPCRUN" gc
	"$HPCRUN" pull "$REGISTRY/test/whiteouts:1"
	"$HPCRUN" run "$REGISTRY/test/whiteouts:1" cat /w/kept
}

@test "store: of a later format is refused" {
	"$HPCRUN" pull "$REGISTRY/test/busybox:1"
	echo 'hpcrun-store 99' >"$HPCRUN_STORE/format"
	fail_with 'format|version|hpcrun-store 99' "$HPCRUN" images
}

@test "store: a damaged pack is named, and no wrong byte is read" {
	"$HPCRUN" pull "$REGISTRY/test/large-and-many-files:1"
	# not that of the shell, which a page that cannot be read ends by SIGBUS
	find "$HPCRUN_STORE/packs" -type f -size +4M >"$BATS_TEST_TMPDIR/packs"
	[ -s "$BATS_TEST_TMPDIR/packs" ]
	while read -r pack; do
		chmod u+w "$pack"
		printf 'damaged' | dd of="$pack" bs=1 seek=$(($(stat -c %s "$pack") / 2)) conv=notrunc status=none
	done <"$BATS_TEST_TMPDIR/packs"
	echo 'upstream = no' >"$BATS_TEST_TMPDIR/conf" # else the registry gives the right bytes again: upstream.bats
	HPCRUN_CONF=$BATS_TEST_TMPDIR/conf run "$HPCRUN" run "$REGISTRY/test/large-and-many-files:1" sh -c 'cat /large /many/* >/dev/null'
	[ "$status" != 0 ]
	[[ $output == *"Input/output error"* ]] || [[ $output == *"I/O error"* ]]
}
