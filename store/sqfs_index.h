/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the metadata of a squashfs to an image index. Pure, but runs in hpcrun-sqfs alone, which has
 * nothing to lose.
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
 * Append the image index and the locations of the file system S at OFF of a file. P has its bytes
 * from s->metadata to its end, store_sqfs_load() was called. NAME stands for the file in both.
 *
 * Errors:  HR_CORRUPT naming the entry.
 */
int store_sqfs_index(const struct store_sqfs_super *s, uint64_t off, const uint8_t *p,
		     const struct fetch_digest *name, struct hr_buf *index, struct hr_buf *loc,
		     struct hr_err *e) HR_MUST_USE;

#endif
