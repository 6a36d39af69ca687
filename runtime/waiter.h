/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * With --pid only a child can be in the container's PID namespace: the rank stays outside as its
 * parent and looks, to the launcher, as if it were the program.
 */
#ifndef RT_WAITER_H
#define RT_WAITER_H

#include "util/err.h"

/*
 * Go on in a child. The caller itself passes on signals that are sent to it, stops when the child
 * stops, and ends as the child does: by the same status or the same signal. When the caller is
 * killed, so is the child.
 *
 * Returns 0 in the child alone; -1 when there is none.
 * Errors:  HR_SYS.
 */
int rt_waiter_fork(struct hr_err *e) HR_MUST_USE;

#endif
