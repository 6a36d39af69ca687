/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every rank of a session needs besides its namespaces, in one memfd that the session writes
 * once: the seccomp program, what the image's configuration sets, and what libraries of the host
 * that were put into the container need to be set.
 *
 * Sequence: the session calls rt_params_write, a rank reads the bytes and calls rt_params_parse.
 */
#ifndef RT_PARAMS_H
#define RT_PARAMS_H

#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/mem.h"

#define RT_PARAMS_MAX (4u << 20)

/* The part of an OCI image configuration that counts; everything else in it is ignored. */
struct rt_image {
	struct hr_strv env, entrypoint, cmd;
	char *workdir; /* or NULL */
};
void rt_image_release(struct rt_image *im);

/* What goes with libraries of the host. A zeroed struct: there are none. */
struct rt_host {
	struct hr_strv env;  /* NAME=VALUE, on top of the image's */
	struct hr_strv dirs; /* of the container, first in LD_LIBRARY_PATH */
	char *report;	     /* of mpi-check: its exit status as a digit, then its text; or NULL */
};
void rt_host_release(struct rt_host *host);

/* A view into the bytes that were parsed; string lists are "one\0two\0". */
struct rt_params {
	const void *filter; /* struct sock_filter[] */
	size_t filter_bytes;
	const char *env, *entrypoint, *cmd, *workdir, *host_env, *host_dirs, *report;
	size_t env_bytes, entrypoint_bytes, cmd_bytes, workdir_bytes, host_env_bytes,
		host_dirs_bytes, report_bytes;
};

/* Append a list in the form of the parameters: "one\0two\0". */
void rt_params_list(struct hr_buf *b, const struct hr_strv *l);

void rt_params_write(struct hr_buf *b, const struct hr_buf *filter, const struct rt_image *im,
		     const struct rt_host *host);

/*
 * Bounds:  sizes must add up to N exactly; each list ends with a NUL.
 * Errors:  HR_CORRUPT.
 */
int rt_params_parse(const uint8_t *p, size_t n, struct rt_params *out,
		    struct hr_err *e) HR_MUST_USE;

#endif
