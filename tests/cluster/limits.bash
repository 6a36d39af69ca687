# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# The jobs of timelimit.bats. slurmctld counts time limits in minutes and looks at them every 30 s, so these jobs run on a
# cluster of their own, of one node, while the other files are tested. Source it after common.bash; SCRATCH is set.
# shellcheck disable=SC2034  # CLUSTER and LOGIN_ENV are for what is called

LIMITS=$SCRATCH/limits
LIMITS_CLUSTER=$LIMITS/cluster

# limits_begin: start the cluster, and two jobs that last until their time is over, "without" hpcrun and "inside" an image.
# Their tasks leave files started.HOW.TASK, and signalled.HOW.TASK when SIGUSR1 comes; srun's words are in out.HOW.
limits_begin() {
	local how CLUSTER=$LIMITS_CLUSTER
	local -A launch=([without]=sh [inside]="$HPCRUN app:1 sh")
	mkdir "$LIMITS"
	chown "$TEST_USER:" "$LIMITS"
	cat >"$LIMITS/task" <<-'TASK'
		trap 'touch $WORK/signalled.$1.$SLURM_PROCID' USR1
		touch $WORK/started.$1.$SLURM_PROCID
		while :; do sleep 0.2; done
	TASK
	LOGIN_ENV=(HPCRUN_STORE="$SCRATCH/store" HPCRUN_PULL=never HPCRUN_BIND="$LIMITS" WORK="$LIMITS")
	NODES=1 cluster_up
	for how in without inside; do
		printf '#!/bin/sh\nsrun -n 2 %s %s %s\n' "${launch[$how]}" "$LIMITS/task" "$how" >"$LIMITS/$how"
		on_login "$TEST_USER" sbatch -Q -D / -n 2 --time=1 --signal=USR1@60 -o "$LIMITS/out.$how" "$LIMITS/$how"
	done
}
