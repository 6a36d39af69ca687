# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# One cluster, one store and one scratch directory for all files of this folder.

setup_suite() {
	. "$BATS_TEST_DIRNAME/common.bash"
	[ "$(id -u)" = 0 ] || return 0
	has_slurm || return 0
	user_make
	SCRATCH=$(mktemp -d "${HPCRUN_TEST_TMP:-/tmp}/hpcrun-test.XXXXXX")
	export SCRATCH CLUSTER=$SCRATCH/cluster HPCRUN
	chmod 755 "$SCRATCH"
	mkdir "$SCRATCH/tree" "$SCRATCH/work" "$SCRATCH/store"
	chown "$TEST_USER:" "$SCRATCH/work" "$SCRATCH/store"
	chmod 700 "$SCRATCH/store"
	busybox_tree "$SCRATCH/tree"
	make_image app:1 "$SCRATCH/tree"
	echo 'the other image' >"$SCRATCH/tree/etc/where"
	make_image app:2 "$SCRATCH/tree"
	# shellcheck disable=SC2119  # as it is by default
	cluster_up
	. "$BATS_TEST_DIRNAME/limits.bash"
	limits_begin >"$SCRATCH/limits.log" 2>&1 3>&- &
}

teardown_suite() {
	[ -n "${CLUSTER:-}" ] || return 0
	"$BATS_TEST_DIRNAME/down" "$CLUSTER"
	"$BATS_TEST_DIRNAME/down" "$SCRATCH/limits/cluster"
	rm -rf "$SCRATCH"
}
