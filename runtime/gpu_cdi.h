/* SPDX-License-Identifier: BSD-3-Clause */
/* The CDI files of a node, and devices of them by name. Sequence: load, choose, release. */
#ifndef RT_GPU_CDI_H
#define RT_GPU_CDI_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/cdi.h"
#include "util/err.h"
#include "util/mem.h"

struct rt_cdi_file {
	char *path;
	size_t rank; /* of its directory: a device of a later one takes precedence */
	struct rt_cdi_spec spec;
};

struct rt_cdi_files {
	struct rt_cdi_file *v;
	size_t n;
	struct hr_err broken; /* the first file that cannot be used */
};

/* All of DIRS (empty: /etc/cdi and /var/run/cdi); a directory that is missing has none. */
void rt_cdi_files_load(const struct hr_strv *dirs, struct rt_cdi_files *out);
void rt_cdi_files_release(struct rt_cdi_files *l);

/* Some file describes GPUs of VENDOR, or of any when it is NULL. */
bool rt_cdi_has_gpu(const struct rt_cdi_files *l, const char *vendor);

/*
 * Add to X what device WORD needs: "VENDOR/CLASS=NAME", or NAME of a GPU when only one kind has it.
 * The full name is added to NAMES.
 *
 * Returns 1, or 0 when there is no such device.
 * Errors:  HR_USAGE when it is ambiguous or two devices contradict each other.
 */
int rt_cdi_choose(const struct rt_cdi_files *l, const char *word, struct rt_cdi_edits *x,
		  struct hr_strv *names, struct hr_err *e) HR_MUST_USE;

/* The same for all GPUs: the device "all" of each kind, else each device. */
int rt_cdi_choose_all(const struct rt_cdi_files *l, struct rt_cdi_edits *x, struct hr_strv *names,
		      struct hr_err *e) HR_MUST_USE;

/*
 * By what name programs can be told of the device FULL, of a GPU: its own if that is a number or a
 * UUID, else that of a device that is made of the same nodes. NULL: there is none.
 */
const char *rt_cdi_known_as(const struct rt_cdi_files *l, const char *full);

/* Numbers and UUIDs of devices: what the variables of vendors take. */
bool rt_cdi_is_id(const char *name);

/* The names of all devices, for a message. */
char *rt_cdi_list(const struct rt_cdi_files *l);

#endif
