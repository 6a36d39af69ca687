/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Foresees what is read next by who reads an image in the order of its tree, as a copy, an archive
 * or a search does: directory after directory, each in the order in which it is listed.
 *
 * For: prefetch.c, which looks at what was touched every now and then. Not for the next bytes of a
 * file or the rest of a directory (serve_ahead.h). Pure: no I/O, no threads.
 *
 * Sequence: store_in_order_new(); store_in_order_touched() and store_in_order_next() in turn;
 * store_in_order_free().
 */
#ifndef STORE_IN_ORDER_H
#define STORE_IN_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/index.h"
#include "store/loc.h"

struct store_in_order;

/* IX and LOC are borrowed. */
struct store_in_order *store_in_order_new(const struct store_index *ix,
					  const struct store_loc *loc);
void store_in_order_free(struct store_in_order *o);

/* N more chunks were touched for the first time, in this order. */
void store_in_order_touched(struct store_in_order *o, const uint32_t *chunk, size_t n);

/*
 * The chunks behind the one touched last, in the order of the tree, when those before it were
 * touched with few exceptions: as many as STORE_IN_ORDER_TENTHS tenths of their compressed bytes
 * are, MOST bytes at most. Those that were touched are left out.
 *
 * Owns:    *next is borrowed until the next call.
 * Returns: how many; 0 when nobody reads in order.
 */
#define STORE_IN_ORDER_TENTHS 3
size_t store_in_order_next(struct store_in_order *o, uint64_t most, const uint32_t **next);
/* The same without a limit: all of the image, what is before the one touched last at the end. */
size_t store_in_order_all(struct store_in_order *o, const uint32_t **next);

#endif
