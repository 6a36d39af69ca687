/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the environment of a Slurm step tells: how many ranks this node will see. Pure.
 */
#ifndef RT_SLURM_H
#define RT_SLURM_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/*
 * The number of tasks on node NODE of a step, from a list like "4(x2),3" (four tasks on each of two
 * nodes, then three): SLURM_STEP_TASKS_PER_NODE, indexed by SLURM_NODEID.
 *
 * Bounds:  counts are 1 to 1048576, repetitions 1 to 1048576; the whole list must be well formed.
 * Errors:  HR_CORRUPT saying where the list breaks its form, or that NODE lies behind its end.
 * Source:  sbatch(1), "SLURM_TASKS_PER_NODE".
 */
int rt_slurm_tasks(const char *list, uint64_t node, uint32_t *out, struct hr_err *e) HR_MUST_USE;

/*
 * How many ranks of the current step run on this node; 0 when this is no Slurm step or it cannot be
 * known.
 */
uint32_t rt_slurm_ranks_here(void);

/*
 * Whether Slurm finds, and ends, every process of the step by a cgroup that the writer of TEXT, a
 * /proc/PID/cgroup, is in: proctrack/cgroup has the freezer for it, or the one hierarchy of cgroup
 * v2. Groups of a step with other controllers only limit it. Pure.
 *
 * Source:  cgroups(7), "/proc/[pid]/cgroup"; Slurm's cgroup_v1.c and cgroup_v2.c.
 */
bool rt_slurm_tracks(const char *text);

#endif
