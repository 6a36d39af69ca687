/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/heap.h"

#include <stdlib.h>
#include <string.h>

#include "store/idmap.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define HEAP_ALIGN 8

bool store_heap_get(const uint8_t *heap, uint64_t len, uint32_t off, struct store_string *out)
{
	uint32_t n;

	if (len < 5 || off > len - 5)
		return false;
	n = hr_le32(heap + off);
	if (n > len - off - 5 || heap[off + 4 + (uint64_t)n] != 0)
		return false;
	*out = (struct store_string) { (const char *)heap + off + 4, n };
	return true;
}

struct store_heap {
	struct hr_buf bytes;
	struct store_idmap map;
	bool full;
};

struct store_heap *store_heap_new(void)
{
	return hr_xmalloc(sizeof(struct store_heap));
}

void store_heap_free(struct store_heap *h)
{
	if (!h)
		return;
	hr_buf_release(&h->bytes);
	store_idmap_release(&h->map);
	free(h);
}

void store_heap_freep(struct store_heap **h)
{
	store_heap_free(*h);
}

static bool same(const void *ctx, uint32_t off, const void *key, size_t n)
{
	const struct store_heap *h = ctx;
	struct store_string s;

	return store_heap_get(h->bytes.p, h->bytes.len, off, &s) && s.len == n &&
	       memcmp(s.p, key, n) == 0;
}

uint32_t store_heap_add(struct store_heap *h, const void *p, size_t n)
{
	uint64_t hash = store_idmap_hash(&h->map, p, n);
	uint32_t off;

	if (store_idmap_find(&h->map, hash, same, h, p, n, &off))
		return off;
	if (n > UINT32_MAX || h->bytes.len + 5 + n + HEAP_ALIGN > UINT32_MAX) {
		h->full = true;
		return 0;
	}
	off = (uint32_t)h->bytes.len;
	hr_buf_le(&h->bytes, n, 4);
	hr_buf_add(&h->bytes, p, n);
	hr_buf_le(&h->bytes, 0, 1);
	store_idmap_add(&h->map, hash, off);
	return off;
}

bool store_heap_full(const struct store_heap *h)
{
	return h->full;
}

uint64_t store_heap_bytes(const struct store_heap *h)
{
	return (h->bytes.len + HEAP_ALIGN - 1) & ~(uint64_t)(HEAP_ALIGN - 1);
}

void store_heap_write(const struct store_heap *h, struct hr_buf *out)
{
	static const uint8_t zeros[HEAP_ALIGN];

	hr_buf_add(out, h->bytes.p, h->bytes.len);
	hr_buf_add(out, zeros, store_heap_bytes(h) - h->bytes.len);
}
