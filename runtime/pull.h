/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pulling the image before it is run, in the process that is to become the program.
 *
 * Not for: deciding whether it must be (the session does), or how (hpcrun-store does).
 */
#ifndef RT_PULL_H
#define RT_PULL_H

#include <stdbool.h>

#include "runtime/plan.h"
#include "util/err.h"

struct rt_pull_told {
	bool why; /* the user has read why it failed already */
	int sig;  /* one that was handed on ended it, and is to end us; or 0 */
};

/*
 * Run "hpcrun-store pull" for plan->image and wait for its end. What it prints goes to our standard
 * error: the standard output is the program's.
 *
 * Signals that would end us meanwhile are handed on to it, and it leaves the store in order; a
 * second one ends it at once.
 * Errors:  HR_SYS, and *TOLD says what is known of it.
 */
int rt_pull_run(const struct rt_plan *plan, struct rt_pull_told *told,
		struct hr_err *e) HR_MUST_USE;

#endif
