/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The metadata of an image in one compressed object, for who gets it over a network: its record,
 * its index and their locations.
 *
 * For: the end of an import, which writes it, whatever changes one of the three later (repair.h,
 * repack.h), and web.h, which asks for it. Nothing in it is new: a store without metadata files
 * works, with more requests. Sequence: store_meta_open(), use, store_meta_release().
 * Source: hpcrun-store(5) METADATA.
 */
#ifndef STORE_META_H
#define STORE_META_H

#include <stddef.h>
#include <stdint.h>

#include "store/layout.h"
#include "util/buf.h"
#include "util/err.h"

/* The three files as they are in a store; none of them is checked yet but by the frames' sums. */
struct store_meta {
	struct hr_buf record, index, loc;
};

/*
 * Decompress the N bytes at P.
 *
 * Bounds:  STORE_RECORD_LIMIT bytes of record; none of the parts is more than 256 times as large
 *          as its frame, so that a small reply cannot take much memory.
 * Owns:    *out; store_meta_release() frees it.
 * Errors:  HR_CORRUPT, saying got and expected.
 */
int store_meta_open(const uint8_t *p, size_t n, struct store_meta *out,
		    struct hr_err *e) HR_MUST_USE;
void store_meta_release(struct store_meta *b);

/* Append a metadata file of IN, with check sums, to OUT. Errors: HR_SYS (out of memory). */
int store_meta_write(const struct store_meta *in, struct hr_buf *out, struct hr_err *e) HR_MUST_USE;

/* Write the metadata file of an image into a store. */
int store_meta_put(const struct store *st, const struct fetch_digest *manifest,
		   const struct store_meta *in, struct hr_err *e) HR_MUST_USE;
/* The same from the three files that ST has; when they cannot be read, it is removed instead. */
int store_meta_remake(const struct store *st, const struct fetch_digest *manifest,
		      struct hr_err *e) HR_MUST_USE;

#endif
