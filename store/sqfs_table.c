/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/sqfs_table.h"

#include <inttypes.h>
#include <string.h>

#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define STORED_AS_IS 0x8000u		 /* in the length of a block */
#define TABLE_MAX    (UINT64_C(2) << 30) /* 16 Mi inodes of 128 bytes */

/* Where a block is stored, from the begin of its table, and where its bytes are. */
struct store_sqfs_mark {
	uint64_t stored, plain;
};

void store_sqfs_table_release(struct store_sqfs_table *t)
{
	hr_buf_release(&t->bytes);
	hr_buf_release(&t->blocks);
}

const uint8_t *store_sqfs_stored_at(const struct store_sqfs_stored *in, uint64_t at, uint64_t n)
{
	const struct store_sqfs_super *s = in->super;

	if (at < s->metadata || at > s->bytes || n > s->bytes - at)
		return NULL;
	return in->p + (at - s->metadata);
}

/* One block at AT, which must end before END; *next is where the next one begins. */
static int add_block(const struct store_sqfs_stored *in, uint64_t at, uint64_t end,
		     struct store_sqfs_table *t, uint64_t *next, struct hr_err *e)
{
	const uint8_t *p = end - at >= 2 ? store_sqfs_stored_at(in, at, 2) : NULL;
	size_t n = p ? hr_le16(p) & ~STORED_AS_IS : 0, len = STORE_SQFS_META_BLOCK;
	bool as_is = p && (hr_le16(p) & STORED_AS_IS);

	if (n == 0 || n > STORE_SQFS_META_BLOCK || n > end - at - 2 ||
	    !store_sqfs_stored_at(in, at + 2, n))
		return hr_fail(e, HR_CORRUPT, 0,
			       "the %s has a block of %zu bytes at %" PRIu64 ", expected 1 to %u",
			       t->name, n, at, STORE_SQFS_META_BLOCK);
	if (t->bytes.len > TABLE_MAX - STORE_SQFS_META_BLOCK)
		return hr_fail(e, HR_CORRUPT, 0, "the %s has more than %" PRIu64 " bytes", t->name,
			       TABLE_MAX);
	hr_buf_reserve(&t->bytes, STORE_SQFS_META_BLOCK);
	if (as_is) {
		hr_buf_add(&t->bytes, p + 2, n);
	} else if (store_sqfs_decompress(in->zstd, in->super->compressor, p + 2, n,
					 t->bytes.p + t->bytes.len, &len) &&
		   len > 0) {
		t->bytes.len += len;
	} else {
		return hr_fail(e, HR_CORRUPT, 0, "the block at %" PRIu64 " of the %s is damaged",
			       at, t->name);
	}
	*next = at + 2 + n;
	return 0;
}

int store_sqfs_table_chain(const struct store_sqfs_stored *in, uint64_t begin, uint64_t end,
			   struct store_sqfs_table *t, struct hr_err *e)
{
	for (uint64_t at = begin, next; at < end; at = next) {
		struct store_sqfs_mark mark = { at - begin, t->bytes.len };

		if (add_block(in, at, end, t, &next, e) < 0)
			return -1;
		hr_buf_add(&t->blocks, &mark, sizeof(mark));
	}
	return 0;
}

int store_sqfs_table_listed(const struct store_sqfs_stored *in, uint64_t list, uint64_t bytes,
			    struct store_sqfs_table *t, struct hr_err *e)
{
	uint64_t n = (bytes + STORE_SQFS_META_BLOCK - 1) / STORE_SQFS_META_BLOCK, next;
	const uint8_t *places = store_sqfs_stored_at(in, list, n * 8);

	if (n > 0 && !places)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the %s is listed at %" PRIu64 " of %" PRIu64
			       " bytes, it has %" PRIu64 " blocks",
			       t->name, list, in->super->bytes, n);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = hr_le64(places + i * 8), want = (i + 1) * STORE_SQFS_META_BLOCK;

		if (at < in->super->metadata || at >= in->super->bytes)
			return hr_fail(e, HR_CORRUPT, 0,
				       "the %s has a block at %" PRIu64 ", expected %" PRIu64
				       " to %" PRIu64,
				       t->name, at, in->super->metadata, in->super->bytes);
		if (add_block(in, at, in->super->bytes, t, &next, e) < 0)
			return -1;
		if (t->bytes.len < (want < bytes ? want : bytes))
			return hr_fail(e, HR_CORRUPT, 0, "the %s has %zu bytes, expected %" PRIu64,
				       t->name, t->bytes.len, bytes);
	}
	return 0;
}

int store_sqfs_table_at(const struct store_sqfs_table *t, uint64_t block, uint32_t off,
			uint64_t *pos, struct hr_err *e)
{
	size_t n = t->blocks.len / sizeof(struct store_sqfs_mark), low = 0, high = n;
	struct store_sqfs_mark mark = { 0 }, after = { 0, t->bytes.len };

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		memcpy(&mark, t->blocks.p + mid * sizeof(mark), sizeof(mark));
		if (mark.stored < block)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < n)
		memcpy(&mark, t->blocks.p + low * sizeof(mark), sizeof(mark));
	if (low + 1 < n)
		memcpy(&after, t->blocks.p + (low + 1) * sizeof(after), sizeof(after));
	if (low == n || mark.stored != block || off >= after.plain - mark.plain)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the %s has no place %" PRIu32 " in a block at %" PRIu64, t->name,
			       off, block);
	*pos = mark.plain + off;
	return 0;
}
