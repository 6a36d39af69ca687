/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "store/heap.h"
#include "store/layer.h"
#include "store/layer_format.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

/* The offset of a string; that of the empty one is 0. */
static uint32_t intern(struct store_layer_builder *b, struct store_string s)
{
	if (!b->heap) {
		b->heap = store_heap_new();
		store_heap_add(b->heap, "", 0);
	}
	return store_heap_add(b->heap, s.p, s.len);
}

void store_layer_build_extent(struct store_layer_builder *b, const struct store_extent *x)
{
	if (x->chunk == STORE_HOLE && b->n_extents > b->first_extent &&
	    hr_le32(b->extents.p + b->extents.len - 8) == STORE_HOLE)
		return; /* it reaches to the next extent anyway */
	hr_buf_le(&b->extents, x->off, 8);
	hr_buf_le(&b->extents, x->chunk, 4);
	hr_buf_le(&b->extents, x->chunk_off, 4);
	b->n_extents++;
}

void store_layer_build_xattr(struct store_layer_builder *b, const struct store_xattr *x)
{
	hr_buf_le(&b->xattrs, intern(b, x->name), 4);
	hr_buf_le(&b->xattrs, intern(b, x->value), 4);
	hr_buf_le(&b->xattrs, 0, 8);
	b->n_xattrs++;
}

int store_layer_build_entry(struct store_layer_builder *b, const struct store_layer_entry *entry,
			    struct hr_err *e)
{
	uint32_t path, target;

	if (b->n_entries == STORE_ENTRIES_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "more than %u entries", STORE_ENTRIES_MAX);
	path = intern(b, entry->path);
	target = entry->target.p ? intern(b, entry->target) : 0;
	if (store_heap_full(b->heap))
		return hr_fail(e, HR_CORRUPT, 0, "more than 4 GiB of names and xattrs");
	hr_buf_le(&b->entries, entry->kind, 4);
	hr_buf_le(&b->entries, entry->attr.mode, 4);
	hr_buf_le(&b->entries, entry->attr.size, 8);
	hr_buf_le(&b->entries, (uint64_t)entry->attr.mtime, 8);
	hr_buf_le(&b->entries, entry->attr.mtime_ns, 4);
	hr_buf_le(&b->entries, entry->attr.uid, 4);
	hr_buf_le(&b->entries, entry->attr.gid, 4);
	hr_buf_le(&b->entries, entry->attr.dev, 4);
	hr_buf_le(&b->entries, path, 4);
	hr_buf_le(&b->entries, target, 4);
	hr_buf_le(&b->entries, b->first_extent, 4);
	hr_buf_le(&b->entries, b->n_extents - b->first_extent, 4);
	hr_buf_le(&b->entries, b->first_xattr, 4);
	hr_buf_le(&b->entries, b->n_xattrs - b->first_xattr, 4);
	b->n_entries++;
	b->first_extent = b->n_extents;
	b->first_xattr = b->n_xattrs;
	return 0;
}

/*
 * Replace the tickets in the extents by numbers in the order of first use. A chunk that gathers
 * small files gets its ticket when it is full, after chunks of large files between them; the
 * numbers must not depend on that.
 */
static uint32_t number_chunks(struct store_layer_builder *b, const uint32_t *chunk_of,
			      uint32_t n_chunks, uint32_t *order)
{
	hr_autofree uint32_t *number = hr_xmalloc((size_t)n_chunks * sizeof(*number) + 1);
	uint32_t n = 0;

	memset(number, 0xff, (size_t)n_chunks * sizeof(*number));
	for (uint32_t i = 0; i < b->n_extents; i++) {
		uint8_t *p = b->extents.p + (size_t)i * LAYER_EXTENT_BYTES + 8;
		uint32_t ticket = hr_le32(p);

		if (ticket == STORE_HOLE)
			continue;
		if (number[chunk_of[ticket]] == UINT32_MAX) {
			order[n] = chunk_of[ticket];
			number[chunk_of[ticket]] = n++;
		}
		hr_le32_put(p, number[chunk_of[ticket]]);
	}
	return n;
}

/* Append a section and give its memory back. */
static void move_section(struct hr_buf *out, struct hr_buf *section)
{
	hr_buf_add(out, section->p, section->len);
	hr_buf_release(section);
}

void store_layer_build_finish(struct store_layer_builder *b, const uint32_t *chunk_of,
			      const struct store_chunk *chunks, uint32_t n_chunks,
			      uint64_t plain_bytes, const struct fetch_digest *diff_id,
			      struct hr_buf *out, uint32_t **order, uint32_t *n_order)
{
	static const uint8_t zeros[56];
	size_t start = out->len;
	uint32_t n;

	*order = hr_xmalloc((size_t)n_chunks * sizeof(**order) + 1);
	n = *n_order = number_chunks(b, chunk_of, n_chunks, *order);
	intern(b, (struct store_string) { "", 0 });
	hr_buf_reserve(out, LAYER_HEADER + b->entries.len + b->extents.len +
				    (size_t)n * LAYER_CHUNK_BYTES + b->xattrs.len +
				    store_heap_bytes(b->heap));
	hr_buf_add(out, LAYER_MAGIC, 8);
	hr_buf_le(out, b->n_entries, 4);
	hr_buf_le(out, b->n_extents, 4);
	hr_buf_le(out, n, 4);
	hr_buf_le(out, b->n_xattrs, 4);
	hr_buf_le(out, store_heap_bytes(b->heap), 8);
	hr_buf_le(out, plain_bytes, 8);
	hr_buf_add(out, diff_id->b, FETCH_DIGEST_LEN);
	hr_buf_add(out, zeros, sizeof(zeros));
	move_section(out, &b->entries);
	move_section(out, &b->extents);
	for (uint32_t i = 0; i < n; i++) {
		const struct store_chunk *c = &chunks[(*order)[i]];

		hr_buf_add(out, c->digest.b, FETCH_DIGEST_LEN);
		hr_buf_le(out, c->crc, 8);
		hr_buf_le(out, c->bytes, 4);
		hr_buf_le(out, 0, 4);
	}
	move_section(out, &b->xattrs);
	store_heap_write(b->heap, out);
	hr_le64_put(out->p + start + LAYER_CRC_AT,
		    store_layer_crc(out->p + start, out->len - start));
}

void store_layer_build_release(struct store_layer_builder *b)
{
	hr_buf_release(&b->entries);
	hr_buf_release(&b->extents);
	hr_buf_release(&b->xattrs);
	store_heap_free(b->heap);
	memset(b, 0, sizeof(*b));
}
