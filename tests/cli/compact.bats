#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun store compact: packs much of which is garbage.
# shellcheck disable=SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	file_setup
	export HPCRUN_STORE=$SCRATCH/master
	"$HPCRUN" store init "$HPCRUN_STORE" >/dev/null
	# of the pack of the first image a part is in the second one; the first one goes
	python3 "$TESTS_DIR/lib/moving.py" "$REG_STORAGE" mv 1 12 9
	"$HPCRUN" pull -q "$REGISTRY/test/mv:1"
	python3 "$TESTS_DIR/lib/moving.py" "$REG_STORAGE" mv 2 12 9
	"$HPCRUN" pull -q "$REGISTRY/test/mv:1"
	"$HPCRUN" gc --grace 0
}
teardown_file() { file_teardown; }

setup() {
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	cp -a "$SCRATCH/master" "$HPCRUN_STORE"
}

packs() { (cd "$HPCRUN_STORE" && find packs -type f ! -name '*.old' -printf '%p\n' | sort); }
bytes() { find "$HPCRUN_STORE/packs" -type f -printf '%s\n' | paste -sd+ | bc; }
content() {
	"$HPCRUN" export --force "$REGISTRY/test/mv:1" "$BATS_TEST_TMPDIR/mv.tar" >/dev/null
	sha256sum <"$BATS_TEST_TMPDIR/mv.tar"
}

@test "store compact: what is in use moves to new packs; the old ones go when nobody can read them" {
	local before old n
	before=$(content)
	old=$(packs)
	n=$(bytes)
	run -0 "$HPCRUN" store compact --dry-run
	[[ "$output" == 'would rewrite in '*': packs 1 of '* ]]
	"$HPCRUN" store compact --dry-run --json |
		jq -e '.store == env.HPCRUN_STORE and .dry_run and .replaced == 1 and .packs > 1 and .after < .before and .before < .bytes'
	[ "$(packs)" = "$old" ]
	run -0 "$HPCRUN" store compact
	[[ "$output" == 'rewrote in '*': packs 1 of '* ]]
	[ "$(packs | wc -l)" = $(($(wc -l <<<"$old") + 1)) ]
	[ "$(content)" = "$before" ]
	run -0 "$HPCRUN" store fsck -q
	# a day at least, though this file system asks for no grace
	"$HPCRUN" gc
	run -0 comm -13 <(packs) <(echo "$old")
	[ -z "$output" ]
	"$HPCRUN" gc --grace 0
	[ "$(packs | wc -l)" = "$(wc -l <<<"$old")" ]
	[ "$(bytes)" -lt $((n * 3 / 4)) ]
	[ "$(content)" = "$before" ]
	run -0 "$HPCRUN" store fsck -q
	run -0 "$HPCRUN" store compact
	[[ "$output" == 'nothing to rewrite in '* ]]
}

# reads_on STORE: a program that has read a part of its image reads the rest when the packs were replaced.
reads_on() {
	local dir=$BATS_TEST_TMPDIR/run pid
	rm -rf "$dir" && mkdir "$dir"
	# shellcheck disable=SC2016  # for the shell inside
	HPCRUN_STORE=$1 HPCRUN_CACHE=$dir/cache "$HPCRUN" run --bind "$dir" "$REGISTRY/test/mv:1" /bin/sh -c '
		cat /data/00000 >"$1/first"
		: >"$1/ready"
		until [ -e "$1/go" ]; do sleep 0.1; done
		cat /data/*' sh "$dir" >"$dir/all" 2>"$dir/errors" 3>&- &
	pid=$!
	wait_until 20 test -e "$dir/ready"
	run -0 "$HPCRUN" store compact
	[[ "$output" == 'rewrote '* ]]
	"$HPCRUN" gc
	: >"$dir/go"
	wait $pid
	tar -xOf "$BATS_TEST_TMPDIR/mv.tar" --wildcards '*data/*' | cmp - "$dir/all"
	[ ! -s "$dir/errors" ]
}

@test "store compact: programs that run read on, from the directory and over the network" {
	need userns
	need fuse
	"$HPCRUN" export -f "$REGISTRY/test/mv:1" "$BATS_TEST_TMPDIR/mv.tar" >/dev/null
	reads_on "$HPCRUN_STORE"
	rm -r "$HPCRUN_STORE"
	cp -a "$SCRATCH/master" "$HPCRUN_STORE"
	web_store_start "$HPCRUN_STORE" "$BATS_TEST_TMPDIR/web"
	reads_on "http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/web/port")"
	web_store_stop "$BATS_TEST_TMPDIR/web"
}

@test "store compact: an image pulled behind it refers to the new packs alone" {
	local old
	"$HPCRUN" store compact -q
	old=$(cd "$HPCRUN_STORE" && find packs -name '*.old' | sed 's/\.old$//')
	[ -n "$old" ]
	python3 "$TESTS_DIR/lib/moving.py" "$REG_STORAGE" mv 3 12 9
	"$HPCRUN" pull -q "$REGISTRY/test/mv:1"
	"$HPCRUN" gc --grace 0
	[ ! -e "$HPCRUN_STORE/$old" ]
	run -0 "$HPCRUN" store fsck -q
}

@test "store compact: many small packs become one, and what is in them stays what it is" {
	local i before
	all_content() {
		for i in {1..8}; do
			"$HPCRUN" export --force "$REGISTRY/test/small$i:1" "$BATS_TEST_TMPDIR/one.tar" >/dev/null
			sha256sum <"$BATS_TEST_TMPDIR/one.tar"
		done
	}
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/small
	for i in {1..8}; do
		python3 "$TESTS_DIR/lib/moving.py" "$REG_STORAGE" "small$i" "$i"
		[ "$i" -gt 6 ] || "$HPCRUN" pull -q "$REGISTRY/test/small$i:1"
	done
	# one for the layer that all have
	[ "$(packs | wc -l)" = 7 ]
	run -0 "$HPCRUN" store compact
	[[ "$output" == 'nothing to rewrite in '*'packs 7,'* ]]
	"$HPCRUN" pull -q "$REGISTRY/test/small7:1"
	"$HPCRUN" pull -q "$REGISTRY/test/small8:1"
	before=$(all_content)
	run -0 "$HPCRUN" store compact
	[[ "$output" == 'rewrote in '*': packs 9 of 9 (small ones: 9), '* ]]
	"$HPCRUN" gc --grace 0
	[ "$(packs | wc -l)" = 1 ]
	[ "$(all_content)" = "$before" ]
	run -0 "$HPCRUN" store fsck -q
	run -0 "$HPCRUN" store compact
	[[ "$output" == 'nothing to rewrite in '* ]]
}

@test "store compact: a damaged pack stops it, and nothing has changed" {
	local before pack
	before=$(packs)
	for pack in $before; do
		printf X | dd of="$HPCRUN_STORE/$pack" bs=1 seek=$(($(stat -c %s "$HPCRUN_STORE/$pack") * 4 / 5)) conv=notrunc status=none
	done
	fail_with "hpcrun store fsck --repair" "$HPCRUN" store compact -g 1
	[ "$(packs)" = "$before" ]
	[ -z "$(find "$HPCRUN_STORE/packs" -name "*.old")" ]
}

@test "store compact, gc: wait until no pull works, and say for whom" {
	local verb pid
	mkdir -p "$HPCRUN_STORE/leases"
	printf 'host %s\nprocess %s-%s-%s-%s\nserial 0\n' "$(hostname)" \
		"$(tr -d '\n-' </proc/sys/kernel/random/boot_id | head -c 16)" "$(stat -L -c %i /proc/self/ns/pid)" $$ \
		"$(awk '{ print $22 }' /proc/$$/stat)" >"$HPCRUN_STORE/leases/import-$(printf %064d 0)"
	for verb in 'store compact' gc; do
		# shellcheck disable=SC2086  # one verb is two words
		"$HPCRUN" $verb >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/told" 3>&- &
		pid=$!
		wait_until 20 grep -q "process $$ on host '.*' is pulling an image into it; waiting for the end of that" \
			"$BATS_TEST_TMPDIR/told"
		[ ! -s "$BATS_TEST_TMPDIR/out" ]
		mv "$HPCRUN_STORE/leases/import-"* "$BATS_TEST_TMPDIR/lease"
		wait $pid
		[ -s "$BATS_TEST_TMPDIR/out" ]
		mv "$BATS_TEST_TMPDIR/lease" "$HPCRUN_STORE/leases/import-$(printf %064d 0)"
	done
	# and a pull for gc
	mv "$HPCRUN_STORE/leases/import-$(printf %064d 0)" "$HPCRUN_STORE/leases/gc"
	fail_with "process $$ on host '.*' is removing garbage from it" "$HPCRUN" gc
	"$HPCRUN" pull --force -q "$REGISTRY/test/mv:1" 2>"$BATS_TEST_TMPDIR/told" 3>&- &
	pid=$!
	wait_until 20 grep -q "process $$ on host '.*' is removing garbage from it; waiting" "$BATS_TEST_TMPDIR/told"
	rm "$HPCRUN_STORE/leases/gc"
	wait $pid
}
