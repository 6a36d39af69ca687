#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Options of run: where they can come from, and what those do that shape the container.
# HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it: no registry is needed.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	local name
	scratch_make
	export HPCRUN_CONF=$SCRATCH/conf
	echo 'session_linger = 1' >"$HPCRUN_CONF"
	unset "${!APPTAINER@}" "${!SINGULARITY@}" "${!HPCRUNENV_@}"
	[ -x "${HPCRUN_BUILD:-}/tests/lib/mkstore" ] || return 0
	mkdir -p tree/bin tree/etc tree/data
	cp /bin/busybox tree/bin/busybox
	for name in sh true cat echo ls readlink sleep kill grep stat env id hostname touch rm mkdir awk ps mount wc test find; do
		ln -s busybox "tree/bin/$name"
	done
	echo 'inside the image' >tree/etc/where
	echo 'of the image' >tree/data/file
	"$HPCRUN_BUILD/tests/lib/mkstore" "$HPCRUN_STORE" app:1 tree >/dev/null
	mkdir host other
	echo 'of the host' >host/file
	echo other >other/file
}
teardown_file() {
	local pid
	for pid in $(leftovers | cut -d' ' -f1); do
		kill -KILL "$pid" 2>/dev/null
	done
	scratch_remove
}
setup() {
	[ -x "${HPCRUN_BUILD:-}/tests/lib/mkstore" ] || skip "HPCRUN_BUILD names no build tree with mkstore in it"
	cd "$SCRATCH" || return
}

# -- from elsewhere than the command line

@test "options: a file holds them as typed or as 'option = value'" {
	cat >team <<-EOF
		# what the team types every day
		--bind $PWD/host:/mnt/a:ro
		bind = $PWD/other:/mnt/b
		-e GREETING=from the file
		workdir = /mnt/a
	EOF
	run -0 "$HPCRUN" run --options team app:1 sh -c 'cat file /mnt/b/file; echo "$GREETING";  touch /mnt/b/new; ! touch /mnt/a/new'
	[ "${lines[0]}" = 'of the host' ]
	[ "${lines[1]}" = other ]
	[ "${lines[2]}" = 'from the file' ]
	HPCRUN_OPTIONS=team run -0 "$HPCRUN" app:1 cat file
	[ "$output" = 'of the host' ]
}

@test "options: the command line counts before variables, these before a file" {
	echo 'workdir = /etc' >file
	run -0 "$HPCRUN" run --options=file app:1 readlink /proc/self/cwd
	[ "$output" = /etc ]
	HPCRUN_WORKDIR=/data run -0 "$HPCRUN" run --options=file app:1 readlink /proc/self/cwd
	[ "$output" = /data ]
	HPCRUN_WORKDIR=/data run -0 "$HPCRUN" run --options=file -w /bin app:1 readlink /proc/self/cwd
	[ "$output" = /bin ]
	export LOST=yes HPCRUN_CLEANENV=yes
	run -0 "$HPCRUN" app:1 sh -c 'echo "$LOST"'
	[ "$output" = '' ]
	run -0 "$HPCRUN" run --cleanenv=no app:1 sh -c 'echo "$LOST"'
	[ "$output" = yes ]
}

@test "options: what is wrong with a file or a variable is said with its place" {
	printf '\n--bnid /a\n' >file
	fail_with "file, line 2: .*unknown option '--bnid'" "$HPCRUN" run --options file app:1 true
	run ! "$HPCRUN" run --options file app:1 true
	[[ $output == *"did you mean '--bind'?"* ]]
	printf 'app:1 true\n' >file
	fail_with "file, line 1: .*neither an option" "$HPCRUN" run --options file app:1 true
	fail_with "cannot .*no-such-file" "$HPCRUN" run --options no-such-file app:1 true
	HPCRUN_NO_HOME=perhaps fail_with "HPCRUN_NO_HOME: 'perhaps' is neither yes nor no" "$HPCRUN" app:1 true
}

@test "options: a misspelt variable is worth a line of -v, and no failure" {
	HPCRUN_WROKDIR=/etc run -0 --separate-stderr "$HPCRUN" app:1 true
	[ "$stderr" = '' ]
	HPCRUN_WROKDIR=/etc run -0 --separate-stderr "$HPCRUN" run -v app:1 true
	[[ $stderr == *"'HPCRUN_WROKDIR' means nothing to hpcrun; was 'HPCRUN_WORKDIR' meant?"* ]]
}

@test "options: HPCRUNENV_NAME sets NAME inside, with --cleanenv too" {
	export HPCRUNENV_GREETING='well met' HPCRUNENV_EMPTY=
	run -0 "$HPCRUN" run --cleanenv app:1 sh -c 'echo "$GREETING,${EMPTY-unset}"; env | grep ^HPCRUNENV_ || :'
	[ "$output" = 'well met,' ]
	run -0 "$HPCRUN" run -e GREETING=typed app:1 sh -c 'echo "$GREETING"'
	[ "$output" = typed ]
	HPCRUNENV_SLURM_JOB_ID=1 fail_with 'HPCRUNENV_SLURM_JOB_ID: .*belongs to the launcher' "$HPCRUN" app:1 true
}

@test "options: the binds of Apptainer and Singularity are made, and one line says so" {
	local binds="$PWD/host:/mnt/a:ro,$PWD/other:/mnt/b"
	SINGULARITY_BIND=$binds run -0 --separate-stderr "$HPCRUN" app:1 cat /mnt/a/file /mnt/b/file
	[ "$output" = $'of the host\nother' ]
	[[ $stderr == *"SINGULARITY_BIND is honoured: $PWD/host:/mnt/a:ro,"* ]]
	[ "${#stderr_lines[@]}" = 1 ]
	SINGULARITY_BIND=/no/such APPTAINER_BINDPATH=$PWD/other:/mnt/a run -0 --separate-stderr "$HPCRUN" \
		run -b "$PWD/host:/mnt/a" app:1 cat /mnt/a/file
	[ "$output" = 'of the host' ]
	APPTAINER_BIND=/a:b fail_with "APPTAINER_BIND: .*'b' is not an absolute path" "$HPCRUN" app:1 true
}
