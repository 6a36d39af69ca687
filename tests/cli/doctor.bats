#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun doctor: what it finds on a machine that is well, and on one that is not.
# shellcheck disable=SC2154  # bats sets output and status

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	scratch_make
	mkdir -p "$SCRATCH/site"
	printf 'hpcrun store 1\n' >"$SCRATCH/site/format"
	site_start
}
teardown_file() { site_end; }

setup() {
	site_use
	URL=$HPCRUN_STORE HPCRUN_STORE=$BATS_TEST_TMPDIR/store
}

# with INJECT: a machine on which a system call fails
with() { strace -f -o "$BATS_TEST_TMPDIR/trace" -e "inject=$1" "$HPCRUN" doctor; }

@test "doctor: a machine that is well" {
	run -0 "$HPCRUN" doctor
	[[ $output != *FAIL* ]]
	for check in installation kernel 'user namespaces' /dev/fuse overlayfs 'run directory' limits clock Slurm configuration 'node cache' store; do
		grep -qE "^(ok|warn) +$check " <<<"$output" || { echo "no $check in: $output"; return 1; }
	done
	[[ ${lines[-1]} == '0 failed, '* ]]
	# nothing was made
	[ ! -e "$HPCRUN_CACHE" ]
	[ ! -e "$HPCRUN_STORE" ]
}

@test "doctor: --json is one object a line" {
	run -0 "$HPCRUN" doctor --json --store "$URL"
	python3 -c '
import json, sys
found = {x["check"]: x for x in map(json.loads, sys.stdin)}
assert found["kernel"]["result"] in ("ok", "warn"), found
assert found["store"]["text"].startswith("\u0027http://127.0.0.1:"), found["store"]
' <<<"$output"
}

@test "doctor: who forbids user namespaces is named, once" {
	need strace
	run -1 with unshare:error=ENOSPC
	[[ $output == *'FAIL  user namespaces   cannot create a user namespace'*'user.max_user_namespaces'* ]]
	[[ $output == *'1 failed, '* ]]
	[[ $output != */dev/fuse* ]]
}

@test "doctor: a store that is missing, foreign or broken" {
	run -1 "$HPCRUN" doctor --store /nonexistent/store
	[[ $output == *"FAIL  store             '/nonexistent/store' is not there"* ]]
	mkdir -m 777 "$BATS_TEST_TMPDIR/open"
	printf 'hpcrun store 1\n' >"$BATS_TEST_TMPDIR/open/format"
	chmod 777 "$BATS_TEST_TMPDIR/open"
	run -1 "$HPCRUN" doctor --store "$BATS_TEST_TMPDIR/open"
	[[ $output == *'FAIL  store '* ]]
	run -1 "$HPCRUN" doctor --store "$URL/nothing" --store http://127.0.0.1:1
	[[ $output == *"the URL must be that of the store's directory"* ]]
	[[ $output == *'2 failed, '* ]]
}

@test "doctor: a web server that ignores Range is a warning" {
	site_fault all whole
	run -0 "$HPCRUN" doctor --store "$URL"
	site_fault
	[[ $output == *'warn  store '*'sends whole files'* ]]
	run -0 "$HPCRUN" doctor --store "$URL"
	[[ $output == *"ok    store             '$URL' answers"* ]]
}

@test "doctor: a configuration that cannot be read is a failure" {
	echo 'stor = /x' >"$HPCRUN_CONF"
	run -1 "$HPCRUN" doctor
	[[ $output == *"FAIL  configuration     $HPCRUN_CONF, line 1: unknown key 'stor'"* ]]
	[[ $output == *"did you mean 'store'?"* ]]
}

@test "doctor: a cache in memory or without room is a warning" {
	mkdir -p /dev/shm/hpcrun-doctor.$$
	HPCRUN_CACHE=/dev/shm/hpcrun-doctor.$$ run -0 "$HPCRUN" doctor
	rmdir /dev/shm/hpcrun-doctor.$$
	[[ $output == *'warn  node cache '*'memory (tmpfs)'* ]]
}

@test "doctor: H14: the AppArmor profile that comes along is one, for the programs of this prefix" {
	local prefix profile parser program programs
	prefix=$(realpath "$(dirname "$(command -v "$HPCRUN")")/..")
	profile=$prefix/share/hpcrun/apparmor/hpcrun
	eval "programs=($(sed -n 's/^@{hpcrun_programs} = //p' "$profile"))"
	[ "${#programs[@]}" = 3 ]
	for program in "${programs[@]}"; do
		[ -x "$program" ]
	done
	grep -qx '  userns,' "$profile"
	need apparmor
	parser=$(PATH=$PATH:/usr/sbin command -v apparmor_parser)
	cp "$profile" "$BATS_TEST_TMPDIR/profile"
	# before AppArmor 4.0 there is no such rule: the rest, then
	printf 'profile x {\n  userns,\n}\n' | "$parser" -QSK >/dev/null 2>&1 ||
		sed -i '/^abi /d; /^  userns,$/d' "$BATS_TEST_TMPDIR/profile"
	run -0 "$parser" -QK "$BATS_TEST_TMPDIR/profile"
	sed -i 's/^profile/profil/' "$BATS_TEST_TMPDIR/profile"
	run -1 "$parser" -QK "$BATS_TEST_TMPDIR/profile"
}
