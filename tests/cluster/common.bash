# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What the bats files of this folder share. The cluster is setup_suite.bash's; HPCRUN_BUILD is the build tree.

. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.bash"
. "$(dirname "${BASH_SOURCE[0]}")/lib.bash"

HPCRUN=$(readlink -f "$(command -v "$HPCRUN")")

# cluster_up [VARIABLE=VALUE...]: see "up"; restarts the cluster if it is another one that runs.
cluster_up() { env "$@" "$CLUSTER_DIR/up" "$CLUSTER" "$(dirname "$(dirname "$HPCRUN")")" "$SCRATCH"; }

# For setup(): the cluster is there, or the test is skipped.
need_cluster() {
	[ "$(id -u)" = 0 ] || skip 'a cluster of virtual nodes is started by root only'
	need slurm
	need fuse
	LOGIN_ENV=(HPCRUN="$HPCRUN" HPCRUN_STORE="$SCRATCH/store" HPCRUN_PULL=never WORK="$SCRATCH/work")
	rm -rf "$SCRATCH"/work/*
	cd "$SCRATCH/work" || return
}

# job COMMAND...: run it on the login node as the test user, for 60 s (JOB_S) at most.
job() { on_login "$TEST_USER" timeout -k 5 "${JOB_S:-60}" env --chdir="$SCRATCH/work" "$@"; }

# For teardown(): a test that failed leaves no job to the next.
cancel_all() {
	[ -z "${CLUSTER:-}" ] || on_login root scancel --user="$TEST_USER" --signal=KILL
}

# What a rank does to be seen: leave a file, and wait for another.
# shellcheck disable=SC2016,SC2034  # for the shells on the nodes
WAIT='touch $WORK/here.$SLURM_PROCID; until test -e $WORK/go; do sleep 0.1; done'
# arrived NAME COUNT: so many ranks have left a file NAME.*.
arrived() { [ "$(find "$SCRATCH/work" -name "$1.*" | wc -l)" = "$2" ]; }
# job_id: of the only job that runs.
job_id() { on_login root squeue -h -o %i; }
no_job() { [ -z "$(on_login root squeue -h)" ]; }

# make_image NAME DIR: DIR as an image in the test user's store.
make_image() { as_user "$HPCRUN_BUILD/tests/lib/mkstore" "$SCRATCH/store" "$@" >/dev/null; }

busybox_tree() {
	mkdir -p "$1"/etc
	busybox_root "$1" sh true false cat echo ls readlink sleep kill id wc seq grep touch test md5sum
	echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
	echo 'root:x:0:' >"$1/etc/group"
	echo 'inside the image' >"$1/etc/where"
}

# Processes of the test user on the compute nodes, "node pid program".
node_processes() {
	local k
	for k in $(seq "$(wc -l <"$CLUSTER/nodes")"); do
		on_node "$k" ps -o pid=,args= -u "$TEST_USER" | sed "s/^ */node $k: /"
	done
}
# Their mounts, sockets and files that sessions make; what "hpcrun stats" shows of past ones and the secret of their
# names are kept on purpose.
node_residue() {
	local k
	node_processes
	for k in $(seq "$(wc -l <"$CLUSTER/nodes")"); do
		# shellcheck disable=SC2016  # for the shell on the node
		on_node "$k" sh -c 'find /tmp /var/tmp /dev/shm -xdev -user "$0" ! -type d ! -path "*/hpcrun-cache-*" ! -path "/tmp/hpcrun-*/stats/*" ! -path "/tmp/hpcrun-*/secret"
			grep fuse.hpcrun /proc/mounts; grep " @hpcrun-" /proc/net/unix' \
			"$TEST_USER" | sed "s/^/node $k: /"
	done
}
residue_free() { [ -z "$(node_residue)" ]; }

# Within 10 s nothing of the test user is on any node; what is there is shown.
assert_nothing_left() {
	wait_until 10 residue_free && return
	node_residue
	return 1
}
