/* SPDX-License-Identifier: BSD-3-Clause */
/* What was chosen, as binds, variables and libraries of a session; private to gpu.c. */
#ifndef RT_GPU_APPLY_H
#define RT_GPU_APPLY_H

#include "runtime/cdi.h"
#include "runtime/gpu.h"
#include "runtime/gpu_list.h"

/*
 * Errors:  HR_NOTFOUND naming a device node that is not there; HR_CORRUPT a file of the host that
 *          the specification names and that is not there: it is older than the driver.
 */
int rt_gpu_apply_cdi(const struct rt_cdi_edits *x, const struct rt_gpu_lists *lists,
		     struct rt_gpu *out, struct hr_err *e) HR_MUST_USE;

/* Errors:  HR_CORRUPT naming a required library that the host does not have; HR_SYS. */
int rt_gpu_apply_list(const struct rt_gpu_list *list, struct rt_gpu *out,
		      struct hr_err *e) HR_MUST_USE;

/* Compare the versions of the driver's module and of its libraries in OUT; a warning. */
void rt_gpu_compare_versions(const struct rt_gpu_list *list, struct rt_gpu *out);

#endif
