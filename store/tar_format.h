/* SPDX-License-Identifier: BSD-3-Clause */
/* The pure half of the tar reader: numbers, headers and pax records; for tar.c and its tests. */
#ifndef STORE_TAR_FORMAT_H
#define STORE_TAR_FORMAT_H

#include "store/tar.h"

/* What the records of a pax header say; has_* tells which of them are there. */
struct store_tar_pax {
	bool has_path, has_target, has_size, has_mtime, has_uid, has_gid;
	struct store_string path, target; /* borrowed from the header */
	uint64_t size, uid, gid;
	int64_t mtime;
	uint32_t mtime_ns;
	/* GNU.sparse.*; map is "off,len,off,len" of 0.1, or empty */
	bool sparse, has_real_size;
	unsigned int major, minor;
	uint64_t real_size;
	struct store_string name, map;
};

/*
 * A numeric field: octal digits among blanks and NULs, or base 256.
 *
 * Bounds:  values that do not fit are clamped to INT64_MIN and INT64_MAX.
 * Returns false when it is neither.
 */
bool store_tar_number(const uint8_t *p, size_t n, int64_t *out);
/* Is the check sum of a header right, by unsigned or signed bytes? */
bool store_tar_header_is_valid(const uint8_t h[STORE_TAR_BLOCK]);
bool store_tar_block_is_zero(const uint8_t h[STORE_TAR_BLOCK]);

/*
 * Parse the records of one pax header. Xattrs are added to T's list, the pieces of sparse format
 * 0.0 to T's map.
 *
 * Errors:  HR_CORRUPT naming the key.
 */
int store_tar_pax_parse(struct store_tar *t, const uint8_t *p, size_t n, struct store_tar_pax *out,
			size_t *n_xattrs, struct hr_err *e) HR_MUST_USE;

/* All N bytes as a decimal number of at most 63 bits. */
bool store_tar_decimal(const char *p, size_t n, uint64_t *out);

/* Add a piece to T's map. Errors: HR_CORRUPT more than 1 Mi pieces. */
int store_tar_map_add(struct store_tar *t, uint64_t off, uint64_t len,
		      struct hr_err *e) HR_MUST_USE;
/*
 * Is the map ascending, without overlaps, within SIZE and of STORED bytes? Pieces of no bytes are
 * dropped.
 */
int store_tar_map_check(struct store_tar *t, uint64_t size, uint64_t stored,
			struct hr_err *e) HR_MUST_USE;

#endif
