/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The OCI image configuration: Env, Entrypoint, Cmd and WorkingDir count, nothing else does, ever.
 */
#ifndef RT_IMGCONF_H
#define RT_IMGCONF_H

#include <stdint.h>

#include "runtime/params.h"
#include "util/err.h"

#define RT_IMGCONF_MAX (4u << 20)

/*
 * Parse N bytes of JSON. Pure.
 *
 * Bounds:  N <= RT_IMGCONF_MAX. Entries of Env that are not NAME=VALUE are left out and counted in
 *          *DROPPED; a WorkingDir that is not absolute is left out.
 * Owns:    *OUT; rt_image_release, also after an error.
 * Errors:  HR_CORRUPT naming the member that has the wrong type, or what is wrong with the JSON.
 * Source:  OCI image specification 1.1, config.md, "Properties".
 */
int rt_imgconf_parse(const uint8_t *p, size_t n, struct rt_image *out, unsigned int *dropped,
		     struct hr_err *e) HR_MUST_USE;

#endif
