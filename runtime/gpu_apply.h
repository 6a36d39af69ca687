/* SPDX-License-Identifier: BSD-3-Clause */
/* What was chosen, as binds, variables and libraries of a session; private to gpu.c. */
#ifndef RT_GPU_APPLY_H
#define RT_GPU_APPLY_H

#include "runtime/cdi.h"
#include "runtime/gpu.h"
#include "runtime/gpu_list.h"
#include "runtime/memo.h"

/*
 * Errors:  HR_NOTFOUND naming a device node that is not there; HR_CORRUPT a file of the host that
 *          the specification names and that is not there: it is older than the driver.
 */
int rt_gpu_apply_cdi(const struct rt_cdi_edits *x, struct rt_gpu *out,
		     struct hr_err *e) HR_MUST_USE;

/* The nodes and files of a list, which are bound if they are there. */
void rt_gpu_apply_list(const struct rt_gpu_list *list, struct rt_gpu *out);

/*
 * Add libraries to OUT: those of its binds that lie in a folder of X, what the loader's cache would
 * have; and those of LIST. Files that are looked at are noted in MEMO.
 *
 * Errors:  HR_CORRUPT naming a required library that the host does not have; HR_SYS.
 */
int rt_gpu_find_folders(const struct rt_cdi_edits *x, const struct rt_gpu_lists *lists,
			struct rt_memo *memo, struct rt_gpu *out, struct hr_err *e) HR_MUST_USE;
int rt_gpu_find_list(const struct rt_gpu_list *list, struct rt_memo *memo, struct rt_gpu *out,
		     struct hr_err *e) HR_MUST_USE;

/* The libraries of OUT as the answer in MEMO, and back; false: it has none. */
void rt_gpu_answer_libs(const struct rt_gpu *out, struct rt_memo *memo);
bool rt_gpu_recall_libs(const struct rt_memo *memo, struct rt_gpu *out) HR_MUST_USE;

/* Compare the versions of the driver's module and of its libraries in OUT; a warning. */
void rt_gpu_compare_versions(const struct rt_gpu_list *list, struct rt_gpu *out);

#endif
