#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The examples of hpcrun-guide(7) and hpcrun-admin(7) that ask Slurm for something, under Slurm: the blocks that tests/cli
# runs with a stand-in for srun. Nodes have a GPU as far as Slurm and a CDI file go.
# shellcheck disable=SC2016,SC2034,SC2154  # LOGIN_ENV is lib.bash's; bats sets output and status

bats_require_minimum_version 1.5.0
load common

setup_file() {
	[ -n "${CLUSTER:-}" ] || return 0
	cluster_up GPU=yes
	mkdir -p "$SCRATCH/guide/usr/bin"
	busybox_tree "$SCRATCH/guide"
	printf '#!/bin/sh\necho "app 1.0: $*"\n' >"$SCRATCH/guide/usr/bin/app"
	chmod 755 "$SCRATCH/guide/usr/bin/app"
	make_image app:stable "$SCRATCH/guide"
	make_image registry.example/lab/app:1.0 "$SCRATCH/guide"
}
# shellcheck disable=SC2119  # as it is by default
teardown_file() {
	[ -n "${CLUSTER:-}" ] || return 0
	rm -rf "$SCRATCH/guide"
	cluster_up
}

setup() {
	need_cluster
	need python3
	mkdir cdi scratch scratch/data
	printf '{"cdiVersion": "0.5.0", "kind": "vendor.example/gpu", "devices": [{"name": "all", "containerEdits":
		{"env": ["GPU=yes"]}}]}' >cdi/gpu.json
	printf 'cdi_dir = %s\n' "$PWD/cdi" >conf
	# shellcheck disable=SC2206  # words
	LOGIN_ENV+=(PATH="$(dirname "$HPCRUN"):/usr/bin:/bin:/usr/sbin:/sbin" HPCRUN_CONF="$PWD/conf" HPCRUN_CACHE="$PWD/cache")
	chown -R "$TEST_USER:" .
}
teardown() { cancel_all; }

# run_examples PAGE: its blocks with srun or sbatch; what they print, and then their jobs, in "all"
run_examples() {
	local script
	python3 "$CLUSTER_DIR/../lib/examples.py" "$(dirname "$HPCRUN")/../share/man/man7/$1" "$SCRATCH/work/examples" >lines
	sed -i "s,/scratch/,$PWD/scratch/,g" examples/*.sh
	while read -r script; do
		job bash -eu "$PWD/$script" >>all 2>&1 </dev/null || {
			cat "$script" all
			return 1
		}
	done < <(grep -lE '\<(srun|sbatch)\>' examples/*.sh)
	wait_until 30 no_job
	find . -name 'slurm-*.out' -exec cat {} + >>all
	cat all
}

@test "guide: the examples of hpcrun-guide(7) with srun and sbatch run under Slurm" {
	run_examples hpcrun-guide.7
	# 4 tasks by srun, by sbatch and with MPI; with a GPU one without Slurm, and 2 tasks
	[ "$(grep -cx 'app 1.0: input.dat' all)" = 15 ]
	assert_nothing_left
}

@test "guide: the examples of hpcrun-admin(7) with srun run under Slurm" {
	run_examples hpcrun-admin.7
	assert_nothing_left
}
