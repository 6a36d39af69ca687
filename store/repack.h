/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packs much of which is garbage, or that are many and small: what is in use of them moves to new
 * packs.
 *
 * For: 'hpcrun store compact'. gc removes whole packs only, and a pack stays whole as long as one
 * chunk of it is in use. Readers are not disturbed: the new packs are there before any locations
 * name them, and the old ones stay until gc finds that their grace is over.
 * Source: hpcrun-store(5) WRITERS.
 */
#ifndef STORE_REPACK_H
#define STORE_REPACK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "store/layout.h"

struct store_repack_options {
	struct store *st;
	bool dry;
	unsigned int percent;	   /* a pack is rewritten when more of it is garbage */
	const atomic_bool *cancel; /* or NULL */
};

struct store_repack_result {
	uint64_t packs, bytes;	   /* looked at */
	uint64_t replaced, before; /* packs, and their bytes */
	uint64_t after;		   /* bytes that moved to new packs */
	uint64_t small;		   /* of the replaced packs: those that were only small */
};

/*
 * Rewrite the packs of a store. Layers and image indexes that are there count as in use, whether a
 * reference reaches them or not: run gc before. Waits for pulls to end.
 *
 * Errors:  HR_SYS a gc works, EINTR; HR_CORRUPT a pack or locations are damaged: then
 *          nothing was changed.
 */
int store_repack(const struct store_repack_options *o, struct store_repack_result *out,
		 struct hr_err *e) HR_MUST_USE;

/* Mark a pack as replaced. */
int store_repack_mark(const struct store *st, const struct fetch_digest *pack,
		      struct hr_err *e) HR_MUST_USE;

#endif
