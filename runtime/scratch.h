/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --scratch: directories on the node's disk for one session, empty at its start, gone after its
 * end.
 *
 * A session removes its own when it ends. One that was killed cannot: the next session of the user
 * that makes some removes what no session holds any more. To hold is to have a lock on the
 * directory, which the server inherits, so that the lock ends with the last process in the
 * container, whatever becomes of the session.
 *
 * Sequence: rt_scratch_make; the descriptor lock goes to the server; rt_scratch_remove.
 */
#ifndef RT_SCRATCH_H
#define RT_SCRATCH_H

#include "runtime/bind.h"
#include "util/err.h"
#include "util/mem.h"

struct rt_scratch {
	int base, lock; /* the directory that it is made in; its own; -1: there is none */
	char *name;	/* its name in the former */
	struct rt_binds binds;
};

void rt_scratch_init(struct rt_scratch *s);
/*
 * Make one directory for each of TARGETS, in TMPDIR or else /tmp. KEY is the session's.
 *
 * Errors:  HR_SYS naming the directory.
 */
int rt_scratch_make(struct rt_scratch *s, const struct hr_strv *targets, const char *key,
		    struct hr_err *e) HR_MUST_USE;
/* Remove them with all that is in them, if nobody else holds them, and free S. */
void rt_scratch_remove(struct rt_scratch *s);

#endif
