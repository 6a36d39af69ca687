# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# A Slurm cluster of virtual nodes on this machine. Source it; it only defines functions.
#
# CLUSTER is the directory of a cluster that tests/cluster/up has started:
#
#   slurm.conf nodes proctrack     the configuration; names of the nodes, one a line; what ends left-over processes
#   run/NAME.pid                   "pid start-time" of munged, slurmctld and each node
#   log/ spool/ state/ munge/      of the daemons
#
# The login node is a network namespace with slurmctld in it, and this machine's file system. Each compute node is
# a network, host name, mount, IPC and process namespace of its own, with its own /tmp, /var/tmp, /run and /dev/shm;
# CLUSTER and what "up" was told to share are the same everywhere, as on a shared file system.

# shellcheck disable=SC2034  # for who sources this
CLUSTER_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# start_time PID: in clock ticks since boot; with it a pid is never mistaken for a later process.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# pid_of NAME: the process of a daemon or node, if it lives.
pid_of() {
	local pid start
	read -r pid start 2>/dev/null <"$CLUSTER/run/$1.pid" || return 1
	[ "$(start_time "$pid")" = "$start" ] && echo "$pid"
}

# init_of NODE: the process 1 of a node.
init_of() {
	local pid child
	pid=$(pid_of "$1") || return 1
	child=$(cut -d' ' -f1 "/proc/$pid/task/$pid/children")
	[ -n "$child" ] && echo "$child"
}

# node K: the name of the K-th node, from 1.
node() { sed -n "$1p" "$CLUSTER/nodes"; }

# on_node K COMMAND...: run it as root on the K-th node.
on_node() {
	local init
	init=$(init_of "$(node "$1")") || return
	shift
	nsenter -t "$init" -n -u -i -m -p --wd=/ -- "$@"
}

# on_login USER COMMAND...: run it as a user on the login node, with a fresh environment and what the array
# LOGIN_ENV ("NAME=VALUE" words) adds. The disks of the nodes are in memory; a cache that is named there needs no warning.
on_login() {
	local user=$1 home
	shift
	home=$(getent passwd "$user" | cut -d: -f6)
	nsenter -t "$(pid_of slurmctld)" -n -u -m --wd="$home" -- \
		setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --inh-caps=-all -- \
		env -i HOME="$home" USER="$user" LOGNAME="$user" LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
		SLURM_CONF="$CLUSTER/slurm.conf" HPCRUN_CACHE="/var/tmp/hpcrun-cache-$(id -u "$user")" ${LOGIN_ENV[@]+"${LOGIN_ENV[@]}"} "$@"
}

# The programs that a cluster is made of; each is in a package that tests/install-deps knows.
has_slurm() {
	local program
	for program in slurmctld slurmd srun munged nsenter ip; do
		PATH=$PATH:/usr/sbin:/sbin command -v $program >/dev/null || return 1
	done
}
