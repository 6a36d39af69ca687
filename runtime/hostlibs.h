/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Libraries of the host for a session: what the configuration asks for (session), what the image
 * allows (builder), and what that takes.
 *
 * Sequence: rt_hostlibs_load and rt_hostlibs_targets in the session, before it has children;
 * rt_hostlibs_choose in the builder; releases.
 */
#ifndef RT_HOSTLIBS_H
#define RT_HOSTLIBS_H

#include <stdbool.h>

#include "runtime/bind.h"
#include "runtime/gpu.h"
#include "runtime/inject.h"
#include "runtime/mpi.h"
#include "runtime/view.h"
#include "util/buf.h"
#include "util/conf.h"
#include "util/err.h"

struct rt_hostlibs_job {
	enum rt_mpi_mode mode; /* not RT_MPI_SITE any more */
	enum rt_mpi_check check;
	const char *image; /* its name */
	struct rt_stack *stacks;
	size_t n;
	const struct rt_gpu *gpu; /* of the session */
};

/* What the builder is to do, and to tell. A zeroed struct: nothing. */
struct rt_hostlibs {
	struct rt_inject inject;
	struct rt_binds binds; /* those whose source is missing are left out already */
	struct hr_strv env;
	char *notice; /* for the user, or NULL */
	bool notice_matters;
	struct hr_strv warnings;
	struct hr_buf report; /* of mpi-check: its exit status as a digit, then the text */
};

/*
 * Owns:    *JOB; rt_hostlibs_job_release, also after an error.
 * Errors:  those of rt_stack_load.
 */
int rt_hostlibs_load(struct rt_hostlibs_job *job, const struct rt_session_args *args,
		     const struct hr_conf *conf, const struct rt_gpu *gpu,
		     struct hr_err *e) HR_MUST_USE;
void rt_hostlibs_job_release(struct rt_hostlibs_job *job);

/* Add what the server must show for JOB to be done. It is mounted on before the session's binds
 * are, which may hide it: so it is asked for wherever it lies. */
void rt_hostlibs_targets(const struct rt_hostlibs_job *job, struct hr_buf *out);

/*
 * Look at the image and decide. ENV is the image's environment, "NAME=VALUE\0" each.
 *
 * Owns:    *OUT; rt_hostlibs_release, also after an error.
 * Errors:  HR_USAGE when --mpi=host or --gpu cannot be done; HR_SYS.
 */
int rt_hostlibs_choose(const struct rt_hostlibs_job *job, int host_root, int image_root,
		       const struct hr_buf *env, struct rt_hostlibs *out,
		       struct hr_err *e) HR_MUST_USE;
void rt_hostlibs_release(struct rt_hostlibs *h);

#endif
