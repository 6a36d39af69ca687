/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/native_make.h"

#include <stdlib.h>
#include <string.h>

#include "store/frame.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/serve_proto.h"
#include "util/poison.h"

#define DONE_EVERY (UINT64_C(16) << 20) /* bytes: what a killed maker loses at most */
#define GROUP	   8			/* chunks that are hashed side by side */

/* A chunk of a file, and its bytes. */
struct part {
	uint64_t off;
	uint32_t number;
	struct store_chunk want;
	uint8_t *p;
};

struct store_native_maker {
	struct store_native_maker_options o;
	ZSTD_DCtx *zstd;
	uint8_t *frame; /* room for STORE_FRAME_CAP bytes */
	uint8_t *plain; /* room for GROUP chunks, or for one where there is no sha256_many */
	struct part parts[GROUP];
	size_t n; /* of them in use */
};

struct store_native_maker *store_native_maker_new(const struct store_native_maker_options *o)
{
	struct store_native_maker *m = hr_xmalloc(sizeof(*m));

	m->o = *o;
	m->zstd = ZSTD_createDCtx();
	m->frame = hr_xmalloc(STORE_FRAME_CAP);
	/* not hr_xmalloc: what is never used should not be touched */
	m->plain = malloc((o->sha256_many ? GROUP : 1) * (size_t)STORE_CHUNK_MAX);
	HR_BUG_ON(!m->zstd || !m->plain);
	return m;
}

void store_native_maker_free(struct store_native_maker *m)
{
	if (!m)
		return;
	ZSTD_freeDCtx(m->zstd);
	free(m->frame);
	free(m->plain);
	free(m);
}

/* ---- the bytes of chunks: 1, 0 not at hand, -1 ---- */

/* What a pass over a file does with its chunks and holes. */
struct pass {
	int (*hole)(struct store_native_maker *m, struct store_cache_file *f, uint64_t off,
		    uint64_t len, struct hr_err *e);
	/* the bytes, unverified */
	int (*bring)(struct store_native_maker *m, struct store_cache_file *f,
		     const struct part *part, struct hr_err *e);
	/* they were wrong, as *E says: others, verified */
	int (*replace)(struct store_native_maker *m, const struct part *part, struct hr_err *e);
	/* all of m->parts are right */
	int (*keep)(struct store_native_maker *m, struct store_cache_file *f, struct hr_err *e);
};

static int bring_frame(struct store_native_maker *m, const struct part *part, struct hr_err *e)
{
	const struct store_chunk_source *s = &m->o.source;
	size_t len;

	if (!s->frame)
		return 0;
	if (s->frame(s->arg, part->number, m->frame, STORE_FRAME_CAP, &len, e) < 0 ||
	    store_frame_open(m->zstd, m->frame, len, &part->want, part->p, e) < 0)
		return -1;
	return 1;
}

static int bring_chunk(struct store_native_maker *m, struct store_cache_file *f,
		       const struct part *part, struct hr_err *e)
{
	const struct store_chunk_source *s = &m->o.source;

	(void)f;
	if (s->plain && s->plain(s->arg, part->number, part->p, part->want.bytes))
		return 1;
	return bring_frame(m, part, e);
}

/* Those of the cache were damaged: there may be another way. */
static int replace_chunk(struct store_native_maker *m, const struct part *part, struct hr_err *e)
{
	int r;

	hr_err_clear(e);
	r = bring_frame(m, part, e);
	return r > 0 ? store_frame_verify(&part->want, part->p, m->o.sha256, e) < 0 ? -1 : 1 : r;
}

/* A new file is zeros. */
static int write_hole(struct store_native_maker *m, struct store_cache_file *f, uint64_t off,
		      uint64_t len, struct hr_err *e)
{
	(void)m;
	(void)f;
	(void)off;
	(void)len;
	(void)e;
	return 1;
}

static int write_parts(struct store_native_maker *m, struct store_cache_file *f, struct hr_err *e)
{
	const struct part *last = &m->parts[m->n - 1];
	uint64_t end = last->off + last->want.bytes;

	for (const struct part *part = m->parts; part <= last; part++)
		if (store_cache_file_write(f, part->off, part->p, part->want.bytes, e) < 0)
			return -1;
	if (m->parts[0].off / DONE_EVERY != end / DONE_EVERY &&
	    store_cache_file_done(f, end, e) < 0)
		return -1;
	return 1;
}

static const struct pass write_pass = { write_hole, bring_chunk, replace_chunk, write_parts };

static int compare_hole(struct store_native_maker *m, struct store_cache_file *f, uint64_t off,
			uint64_t len, struct hr_err *e)
{
	uint8_t *room = m->frame; /* no frame is brought while a file is compared */

	while (len > 0) {
		size_t n = len < STORE_CHUNK_MAX ? (size_t)len : STORE_CHUNK_MAX;

		if (store_cache_file_read(f, off, room, n, e) < 0)
			return -1;
		if (room[0] != 0 || memcmp(room, room + 1, n - 1) != 0)
			return hr_fail(e, HR_CORRUPT, 0, "there are bytes in a hole");
		off += n;
		len -= n;
	}
	return 1;
}

static int bring_back(struct store_native_maker *m, struct store_cache_file *f,
		      const struct part *part, struct hr_err *e)
{
	(void)m;
	return store_cache_file_read(f, part->off, part->p, part->want.bytes, e) < 0 ? -1 : 1;
}

static int replace_nothing(struct store_native_maker *m, const struct part *part, struct hr_err *e)
{
	(void)m;
	(void)part;
	(void)e;
	return -1;
}

static int keep_nothing(struct store_native_maker *m, struct store_cache_file *f, struct hr_err *e)
{
	(void)m;
	(void)f;
	(void)e;
	return 1;
}

static const struct pass compare_pass = { compare_hole, bring_back, replace_nothing, keep_nothing };

/* ---- a file, piece by piece: 1 all, 0 not now, -1 ---- */

/* Compare the check sums and digests of all parts. */
static int verify(struct store_native_maker *m, const struct pass *pass, struct hr_err *e)
{
	struct fetch_digest got[GROUP];
	const uint8_t *p[GROUP];
	size_t len[GROUP];
	int r = 1;

	for (size_t i = 0; i < m->n; i++) {
		p[i] = m->parts[i].p;
		len[i] = m->parts[i].want.bytes;
	}
	if (m->o.sha256_many)
		m->o.sha256_many(p, len, m->n, got);
	for (size_t i = 0; r > 0 && i < m->n; i++) {
		const struct part *part = &m->parts[i];
		/* one that is wrong is hashed again: that says what was got and expected */
		bool known = m->o.sha256_many && fetch_digest_equal(&got[i], &part->want.digest);

		if (store_frame_verify(&part->want, part->p, known ? NULL : m->o.sha256, e) < 0)
			r = pass->replace(m, part, e);
	}
	return r;
}

static int end_group(struct store_native_maker *m, struct store_cache_file *f,
		     const struct pass *pass, struct hr_err *e)
{
	int r = m->n > 0 ? verify(m, pass, e) : 1;

	if (r > 0 && m->n > 0)
		r = pass->keep(m, f, e);
	m->n = 0;
	return r;
}

/* A chunk joins the group; a full one ends. */
static int add_part(struct store_native_maker *m, struct store_cache_file *f,
		    const struct pass *pass, const struct part *part, struct hr_err *e)
{
	struct part *new = &m->parts[m->n];
	int r;

	*new = *part;
	new->p = m->plain + m->n *(size_t)STORE_CHUNK_MAX;
	r = pass->bring(m, f, new, e);
	if (r <= 0)
		return r;
	m->n++;
	return m->n == (m->o.sha256_many ? GROUP : 1) ? end_group(m, f, pass, e) : 1;
}

/* The piece at OFF, whether it is a hole or a chunk, which is all of it then. */
static bool sound(const struct store_native_maker *m, const struct store_inode *file, uint64_t off,
		  struct store_piece *piece, struct part *part)
{
	if (!store_index_piece(m->o.ix, file, off, piece))
		return false;
	part->off = off;
	part->number = piece->chunk;
	return piece->chunk == STORE_HOLE ||
	       (store_index_chunk(m->o.ix, piece->chunk, &part->want) && piece->off == 0 &&
		piece->len == part->want.bytes);
}

/* The pieces of a file from OFF on. */
static int for_pieces(struct store_native_maker *m, const struct store_inode *file,
		      struct store_cache_file *f, uint64_t off, const struct pass *pass,
		      struct hr_err *e)
{
	struct store_piece piece;
	struct part part;

	m->n = 0;
	for (; off < file->size; off += piece.len) {
		int r;

		if (!sound(m, file, off, &piece, &part))
			return hr_fail(e, HR_CORRUPT, 0, "the image index is damaged");
		if (!m->o.go_on(m->o.arg))
			return 0;
		r = piece.chunk == STORE_HOLE ? pass->hole(m, f, off, piece.len, e)
					      : add_part(m, f, pass, &part, e);
		if (r <= 0)
			return r;
	}
	return end_group(m, f, pass, e);
}

/* A file of an earlier boot: 1 it is right, 0 not now, -1 with *e clear: it was not, and is gone.
 */
static int compare(struct store_native_maker *m, const struct store_inode *file,
		   struct store_cache_file *f)
{
	struct hr_err e = { 0 };
	int r = for_pieces(m, file, f, 0, &compare_pass, &e);

	if (r >= 0)
		return r;
	hr_warn("'%s' in the cache is damaged and is made again: %s", store_cache_file_path(f),
		e.text);
	store_cache_file_discard(f);
	return -1;
}

/* 1, 0 not now, -1. */
static int make(struct store_native_maker *m, const struct store_inode *file,
		struct store_cache_file *f, struct hr_err *e)
{
	uint64_t done;
	int r;

	if (store_cache_file_state(f) == STORE_CACHE_FILE_OLD) {
		r = compare(m, file, f);
		if (r >= 0)
			return r > 0 && store_cache_file_finish(f, e) < 0 ? -1 : r;
	}
	r = store_cache_file_begin(f, &done, e);
	if (r == 0)
		r = for_pieces(m, file, f, done, &write_pass, e);
	if (r > 0 && store_cache_file_finish(f, e) < 0)
		r = -1;
	if (r < 0)
		store_cache_file_discard(f);
	return r;
}

/* Whether all chunks can be had without waiting for a network. */
static bool at_hand(const struct store_native_maker *m, const struct store_inode *file)
{
	struct store_piece p;

	for (uint64_t off = 0; m->o.has && off < file->size; off += p.len)
		if (!store_index_piece(m->o.ix, file, off, &p) ||
		    (p.chunk != STORE_HOLE && !m->o.has(m->o.source.arg, p.chunk)))
			return false;
	return true;
}

/* Whether it is a file that can be made, and what it is to be. */
static bool suits(const struct store_native_maker *m, const struct store_inode *file,
		  struct store_cache_file_want *want)
{
	return store_native_suits(file, m->o.cache_bytes) &&
	       store_native_want(m->o.ix, file, m->o.sha256, want);
}

void store_native_moved(const struct store_index *ix, const struct store_inode *file,
			const struct fetch_digest *name, store_native_moved_fn *moved, void *arg)
{
	struct store_cache_at at = { .file = *name };
	struct store_piece p;

	for (; at.off < file->size && store_index_piece(ix, file, at.off, &p); at.off += p.len)
		if (p.chunk != STORE_HOLE)
			moved(arg, p.chunk, (uint32_t)p.len, &at);
}

enum store_native_made store_native_make(struct store_native_maker *m,
					 const struct store_inode *file,
					 struct store_cache_file **out, struct hr_err *e)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	struct store_cache_file_want want;
	enum store_cache_file_state state;
	int r = 1;

	if (!suits(m, file, &want))
		return STORE_NATIVE_NOT;
	if (!at_hand(m, file))
		return STORE_NATIVE_LATER;
	if (store_cache_file_open(m->o.cache, &want, true, &f, e) < 0)
		return STORE_NATIVE_NOT;
	state = store_cache_file_state(f);
	if (state != STORE_CACHE_FILE_WHOLE && store_cache_file_claim(f, &state, e) < 0)
		return STORE_NATIVE_NOT;
	if (state == STORE_CACHE_FILE_TAKEN)
		return STORE_NATIVE_LATER;
	if (state != STORE_CACHE_FILE_WHOLE)
		r = make(m, file, f, e);
	if (r < 0)
		return STORE_NATIVE_NOT;
	if (r == 0 || store_cache_file_state(f) != STORE_CACHE_FILE_WHOLE)
		return STORE_NATIVE_LATER;
	if (m->o.moved)
		store_native_moved(m->o.ix, file, &want.name, m->o.moved, m->o.source.arg);
	*out = hr_steal(&f);
	return STORE_NATIVE_WHOLE;
}

bool store_native_possible(struct store_native_maker *m, const struct store_inode *file,
			   uint64_t *bytes)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	struct store_cache_file_want want;
	struct hr_err e = { 0 }; /* then it is not there */

	if (!suits(m, file, &want) || !at_hand(m, file))
		return false;
	*bytes = file->size;
	if (store_cache_file_open(m->o.cache, &want, false, &f, &e) == 0 &&
	    store_cache_file_state(f) != STORE_CACHE_FILE_NONE)
		*bytes = 0;
	return true;
}

/* ---- lists ---- */

int store_native_list_save(const struct store_cache *c, const struct store_native_list *l,
			   const struct fetch_digest *manifest, const char *program,
			   struct hr_err *e)
{
	char path[STORE_NATIVE_LIST_PATH];
	hr_autobuf struct hr_buf b = { 0 };

	store_native_list_path(manifest, program, path);
	store_native_list_write(l, manifest, &b);
	if (hr_mkdir_all(store_cache_dir(c), "native", 0700, e) < 0)
		return -1;
	return hr_file_replace(store_cache_dir(c), path, b.p, b.len, 0600, e);
}

int store_native_list_load(const struct store_cache *c, const struct fetch_digest *manifest,
			   const char *program, struct store_native_list *out, struct hr_err *e)
{
	char path[STORE_NATIVE_LIST_PATH];
	hr_autobuf struct hr_buf b = { 0 };

	store_native_list_path(manifest, program, path);
	if (hr_file_read(store_cache_dir(c), path, HR_NATIVES_BYTES, &b, e) < 0)
		return -1;
	return store_native_list_parse(b.p, b.len, manifest, out, e);
}
