/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every rank of a session needs besides its namespaces, in one memfd that the session writes
 * once: the seccomp program and what the image's configuration sets.
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

/* A view into the bytes that were parsed; string lists are "one\0two\0". */
struct rt_params {
	const void *filter; /* struct sock_filter[] */
	size_t filter_bytes;
	const char *env, *entrypoint, *cmd, *workdir;
	size_t env_bytes, entrypoint_bytes, cmd_bytes, workdir_bytes;
};

void rt_params_write(struct hr_buf *b, const struct hr_buf *filter, const struct rt_image *im);

/*
 * Bounds:  sizes must add up to N exactly; each list ends with a NUL.
 * Errors:  HR_CORRUPT.
 */
int rt_params_parse(const uint8_t *p, size_t n, struct rt_params *out,
		    struct hr_err *e) HR_MUST_USE;

#endif
