/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The superblock of a squashfs, how a block is named as a chunk, and how it is decompressed.
 *
 * For: whoever reads a squashfs in place. Not for: its metadata, which hpcrun-sqfs alone looks at
 * (sqfs_meta.h).
 * Source: hpcrun-store(5) FILES RUN IN PLACE; Linux, Documentation/filesystems/squashfs.rst.
 */
#ifndef STORE_SQFS_H
#define STORE_SQFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zstd.h>

#include "store/store.h"
#include "util/err.h"

#define STORE_SQFS_SUPER_BYTES	96
#define STORE_SQFS_UNCOMPRESSED (1u << 24) /* in the size of a block: it is stored as it is */

enum store_sqfs_compressor {
	STORE_SQFS_GZIP = 1,
	STORE_SQFS_LZMA,
	STORE_SQFS_LZO,
	STORE_SQFS_XZ,
	STORE_SQFS_LZ4,
	STORE_SQFS_ZSTD,
	STORE_SQFS_COMPRESSORS
};

/* A checked superblock. */
struct store_sqfs_super {
	uint32_t block_bytes, inodes, fragments, ids;
	enum store_sqfs_compressor compressor;
	uint64_t bytes;	   /* of the file system */
	uint64_t metadata; /* it begins here, with the inodes, and ends with the file system */
	uint64_t directory_table; /* lies in it */
	/* not checked: where the others are, UINT64_MAX for none, and the root directory */
	uint64_t fragment_table, export_table, id_table, xattr_table, root;
};

/* Whether the N bytes at P are the beginning of a squashfs. */
bool store_sqfs_is(const uint8_t *p, size_t n);

/*
 * Check the N bytes at P, the beginning of a file system for which there are SPACE bytes.
 *
 * Errors:  HR_CORRUPT saying got and expected; HR_USAGE a version or a compressor that we cannot
 *          read.
 */
int store_sqfs_super_parse(const uint8_t *p, size_t n, uint64_t space, struct store_sqfs_super *out,
			   struct hr_err *e) HR_MUST_USE;

/*
 * Where the bytes of a chunk lie, in place of its digest: what a block holds is not known until it
 * is read.
 */
struct store_sqfs_place {
	uint64_t off;  /* in the file */
	uint32_t size; /* as stored; STORE_SQFS_UNCOMPRESSED */
	uint32_t bytes;
	enum store_sqfs_compressor compressor;
};
void store_sqfs_place_put(const struct store_sqfs_place *p, struct fetch_digest *out);
/* Errors:  HR_CORRUPT: no such place can be. */
int store_sqfs_place_get(const struct fetch_digest *d, struct store_sqfs_place *out,
			 struct hr_err *e) HR_MUST_USE;

/*
 * Decompress the N bytes at IN to OUT, which has room for *LEN; *len receives how many there were.
 * False when they are damaged or, but for gzip, more. Threads: any, each with a ZSTD context of its
 * own.
 */
bool store_sqfs_decompress(ZSTD_DCtx *zstd, enum store_sqfs_compressor compressor,
			   const uint8_t *in, size_t n, uint8_t *out, size_t *len) HR_MUST_USE;

const char *store_sqfs_compressor_name(enum store_sqfs_compressor compressor);

/* Make COMPRESSOR ready; before any thread uses it. Errors: HR_SYS: its library is not there. */
int store_sqfs_load(enum store_sqfs_compressor compressor, struct hr_err *e) HR_MUST_USE;

/*
 * Decompress the stored bytes IN of a block to OUT, want->bytes of them.
 *
 * Bounds:  a block that gathers the ends of files may hold more; these are dropped.
 * Errors:  HR_CORRUPT. Threads: any, each with a ZSTD context of its own.
 */
int store_sqfs_open(ZSTD_DCtx *zstd, const struct store_sqfs_place *at, const uint8_t *in,
		    uint8_t *out, struct hr_err *e) HR_MUST_USE;

#endif
