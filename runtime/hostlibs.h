/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Libraries of the host for a session: what the configuration asks for (session), what the image
 * allows (builder), and what that takes.
 *
 * Sequence: rt_hostlibs_load, rt_hostlibs_targets and rt_hostlibs_key in the session, before it has
 * children; rt_hostlibs_recall or rt_hostlibs_choose in the builder; releases.
 */
#ifndef RT_HOSTLIBS_H
#define RT_HOSTLIBS_H

#include <stdbool.h>

#include "runtime/bind.h"
#include "runtime/gpu.h"
#include "runtime/inject.h"
#include "runtime/memo.h"
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
	const struct rt_gpu *gpu; /* of the session; of a check, all that there are */
	struct hr_err no_gpu;	  /* of a check: why there is none */
};

/* What the builder is to do, and to tell. A zeroed struct: nothing. */
struct rt_hostlibs {
	const struct rt_stack *chosen; /* of the job's, or NULL */
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
 * What the choice depends on besides files of the host, as the key of MEMO: of JOB and the TARGETS
 * that the server shows; and, once they are known, of the image's MANIFEST and its environment.
 *
 * False: there is nothing to choose, or it must be done each time.
 */
bool rt_hostlibs_key(const struct rt_hostlibs_job *job, const struct hr_buf *targets,
		     struct rt_memo *memo);
void rt_hostlibs_key_image(const char *manifest, const struct hr_buf *env, struct rt_memo *memo);

/*
 * Look at the image and decide. ENV is the image's environment, "NAME=VALUE\0" each. The choice is
 * the answer in MEMO.
 *
 * Owns:    *OUT; rt_hostlibs_release, also after an error.
 * Errors:  HR_USAGE when --mpi=host or --gpu cannot be done; HR_SYS.
 */
int rt_hostlibs_choose(const struct rt_hostlibs_job *job, int host_root, int image_root,
		       const struct hr_buf *env, struct rt_memo *memo, struct rt_hostlibs *out,
		       struct hr_err *e) HR_MUST_USE;

/*
 * Decide as the answer in MEMO says.
 *
 * Owns:    as rt_hostlibs_choose.
 * Errors:  HR_CORRUPT: it says nothing of the kind; choose, then.
 */
int rt_hostlibs_recall(const struct rt_hostlibs_job *job, const struct rt_memo *memo,
		       struct rt_hostlibs *out, struct hr_err *e) HR_MUST_USE;
void rt_hostlibs_release(struct rt_hostlibs *h);

#endif
