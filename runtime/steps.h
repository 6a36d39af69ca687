/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Building the container: a child of the session makes the namespaces, hands their descriptors over
 * and ends. The steps are a table in steps.c.
 *
 * Sequence: rt_build_start; then packets of struct rt_progress on the socket, ended by BUILD_DONE
 * or BUILD_FAILED. After BUILD_FUSE the child waits for a BUILD_GO from the session: the server is
 * ready.
 */
#ifndef RT_STEPS_H
#define RT_STEPS_H

#include <stdint.h>
#include <sys/types.h>

#include "runtime/bind.h"
#include "runtime/hooks.h"
#include "runtime/identity.h"
#include "runtime/spaces.h"
#include "runtime/userns.h"
#include "util/err.h"

enum rt_progress_type {
	BUILD_STEP = 1, /* step, us: a step was done */
	BUILD_FUSE,	/* descriptor: /dev/fuse with the image's mount on it */
	BUILD_GO,	/* session -> child; descriptors: the image's environment, a memo or none */
	BUILD_MEMO,	/* descriptor: a memo (memo.h) of the libraries that were chosen */
	BUILD_HOST,  /* us: RT_INJECT_DIR is used; descriptors: variables, and mpi-check's report */
	BUILD_NOTE,  /* us: an enum hr_level; err.text: for the user */
	BUILD_INIT,  /* us: its pid; descriptor: its socket, see init.h */
	BUILD_DONE,  /* descriptors: user namespace, mount namespace, those of spaces.h */
	BUILD_FAILED /* err */
};

struct rt_progress {
	uint32_t type;
	uint32_t us;
	char step[48];
	struct hr_err err;
};

#define RT_BUILD_FDS_MAX (2 + RT_SPACES_MAX)

struct rt_build_job {
	const struct rt_binds *binds; /* in mounting order */
	const struct rt_ids *ids;
	const struct rt_identity *identity;
	const struct rt_hooks *hooks;
	const struct rt_hostlibs_job *hostlibs;
	unsigned int spaces;  /* a mask of enum rt_space */
	const char *hostname; /* or NULL */
	const char *overlay;  /* a directory, see overlay.h; or NULL */
	bool overlay_ro;
	bool writable;
};

/*
 * Fork the child. *SOCK is the session's end of its socket (does not block on reading).
 *
 * Returns the child's pid, to be reaped by the caller.
 * Errors:  HR_SYS.
 */
pid_t rt_build_start(const struct rt_build_job *job, int *sock, struct hr_err *e) HR_MUST_USE;

#endif
