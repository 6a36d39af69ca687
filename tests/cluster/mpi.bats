#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# MPI programs in images that bring their own MPI, under Slurm: PMI-2 and PMIx, shared memory and cross-memory attach
# on a node, TCP between nodes; with nothing set but what the cores here, fewer than ranks, ask for.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; $ is for the shells on the nodes; bats sets output and status

bats_require_minimum_version 1.5.0
load common

setup_file() {
	[ -n "${CLUSTER:-}" ] || return 0
	local mpi
	for mpi in openmpi mpich; do
		mkdir -p "$SCRATCH/mpi/$mpi"
		"mpicc.$mpi" -O2 -Wall -Wextra -Werror -I "$CLUSTER_DIR/../.." -o "$SCRATCH/mpi/pingpong" "$CLUSTER_DIR/pingpong.c"
		"$CLUSTER_DIR/mpi_tree" "$SCRATCH/mpi/$mpi" "$mpi" "$SCRATCH/mpi/pingpong"
		make_image "$mpi:1" "$SCRATCH/mpi/$mpi"
	done
}
teardown_file() { [ -z "${CLUSTER:-}" ] || rm -rf "$SCRATCH/mpi"; }

setup() {
	need_cluster
	# without it, ranks that wait take the cores of those that work
	LOGIN_ENV+=(OMPI_MCA_mpi_yield_when_idle=1)
}
teardown() { cancel_all; }

# ranks N NODES: as many ranks on so many nodes took part, each node has one user namespace, the user is himself.
ranks() {
	local lines places
	lines=$(grep '^rank' <<<"$output")
	places=$(grep -oE ' on .*, user namespace [0-9]+' <<<"$lines" | sort -u)
	[ "$(grep -cE "^rank [0-9]+ of $1 on .* user $(id -u "$TEST_USER")$" <<<"$lines")" = "$1" ] &&
		[ "$(wc -l <<<"$lines")" = "$1" ] && [ "$(wc -l <<<"$places")" = "$2" ] &&
		[ "$(cut -d, -f1 <<<"$places" | sort -u | wc -l)" = "$2" ]
}
complaints() { grep -viE '^(rank|[0-9]+ bytes|single copy)' <<<"$output" || :; }
# attached: how many calls of cross-memory attach the ranks made. What another thread does meanwhile splits a line in two.
attached() { cat "$SCRATCH"/work/strace.* | grep -cE 'process_vm_(readv|writev)(\(| resumed).*= [1-9]'; }

# Each rank under strace, with its output in strace.RANK.
trace='exec strace -f -e trace=process_vm_readv,process_vm_writev -o $WORK/strace.$SLURM_PROCID "$@"'

@test "mpi: Open MPI with PMIx, between nodes and within" {
	run -0 job srun --mpi=pmix -N 2 -n 4 --ntasks-per-node=2 "$HPCRUN" openmpi:1 pingpong 8 5 65536 5
	ranks 4 2
	grep '^65536 bytes' <<<"$output"
	[ -z "$(complaints)" ]
	assert_nothing_left
}

@test "mpi: Open MPI attaches to the memory of the other ranks of its node, also for 4 MB" {
	need strace
	run -0 job srun --mpi=pmix -n 2 sh -c "$trace" sh "$HPCRUN" openmpi:1 pingpong 8 10 4194304 10
	ranks 2 1
	grep '^4194304 bytes' <<<"$output"
	grep -x 'single copy: cma' <<<"$output"
	[ -z "$(complaints)" ]
	[ "$(attached)" -ge 20 ]
}

@test "mpi: MPICH with PMI-2, and attaches to the memory of the other ranks of its node" {
	need strace
	LOGIN_ENV+=(UCX_LOG_LEVEL=info UCX_LOG_FILE="$SCRATCH/work/ucx.%p")
	run -0 job srun --mpi=pmi2 -n 2 sh -c "$trace" sh "$HPCRUN" mpich:1 pingpong 8 10 4194304 10
	ranks 2 1
	grep '^4194304 bytes' <<<"$output"
	[ -z "$(complaints)" ]
	[ "$(attached)" -ge 20 ]
	[ "$(grep -l 'ep_cfg.*cma/memory' ucx.* | wc -l)" = 2 ]
}

# best WHERE: of all round trips so far, in MB/s
best() { sed -n 's/^4194304 bytes: .* at best \([0-9]*\).*/\1/p' "$1" | sort -n | tail -n 1; }
# as_fast_inside MPI PMI: the best round trip of 4 MB between two ranks inside is within 5 % of the best outside. They are
# taken in turn; what else the machine does makes some of either slow, so more are made when it is not.
as_fast_inside() {
	for _ in 1 2 3 4 5 6; do
		job srun --mpi="$2" -n 2 "$HPCRUN" "$1:1" pingpong 4194304 100 >>"inside.$1"
		job srun --mpi="$2" -n 2 "$SCRATCH/mpi/$1/bin/pingpong" 4194304 100 >>"outside.$1"
		echo "$1: $(best "inside.$1") MB/s inside, $(best "outside.$1") MB/s outside"
		[ $(($(best "inside.$1") * 100)) -lt $(($(best "outside.$1") * 95)) ] || return 0
	done
	return 1
}

@test "mpi: ranks of a node exchange 4 MB as fast inside as outside" {
	as_fast_inside openmpi pmix
	as_fast_inside mpich pmi2
}

@test "mpi: MPICH with PMI-2 between nodes" {
	LOGIN_ENV+=(PINGPONG_NO_FINALIZE=1)
	run -0 job srun --mpi=pmi2 -N 2 -n 2 "$HPCRUN" mpich:1 pingpong 8 5 65536 5
	ranks 2 2
	grep '^65536 bytes' <<<"$output"
	assert_nothing_left
}

@test "mpi: MPICH with PMI-1, of an mpiexec that Slurm takes for one task" {
	run -0 job srun --mpi=none -n 1 mpiexec.hydra -launcher fork -rmk user -n 2 "$HPCRUN" mpich:1 pingpong 8 5 65536 5
	ranks 2 1
	grep '^65536 bytes' <<<"$output"
	# the wire of PMI-1: a descriptor, a rank, a size
	run -0 job srun --mpi=none -n 1 mpiexec.hydra -launcher fork -rmk user -n 2 "$HPCRUN" app:1 \
		sh -c 'echo $PMI_RANK of $PMI_SIZE by $(readlink /proc/self/fd/$PMI_FD)'
	[ "$(grep -cE '^[01] of 2 by socket:' <<<"$output")" = 2 ]
	assert_nothing_left
}

@test "mpi: what the launcher names is there: its directory, its descriptor, munge" {
	run -0 job srun --mpi=pmix -n 1 "$HPCRUN" app:1 sh -c 'ls -d "$PMIX_SERVER_TMPDIR" && touch "$PMIX_SERVER_TMPDIR/x" && echo good'
	[ "${lines[1]}" = good ]
	run -0 job srun --mpi=pmi2 -n 1 "$HPCRUN" app:1 sh -c 'readlink /proc/self/fd/$PMI_FD'
	[[ $output == socket:* ]]
	run -0 job srun -n 1 "$HPCRUN" run --bind /usr --bind /lib --bind /lib64 app:1 \
		sh -c '/usr/bin/munge -n | /usr/bin/unmunge | grep STATUS'
	[[ $output == *Success* ]]
}
