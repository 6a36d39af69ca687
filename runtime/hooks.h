/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The site's hooks of one session: found, checked, and run where and when the OCI runtime
 * specification says, with an environment that is the hook file's and nobody else's.
 *
 * Sequence: rt_hooks_load in the session; rt_hooks_run in the process whose namespaces the stage
 * is to run in; rt_hooks_release.
 */
#ifndef RT_HOOKS_H
#define RT_HOOKS_H

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/hook.h"
#include "runtime/view.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/mem.h"

struct rt_hooks_entry {
	char *name; /* of its file */
	struct rt_hook hook;
};

/* A zeroed struct has no hooks. */
struct rt_hooks {
	struct rt_hooks_entry *v; /* in the order to run them */
	size_t n;
	const struct rt_session_args *args;
	const struct hr_buf *filter; /* for those inside the container; NULL: hpcrun's own */
};

/*
 * Read all "*.json" of each directory of DIRS, in the order of their names, and keep those whose
 * conditions hold for the session ARGS.
 *
 * Owns:    *OUT, which borrows ARGS; rt_hooks_release, also after an error.
 * Errors:  naming the file: HR_CORRUPT, HR_DENIED when somebody else could have written it or its
 *          program; HR_NOTFOUND when a directory is not there.
 */
int rt_hooks_load(const struct hr_strv *dirs, const struct rt_session_args *args,
		  struct rt_hooks *out, struct hr_err *e) HR_MUST_USE;
void rt_hooks_release(struct rt_hooks *l);

bool rt_hooks_any(const struct rt_hooks *l, enum rt_hook_stage stage);

/*
 * Run the hooks of STAGE in turn, in the namespaces of the caller; PID is the process that stands
 * for the container (0: it has ended). Waits for each, and kills it when its time is over.
 *
 * Errors:  HR_SYS naming the hook that failed, how, and the end of what it printed; those behind it
 *          are not run, but of RT_HOOK_POSTSTOP all are, and the first failure is told.
 */
int rt_hooks_run(const struct rt_hooks *l, enum rt_hook_stage stage, pid_t pid,
		 struct hr_err *e) HR_MUST_USE;

#endif
