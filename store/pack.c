/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define TABLE_FRAME_MAGIC 0x184D2A5Au
#define TABLE_FRAME_HEAD  8
#define TABLE_MAGIC	  "hpcrPAK2"
#define TABLE_MAGIC_BARE  "hpcrPAK1" /* rows end before the digest of the frame */
#define TABLE_END	  "hpcrPAKE"
#define TABLE_HEAD	  STORE_PACK_TABLE_HEAD
#define TABLE_TAIL	  16
#define TABLE_ROW	  80
#define TABLE_ROW_BARE	  48
#define TABLE_MAX	  (256u << 20)

#define FLUSH_BYTES (16u << 20)

struct store_pack_writer {
	const struct store *st;
	struct store_tmp tmp;
	struct hr_buf rows;
	uint32_t n;
	uint64_t bytes, plain; /* of all frames */
	uint64_t flushed;      /* bytes that the kernel was told to write */
	struct fetch_digest name;
};

int store_pack_new(const struct store *st, struct store_pack_writer **out, struct hr_err *e)
{
	struct store_pack_writer *w = hr_xmalloc(sizeof(*w));

	w->st = st;
	w->tmp = (struct store_tmp)STORE_TMP_EMPTY;
	if (store_tmp_open(st, &w->tmp, e) < 0) {
		free(w);
		return -1;
	}
	*out = w;
	return 0;
}

void store_pack_free(struct store_pack_writer *w)
{
	if (!w)
		return;
	store_tmp_discard(&w->tmp);
	hr_buf_release(&w->rows);
	free(w);
}

bool store_pack_is_full(const struct store_pack_writer *w)
{
	return w->bytes >= STORE_PACK_FULL;
}

static int append(struct store_pack_writer *w, const void *p, size_t n, struct hr_err *e)
{
	if (hr_write_all(w->tmp.fd, p, n, w->tmp.name, e) == 0)
		return 0;
	hr_wrap(e, "store '%s'", w->st->path);
	if (e->sys == ENOSPC || e->sys == EDQUOT)
		hr_hint(e, "make room, remove images with 'hpcrun rmi' and 'hpcrun gc', or use "
			   "another store");
	return -1;
}

int store_pack_add(struct store_pack_writer *w, const struct store_chunk *chunk,
		   const struct store_pack_frame *frame, struct store_loc_chunk *where,
		   struct hr_err *e)
{
	if (append(w, frame->p, frame->len, e) < 0)
		return -1;
	hr_buf_add(&w->rows, chunk->digest.b, FETCH_DIGEST_LEN);
	hr_buf_le(&w->rows, w->bytes, 8);
	hr_buf_le(&w->rows, frame->len, 4);
	hr_buf_le(&w->rows, chunk->bytes, 4);
	hr_buf_add(&w->rows, frame->digest.b, FETCH_DIGEST_LEN);
	*where = (struct store_loc_chunk) { w->bytes, w->plain, frame->len, 0, w->n };
	w->n++;
	w->bytes += frame->len;
	w->plain += chunk->bytes;
	if (w->bytes - w->flushed >= FLUSH_BYTES) {
		/* begin writing now, so that the one fsync at the end has little left to do; a file
		 * system that cannot is slower, not wrong */
		(void)sync_file_range(w->tmp.fd, (off_t)w->flushed, (off_t)(w->bytes - w->flushed),
				      SYNC_FILE_RANGE_WRITE);
		w->flushed = w->bytes;
	}
	return 0;
}

int store_pack_finish(struct store_pack_writer *w, struct store_loc_pack *name, struct hr_err *e)
{
	hr_autobuf struct hr_buf b = { 0 };

	hr_buf_le(&b, TABLE_FRAME_MAGIC, 4);
	hr_buf_le(&b, store_pack_table_bytes(w->n), 4);
	hr_buf_add(&b, TABLE_MAGIC, 8);
	hr_buf_le(&b, w->n, 4);
	hr_buf_le(&b, 0, 4);
	hr_buf_add(&b, w->rows.p, w->rows.len);
	hr_buf_release(&w->rows);
	hr_buf_le(&b, w->bytes, 8);
	hr_buf_add(&b, TABLE_END, 8);
	fetch_digest_of(b.p + TABLE_FRAME_HEAD, b.len - TABLE_FRAME_HEAD, &w->name);
	if (append(w, b.p, b.len, e) < 0 || store_tmp_sync(&w->tmp, e) < 0)
		return -1;
	*name = (struct store_loc_pack) { w->name, w->n };
	return 0;
}

int store_pack_publish(struct store_pack_writer *w, struct hr_err *e)
{
	if (store_tmp_publish(&w->tmp, STORE_PACK, &w->name, e) < 0)
		return -1;
	/* one that was damaged is good now */
	return store_object_exists(w->st, STORE_PACK_OLD, &w->name)
		       ? store_object_remove(w->st, STORE_PACK_OLD, &w->name, e)
		       : 0;
}

/* ---- tables ---- */

uint64_t store_pack_table_bytes(uint32_t n)
{
	return TABLE_HEAD + (uint64_t)n * TABLE_ROW + TABLE_TAIL;
}

bool store_pack_table_begins(const uint8_t p[STORE_PACK_TABLE_HEAD], uint32_t n)
{
	return memcmp(p, TABLE_MAGIC, 8) == 0 && hr_le32(p + 8) == n;
}

static size_t row_bytes(const struct store_pack_table *t)
{
	return t->frame_digests ? TABLE_ROW : TABLE_ROW_BARE;
}

struct store_pack_row store_pack_row(const struct store_pack_table *t, uint32_t i,
				     uint64_t *plain_off)
{
	const uint8_t *p = t->rows + i * row_bytes(t);
	struct store_pack_row r = { 0 };

	HR_BUG_ON(i >= t->n);
	memcpy(r.digest.b, p, FETCH_DIGEST_LEN);
	r.frame_off = hr_le64(p + 32);
	r.frame_len = hr_le32(p + 40);
	r.plain_len = hr_le32(p + 44);
	if (t->frame_digests)
		memcpy(r.frame.b, p + TABLE_ROW_BARE, FETCH_DIGEST_LEN);
	r.plain_off = *plain_off;
	*plain_off += r.plain_len;
	return r;
}

int store_pack_table_parse(const uint8_t *p, size_t n, uint64_t pack_bytes,
			   struct store_pack_table *out, struct hr_err *e)
{
	struct store_pack_table t;
	uint64_t end = 0, plain = 0;

	if (n < TABLE_HEAD + TABLE_TAIL ||
	    (memcmp(p, TABLE_MAGIC, 8) != 0 && memcmp(p, TABLE_MAGIC_BARE, 8) != 0) ||
	    memcmp(p + n - 8, TABLE_END, 8) != 0 || hr_le32(p + 12) != 0)
		return hr_fail(e, HR_CORRUPT, 0, "no table of a pack");
	t.frame_digests = memcmp(p, TABLE_MAGIC, 8) == 0;
	t.n = hr_le32(p + 8);
	t.rows = p + TABLE_HEAD;
	t.frames_bytes = hr_le64(p + n - 16);
	if (n != TABLE_HEAD + (uint64_t)t.n * row_bytes(&t) + TABLE_TAIL)
		return hr_fail(e, HR_CORRUPT, 0, "a table of %zu bytes for %u frames", n, t.n);
	if (t.frames_bytes > INT64_MAX || t.frames_bytes + TABLE_FRAME_HEAD + n != pack_bytes)
		return hr_fail(e, HR_CORRUPT, 0,
			       "frames of %" PRIu64 " bytes in a pack of %" PRIu64, t.frames_bytes,
			       pack_bytes);
	for (uint32_t i = 0; i < t.n; i++) {
		struct store_pack_row r = store_pack_row(&t, i, &plain);

		if (r.frame_off != end || r.frame_len == 0 || r.plain_len == 0 ||
		    r.plain_len > STORE_CHUNK_MAX)
			return hr_fail(e, HR_CORRUPT, 0,
				       "frame %u: %u bytes at %" PRIu64 ", expected at %" PRIu64, i,
				       r.frame_len, r.frame_off, end);
		end += r.frame_len; /* below 2^64: n frames of 32 bits */
	}
	if (end != t.frames_bytes)
		return hr_fail(e, HR_CORRUPT, 0,
			       "frames end at %" PRIu64 ", the table is at %" PRIu64, end,
			       t.frames_bytes);
	*out = t;
	return 0;
}

static int read_table(int fd, uint64_t size, const char *path, struct hr_buf *b, struct hr_err *e)
{
	uint8_t tail[TABLE_TAIL], head[TABLE_FRAME_HEAD];
	uint64_t at, n;

	if (size < TABLE_FRAME_HEAD + TABLE_HEAD + TABLE_TAIL)
		return hr_fail(e, HR_CORRUPT, 0, "a pack of %" PRIu64 " bytes", size);
	if (hr_pread_all(fd, tail, sizeof(tail), size - TABLE_TAIL, path, e) < 0)
		return -1;
	at = hr_le64(tail);
	if (at > size - (TABLE_FRAME_HEAD + TABLE_HEAD + TABLE_TAIL))
		return hr_fail(e, HR_CORRUPT, 0, "a table at %" PRIu64 " of %" PRIu64 " bytes", at,
			       size);
	n = size - at - TABLE_FRAME_HEAD;
	if (n > TABLE_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "a table of %" PRIu64 " bytes", n);
	if (hr_pread_all(fd, head, sizeof(head), at, path, e) < 0)
		return -1;
	if (hr_le32(head) != TABLE_FRAME_MAGIC || hr_le32(head + 4) != n)
		return hr_fail(e, HR_CORRUPT, 0, "no table at %" PRIu64, at);
	b->len = 0;
	hr_buf_reserve(b, (size_t)n);
	if (hr_pread_all(fd, b->p, (size_t)n, at + TABLE_FRAME_HEAD, path, e) < 0)
		return -1;
	b->len = (size_t)n;
	return 0;
}

static int read_pack_table(const struct store *st, const struct fetch_digest *name,
			   struct hr_buf *b, struct store_pack_table *out, struct hr_err *e)
{
	char path[STORE_OBJECT_PATH];
	struct fetch_digest got;
	uint64_t size;
	hr_autofd int fd = store_object_open(st, STORE_PACK, name, &size, e);

	if (fd < 0)
		return -1;
	store_object_path(STORE_PACK, name, path);
	if (read_table(fd, size, path, b, e) < 0)
		return hr_wrap(e, "'%s/%s'", st->path, path);
	fetch_digest_of(b->p, b->len, &got);
	if (!fetch_digest_equal(&got, name)) {
		hr_fail(e, HR_CORRUPT, 0, "its table has another digest than its name");
		return hr_wrap(e, "'%s/%s'", st->path, path);
	}
	if (store_pack_table_parse(b->p, b->len, size, out, e) < 0)
		return hr_wrap(e, "'%s/%s'", st->path, path);
	return 0;
}

int store_pack_table_read(const struct store *st, const struct fetch_digest *name, struct hr_buf *b,
			  struct store_pack_table *out, struct hr_err *e)
{
	unsigned int stale = 0;
	int r;

	do
		r = read_pack_table(st, name, b, out, e);
	while (r < 0 && hr_io_stale(&stale, e));
	return r;
}
