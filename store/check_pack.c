/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/check_parts.h"
#include "store/frame.h"
#include "store/pack_reader.h"
#include "store/sha256mb.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define LANES_MAX 16

void check_pack_load(struct check *ck, struct check_pack *p)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct store_pack_table t;
	struct hr_err e = { 0 };
	uint64_t plain = 0;

	p->looked = true;
	if (store_pack_table_read(ck->o->st, &p->name, &b, &t, &e) < 0) {
		if (e.kind != HR_NOTFOUND)
			check_damaged(ck, STORE_PACK, &p->name, &e);
		return;
	}
	check_count_bytes(ck, b.len);
	p->rows = hr_xmalloc(((size_t)t.n + 1) * sizeof(*p->rows));
	for (uint32_t i = 0; i < t.n; i++)
		p->rows[i] = store_pack_row(&t, i, &plain);
	p->n = t.n;
	p->frame_digests = t.frame_digests;
	p->usable = true;
}

int check_place(const struct check_pack *p, const struct store_loc_chunk *where,
		const struct fetch_digest *digest, struct hr_err *e)
{
	const struct store_pack_row *r;

	if (where->frame >= p->n)
		return hr_fail(e, HR_CORRUPT, 0, "frame %u of %u", where->frame, p->n);
	r = &p->rows[where->frame];
	if (!fetch_digest_equal(&r->digest, digest))
		return hr_fail(e, HR_CORRUPT, 0, "frame %u of its pack is another chunk",
			       where->frame);
	if (r->frame_off != where->frame_off || r->frame_len != where->frame_len ||
	    r->plain_off != where->plain_off)
		return hr_fail(e, HR_CORRUPT, 0,
			       "%u bytes at %" PRIu64 ", its pack has them as %u at %" PRIu64,
			       where->frame_len, where->frame_off, r->frame_len, r->frame_off);
	return 0;
}

/* ---- frames ---- */

/* What a thread needs to check frames: as many at once as the hash takes. */
struct check_reader {
	struct store_pack_reader *packs;
	uint8_t *plain[LANES_MAX], *frame[LANES_MAX];
	size_t len[LANES_MAX], frame_len[LANES_MAX];
	uint32_t number[LANES_MAX]; /* of the frame */
	size_t n, lanes;
};

struct check_reader *check_reader_new(const struct check *ck)
{
	struct check_reader *r = hr_xmalloc(sizeof(*r));

	r->packs = store_pack_reader_new(ck->o->st);
	r->lanes = store_sha256_lanes() < LANES_MAX ? store_sha256_lanes() : LANES_MAX;
	for (size_t i = 0; i < r->lanes; i++) {
		r->plain[i] = hr_xmalloc(STORE_CHUNK_MAX);
		r->frame[i] = hr_xmalloc(STORE_FRAME_CAP);
	}
	return r;
}

void check_reader_free(struct check_reader *r)
{
	store_pack_reader_free(r->packs);
	for (size_t i = 0; i < r->lanes; i++) {
		free(r->plain[i]);
		free(r->frame[i]);
	}
	free(r);
}

static void bad_frame(struct check_pack *p, uint32_t i, struct hr_err *e)
{
	hr_wrap(e, "frame %u", i);
	pthread_mutex_lock(&p->lock);
	if (p->bad++ == 0)
		p->first_bad = *e;
	pthread_mutex_unlock(&p->lock);
	hr_err_clear(e);
}

/* Hash what was gathered: the chunks, and their frames where the table knows those. */
static void end_batch(struct check *ck, struct check_reader *r, struct check_pack *p)
{
	struct fetch_digest got[LANES_MAX], frame[LANES_MAX];

	store_sha256_many((const uint8_t *const *)r->plain, r->len, r->n, got);
	if (p->frame_digests)
		store_sha256_many((const uint8_t *const *)r->frame, r->frame_len, r->n, frame);
	for (size_t i = 0; i < r->n; i++) {
		const struct store_pack_row *row = &p->rows[r->number[i]];
		char hex[FETCH_DIGEST_HEX];
		struct hr_err e = { 0 };

		if (!fetch_digest_equal(&got[i], &row->digest))
			hr_fail(&e, HR_CORRUPT, 0, "the digest of the chunk is %s",
				fetch_digest_hex(&got[i], hex));
		else if (p->frame_digests && !fetch_digest_equal(&frame[i], &row->frame))
			hr_fail(&e, HR_CORRUPT, 0, "the digest of the frame is %s",
				fetch_digest_hex(&frame[i], hex));
		if (e.kind != HR_OK)
			bad_frame(p, r->number[i], &e);
	}
	ck->chunks += r->n;
	r->n = 0;
}

void check_pack_range(struct check *ck, struct check_reader *r, const struct check_range *range)
{
	struct check_pack *p = range->pack;
	struct hr_err e = { 0 };

	if (store_pack_reader_open(r->packs, &p->name, &e) < 0) {
		if (e.kind != HR_NOTFOUND)
			check_damaged(ck, STORE_PACK, &p->name, &e);
		return;
	}
	for (uint32_t i = range->first; i < range->end && !check_stopped(ck); i++) {
		const struct store_pack_row *row = &p->rows[i];
		const struct store_chunk want = { .bytes = row->plain_len };
		const uint8_t *frame;

		if (ck->some_frames && !p->wanted[i])
			continue;
		if (store_pack_reader_read(r->packs, row->frame_off, row->frame_len, &want,
					   r->plain[r->n], &frame, &e) < 0) {
			ck->chunks++;
			bad_frame(p, i, &e);
		} else {
			memcpy(r->frame[r->n], frame, row->frame_len);
			r->frame_len[r->n] = row->frame_len;
			r->len[r->n] = row->plain_len;
			r->number[r->n++] = i;
		}
		check_count_bytes(ck, row->frame_len);
		if (r->n == r->lanes)
			end_batch(ck, r, p);
	}
	end_batch(ck, r, p);
}
