/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/dict_segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define DICT_MAGIC   "hpcrDIC1"
#define DICT_HEADER  16
#define DICT_RECORD  64
#define WRITE_BUFFER (1u << 20)

/* ---- reading ---- */

static int parse(struct store_dict_segment *s, struct hr_err *e)
{
	uint64_t expected;

	if (s->bytes < DICT_HEADER || memcmp(s->map, DICT_MAGIC, 8) != 0)
		return hr_fail(e, HR_CORRUPT, 0, "it does not begin with " DICT_MAGIC);
	s->n_packs = hr_le32(s->map + 8);
	s->n = hr_le32(s->map + 12);
	expected = DICT_HEADER + (uint64_t)s->n_packs * STORE_LOC_PACK_BYTES +
		   (uint64_t)s->n * DICT_RECORD;
	if (s->bytes != expected)
		return hr_fail(e, HR_CORRUPT, 0, "%zu bytes, expected %" PRIu64, s->bytes,
			       expected);
	s->packs = s->map + DICT_HEADER;
	s->records = s->packs + (size_t)s->n_packs * STORE_LOC_PACK_BYTES;
	s->present = hr_xmalloc(s->n_packs * sizeof(*s->present));
	return 0;
}

int store_dict_segment_open(const struct store *st, const struct fetch_digest *name,
			    struct store_dict_segment *out, struct hr_err *e)
{
	struct store_dict_segment s = { .name = *name };
	uint64_t size;
	hr_autofd int fd = store_object_open(st, STORE_DICT, name, &size, e);
	void *map;

	if (fd < 0)
		return -1;
	if (size < DICT_HEADER || size > SIZE_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "a dict of %" PRIu64 " bytes", size);
	map = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return hr_fail(e, HR_SYS, errno, "cannot map a part of the dict");
	s.map = map;
	s.bytes = (size_t)size;
	if (parse(&s, e) < 0) {
		store_dict_segment_close(&s);
		return hr_wrap(e, "a part of the dict");
	}
	*out = s;
	return 0;
}

void store_dict_segment_close(struct store_dict_segment *s)
{
	if (s->map)
		munmap(s->map, s->bytes);
	free(s->present);
	memset(s, 0, sizeof(*s));
}

struct store_loc_pack store_dict_segment_pack(const struct store_dict_segment *s, uint32_t i)
{
	return store_loc_pack_get(s->packs + (size_t)i * STORE_LOC_PACK_BYTES);
}

static const uint8_t *record(const struct store_dict_segment *s, uint32_t i)
{
	return s->records + (size_t)i * DICT_RECORD;
}

int store_dict_segment_record(const struct store_dict_segment *s, uint32_t i,
			      struct fetch_digest *chunk, struct store_loc_chunk *where,
			      struct hr_err *e)
{
	const uint8_t *p = record(s, i);

	memcpy(chunk->b, p, FETCH_DIGEST_LEN);
	if (!store_loc_chunk_get(p + FETCH_DIGEST_LEN, where))
		return hr_fail(e, HR_CORRUPT, 0, "a field is not zero");
	return store_loc_chunk_check(where, s->packs, s->n_packs, e);
}

/* The first record that is not before CHUNK. */
static uint32_t lower_bound(const struct store_dict_segment *s, const struct fetch_digest *chunk)
{
	uint32_t low = 0, high = s->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (memcmp(record(s, mid), chunk->b, FETCH_DIGEST_LEN) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The location in record I, if its pack is present. */
static bool usable(const struct store_dict_segment *s, uint32_t i, struct store_loc_chunk *where)
{
	struct hr_err damaged = { 0 }; /* then the chunk is stored again */

	return store_loc_chunk_get(record(s, i) + FETCH_DIGEST_LEN, where) &&
	       store_loc_chunk_check(where, s->packs, s->n_packs, &damaged) == 0 &&
	       s->present[where->pack];
}

bool store_dict_segment_find(const struct store_dict_segment *s, const struct fetch_digest *chunk,
			     struct store_loc_pack *pack, struct store_loc_chunk *where)
{
	for (uint32_t i = lower_bound(s, chunk);
	     i < s->n && memcmp(record(s, i), chunk->b, FETCH_DIGEST_LEN) == 0; i++) {
		if (usable(s, i, where)) {
			*pack = store_dict_segment_pack(s, where->pack);
			return true;
		}
	}
	return false;
}

/* ---- writing ---- */

void store_dict_draft_add(struct store_dict_draft *d, const struct fetch_digest *chunk,
			  const struct store_loc_chunk *where)
{
	hr_buf_add(&d->records, chunk->b, FETCH_DIGEST_LEN);
	store_loc_chunk_put(where, &d->records);
	d->n++;
}

void store_dict_draft_pack(struct store_dict_draft *d, const struct store_loc_pack *p)
{
	store_loc_pack_put(p, &d->packs);
	d->n_packs++;
}

void store_dict_draft_release(struct store_dict_draft *d)
{
	hr_buf_release(&d->packs);
	hr_buf_release(&d->records);
	memset(d, 0, sizeof(*d));
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, DICT_RECORD);
}

static void put_header(uint32_t n_packs, uint32_t n, struct hr_buf *b)
{
	hr_buf_add(b, DICT_MAGIC, 8);
	hr_buf_le(b, n_packs, 4);
	hr_buf_le(b, n, 4);
}

int store_dict_draft_write(const struct store *st, struct store_dict_draft *d,
			   struct fetch_digest *name, struct hr_err *e)
{
	hr_autobuf struct hr_buf out = { 0 };

	if (d->n)
		qsort(d->records.p, d->n, DICT_RECORD, by_bytes);
	fetch_digest_of(d->packs.p, d->packs.len, name);
	hr_buf_reserve(&out, DICT_HEADER + d->packs.len + d->records.len);
	put_header(d->n_packs, d->n, &out);
	hr_buf_add(&out, d->packs.p, d->packs.len);
	hr_buf_add(&out, d->records.p, d->records.len);
	store_dict_draft_release(d);
	return store_object_write(st, STORE_DICT, name, out.p, out.len, e);
}

/* ---- merging ---- */

struct merge {
	const struct store_dict_segment *s;
	size_t n;
	uint32_t *at;	     /* for each segment: the next record */
	uint32_t **renumber; /* for each segment and pack: its number in the result */
	struct hr_buf packs;
	uint32_t n_packs;
};

/* The segment with the smallest next record, or NULL; damaged and useless records are left out. */
static const struct store_dict_segment *smallest(struct merge *m, struct store_loc_chunk *where)
{
	const struct store_dict_segment *best = NULL;

	for (size_t i = 0; i < m->n; i++) {
		const struct store_dict_segment *s = &m->s[i];

		while (m->at[i] < s->n && !usable(s, m->at[i], where))
			m->at[i]++;
		if (m->at[i] < s->n &&
		    (!best || memcmp(record(s, m->at[i]), record(best, m->at[best - m->s]),
				     FETCH_DIGEST_LEN) < 0))
			best = s;
	}
	if (best)
		(void)usable(best, m->at[best - m->s], where);
	return best;
}

static void number_packs(struct merge *m)
{
	for (size_t i = 0; i < m->n; i++) {
		m->renumber[i] = hr_xmalloc(m->s[i].n_packs * sizeof(uint32_t));
		for (uint32_t k = 0; k < m->s[i].n_packs; k++) {
			struct store_loc_pack p = store_dict_segment_pack(&m->s[i], k);

			if (!m->s[i].present[k])
				continue;
			m->renumber[i][k] = m->n_packs++;
			store_loc_pack_put(&p, &m->packs);
		}
	}
}

static int write_merged(struct merge *m, int fd, const char *what, struct hr_err *e)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct store_loc_chunk where;
	const struct store_dict_segment *s;
	uint32_t n = 0;

	put_header(m->n_packs, 0, &b);
	hr_buf_add(&b, m->packs.p, m->packs.len);
	while ((s = smallest(m, &where))) {
		size_t i = (size_t)(s - m->s);

		hr_buf_add(&b, record(s, m->at[i]++), FETCH_DIGEST_LEN);
		where.pack = m->renumber[i][where.pack];
		store_loc_chunk_put(&where, &b);
		n++;
		if (b.len >= WRITE_BUFFER) {
			if (hr_write_all(fd, b.p, b.len, what, e) < 0)
				return -1;
			b.len = 0;
		}
	}
	if (hr_write_all(fd, b.p, b.len, what, e) < 0)
		return -1;
	b.len = 0;
	hr_buf_le(&b, n, 4);
	return hr_pwrite_all(fd, b.p, 4, 12, what, e);
}

int store_dict_segments_merge(const struct store *st, const struct store_dict_segment *s, size_t n,
			      struct fetch_digest *name, struct hr_err *e)
{
	struct store_tmp t = STORE_TMP_EMPTY;
	struct merge m = { .s = s, .n = n };
	int r = store_tmp_open(st, &t, e);

	m.at = hr_xmalloc(n * sizeof(*m.at));
	m.renumber = hr_xmalloc(n * sizeof(*m.renumber));
	if (r == 0) {
		number_packs(&m);
		fetch_digest_of(m.packs.p, m.packs.len, name);
		r = write_merged(&m, t.fd, t.name, e);
	}
	if (r == 0)
		r = store_tmp_sync(&t, e);
	if (r == 0)
		r = store_tmp_publish(&t, STORE_DICT, name, e);
	store_tmp_discard(&t);
	for (size_t i = 0; i < n; i++)
		free(m.renumber[i]);
	free(m.renumber);
	free(m.at);
	hr_buf_release(&m.packs);
	return r;
}
