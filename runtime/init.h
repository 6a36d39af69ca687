/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first process of a container's PID namespace (--pid): it collects orphans, as somebody must,
 * and its end is the end of all others there. It is started by the builder, makes /proc, and stays.
 */
#ifndef RT_INIT_H
#define RT_INIT_H

#include <sys/types.h>

#include "util/err.h"

/*
 * Start it; the caller has made the PID namespace and is in the mount namespace that the container
 * will have. *PROC is a detached mount of proc. *SOCK is for who holds the container: when all
 * copies of it are closed, init ends as soon as it is alone.
 *
 * Returns its pid, as seen from here.
 * Errors:  HR_SYS; HR_DENIED when proc cannot be mounted.
 */
pid_t rt_init_start(int *proc, int *sock, struct hr_err *e) HR_MUST_USE;

#endif
