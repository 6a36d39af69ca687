/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starting hpcrun-session as a process of its own: not the child of the program that hpcrun is
 * about to become, not in its session, with none of its descriptors.
 */
#ifndef RT_START_H
#define RT_START_H

#include "runtime/plan.h"
#include "util/err.h"

/*
 * Start the session of PLAN, whose directory is DIRFD, on SOCK, which listens at its name (name.h).
 *
 * Owns:    descriptors stay the caller's, which closes SOCK afterwards.
 * Errors:  HR_SYS.
 */
int rt_session_start(const struct rt_plan *plan, int dirfd, int sock, struct hr_err *e) HR_MUST_USE;

#endif
