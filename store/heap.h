/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The strings of an index, hpcrun-store(5) STRINGS: reading one, and building a heap in which each
 * string stands once.
 *
 * Sequence: store_heap_new(); store_heap_add() any number of times; store_heap_write();
 * store_heap_free().
 */
#ifndef STORE_HEAP_H
#define STORE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"
#include "util/buf.h"

/* The string at OFF of a heap of LEN bytes; false when it does not lie inside. */
bool store_heap_get(const uint8_t *heap, uint64_t len, uint32_t off, struct store_string *out);

struct store_heap;

struct store_heap *store_heap_new(void);
void store_heap_free(struct store_heap *h);
void store_heap_freep(struct store_heap **h);

/*
 * The offset of the string, which is added unless it is there.
 *
 * Bounds:  a heap that would reach 4 GiB stays as it is and becomes full; the offset is 0 then.
 */
uint32_t store_heap_add(struct store_heap *h, const void *p, size_t n);
bool store_heap_full(const struct store_heap *h);

/* Bytes that store_heap_write() appends: a multiple of 8. */
uint64_t store_heap_bytes(const struct store_heap *h);
void store_heap_write(const struct store_heap *h, struct hr_buf *out);

#endif
