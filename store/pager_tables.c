/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tables of packs, fetched beside their chunks: they have the digests of the frames, and to
 * hash a frame is to hash a third or a fifth of its chunk. The name of a pack is the digest of its
 * table, so it does not matter who sends one; nobody waits for one, and one that cannot be had
 * costs time alone.
 */
#include "config.h"

#include "store/pager_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "store/layout.h"
#include "store/pack.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

#define TABLE_FRAME_HEAD 8
#define WORTH_BYTES	 (4u << 20) /* a program that touches little asks for no table */
#define WORTH_TIMES	 16	    /* so much more than its bytes must a table save */
#define STALL_S		 3	    /* a prefetch ends behind its last table, if that comes soon */

void store_pager_make_tables(struct store_pager *p)
{
	p->tables = hr_xmalloc(((size_t)p->o.loc->n_packs + 1) * sizeof(*p->tables));
	p->frame_digest = hr_xmalloc(((size_t)p->n_chunks + 1) * sizeof(*p->frame_digest));
	for (uint32_t i = 0; i < p->n_chunks; i++) {
		struct store_loc_chunk at = store_loc_chunk(p->o.loc, p->in_order[i]);
		struct pager_table *table = &p->tables[at.pack];

		if (table->n++ == 0)
			table->first = i;
		if (at.frame == store_loc_pack(p->o.loc, at.pack).frames - 1)
			table->at = at.frame_off + at.frame_len + TABLE_FRAME_HEAD;
	}
}

void store_pager_table_count(struct store_pager *p, uint32_t chunk)
{
	struct store_loc_chunk at = store_loc_chunk(p->o.loc, chunk);
	struct store_chunk want;

	if (store_index_chunk(p->o.ix, chunk, &want) && want.bytes > at.frame_len)
		p->tables[at.pack].saved_bytes += want.bytes - at.frame_len;
}

void store_pager_table_place(struct store_pager *p, uint32_t pack, uint64_t pack_bytes)
{
	pthread_mutex_lock(&p->lock);
	if (pack_bytes != 0)
		p->tables[pack].pack_bytes = pack_bytes;
	pthread_mutex_unlock(&p->lock);
}

const struct fetch_digest *store_pager_frame_digest(struct store_pager *p, uint32_t chunk)
{
	const struct fetch_digest *d;

	pthread_mutex_lock(&p->lock);
	d = p->frame_digest[chunk];
	pthread_mutex_unlock(&p->lock);
	return d;
}

/* ---- one table ---- */

/* What is asked for. */
struct table_wish {
	struct store_pager *p;
	uint32_t pack, frames;
	uint64_t at; /* where it begins */
	size_t len;
	uint8_t *buf;
	bool stopped; /* by us, while it came */
};

/* With the lock held: all chunks that will ever be wanted are there, as at the end of a prefetch.
 */
static bool is_late(const struct store_pager *p)
{
	return !p->chunks && p->busy == 0;
}

/*
 * With the lock held: whether to ask for a table now. Where the link is slow it is no processor
 * that is waited for; and an older table, which is shorter, is not where this one would begin.
 */
static bool is_due(struct store_pager *p, struct table_wish *w)
{
	struct pager_table *table = &p->tables[w->pack];
	uint64_t len = store_pack_table_bytes(w->frames);

	if (p->o.object || table->asked || is_late(p) || p->batch_bytes < PAGER_BATCH_FIRST ||
	    table->saved_bytes < WORTH_BYTES || table->saved_bytes / WORTH_TIMES < len ||
	    (table->at == 0 && table->pack_bytes < len))
		return false;
	table->asked = true;
	w->at = table->at != 0 ? table->at : table->pack_bytes - len;
	w->len = (size_t)len;
	return table->pack_bytes == 0 || w->at + len == table->pack_bytes;
}

/* Stop when it is none, or when nothing is left to be checked with it. */
static int on_progress(void *arg, size_t got, struct hr_err *e)
{
	struct table_wish *w = arg;
	bool late;

	pthread_mutex_lock(&w->p->lock);
	late = is_late(w->p);
	pthread_mutex_unlock(&w->p->lock);
	w->stopped = true;
	if (late)
		return hr_fail(e, HR_SYS, ECANCELED, "all chunks came before the table");
	if (got >= STORE_PACK_TABLE_HEAD && !store_pack_table_begins(w->buf, w->frames))
		return hr_fail(e, HR_CORRUPT, 0, "no table with digests of %" PRIu32 " frames",
			       w->frames);
	w->stopped = false;
	return 0;
}

/* Ask origin O. */
static int ask(struct table_wish *w, size_t o, struct store_pack_table *out, struct hr_err *e)
{
	struct store_pager *p = w->p;
	const struct fetch_digest name = store_loc_pack(p->o.loc, w->pack).name;
	struct hr_stats_origin *seen = p->seen[o];
	hr_autofree char *url = store_pager_url(p, p->o.origins->v[o],
						&(struct store_loc_chunk) { .pack = w->pack });
	const struct fetch_web_part part = { .url = url,
					     .off = w->at,
					     .len = w->len,
					     .buf = w->buf,
					     .progress = on_progress,
					     .arg = w,
					     .stall_s = STALL_S };
	struct fetch_digest got;
	int r;

	w->stopped = false;
	r = fetch_web_range(p->o.client, &part, e);
	hr_stats_add(&seen->requests, 1);
	hr_stats_add(&seen->failures, r < 0 && !w->stopped);
	hr_stats_add(&seen->bytes, r < 0 ? 0 : w->len);
	if (r < 0)
		return -1;
	fetch_digest_of(w->buf, w->len, &got);
	if (!fetch_digest_equal(&got, &name))
		return hr_fail(e, HR_CORRUPT, 0, "'%s': the table has another digest than its name",
			       url);
	return store_pack_table_parse(w->buf, w->len, w->at + w->len, out, e);
}

static bool is_of(const struct store_pack_row *row, const struct store_loc_chunk *at,
		  const struct store_chunk *chunk)
{
	return row->frame_off == at->frame_off && row->frame_len == at->frame_len &&
	       row->plain_off == at->plain_off && row->plain_len == chunk->bytes &&
	       fetch_digest_equal(&row->digest, &chunk->digest);
}

/*
 * Keep the digests of the frames of which table, locations and index say the same. Both are in the
 * order of the frames.
 */
static void keep(struct store_pager *p, const struct pager_table *in,
		 const struct store_pack_table *table)
{
	struct fetch_digest *digests = hr_xmalloc(in->n * sizeof(*digests));
	uint32_t chunk = in->first, end = in->first + in->n, n = 0;
	uint64_t plain = 0;

	for (uint32_t i = 0; i < table->n; i++) {
		struct store_pack_row row = store_pack_row(table, i, &plain);

		for (; chunk < end; chunk++) {
			uint32_t number = p->in_order[chunk];
			struct store_loc_chunk at = store_loc_chunk(p->o.loc, number);
			struct store_chunk want;

			if (at.frame_off > row.frame_off)
				break;
			if (!store_index_chunk(p->o.ix, number, &want) || !is_of(&row, &at, &want))
				continue;
			digests[n] = row.frame;
			pthread_mutex_lock(&p->lock);
			p->frame_digest[number] = &digests[n++];
			pthread_mutex_unlock(&p->lock);
		}
	}
	if (n == 0)
		free(digests);
	hr_debug("a table has the digests of %" PRIu32 " of %" PRIu32 " frames", n, in->n);
}

/* From the first origin that has it, one try each. */
static int ask_all(struct table_wish *w, struct store_pack_table *out)
{
	struct store_pager *p = w->p;

	for (size_t o = 0; o < p->o.origins->n; o++) {
		struct hr_err e = { 0 }; /* the next one may have it, or it is done without */

		if (ask(w, o, out, &e) == 0)
			return 0;
		hr_debug("no table of a pack: %s", e.text);
		if (e.sys == ECANCELED)
			break;
	}
	return -1;
}

void store_pager_table_fetch(struct pager_thread *t, uint32_t pack)
{
	struct store_pager *p = t->p;
	struct table_wish w = { .p = p,
				.pack = pack,
				.frames = store_loc_pack(p->o.loc, pack).frames };
	hr_autofree uint8_t *buf = NULL;
	struct store_pack_table table;
	bool due;

	pthread_mutex_lock(&p->lock);
	due = is_due(p, &w);
	p->asking += due;
	pthread_mutex_unlock(&p->lock);
	if (!due)
		return;
	buf = w.buf = malloc(w.len);
	if (buf && ask_all(&w, &table) == 0)
		keep(p, &p->tables[pack], &table);
	pthread_mutex_lock(&p->lock);
	if (--p->asking == 0)
		pthread_cond_broadcast(&p->rest);
	pthread_mutex_unlock(&p->lock);
}
