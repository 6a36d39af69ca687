/* SPDX-License-Identifier: BSD-3-Clause */
/* What the hooks of vendors' CDI files mean; private to cdi.c. Pure. */
#ifndef RT_CDI_HOOK_H
#define RT_CDI_HOOK_H

#include "runtime/cdi.h"

/*
 * Add to X what the hook PATH with ARGS (args[0] too) would do.
 *
 * Errors:  HR_CORRUPT naming a program, a verb or an option that is not known here.
 */
int rt_cdi_hook(const char *path, const struct hr_strv *args, struct rt_cdi_edits *x,
		struct hr_err *e) HR_MUST_USE;

#endif
