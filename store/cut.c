/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/cut.h"

#include <string.h>

#include "util/le.h"
#include "util/poison.h"

void store_cut_init(struct store_cut *c, const struct store_cut_owner *owner)
{
	memset(c, 0, sizeof(*c));
	c->owner = *owner;
}

void store_cut_release(struct store_cut *c)
{
	if (c->group)
		c->owner.drop(c->owner.arg, c->group);
	if (c->piece)
		c->owner.drop(c->owner.arg, c->piece);
	memset(c, 0, sizeof(*c));
}

static int new_ticket(struct store_cut *c, uint32_t *out, struct hr_err *e)
{
	if (c->next == STORE_CHUNKS_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "the layer has more than %u chunks",
			       STORE_CHUNKS_MAX);
	*out = c->next++;
	return 0;
}

static void add_extent(struct store_cut *c, uint64_t off, uint32_t ticket, uint32_t chunk_off)
{
	c->owner.extent(c->owner.arg, &(struct store_extent) { off, ticket, chunk_off });
}

/* ---- small files: gathered ---- */

static bool is_small(const struct store_cut *c)
{
	return c->size <= STORE_CUT_SMALL;
}

static int flush_group(struct store_cut *c, struct hr_err *e)
{
	uint8_t *buf = c->group;
	uint32_t n = c->group_len;

	c->group = NULL;
	c->group_len = 0;
	return c->owner.chunk(c->owner.arg, c->group_ticket, buf, n, e);
}

static int small_data(struct store_cut *c, uint64_t off, const uint8_t *p, size_t n,
		      struct hr_err *e)
{
	uint8_t *file;

	if (!c->group) {
		c->group = c->owner.room(c->owner.arg, e);
		if (!c->group)
			return -1;
	}
	file = c->group + c->group_len;
	memset(file + c->at, 0, (size_t)(off - c->at));
	memcpy(file + off, p, n);
	c->at = off + n;
	return 0;
}

/* The small file would make the group too large: it begins the next one. */
static int move_to_next_group(struct store_cut *c, struct hr_err *e)
{
	uint8_t *room = c->owner.room(c->owner.arg, e);

	if (!room)
		return -1;
	memcpy(room, c->group + c->group_len, (size_t)c->size);
	if (flush_group(c, e) < 0) {
		c->owner.drop(c->owner.arg, room);
		return -1;
	}
	c->group = room;
	return 0;
}

static int end_small(struct store_cut *c, struct hr_err *e)
{
	uint64_t crc;

	if (c->size == 0)
		return 0;
	if (c->at > 0)
		memset(c->group + c->group_len + c->at, 0, (size_t)(c->size - c->at));
	if (c->at == 0 || hr_is_zero(c->group + c->group_len, (size_t)c->size)) {
		add_extent(c, 0, STORE_HOLE, 0);
		return 0;
	}
	if (c->group_len + c->size > STORE_CUT_GROUP_MAX && c->group_len > 0 &&
	    move_to_next_group(c, e) < 0)
		return -1;
	if (c->group_len == 0 && new_ticket(c, &c->group_ticket, e) < 0)
		return -1;
	crc = store_crc64(c->group + c->group_len, (size_t)c->size);
	add_extent(c, 0, c->group_ticket, c->group_len);
	c->group_len += (uint32_t)c->size;
	if (c->group_len >= STORE_CUT_GROUP_MIN && (crc & STORE_CUT_MASK) == 0)
		return flush_group(c, e);
	return 0;
}

/* ---- large files: cut at multiples of 1 MiB ---- */

static uint32_t piece_used(const struct store_cut *c)
{
	return (uint32_t)(c->at % STORE_CUT_PIECE);
}

/* The piece that ends at c->at, N bytes, is complete. */
static int end_piece(struct store_cut *c, uint32_t n, struct hr_err *e)
{
	uint8_t *buf = c->piece;
	uint32_t ticket = 0;

	c->piece = NULL;
	if (!buf) {
		add_extent(c, c->at - n, STORE_HOLE, 0);
		return 0;
	}
	if (new_ticket(c, &ticket, e) < 0) {
		c->owner.drop(c->owner.arg, buf);
		return -1;
	}
	add_extent(c, c->at - n, ticket, 0);
	return c->owner.chunk(c->owner.arg, ticket, buf, n, e);
}

/* Pass N bytes that lie in one piece; P is NULL for zeros. */
static int pass(struct store_cut *c, const uint8_t *p, uint32_t n, struct hr_err *e)
{
	uint32_t used = piece_used(c);

	if (!c->piece && p && !hr_is_zero(p, n)) {
		c->piece = c->owner.room(c->owner.arg, e);
		if (!c->piece)
			return -1;
		memset(c->piece, 0, used);
	}
	if (c->piece && p)
		memcpy(c->piece + used, p, n);
	else if (c->piece)
		memset(c->piece + used, 0, n);
	c->at += n;
	return used + n == STORE_CUT_PIECE ? end_piece(c, STORE_CUT_PIECE, e) : 0;
}

/* Zeros up to END; whole pieces of them in one step, there may be 2^43. */
static int pass_zeros(struct store_cut *c, uint64_t end, struct hr_err *e)
{
	while (c->at < end) {
		uint64_t n = end - c->at, rest = STORE_CUT_PIECE - piece_used(c);

		if (rest == STORE_CUT_PIECE && n >= STORE_CUT_PIECE) {
			add_extent(c, c->at, STORE_HOLE, 0);
			c->at += n / STORE_CUT_PIECE * STORE_CUT_PIECE;
		} else if (pass(c, NULL, (uint32_t)(n < rest ? n : rest), e) < 0) {
			return -1;
		}
	}
	return 0;
}

static int large_data(struct store_cut *c, uint64_t off, const uint8_t *p, size_t n,
		      struct hr_err *e)
{
	if (pass_zeros(c, off, e) < 0)
		return -1;
	while (n > 0) {
		size_t rest = STORE_CUT_PIECE - piece_used(c), part = n < rest ? n : rest;

		if (pass(c, p, (uint32_t)part, e) < 0)
			return -1;
		p += part;
		n -= part;
	}
	return 0;
}

static int end_large(struct store_cut *c, struct hr_err *e)
{
	if (pass_zeros(c, c->size, e) < 0)
		return -1;
	return piece_used(c) ? end_piece(c, piece_used(c), e) : 0;
}

/* ---- files ---- */

int store_cut_begin(struct store_cut *c, uint64_t size, struct hr_err *e)
{
	c->size = size;
	c->at = 0;
	return size <= INT64_MAX ? 0 : hr_fail(e, HR_CORRUPT, 0, "a file of 2^63 bytes or more");
}

int store_cut_data(struct store_cut *c, uint64_t off, const uint8_t *p, size_t n, struct hr_err *e)
{
	HR_BUG_ON(off < c->at || off > c->size || n > c->size - off);
	if (n == 0)
		return 0;
	return is_small(c) ? small_data(c, off, p, n, e) : large_data(c, off, p, n, e);
}

int store_cut_end(struct store_cut *c, struct hr_err *e)
{
	return is_small(c) ? end_small(c, e) : end_large(c, e);
}

int store_cut_finish(struct store_cut *c, struct hr_err *e)
{
	return c->group_len > 0 ? flush_group(c, e) : 0;
}
