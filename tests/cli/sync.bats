#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun store init, add, drop, sync and status: a store that mirrors a list of images.
# shellcheck disable=SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	file_setup
	publish busybox
}
teardown_file() { file_teardown; }

setup() {
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	"$HPCRUN" store init "$HPCRUN_STORE" >/dev/null
}

# moving NAME NUMBER: test/NAME:1 means image NUMBER from now on
moving() { python3 "$TESTS_DIR/lib/moving.py" "$REG_STORAGE" "$1" "$2"; }
# the digests that the store has references for, one a line
digests() { "$HPCRUN" images --json | jq -r '.[].digest' | sort -u; }

@test "store init: makes a store that all, a group or nobody else can read" {
	[ "$(stat -c %a "$HPCRUN_STORE")" = 755 ]
	"$HPCRUN" store init --readers group "$SCRATCH/grouped"
	[ "$(stat -c %a "$SCRATCH/grouped")" = 2750 ]
	"$HPCRUN" store init --readers me "$SCRATCH/mine"
	[ "$(stat -c %a "$SCRATCH/mine")" = 700 ]
	"$HPCRUN" store init --json "$SCRATCH/mine" |
		jq -e --arg s "$SCRATCH/mine" '.store == $s and .owner == '"$(id -u)"' and .readers == "all"'
	# hpcrun.conf wants absolute paths
	[[ $(cd "$SCRATCH" && "$HPCRUN" store init mine) == *"hpcrun.conf of the nodes: store = $SCRATCH/mine"* ]]
	# again: the list stays
	"$HPCRUN" store add "$REGISTRY/test/busybox:1"
	"$HPCRUN" store init "$HPCRUN_STORE"
	run -0 "$HPCRUN" store status
	[[ "$output" == *"$REGISTRY/test/busybox:1"*'now'*'new'* ]]
}

@test "store add, drop: edit the list, and leave what else stands there" {
	"$HPCRUN" store add --every 12h --keep 3 "$REGISTRY/test/busybox:1" alpine
	echo '# mine' >>"$HPCRUN_STORE/list"
	grep -qx "image $REGISTRY/test/busybox:1 every 12h keep 3" "$HPCRUN_STORE/list"
	grep -qx 'image docker.io/library/alpine:latest every 12h keep 3' "$HPCRUN_STORE/list"
	"$HPCRUN" store add --every 2w alpine
	grep -qx 'image docker.io/library/alpine:latest every 14d' "$HPCRUN_STORE/list"
	"$HPCRUN" store add --keep-for 36h alpine
	grep -qx 'image docker.io/library/alpine:latest keep-for 36h' "$HPCRUN_STORE/list"
	"$HPCRUN" store drop alpine
	run -1 grep '^image docker' "$HPCRUN_STORE/list"
	grep -qx '# mine' "$HPCRUN_STORE/list"
	fail_with "'alpine' is not on the list|'docker.io/library/alpine:latest' is not on the list" "$HPCRUN" store drop alpine
	fail_with 'is no duration' "$HPCRUN" store add --every soon alpine
	[ "$("$HPCRUN" store add --json alpine debian | jq -c '[.reference, .listed, .changed]' | paste -sd' ')" = \
		'["docker.io/library/alpine:latest",true,true] ["docker.io/library/debian:latest",true,true]' ]
	"$HPCRUN" store add --json alpine | jq -e '.listed and (.changed | not)'
	"$HPCRUN" store drop --json alpine | jq -e '(.listed | not) and .changed'
	echo 'image a b' >>"$HPCRUN_STORE/list"
	fail_with "/list, line [0-9]*: 'b' without a value" "$HPCRUN" store sync
}

@test "store sync: fetches what is listed, and asks again when it is due, not before" {
	"$HPCRUN" store add "$REGISTRY/test/busybox:1"
	run -0 "$HPCRUN" store sync --dry-run
	[[ "$output" == "$REGISTRY/test/busybox:1: would pull sha256:"* ]]
	[ -z "$(digests)" ]
	run -0 "$HPCRUN" store sync
	[[ "$output" == "$REGISTRY/test/busybox:1: pulled sha256:"* ]]
	: >"$REG_LOG"
	run -0 "$HPCRUN" store sync
	[ -z "$output" ]
	[ "$(registry_requests /v2/)" = 0 ]
	run -0 "$HPCRUN" store sync --now
	[ "$output" = "$REGISTRY/test/busybox:1: unchanged" ]
	run -0 "$HPCRUN" store sync --now -q
	[ -z "$output" ]
	# a day later
	sed -i -E "s/^(tried|synced) .*/\1 $(($(date +%s) - 86400))/" "$HPCRUN_STORE/synced"
	run -0 "$HPCRUN" store sync --json
	[ "$(jq -r .result <<<"$output")" = unchanged ]
	run -0 "$HPCRUN" store status --json
	[ "$(jq -r '.images[0] | .synced != null and .reason == null and .due > .synced' <<<"$output")" = true ]
}

@test "store sync: a tag that moved is fetched again, and as many older images stay as are to be kept" {
	local first second
	moving mv 1
	"$HPCRUN" store add --keep 2 "$REGISTRY/test/mv:1"
	"$HPCRUN" store sync -q
	first=$(digests)
	moving mv 2
	run -0 "$HPCRUN" store sync --now
	[[ "$output" == "$REGISTRY/test/mv:1: moved sha256:"* ]]
	[ "$(digests | wc -l)" = 2 ]
	digests | grep -qx "$first"
	"$HPCRUN" inspect "$REGISTRY/test/mv@$first" | jq -e --arg r "$REGISTRY" '.server == $r'
	second=$("$HPCRUN" inspect "$REGISTRY/test/mv:1" | jq -r .digest)
	moving mv 3
	run -0 "$HPCRUN" store sync --now
	[ "$(digests | wc -l)" = 2 ]
	digests | grep -qx "$second"
	# the one given up is gone, with what was its alone
	run -0 "$HPCRUN" gc --grace 0 --dry-run
	[[ "$output" == 'nothing to remove'* ]]
	run -0 "$HPCRUN" store fsck
	fail_with 'is not in the store' "$HPCRUN" inspect "$REGISTRY/test/mv@$first"
	# by age: both that were left today, and a week later none
	"$HPCRUN" store add --keep 1 --keep-for 1w "$REGISTRY/test/mv:1"
	moving mv 1
	"$HPCRUN" store sync -q --now
	[ "$(digests | wc -l)" = 3 ]
	sed -i -E "s/^(old [^ ]*) .*/\1 $(($(date +%s) - 7 * 86400))/" "$HPCRUN_STORE/synced"
	"$HPCRUN" store sync -q --now
	[ "$(digests)" = "$("$HPCRUN" inspect "$REGISTRY/test/mv:1" | jq -r .digest)" ]
}

@test "store sync: what cannot be fetched is told, tried again soon, and is in nobody else's way" {
	"$HPCRUN" store add "$REGISTRY/test/none:1" "$REGISTRY/test/busybox:1"
	run -1 "$HPCRUN" store sync
	[ "${#lines[@]}" = 2 ]
	[[ "${lines[0]}" == "$REGISTRY/test/none:1: failed: "* ]]
	[[ "${lines[1]}" == "$REGISTRY/test/busybox:1: pulled "* ]]
	run -0 "$HPCRUN" store status
	[[ "$output" == *'test/none:1'*'never'*'in 60 min'* ]]
	sed -i -E "s/^tried .*/tried $(($(date +%s) - 3600))/" "$HPCRUN_STORE/synced"
	run -1 "$HPCRUN" store sync
	[ "${#lines[@]}" = 1 ]
	run -0 "$HPCRUN" store sync "$REGISTRY/test/busybox:1"
	fail_with 'is not on the list' "$HPCRUN" store sync alpine
}

@test "store sync: a pull that would pass the quota is not begun" {
	local used
	"$HPCRUN" store add "$REGISTRY/test/busybox:1"
	echo 'quota 10K' >>"$HPCRUN_STORE/list"
	run -1 "$HPCRUN" store sync
	[[ "$output" == *"failed: "*" more would pass the quota of 10.2 kB, 0 B are in use"* ]]
	[ -z "$(digests)" ]
	run -1 "$HPCRUN" store sync --now --dry-run
	[[ "$output" == *"failed: "*" more would pass the quota of 10.2 kB"* ]]
	sed -i 's/^quota .*/quota 100M/' "$HPCRUN_STORE/list"
	: >"$REG_LOG"
	run -0 "$HPCRUN" store sync --now
	[ "$(registry_requests '/v2/.*/manifests/')" = 1 ]
	used=$("$HPCRUN" store status --json | jq .bytes)
	# what is there already needs no room
	sed -i "s/^quota .*/quota $used/" "$HPCRUN_STORE/list"
	run -0 "$HPCRUN" store sync --now
	[ "$output" = "$REGISTRY/test/busybox:1: unchanged" ]
}

@test "store sync: two at a time are one too many" {
	"$HPCRUN" store add "$REGISTRY/test/busybox:1"
	mkdir -p "$HPCRUN_STORE/leases"
	# somebody of this host who is alive: ourselves
	printf 'host %s\nprocess %s-%s-%s-%s\nserial 0\n' "$(hostname)" \
		"$(tr -d '\n-' </proc/sys/kernel/random/boot_id | head -c 16)" "$(stat -L -c %i /proc/self/ns/pid)" $$ \
		"$(awk '{ print $22 }' /proc/$$/stat)" >"$HPCRUN_STORE/leases/sync"
	fail_with "process $$ on host '.*' is bringing its images up to date" "$HPCRUN" store sync
	# that is in no pull's way
	"$HPCRUN" pull -q "$REGISTRY/test/busybox:1"
	"$HPCRUN" gc
}

@test "store: one that the site's account keeps is used where the configuration says so" {
	local owner=$HPCRUN_STORE
	[ "$(id -u)" = 0 ] || skip "needs another user"
	"$HPCRUN" pull -q "$REGISTRY/test/busybox:1"
	chown -R 4242 "$owner"
	chmod 755 "$SCRATCH" "$BATS_TEST_TMPDIR"
	export HPCRUN_CONF=$SCRATCH/owner.conf
	: >"$HPCRUN_CONF"
	fail_with "belongs to user 4242, neither to you nor to root" "$HPCRUN" images --store "$owner"
	echo 'store_owner = 4242' >"$HPCRUN_CONF"
	run -0 "$HPCRUN" images -q --store "$owner"
	[ "$output" = "$REGISTRY/test/busybox:1" ]
	run -0 "$HPCRUN" store fsck -q --store "$owner"
	echo 'store_owner = site' >"$HPCRUN_CONF"
	fail_with "store_owner: 'site' is not a number" "$HPCRUN" images --store "$owner"
}

@test "store: needs no locks of the file system, which network file systems lack" {
	need strace
	"$HPCRUN" store add "$REGISTRY/test/busybox:1"
	strace -f -qq -o trace -e trace=flock,fcntl,mmap -e inject=flock:error=ENOLCK "$HPCRUN" store sync -q
	strace -f -qq -A -o trace -e trace=flock,fcntl -e inject=flock:error=ENOLCK "$HPCRUN" store fsck -q
	strace -f -qq -A -o trace -e trace=flock,fcntl -e inject=flock:error=ENOLCK "$HPCRUN" store compact -q
	[ -s trace ] # it has looked
	run -1 grep -E 'flock\(|F_(OFD_)?SETLKW?' trace
}
