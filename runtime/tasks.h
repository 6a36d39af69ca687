/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tasks of a Slurm step on this node, seen from a session: which of them may still want it?
 * A task that runs in a container, of whatever session, will not start hpcrun again; one that runs
 * outside may. Not for the environment of a step (slurm.h).
 *
 * Sequence: rt_tasks_launcher once; rt_tasks_left whenever no rank may be left to come.
 */
#ifndef RT_TASKS_H
#define RT_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "util/err.h"

/* What /proc/PID/stat says of a process. */
struct rt_proc {
	char comm[16];
	char state;
	pid_t parent;
	unsigned int flags;
};

/*
 * Take apart the N bytes at TEXT, a /proc/PID/stat. A comm may hold any byte, parentheses too.
 *
 * Source:  proc(5), "/proc/pid/stat".
 */
bool rt_tasks_parse(const char *text, size_t n, struct rt_proc *out) HR_MUST_USE;

/* The process that starts this step's tasks here, the parent of SLURM_TASK_PID; 0: not known. */
pid_t rt_tasks_launcher(void);

/*
 * A task that LAUNCHER started and that lives outside of containers; 0: there is none, -1: that
 * cannot be told. Looks at every process of this machine: not for every event.
 */
pid_t rt_tasks_left(pid_t launcher);

#endif
