#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The examples of hpcrun-guide(7) and hpcrun-admin(7) do what the pages say: all are run, in their order, as installed.
# Names of hosts and directories that are nobody's are replaced by those of this test; srun and sbatch are stand-ins that run the command here, which says nothing about Slurm (tests/cluster does).
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	file_setup
	# the image of the pages: a small system with a program "app"
	mkdir -p rootfs/{usr/bin,etc}
	busybox_root rootfs sh ls echo cat true
	printf '#!/bin/sh\necho "app 1.0: $*"\n' >rootfs/usr/bin/app
	chmod 755 rootfs/usr/bin/app
	"$HPCRUN" import rootfs lab/made:1 2>/dev/null
	"$HPCRUN" push -q lab/made:1 "$REGISTRY/lab/app:1.0"
	echo more >rootfs/etc/more
	"$HPCRUN" import rootfs lab/made:2 2>/dev/null
	"$HPCRUN" push -q lab/made:2 "$REGISTRY/lab/app:2.0"
	# a node with a GPU, as far as a CDI file goes
	mkdir -p cdi stubs scratch/data
	printf '{"cdiVersion": "0.5.0", "kind": "vendor.example/gpu", "devices": [{"name": "all", "containerEdits":
		{"env": ["GPU=yes"]}}]}' >cdi/gpu.json
	# stand-ins: options are passed over, the command is run once
	cat >stubs/srun <<-'EOF2'
		#!/bin/sh
		while [ "${1#-}" != "$1" ]; do shift; done
		exec "$@"
	EOF2
	printf '#!/bin/sh\nexec bash "$1"\n' >stubs/sbatch
	chmod +x stubs/*
}
teardown_file() { file_teardown; }

# examples_of PAGE: take them out, and put this test's names in
examples_of() {
	local manual
	manual=$(dirname "$HPCRUN")/../share/man/man7/$1
	EXAMPLES=$BATS_TEST_TMPDIR/examples
	python3 "$TESTS_DIR/lib/examples.py" "$manual" "$EXAMPLES" >"$BATS_TEST_TMPDIR/lines"
	mapfile -t lines_of <"$BATS_TEST_TMPDIR/lines"
	find "$EXAMPLES" -type f -exec sed -i "s,registry\.example,$REGISTRY,g; s,/scratch/,$SCRATCH/scratch/,g
		s,/project/images,$SCRATCH/project/images,g; s,/etc/cdi,$SCRATCH/cdi,g; s,/local,$SCRATCH/local,g
		s,https://images\.site/hpcrun,http://127.0.0.1:${PORT:-0},g" {} +
	mkdir -p "$BATS_TEST_TMPDIR/work"
	cd "$BATS_TEST_TMPDIR/work" || return
	PATH=$SCRATCH/stubs:$(dirname "$HPCRUN"):$PATH
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	unset HPCRUN_PULL # as a user has it
}
# run_examples: each block is a shell of its own, that ends with the first command that fails
run_examples() {
	local n=0 script
	for script in "$EXAMPLES"/*.sh; do
		if ! bash -eu "$script" >out 2>&1 </dev/null; then
			printf 'the example in line %s of the page:\n' "${lines_of[n]}"
			cat "$script"
			echo 'printed:'
			cat out
			return 1
		fi
		cat out >>"$BATS_TEST_TMPDIR/all"
		n=$((n + 1))
	done
	[ "$n" -gt 5 ]
}

@test "guide: every example of hpcrun-guide(7) runs" {
	need python3
	need fuse
	examples_of hpcrun-guide.7
	printf 'cdi_dir = %s\n' "$SCRATCH/cdi" >"$BATS_TEST_TMPDIR/conf"
	export HPCRUN_CONF=$BATS_TEST_TMPDIR/conf
	echo secret >token.txt
	: >"$SCRATCH/scratch/data/here"
	run_examples
	# and prints what one would expect of it
	cd "$BATS_TEST_TMPDIR" || return
	[ "$(grep -c '^app 1.0: input.dat$' all)" = 5 ]
	[ "$(grep -c '^here$' all)" = 3 ]
	grep -qx 8 all
	grep -qx 42 all
	grep -qx patched all
	grep -q '^removed' all
}

@test "guide: every example of hpcrun-admin(7) runs" {
	need python3
	need fuse
	mkdir -p "$SCRATCH/project" "$SCRATCH/local"
	web_store_start "$SCRATCH/project/images" "$BATS_TEST_TMPDIR/web"
	PORT=$(cat "$BATS_TEST_TMPDIR/web/port")
	examples_of hpcrun-admin.7
	# as a user without a store of his own has it
	unset HPCRUN_STORE HPCRUN_CACHE
	export HPCRUN_CONF=$EXAMPLES/files/etc/hpcrun/hpcrun.conf XDG_DATA_HOME=$BATS_TEST_TMPDIR/data
	run_examples
	[ "$(grep -c '^app 1.0: --version$' "$BATS_TEST_TMPDIR/all")" = 3 ]
	grep -q GET "$BATS_TEST_TMPDIR/web/log"
	# the epilog removes the cache of one user, and nothing without knowing whose
	[ -d "$SCRATCH/local/hpcrun-cache-$(id -u)" ]
	run ! sh "$EXAMPLES/files/etc/slurm/epilog.d/50-hpcrun.sh"
	SLURM_JOB_UID=$(id -u) sh "$EXAMPLES/files/etc/slurm/epilog.d/50-hpcrun.sh"
	[ ! -e "$SCRATCH/local/hpcrun-cache-$(id -u)" ]
}
teardown() { web_store_stop "$BATS_TEST_TMPDIR/web"; }

@test "guide: a block that does not say what it is, is an error" {
	need python3
	printf '.Bd -literal\nls\n.Ed\n' >"$BATS_TEST_TMPDIR/page"
	run -1 python3 "$TESTS_DIR/lib/examples.py" "$BATS_TEST_TMPDIR/page" "$BATS_TEST_TMPDIR/x"
	[[ $output == *"page:1: a block that does not say what it is" ]]
}
