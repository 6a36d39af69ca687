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
 * Bind the socket of plan->key below DIRFD, listen, and start the session on it. The caller holds
 * LOCK, which the session inherits.
 *
 * Owns:    descriptors stay the caller's, which closes LOCK afterwards.
 * Errors:  HR_SYS; then no socket is left.
 */
int rt_session_start(const struct rt_plan *plan, int dirfd, int lock, struct hr_err *e) HR_MUST_USE;

#endif
