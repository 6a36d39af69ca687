/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a layer is cut into chunks: the rule of hpcrun-store(5) CHUNKS, and nothing about what
 * becomes of a chunk.
 *
 * Sequence: for each regular file in archive order store_cut_begin(), store_cut_data() for its
 * bytes in ascending order, store_cut_end(); after the last one store_cut_finish().
 */
#ifndef STORE_CUT_H
#define STORE_CUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"
#include "util/err.h"

#define STORE_CUT_SMALL	    (256u << 10) /* a file of more bytes is cut alone */
#define STORE_CUT_PIECE	    (256u << 10) /* bytes of a chunk of a large file */
#define STORE_CUT_GROUP_MAX (512u << 10)
#define STORE_CUT_GROUP_MIN (128u << 10)
#define STORE_CUT_MASK	    15u

/* What the cutter tells and asks its owner. */
struct store_cut_owner {
	/* Room for a chunk of STORE_CHUNK_MAX bytes, or NULL with *e filled; may block. */
	uint8_t *(*room)(void *arg, struct hr_err *e);
	/* Chunk TICKET is N bytes of BUF, which is the owner's again. */
	int (*chunk)(void *arg, uint32_t ticket, uint8_t *buf, uint32_t n, struct hr_err *e);
	/* The next extent of the current file; its chunk is a ticket or STORE_HOLE. */
	void (*extent)(void *arg, const struct store_extent *x);
	/* BUF is not needed after all. */
	void (*drop)(void *arg, uint8_t *buf);
	void *arg;
};

/*
 * Tickets: the group of small files and a large file are cut side by side, so a chunk gets its
 * number when it begins, and others that began later may be full earlier.
 */
struct store_cut {
	struct store_cut_owner owner;
	uint32_t next; /* ticket of the next chunk to begin */

	uint8_t *group; /* NULL: no room yet; the current small file stands behind group_len */
	uint32_t group_len;
	uint32_t group_ticket; /* while group_len > 0 */

	uint64_t size, at; /* of the current file: bytes, and how many have been passed */
	uint8_t *piece;	   /* of a large file; NULL while it is zeros only */
};

void store_cut_init(struct store_cut *c, const struct store_cut_owner *owner);
void store_cut_release(struct store_cut *c);

int store_cut_begin(struct store_cut *c, uint64_t size, struct hr_err *e) HR_MUST_USE;
/* N bytes at OFF; what lies between the calls is zeros. OFF + N is at most the size. */
int store_cut_data(struct store_cut *c, uint64_t off, const uint8_t *p, size_t n,
		   struct hr_err *e) HR_MUST_USE;
int store_cut_end(struct store_cut *c, struct hr_err *e) HR_MUST_USE;
int store_cut_finish(struct store_cut *c, struct hr_err *e) HR_MUST_USE;

#endif
