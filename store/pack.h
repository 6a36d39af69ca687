/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packs: zstd frames, one for each chunk, and the table behind them. A writer and a reader of
 * tables.
 *
 * Writing: store_pack_new(); store_pack_add() for each chunk; store_pack_finish(), which gives the
 * name and syncs; store_pack_publish(); store_pack_free(), which discards what was not published.
 * Source: hpcrun-store(5) PACKS.
 */
#ifndef STORE_PACK_H
#define STORE_PACK_H

#include <stdbool.h>

#include "store/layout.h"
#include "store/loc.h"

#define STORE_PACK_FULL (1u << 30) /* bytes of frames after which a new pack begins */

struct store_pack_writer;

int store_pack_new(const struct store *st, struct store_pack_writer **out,
		   struct hr_err *e) HR_MUST_USE;
/* The frame of a chunk, borrowed, and the sha256 of its bytes. */
struct store_pack_frame {
	const void *p;
	uint32_t len;
	struct fetch_digest digest;
};

/*
 * Append the frame of a chunk; *where (but for .pack) is where it lies.
 *
 * Errors:  HR_SYS, naming the store.
 */
int store_pack_add(struct store_pack_writer *w, const struct store_chunk *chunk,
		   const struct store_pack_frame *frame, struct store_loc_chunk *where,
		   struct hr_err *e) HR_MUST_USE;
bool store_pack_is_full(const struct store_pack_writer *w);
/* Write the table and sync. The pack has at least one chunk. */
int store_pack_finish(struct store_pack_writer *w, struct store_loc_pack *name,
		      struct hr_err *e) HR_MUST_USE;
/* Give it its name; one of the same name that is there holds the same chunks and is replaced. */
int store_pack_publish(struct store_pack_writer *w, struct hr_err *e) HR_MUST_USE;
void store_pack_free(struct store_pack_writer *w);

/* One row of a table. */
struct store_pack_row {
	struct fetch_digest digest;
	uint64_t frame_off, plain_off;
	uint32_t frame_len, plain_len;
	struct fetch_digest frame; /* of its bytes; zeros in a table without */
};

/* A checked table; borrows the bytes it was parsed from. */
struct store_pack_table {
	const uint8_t *rows;
	uint32_t n;
	uint64_t frames_bytes; /* of all frames */
	bool frame_digests;    /* every writer of today has them */
};

/* Bytes of the table of N frames as it is written today: what stands behind the frames of a pack
 * and the 8 bytes that begin a skippable frame. */
uint64_t store_pack_table_bytes(uint32_t n);

/*
 * Whether the bytes at P begin a table with digests of N frames; who waits for a table that may be
 * an older one need not wait for all of it.
 */
#define STORE_PACK_TABLE_HEAD 16
bool store_pack_table_begins(const uint8_t p[STORE_PACK_TABLE_HEAD], uint32_t n);

/*
 * Check the N bytes at P, the content of the skippable frame of a pack of PACK_BYTES bytes: frames
 * without gaps from 0 to the table.
 *
 * Errors:  HR_CORRUPT. Owns: *out borrows P.
 */
int store_pack_table_parse(const uint8_t *p, size_t n, uint64_t pack_bytes,
			   struct store_pack_table *out, struct hr_err *e) HR_MUST_USE;
/*
 * Read a pack's table into B, check it against the pack's name, and parse it.
 *
 * Bounds:  a table of at most 256 MiB.
 * Errors:  HR_NOTFOUND, HR_CORRUPT, HR_SYS.
 */
int store_pack_table_read(const struct store *st, const struct fetch_digest *name, struct hr_buf *b,
			  struct store_pack_table *out, struct hr_err *e) HR_MUST_USE;
/* Row I; the rows must be asked for in order, *plain_off starts at 0 and is kept by the caller. */
struct store_pack_row store_pack_row(const struct store_pack_table *t, uint32_t i,
				     uint64_t *plain_off);

#endif
