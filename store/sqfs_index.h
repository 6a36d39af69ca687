/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the metadata of a squashfs to an image index. Runs in hpcrun-sqfs alone, which has nothing
 * to lose: libsquashfuse trusts what it reads more than we do.
 *
 * Source: hpcrun-store(5) FILES RUN IN PLACE.
 */
#ifndef STORE_SQFS_INDEX_H
#define STORE_SQFS_INDEX_H

#include "store/loc.h"
#include "store/sqfs.h"
#include "util/buf.h"
#include "util/err.h"

/*
 * Append the image index and the locations of the file system at OFF of FD, SPACE bytes at most.
 * NAME stands for the file in both.
 *
 * Errors:  HR_CORRUPT naming the entry; HR_USAGE what store_sqfs_super_parse() refuses; HR_SYS.
 */
int store_sqfs_index(int fd, uint64_t off, uint64_t space, const struct fetch_digest *name,
		     struct hr_buf *index, struct hr_buf *loc, struct hr_err *e) HR_MUST_USE;

#endif
