/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What both halves of store/ share: the words of hpcrun-store(5) that are neither a path
 * (layout.h) nor one file format (record.h, loc.h, layer.h, index.h, pack.h).
 *
 * For: hpcrun-store, which writes images at rest, and hpcrun-serve, which reads them.
 * Sequence: store_list() or store_open() of layout.h, then the format headers.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdint.h>

#include "fetch/fetch.h"

#define STORE_CHUNK_MAX	  (1u << 20)  /* bytes of a chunk, at most */
#define STORE_HOLE	  0xffffffffu /* instead of the number of a chunk */
#define STORE_CHUNKS_MAX  0xfffffff0u /* chunks of an index */
#define STORE_ENTRIES_MAX (16u << 20) /* entries of a layer */
#define STORE_HEAP_MAX	  0xfffffff8u /* bytes of a string heap */
#define STORE_NAME_MAX	  255	      /* bytes of a file name */
#define STORE_PATH_MAX	  4095	      /* bytes of a path or of a symlink's target */
#define STORE_XATTR_MAX	  (64u << 10) /* bytes of the value of an xattr */

/*
 * Strings are borrowed from an index, have LEN bytes, and a NUL behind them that LEN does not
 * count.
 */
struct store_string {
	const char *p;
	uint32_t len;
};

/* What an index says of a chunk. */
struct store_chunk {
	struct fetch_digest digest; /* sha256 */
	uint64_t crc;		    /* store_crc64() */
	uint32_t bytes;		    /* 1 to STORE_CHUNK_MAX */
};

/* A piece of a file, up to the next extent of the same file or to its end. */
struct store_extent {
	uint64_t off;	    /* in the file */
	uint32_t chunk;	    /* its number, or STORE_HOLE */
	uint32_t chunk_off; /* 0 of a hole */
};

/* The check sum of hpcrun-store(5) CHUNKS. */
uint64_t store_crc64(const void *p, size_t n);
/* The same of bytes that come in parts: CRC is 0 for the first one, then what was returned. */
uint64_t store_crc64_add(uint64_t crc, const void *p, size_t n);

#endif
