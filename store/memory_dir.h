/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A directory in memory that has no name, is this process's alone and goes with it: for what needs
 * files where no disk takes any.
 *
 * For: hpcrun-serve-net. Not for: anything large.
 */
#ifndef STORE_MEMORY_DIR_H
#define STORE_MEMORY_DIR_H

#include "util/err.h"

/*
 * Make one: a tmpfs that is mounted nowhere, with mode 0700. "/proc/self/fd/N" is its path, as long
 * as N, which is returned, is open.
 *
 * Errors:  HR_SYS: no user namespace, or a kernel before 5.2.
 * Threads: any number may run.
 */
int store_memory_dir(struct hr_err *e) HR_MUST_USE;

#endif
