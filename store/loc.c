/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/loc.h"

#include <inttypes.h>
#include <string.h>

#include "store/store.h"
#include "util/le.h"
#include "util/poison.h"

#define LOC_MAGIC  "hpcrLOC1"
#define LOC_HEADER STORE_LOC_HEADER_BYTES

struct store_loc_pack store_loc_pack_get(const uint8_t *p)
{
	struct store_loc_pack k;

	memcpy(k.name.b, p, FETCH_DIGEST_LEN);
	k.frames = hr_le32(p + 32);
	return k;
}

void store_loc_pack_put(const struct store_loc_pack *in, struct hr_buf *b)
{
	hr_buf_add(b, in->name.b, FETCH_DIGEST_LEN);
	hr_buf_le(b, in->frames, 4);
	hr_buf_le(b, 0, 4);
}

bool store_loc_chunk_get(const uint8_t *p, struct store_loc_chunk *out)
{
	*out = (struct store_loc_chunk) { hr_le64(p), hr_le64(p + 8), hr_le32(p + 16),
					  hr_le32(p + 20), hr_le32(p + 24) };
	return hr_le32(p + 28) == 0;
}

void store_loc_chunk_put(const struct store_loc_chunk *in, struct hr_buf *b)
{
	hr_buf_le(b, in->frame_off, 8);
	hr_buf_le(b, in->plain_off, 8);
	hr_buf_le(b, in->frame_len, 4);
	hr_buf_le(b, in->pack, 4);
	hr_buf_le(b, in->frame, 4);
	hr_buf_le(b, 0, 4);
}

int store_loc_chunk_check(const struct store_loc_chunk *c, const uint8_t *packs, uint32_t n_packs,
			  struct hr_err *e)
{
	uint32_t frames;

	if (c->pack >= n_packs)
		return hr_fail(e, HR_CORRUPT, 0, "it is in pack %u of %u", c->pack, n_packs);
	frames = store_loc_pack_get(packs + (size_t)c->pack * STORE_LOC_PACK_BYTES).frames;
	if (c->frame >= frames)
		return hr_fail(e, HR_CORRUPT, 0, "it is frame %u of %u", c->frame, frames);
	if (c->frame_len == 0 || c->frame_off > INT64_MAX - (uint64_t)c->frame_len ||
	    c->plain_off > INT64_MAX - (uint64_t)STORE_CHUNK_MAX)
		return hr_fail(e, HR_CORRUPT, 0,
			       "its frame of %u bytes at %" PRIu64 ", %" PRIu64
			       " uncompressed, is out of range",
			       c->frame_len, c->frame_off, c->plain_off);
	return 0;
}

struct store_loc_pack store_loc_pack(const struct store_loc *l, uint32_t i)
{
	HR_BUG_ON(i >= l->n_packs);
	return store_loc_pack_get(l->packs + (size_t)i * STORE_LOC_PACK_BYTES);
}

struct store_loc_chunk store_loc_chunk(const struct store_loc *l, uint32_t i)
{
	struct store_loc_chunk c;

	HR_BUG_ON(i >= l->n_chunks);
	HR_BUG_ON(!store_loc_chunk_get(l->chunks + (size_t)i * STORE_LOC_CHUNK_BYTES, &c));
	return c;
}

static int check_rows(const struct store_loc *l, struct hr_err *e)
{
	struct store_loc_chunk c;

	for (uint32_t i = 0; i < l->n_packs; i++)
		if (hr_le32(l->packs + (size_t)i * STORE_LOC_PACK_BYTES + 36) != 0)
			return hr_fail(e, HR_CORRUPT, 0, "pack %u: a field is not zero", i);
	for (uint32_t i = 0; i < l->n_chunks; i++) {
		if (!store_loc_chunk_get(l->chunks + (size_t)i * STORE_LOC_CHUNK_BYTES, &c))
			return hr_fail(e, HR_CORRUPT, 0, "chunk %u: a field is not zero", i);
		if (store_loc_chunk_check(&c, l->packs, l->n_packs, e) < 0)
			return hr_wrap(e, "chunk %u", i);
	}
	return 0;
}

int store_loc_header_parse(const uint8_t p[STORE_LOC_HEADER_BYTES], uint64_t file_bytes,
			   uint32_t *n_packs, uint32_t *n_chunks, struct hr_err *e)
{
	uint32_t packs = hr_le32(p + 8), chunks = hr_le32(p + 12);
	uint64_t expected;

	if (memcmp(p, LOC_MAGIC, 8) != 0)
		return hr_fail(e, HR_CORRUPT, 0,
			       "no location file: it does not begin with " LOC_MAGIC);
	/* two products of 32 bits and a small number: no overflow */
	expected = LOC_HEADER + (uint64_t)packs * STORE_LOC_PACK_BYTES +
		   (uint64_t)chunks * STORE_LOC_CHUNK_BYTES;
	if (file_bytes != expected)
		return hr_fail(e, HR_CORRUPT, 0,
			       "location file of %" PRIu64 " bytes, expected %" PRIu64, file_bytes,
			       expected);
	*n_packs = packs;
	*n_chunks = chunks;
	return 0;
}

int store_loc_parse(const uint8_t *p, size_t n, uint32_t n_chunks, struct store_loc *out,
		    struct hr_err *e)
{
	struct store_loc l;

	if (n < LOC_HEADER)
		return hr_fail(e, HR_CORRUPT, 0, "location file of %zu bytes, expected at least %d",
			       n, LOC_HEADER);
	if (store_loc_header_parse(p, n, &l.n_packs, &l.n_chunks, e) < 0)
		return -1;
	if (l.n_chunks != n_chunks)
		return hr_fail(e, HR_CORRUPT, 0, "locations of %u chunks, expected %u", l.n_chunks,
			       n_chunks);
	l.packs = p + LOC_HEADER;
	l.chunks = l.packs + (size_t)l.n_packs * STORE_LOC_PACK_BYTES;
	if (check_rows(&l, e) < 0)
		return -1;
	*out = l;
	return 0;
}

void store_loc_write(const struct store_loc_pack *packs, uint32_t n_packs,
		     const struct store_loc_chunk *chunks, uint32_t n_chunks, struct hr_buf *b)
{
	hr_buf_reserve(b, LOC_HEADER + (size_t)n_packs * STORE_LOC_PACK_BYTES +
				  (size_t)n_chunks * STORE_LOC_CHUNK_BYTES);
	hr_buf_add(b, LOC_MAGIC, 8);
	hr_buf_le(b, n_packs, 4);
	hr_buf_le(b, n_chunks, 4);
	for (uint32_t i = 0; i < n_packs; i++)
		store_loc_pack_put(&packs[i], b);
	for (uint32_t i = 0; i < n_chunks; i++)
		store_loc_chunk_put(&chunks[i], b);
}
