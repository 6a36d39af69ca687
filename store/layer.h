/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Layer indexes: the entries of one layer in archive order, and which chunks hold their content.
 * A pure parser and a builder.
 *
 * For: import.c, which builds them, and merge.c, which reads them. Not for: run time, which knows
 * image indexes only.
 * Source: hpcrun-store(5) LAYER INDEX.
 */
#ifndef STORE_LAYER_H
#define STORE_LAYER_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"
#include "util/buf.h"
#include "util/err.h"

enum store_entry_kind {
	STORE_ENTRY_NODE,
	STORE_ENTRY_HARDLINK,
	STORE_ENTRY_WHITEOUT,
	STORE_ENTRY_OPAQUE
};

/* What a node is; the same in layers and images. */
struct store_attr {
	uint32_t mode; /* with the file type */
	uint32_t uid, gid;
	uint32_t dev; /* major << 20 | minor */
	uint64_t size;
	int64_t mtime;
	uint32_t mtime_ns;
};

struct store_layer_entry {
	enum store_entry_kind kind;
	struct store_attr attr;
	struct store_string path, target; /* target.p is NULL unless a symlink or hardlink */
	uint32_t first_extent, n_extents, first_xattr, n_xattrs;
};

struct store_xattr {
	struct store_string name, value; /* the value may hold NULs */
};

/* A checked layer index; borrows the bytes it was parsed from. */
struct store_layer {
	const uint8_t *entries, *extents, *chunks, *xattrs, *heap;
	uint32_t n_entries, n_extents, n_chunks, n_xattrs;
	uint64_t heap_bytes;
	uint64_t plain_bytes; /* of the uncompressed layer */
	struct fetch_digest diff_id;
};

/*
 * Check N bytes at P as a layer index: every number, path and string, so that the accessors below
 * cannot fail.
 *
 * Errors:  HR_CORRUPT naming the entry and what is wrong.
 * Owns:    *out borrows P.
 */
int store_layer_parse(const uint8_t *p, size_t n, struct store_layer *out,
		      struct hr_err *e) HR_MUST_USE;

/* One row; I is below the count. Threads: any. */
struct store_layer_entry store_layer_entry(const struct store_layer *l, uint32_t i);
struct store_extent store_layer_extent(const struct store_layer *l, uint32_t i);
struct store_chunk store_layer_chunk(const struct store_layer *l, uint32_t i);
struct store_xattr store_layer_xattr(const struct store_layer *l, uint32_t i);

/*
 * The builder. Entries are added in archive order; extents and xattrs belong to the entry added
 * next. Chunks are named by a number of the caller's (a ticket) until store_layer_build_finish().
 */
struct store_layer_builder {
	struct hr_buf entries, extents, xattrs;
	struct store_heap *heap;
	uint32_t n_entries, n_extents, n_xattrs;
	uint32_t first_extent, first_xattr; /* of the entry to come */
};

/* Add an extent whose chunk_off may still change: a hole that follows a hole is dropped. Returns
 * nothing; the number of the extent is b->n_extents - 1. */
void store_layer_build_extent(struct store_layer_builder *b, const struct store_extent *x);
void store_layer_build_xattr(struct store_layer_builder *b, const struct store_xattr *x);
/*
 * Add an entry; its extents and xattrs are those added since the last entry, the fields first_* and
 * n_* of ENTRY are not looked at.
 *
 * Errors:  HR_CORRUPT more than STORE_ENTRIES_MAX entries, or a heap of 4 GiB.
 */
int store_layer_build_entry(struct store_layer_builder *b, const struct store_layer_entry *entry,
			    struct hr_err *e) HR_MUST_USE;
/*
 * Number the chunks in the order of their first use and append the index to OUT.
 *
 * CHUNK_OF maps the tickets to indexes into CHUNKS, where equal chunks have one index; *order
 * receives, for each chunk of the index, its place in CHUNKS, and *n_order their number: what a
 * location file needs.
 *
 * Owns:    *order is the caller's.
 */
void store_layer_build_finish(struct store_layer_builder *b, const uint32_t *chunk_of,
			      const struct store_chunk *chunks, uint32_t n_chunks,
			      uint64_t plain_bytes, const struct fetch_digest *diff_id,
			      struct hr_buf *out, uint32_t **order, uint32_t *n_order);
void store_layer_build_release(struct store_layer_builder *b);

#endif
