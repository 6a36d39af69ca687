/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/dict.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "store/dict_segment.h"
#include "store/digest_set.h"
#include "store/pack.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

/* Records gathered before a segment is written: 64 MiB of them. */
#define SEGMENT_RECORDS (1u << 20)
#define SEGMENTS_MAX	8

struct store_dict {
	const struct store *st;
	struct store_digest_set old; /* packs that nothing new may refer to */
	struct fetch_digest *packs;  /* that are there, sorted */
	size_t n_packs, cap_packs;
	bool *indexed; /* for each pack: some segment knows it */
	struct store_dict_segment *segments;
	size_t n_segments;
};

static int by_digest(const void *a, const void *b)
{
	return memcmp(a, b, FETCH_DIGEST_LEN);
}

static struct fetch_digest *find_pack(const struct store_dict *d, const struct fetch_digest *name)
{
	return d->n_packs ? bsearch(name, d->packs, d->n_packs, sizeof(*d->packs), by_digest)
			  : NULL;
}

/* ---- segments ---- */

static void add_segment(struct store_dict *d, const struct store_dict_segment *s)
{
	d->segments = hr_xrealloc(d->segments, (d->n_segments + 1) * sizeof(*d->segments));
	d->segments[d->n_segments++] = *s;
}

/* Note which of a segment's packs are there. */
static void check_packs(struct store_dict *d, struct store_dict_segment *s)
{
	for (uint32_t i = 0; i < s->n_packs; i++) {
		struct store_loc_pack p = store_dict_segment_pack(s, i);
		struct fetch_digest *at = find_pack(d, &p.name);

		s->present[i] = at != NULL;
		if (at)
			d->indexed[at - d->packs] = true;
	}
}

static int load_segment(struct store_dict *d, const struct fetch_digest *name, struct hr_err *e)
{
	struct store_dict_segment s;
	struct hr_err bad = { 0 };

	if (store_dict_segment_open(d->st, name, &s, &bad) < 0) {
		/* derived: whatever is wrong with it, it is made again from the packs */
		hr_debug("throwing away a part of the dict: %s", bad.text);
		return store_object_remove(d->st, STORE_DICT, name, e);
	}
	check_packs(d, &s);
	add_segment(d, &s);
	return 0;
}

static int on_segment(void *arg, const struct fetch_digest *name, uint64_t bytes, struct hr_err *e)
{
	(void)bytes;
	return load_segment(arg, name, e);
}

static int on_pack(void *arg, const struct fetch_digest *name, uint64_t bytes, struct hr_err *e)
{
	struct store_dict *d = arg;

	(void)bytes;
	(void)e;
	if (store_digest_set_has(&d->old, name))
		return 0;
	d->packs = hr_xgrow(d->packs, d->n_packs, &d->cap_packs, sizeof(*d->packs));
	d->packs[d->n_packs++] = *name;
	return 0;
}

/* ---- packs that no segment knows ---- */

static int write_segment(struct store_dict *d, struct store_dict_draft *draft, struct hr_err *e)
{
	struct fetch_digest name;

	if (draft->n_packs == 0)
		return 0;
	if (store_dict_draft_write(d->st, draft, &name, e) < 0)
		return -1;
	return load_segment(d, &name, e);
}

static int index_pack(struct store_dict_draft *draft, const struct store *st,
		      const struct fetch_digest *name)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct store_pack_table t;
	struct hr_err bad = { 0 };
	uint64_t plain = 0;

	if (store_pack_table_read(st, name, &b, &t, &bad) < 0) {
		hr_warn("passing over a damaged pack: %s", bad.text);
		return 0;
	}
	for (uint32_t i = 0; i < t.n; i++) {
		struct store_pack_row r = store_pack_row(&t, i, &plain);
		struct store_loc_chunk where = { r.frame_off, r.plain_off, r.frame_len,
						 draft->n_packs, i };

		store_dict_draft_add(draft, &r.digest, &where);
	}
	store_dict_draft_pack(draft, &(struct store_loc_pack) { *name, t.n });
	return 0;
}

static int index_new_packs(struct store_dict *d, struct hr_err *e)
{
	HR_CLEANUP(store_dict_draft_release) struct store_dict_draft draft = { 0 };

	for (size_t i = 0; i < d->n_packs; i++) {
		if (d->indexed[i])
			continue;
		index_pack(&draft, d->st, &d->packs[i]);
		if (draft.n >= SEGMENT_RECORDS && write_segment(d, &draft, e) < 0)
			return -1;
	}
	return write_segment(d, &draft, e);
}

/* ---- fewer segments ---- */

static int by_records(const void *a, const void *b)
{
	const struct store_dict_segment *x = a, *y = b;

	return x->n < y->n ? -1 : x->n > y->n;
}

/*
 * Merge the small segments, and the largest too once the others outweigh it: so a record is
 * written a logarithmic number of times.
 */
static int merge_segments(struct store_dict *d, struct hr_err *e)
{
	struct fetch_digest name;
	uint64_t small = 0;
	size_t n = d->n_segments;

	if (n <= SEGMENTS_MAX)
		return 0;
	qsort(d->segments, n, sizeof(*d->segments), by_records);
	for (size_t i = 0; i + 1 < n; i++)
		small += d->segments[i].n;
	if (small < d->segments[n - 1].n)
		n--;
	if (store_dict_segments_merge(d->st, d->segments, n, &name, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		bool same = fetch_digest_equal(&d->segments[i].name, &name);

		if (!same && store_object_remove(d->st, STORE_DICT, &d->segments[i].name, e) < 0)
			return -1;
		store_dict_segment_close(&d->segments[i]);
	}
	memmove(d->segments, d->segments + n, (d->n_segments - n) * sizeof(*d->segments));
	d->n_segments -= n;
	return load_segment(d, &name, e);
}

static int on_old(void *arg, const struct fetch_digest *name, uint64_t bytes, struct hr_err *e)
{
	struct store_dict *d = arg;

	(void)bytes;
	(void)e;
	store_digest_set_add(&d->old, name);
	return 0;
}

static int load(struct store_dict *d, struct hr_err *e)
{
	if (store_object_each(d->st, STORE_PACK_OLD, on_old, d, e) < 0)
		return -1;
	store_digest_set_seal(&d->old);
	if (store_object_each(d->st, STORE_PACK, on_pack, d, e) < 0)
		return -1;
	if (d->n_packs)
		qsort(d->packs, d->n_packs, sizeof(*d->packs), by_digest);
	d->indexed = hr_xmalloc(d->n_packs * sizeof(*d->indexed));
	if (store_object_each(d->st, STORE_DICT, on_segment, d, e) < 0 || index_new_packs(d, e) < 0)
		return -1;
	return merge_segments(d, e);
}

int store_dict_open(const struct store *st, struct store_dict **out, struct hr_err *e)
{
	struct store_dict *d = hr_xmalloc(sizeof(*d));

	d->st = st;
	if (load(d, e) < 0) {
		store_dict_close(d);
		return hr_wrap(e, "cannot open the dict of store '%s'", st->path);
	}
	*out = d;
	return 0;
}

void store_dict_close(struct store_dict *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n_segments; i++)
		store_dict_segment_close(&d->segments[i]);
	free(d->segments);
	store_digest_set_release(&d->old);
	free(d->packs);
	free(d->indexed);
	free(d);
}

bool store_dict_find(const struct store_dict *d, const struct fetch_digest *chunk,
		     struct store_loc_pack *pack, struct store_loc_chunk *where)
{
	for (size_t i = 0; i < d->n_segments; i++)
		if (store_dict_segment_find(&d->segments[i], chunk, pack, where))
			return true;
	return false;
}
