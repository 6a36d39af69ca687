/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tables of a squashfs, decompressed: what sqfs_meta.c looks into. Pure.
 *
 * A table is a chain of blocks of up to 8 KiB. Its parts are named by where their block begins,
 * from the begin of the table, and the place in the decompressed block.
 */
#ifndef STORE_SQFS_TABLE_H
#define STORE_SQFS_TABLE_H

#include <stdint.h>

#include "store/sqfs.h"
#include "util/buf.h"
#include "util/err.h"

#define STORE_SQFS_META_BLOCK 8192u

/* The stored metadata, and how it is decompressed. */
struct store_sqfs_stored {
	const struct store_sqfs_super *super;
	const uint8_t *p; /* from super->metadata on */
	ZSTD_DCtx *zstd;
};

struct store_sqfs_table {
	const char *name; /* for messages */
	struct hr_buf bytes;
	struct hr_buf blocks; /* of struct store_sqfs_mark, by their offset */
};

void store_sqfs_table_release(struct store_sqfs_table *t);

/* The N bytes at AT of the file system; NULL when they are not all in the metadata. */
const uint8_t *store_sqfs_stored_at(const struct store_sqfs_stored *in, uint64_t at, uint64_t n);

/*
 * Decompress the chain from BEGIN to END of the file system.
 *
 * Errors:  HR_CORRUPT: a block reaches over END, is damaged, or is too large.
 */
int store_sqfs_table_chain(const struct store_sqfs_stored *in, uint64_t begin, uint64_t end,
			   struct store_sqfs_table *t, struct hr_err *e) HR_MUST_USE;
/*
 * Decompress BYTES in blocks that a list of their places names, which is at LIST. BYTES of 0: none.
 */
int store_sqfs_table_listed(const struct store_sqfs_stored *in, uint64_t list, uint64_t bytes,
			    struct store_sqfs_table *t, struct hr_err *e) HR_MUST_USE;

/*
 * Where in t->bytes the place OFF of the block at BLOCK is; there is at least one byte.
 *
 * Errors:  HR_CORRUPT: no block begins there, or it ends before OFF.
 */
int store_sqfs_table_at(const struct store_sqfs_table *t, uint64_t block, uint32_t off,
			uint64_t *pos, struct hr_err *e) HR_MUST_USE;

#endif
