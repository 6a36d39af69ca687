/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hpcrun-sqfs, and how it is started.
 *
 * For: whoever needs the index of a squashfs. What comes back was made by a process that read
 * hostile bytes: it is checked like bytes from anywhere.
 */
#ifndef STORE_SQFS_CHILD_H
#define STORE_SQFS_CHILD_H

#include <stdint.h>

#include "store/store.h"
#include "util/err.h"

/* The descriptors of the child, beside 0: the file, 1: where it writes a struct hr_err. */
#define STORE_SQFS_INDEX_FD 3
#define STORE_SQFS_LOC_FD   4

/*
 * Index the squashfs at OFF of FD, at most SPACE bytes, and write index and locations to INDEX and
 * LOC, files open for writing.
 *
 * Errors:  as store_sqfs_index(); HR_SYS the program is not there, or died, which is said.
 */
int store_sqfs_child_run(int fd, uint64_t off, uint64_t space, const struct fetch_digest *name,
			 int index, int loc, struct hr_err *e) HR_MUST_USE;

#endif
