/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a vendor's GPUs need where no CDI file says it: a list that is installed with hpcrun, or the
 * site's own. hpcrun.conf(5), GPU LISTS, describes the file.
 */
#ifndef RT_GPU_LIST_H
#define RT_GPU_LIST_H

#include <stddef.h>

#include "util/err.h"
#include "util/mem.h"

struct rt_gpu_list {
	char *vendor;		 /* as in CDI kinds: "nvidia.com" */
	struct hr_strv devices;	 /* one of them is there: the node has such a GPU */
	struct hr_strv require;	 /* sonames, or paths; without them there is no GPU */
	struct hr_strv library;	 /* the same; those that are there */
	struct hr_strv file;	 /* bound at the same path, if they are there */
	struct hr_strv with_ids; /* NAME=VALUE, set when devices were chosen by number */
	char *visible;		 /* the variable that says which devices a process uses, or NULL */
	char *driver_version;	 /* a file of the kernel with the version of the module, or NULL */
};

/*
 * Parse a text. Pure.
 *
 * Owns:    *OUT; rt_gpu_list_release, also after an error.
 * Errors:  HR_CORRUPT with the line.
 */
int rt_gpu_list_parse(const char *text, struct rt_gpu_list *out, struct hr_err *e) HR_MUST_USE;
void rt_gpu_list_release(struct rt_gpu_list *l);

struct rt_gpu_lists {
	struct rt_gpu_list *v;
	size_t n;
};

/* All "*.conf" of DIR. Errors: naming the file; HR_NOTFOUND when DIR is not there. */
int rt_gpu_lists_load(const char *dir, struct rt_gpu_lists *out, struct hr_err *e) HR_MUST_USE;
void rt_gpu_lists_release(struct rt_gpu_lists *l);

/*
 * The first word of TEXT that looks like a version, "535.104.05", in a new string; NULL: none.
 * Pure.
 */
char *rt_gpu_version(const char *text);

#endif
