/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/in_order.h"

#include <stdlib.h>

#include "store/native.h"
#include "util/mem.h"
#include "util/poison.h"

#define NONE	    0xffffffffu
#define WORTH_BYTES (16u << 20) /* compressed, read in order before we believe it */
#define GAPS_PART   16		/* of the bytes read in order, 1/16 at most were passed over */

struct store_in_order {
	const struct store_index *ix;
	const struct store_loc *loc;
	uint32_t n;	 /* chunks */
	uint32_t *order; /* as the tree has them first */
	uint32_t *place; /* by chunk: where it is in ORDER, or NONE while that is made */
	uint32_t placed;
	bool *seen;	/* by chunk */
	uint32_t last;	/* touched; NONE: nothing was */
	uint32_t *next; /* room for the answer */
};

static void put(struct store_in_order *o, uint32_t chunk)
{
	if (chunk >= o->n || o->place[chunk] != NONE)
		return;
	o->place[chunk] = o->placed;
	o->order[o->placed++] = chunk;
}

static void found(void *arg, uint32_t ino, const struct store_inode *file, const char *path)
{
	struct store_in_order *o = arg;
	struct store_piece piece;

	(void)ino;
	(void)path;
	for (uint64_t off = 0; off < file->size; off += piece.len) {
		if (!store_index_piece(o->ix, file, off, &piece))
			return;
		put(o, piece.chunk);
	}
}

struct store_in_order *store_in_order_new(const struct store_index *ix, const struct store_loc *loc)
{
	struct store_in_order *o = hr_xmalloc(sizeof(*o));
	const struct store_native_walk walk = { NULL, found, o };

	o->ix = ix;
	o->loc = loc;
	o->n = store_index_chunks(ix);
	o->last = NONE;
	o->order = hr_xmalloc(((size_t)o->n + 1) * sizeof(*o->order));
	o->place = hr_xmalloc(((size_t)o->n + 1) * sizeof(*o->place));
	o->next = hr_xmalloc(((size_t)o->n + 1) * sizeof(*o->next));
	o->seen = hr_xmalloc((size_t)o->n + 1);
	for (uint32_t i = 0; i < o->n; i++)
		o->place[i] = NONE;
	store_native_walk(ix, &walk);
	for (uint32_t i = 0; i < o->n; i++) /* of no file: the index is odd */
		put(o, i);
	return o;
}

void store_in_order_free(struct store_in_order *o)
{
	if (!o)
		return;
	free(o->order);
	free(o->place);
	free(o->next);
	free(o->seen);
	free(o);
}

void store_in_order_touched(struct store_in_order *o, const uint32_t *chunk, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (chunk[i] >= o->n)
			continue;
		o->seen[chunk[i]] = true;
		o->last = chunk[i];
	}
}

static uint64_t bytes_of(const struct store_in_order *o, uint32_t chunk)
{
	return store_loc_chunk(o->loc, chunk).frame_len;
}

/* Bytes that were read in order up to place END. */
static uint64_t read_before(const struct store_in_order *o, uint32_t end)
{
	uint64_t read = 0, gaps = 0;

	for (uint32_t i = end; i-- > 0 && gaps * GAPS_PART <= read;) {
		uint64_t bytes = bytes_of(o, o->order[i]);

		if (o->seen[o->order[i]])
			read += bytes;
		else
			gaps += bytes;
	}
	return read;
}

/* Where the one touched last is, and one more. */
static uint32_t end_of(const struct store_in_order *o)
{
	return o->last == NONE ? 0 : o->place[o->last] + 1;
}

size_t store_in_order_next(struct store_in_order *o, uint64_t most, const uint32_t **next)
{
	uint32_t from = end_of(o);
	uint64_t read = read_before(o, from), room = read / 10 * STORE_IN_ORDER_TENTHS, bytes = 0;
	size_t n = 0;

	if (read < WORTH_BYTES)
		return 0;
	if (room > most)
		room = most;
	for (uint32_t i = from; i < o->n; i++) {
		bytes += bytes_of(o, o->order[i]);
		if (bytes > room)
			break;
		if (!o->seen[o->order[i]])
			o->next[n++] = o->order[i];
	}
	*next = o->next;
	return n;
}

size_t store_in_order_all(struct store_in_order *o, const uint32_t **next)
{
	uint32_t from = end_of(o);
	size_t n = 0;

	if (read_before(o, from) < WORTH_BYTES)
		return 0;
	for (uint32_t i = 0; i < o->n; i++)
		if (!o->seen[o->order[(from + i) % o->n]])
			o->next[n++] = o->order[(from + i) % o->n];
	*next = o->next;
	return n;
}
