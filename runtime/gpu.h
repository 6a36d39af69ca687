/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GPUs of the host for a session: which ones are meant, what a container needs to use them, found
 * without running anything. CDI files first; for vendors that have none, lists of libraries.
 *
 * Sequence: rt_gpu_find in the session; its binds and variables are applied there, its libraries
 * by the builder (hostlibs.h), which sees the image; rt_gpu_release.
 */
#ifndef RT_GPU_H
#define RT_GPU_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/bind.h"
#include "util/conf.h"
#include "util/err.h"
#include "util/mem.h"

/* A library for the loader to find. */
struct rt_gpu_lib {
	char *path; /* on the host */
	struct hr_strv names;
	bool must; /* the GPU is of no use without it */
};

/* A zeroed struct: no GPU. */
struct rt_gpu {
	bool wanted; /* by --gpu, or "gpu = all": what goes wrong is a failure */
	char *label; /* "nvidia.com/gpu=all", for messages; NULL: no GPU */
	struct rt_binds binds;
	struct rt_binds nodes; /* devices, to be bound if the host's /dev is not shown */
	struct hr_strv env;    /* NAME=VALUE, for all ranks */
	struct rt_gpu_lib *libs;
	size_t n_libs;
	bool recalled;			/* libs, from what an earlier session found */
	struct hr_strv warnings, notes; /* for people */
};

/*
 * Find what REQUEST (the value of --gpu; NULL: as CONF says) means on this node. What was found out
 * about its libraries is kept in the directory DIRFD (memo.h).
 *
 * Owns:    *OUT; rt_gpu_release, also after an error.
 * Errors:  HR_NOTFOUND when there is no such GPU, HR_USAGE when REQUEST is ambiguous, and what is
 *          wrong with a CDI file or a list. With "gpu = auto" none: it is a warning, and no GPU.
 */
int rt_gpu_find(const char *request, const struct hr_conf *conf, int dirfd, struct rt_gpu *out,
		struct hr_err *e) HR_MUST_USE;
void rt_gpu_release(struct rt_gpu *g);

#endif
