/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/repack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/digest_set.h"
#include "store/frame.h"
#include "store/index.h"
#include "store/lease.h"
#include "store/loc.h"
#include "store/meta.h"
#include "store/pack.h"
#include "store/pack_reader.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define ANY_SIZE (SIZE_MAX / 2)
#define NOWHERE	 UINT32_MAX

/* Small packs become one when there are so many; a byte is moved again with seven others like it at
 * the earliest. Not too many bytes at once: a run is to end some time. */
#define SMALL_BYTES (16u << 20)
#define SMALL_MIN   8
#define MERGE_BYTES (1u << 30)

/* A pack that is there. */
struct old_pack {
	struct fetch_digest name;
	uint64_t bytes, live; /* live: of frames in use */
	uint8_t *used;	      /* for each frame */
	uint32_t frames;
	bool replace;
	struct store_loc_chunk *moved; /* of each frame: .pack into the new ones, or NOWHERE */
};

struct repack {
	const struct store_repack_options *o;
	struct old_pack *packs; /* sorted by name */
	size_t n, cap;
	struct store_digest_set layers, indexes; /* that have locations */
	struct store_pack_writer **writers;	 /* one for each new pack */
	struct store_loc_pack *names;		 /* of these */
	uint32_t n_new;
	struct store_pack_reader *reader;
	uint8_t *plain;
	struct store_repack_result *out;
};

static int stopped(const struct repack *r, struct hr_err *e)
{
	return r->o->cancel && *r->o->cancel
		       ? hr_fail(e, HR_SYS, EINTR, "stopped before anything was changed")
		       : 0;
}

/* ---- what is in use ---- */

static int by_name(const void *a, const void *b)
{
	return memcmp(((const struct old_pack *)a)->name.b, ((const struct old_pack *)b)->name.b,
		      FETCH_DIGEST_LEN);
}

static struct old_pack *find(const struct repack *r, const struct fetch_digest *name)
{
	const struct old_pack key = { .name = *name };

	return r->n ? bsearch(&key, r->packs, r->n, sizeof(key), by_name) : NULL;
}

static int add_pack(void *arg, const struct fetch_digest *d, uint64_t bytes, struct hr_err *e)
{
	struct repack *r = arg;

	(void)e;
	r->packs = hr_xgrow(r->packs, r->n, &r->cap, sizeof(*r->packs));
	r->packs[r->n++] = (struct old_pack) { .name = *d, .bytes = bytes };
	r->out->packs++;
	r->out->bytes += bytes;
	return 0;
}

static int add_digest(void *arg, const struct fetch_digest *d, uint64_t bytes, struct hr_err *e)
{
	(void)bytes;
	(void)e;
	store_digest_set_add(arg, d);
	return 0;
}

/* Read a location file into B. */
static int read_loc(const struct repack *r, enum store_kind kind, const struct fetch_digest *d,
		    struct hr_buf *b, struct store_loc *out, struct hr_err *e)
{
	char path[STORE_OBJECT_PATH];
	uint32_t packs, chunks;

	if (store_object_read(r->o->st, kind, d, ANY_SIZE, b, e) < 0)
		return -1;
	if (b->len >= STORE_LOC_HEADER_BYTES &&
	    store_loc_header_parse(b->p, b->len, &packs, &chunks, e) == 0 &&
	    store_loc_parse(b->p, b->len, chunks, out, e) == 0)
		return 0;
	if (e->kind == HR_OK)
		hr_fail(e, HR_CORRUPT, 0, "%zu bytes", b->len);
	hr_hint(e, "'hpcrun store fsck --repair' makes them anew");
	return hr_wrap(e, "locations '%s'", store_object_path(kind, d, path));
}

static int mark_row(struct old_pack *p, const struct store_loc_chunk *c, uint32_t frames,
		    struct hr_err *e)
{
	if (!p->used) {
		p->frames = frames;
		p->used = hr_xmalloc((size_t)frames + 1);
	}
	if (p->frames != frames)
		return hr_fail(e, HR_CORRUPT, 0, "a pack has %u frames here, %u elsewhere", frames,
			       p->frames);
	if (!p->used[c->frame])
		p->live += c->frame_len;
	p->used[c->frame] = 1;
	return 0;
}

static int mark(struct repack *r, enum store_kind kind, const struct store_digest_set *of,
		struct hr_err *e)
{
	for (size_t i = 0; i < of->n; i++) {
		hr_autobuf struct hr_buf b = { 0 };
		struct store_loc l;

		if (stopped(r, e) < 0 || read_loc(r, kind, &of->v[i], &b, &l, e) < 0)
			return -1;
		for (uint32_t k = 0; k < l.n_chunks; k++) {
			struct store_loc_chunk c = store_loc_chunk(&l, k);
			struct store_loc_pack name = store_loc_pack(&l, c.pack);
			struct old_pack *p = find(r, &name.name);

			if (p && mark_row(p, &c, name.frames, e) < 0)
				return -1;
		}
	}
	return 0;
}

static void replace_pack(struct repack *r, struct old_pack *p)
{
	p->replace = true;
	r->out->replaced++;
	r->out->before += p->bytes;
	r->out->after += p->live;
}

static bool is_small(const struct old_pack *p)
{
	return !p->replace && p->live > 0 && p->bytes < SMALL_BYTES;
}

/* Each costs a node that reads of it a descriptor and two files in its cache. */
static void choose_small(struct repack *r)
{
	uint64_t bytes = 0, n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += is_small(&r->packs[i]);
	if (n < SMALL_MIN)
		return;
	for (size_t i = 0; i < r->n && bytes < MERGE_BYTES; i++) {
		if (!is_small(&r->packs[i]))
			continue;
		bytes += r->packs[i].bytes;
		replace_pack(r, &r->packs[i]);
		r->out->small++;
	}
}

static void choose(struct repack *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct old_pack *p = &r->packs[i];
		uint64_t garbage = p->bytes > p->live ? p->bytes - p->live : 0;
		/* the table is no garbage, nor are the 8 bytes before it */
		uint64_t table = store_pack_table_bytes(p->frames) + 8;

		garbage -= garbage < table ? garbage : table;
		/* what nothing reaches is gc's */
		if (p->live > 0 && (garbage * 100 > p->bytes * r->o->percent ||
				    store_object_exists(r->o->st, STORE_PACK_OLD, &p->name)))
			replace_pack(r, p);
	}
	choose_small(r);
}

static int survey(struct repack *r, struct hr_err *e)
{
	if (store_object_each(r->o->st, STORE_PACK, add_pack, r, e) < 0 ||
	    store_object_each(r->o->st, STORE_LAYER_LOC, add_digest, &r->layers, e) < 0 ||
	    store_object_each(r->o->st, STORE_INDEX_LOC, add_digest, &r->indexes, e) < 0)
		return -1;
	if (r->n)
		qsort(r->packs, r->n, sizeof(*r->packs), by_name);
	if (mark(r, STORE_LAYER_LOC, &r->layers, e) < 0 ||
	    mark(r, STORE_INDEX_LOC, &r->indexes, e) < 0)
		return -1;
	choose(r);
	return 0;
}

/* ---- new packs ---- */

/* A writer with room. */
static int need_writer(struct repack *r, struct hr_err *e)
{
	if (r->n_new > 0 && !store_pack_is_full(r->writers[r->n_new - 1]))
		return 0;
	r->writers = hr_xrealloc(r->writers, (r->n_new + 1) * sizeof(struct store_pack_writer *));
	r->names = hr_xrealloc(r->names, (r->n_new + 1) * sizeof(*r->names));
	if (store_pack_new(r->o->st, &r->writers[r->n_new], e) < 0)
		return -1;
	r->n_new++;
	return 0;
}

static int move_frame(struct repack *r, const struct store_pack_row *row,
		      struct store_loc_chunk *where, struct hr_err *e)
{
	struct store_chunk chunk = { .digest = row->digest, .bytes = row->plain_len };
	struct store_pack_frame frame = { .len = row->frame_len };
	const uint8_t *bytes;
	struct fetch_digest got;

	if (store_pack_reader_read(r->reader, row->frame_off, row->frame_len, &chunk, r->plain,
				   &bytes, e) < 0)
		return -1;
	/* damage is not to get a new name */
	fetch_digest_of(r->plain, row->plain_len, &got);
	if (!fetch_digest_equal(&got, &row->digest))
		return hr_fail(e, HR_CORRUPT, 0, "a chunk has another digest");
	frame.p = bytes;
	fetch_digest_of(bytes, frame.len, &frame.digest);
	if (need_writer(r, e) < 0 ||
	    store_pack_add(r->writers[r->n_new - 1], &chunk, &frame, where, e) < 0)
		return -1;
	where->pack = r->n_new - 1;
	return 0;
}

static int move_pack(struct repack *r, struct old_pack *p, struct hr_err *e)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct store_pack_table t;
	uint64_t plain = 0;

	if (store_pack_reader_open(r->reader, &p->name, e) < 0 ||
	    store_pack_table_read(r->o->st, &p->name, &b, &t, e) < 0)
		return -1;
	if (t.n != p->frames)
		return hr_fail(e, HR_CORRUPT, 0, "it has %u frames, locations say %u", t.n,
			       p->frames);
	p->moved = hr_xmalloc(((size_t)t.n + 1) * sizeof(*p->moved));
	for (uint32_t i = 0; i < t.n; i++) {
		struct store_pack_row row = store_pack_row(&t, i, &plain);

		p->moved[i].pack = NOWHERE;
		if (stopped(r, e) < 0 || (p->used[i] && move_frame(r, &row, &p->moved[i], e) < 0))
			return -1;
	}
	return 0;
}

static int move_packs(struct repack *r, struct hr_err *e)
{
	r->reader = store_pack_reader_new(r->o->st);
	r->plain = hr_xmalloc(STORE_CHUNK_MAX);
	for (size_t i = 0; i < r->n; i++) {
		char path[STORE_OBJECT_PATH];

		if (!r->packs[i].replace || move_pack(r, &r->packs[i], e) == 0)
			continue;
		if (e->kind == HR_CORRUPT)
			hr_hint(e, "'hpcrun store fsck --repair' fetches what is damaged");
		return hr_wrap(e, "'%s'", store_object_path(STORE_PACK, &r->packs[i].name, path));
	}
	for (uint32_t i = 0; i < r->n_new; i++)
		if (store_pack_finish(r->writers[i], &r->names[i], e) < 0)
			return -1;
	for (uint32_t i = 0; i < r->n_new; i++)
		if (store_pack_publish(r->writers[i], e) < 0)
			return -1;
	return store_sync_names(r->o->st, e);
}

/* ---- new locations ---- */

/* Which packs a location file names, with the new ones for those that are replaced. */
struct renaming {
	struct store_loc_pack *packs;
	uint32_t n;
	uint32_t *new; /* of each new pack: its number here, or NOWHERE */
};

static uint32_t new_number(const struct repack *r, struct renaming *m, uint32_t k)
{
	if (m->new[k] == NOWHERE) {
		m->packs[m->n] = r->names[k];
		m->new[k] = m->n++;
	}
	return m->new[k];
}

/* The rows of L with the new places; false when it names no pack that is replaced. */
static bool relocate(const struct repack *r, const struct store_loc *l, struct hr_buf *out)
{
	struct renaming m = { hr_xmalloc((l->n_packs + r->n_new + 1) * sizeof(*m.packs)), 0,
			      hr_xmalloc((r->n_new + 1) * sizeof(*m.new)) };
	hr_autofree struct store_loc_chunk *rows =
		hr_xmalloc(((size_t)l->n_chunks + 1) * sizeof(*rows));
	hr_autofree struct old_pack **from = hr_xmalloc((l->n_packs + 1) * sizeof(*from));
	hr_autofree uint32_t *kept = hr_xmalloc((l->n_packs + 1) * sizeof(*kept));
	bool any = false;

	memset(m.new, 0xff, (r->n_new + 1) * sizeof(*m.new));
	for (uint32_t i = 0; i < l->n_packs; i++) {
		struct store_loc_pack p = store_loc_pack(l, i);

		from[i] = find(r, &p.name);
		if (from[i] && from[i]->replace) {
			any = true;
			continue;
		}
		from[i] = NULL;
		kept[i] = m.n;
		m.packs[m.n++] = p;
	}
	for (uint32_t i = 0; any && i < l->n_chunks; i++) {
		uint32_t pack;

		rows[i] = store_loc_chunk(l, i);
		pack = rows[i].pack;
		if (from[pack]) {
			rows[i] = from[pack]->moved[rows[i].frame];
			rows[i].pack = new_number(r, &m, rows[i].pack);
		} else {
			rows[i].pack = kept[pack];
		}
	}
	if (any)
		store_loc_write(m.packs, m.n, rows, l->n_chunks, out);
	free(m.packs);
	free(m.new);
	return any;
}

/* The metadata file of the image of an index holds its locations, too. */
static int rewrite_meta(const struct repack *r, const struct fetch_digest *index, struct hr_err *e)
{
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	hr_autobuf struct hr_buf b = { 0 };
	struct fetch_digest manifest;
	struct hr_err none = { 0 }; /* then nobody can tell whose index it is */

	if (store_object_read(r->o->st, STORE_INDEX, index, ANY_SIZE, &b, &none) < 0 ||
	    store_index_parse(b.p, b.len, &ix, &none) < 0)
		return 0;
	store_index_manifest(ix, &manifest);
	return store_object_exists(r->o->st, STORE_META, &manifest)
		       ? store_meta_remake(r->o->st, &manifest, e)
		       : 0;
}

static int rewrite_locs(const struct repack *r, enum store_kind kind,
			const struct store_digest_set *of, struct hr_err *e)
{
	for (size_t i = 0; i < of->n; i++) {
		hr_autobuf struct hr_buf b = { 0 }, out = { 0 };
		struct store_loc l;

		if (read_loc(r, kind, &of->v[i], &b, &l, e) < 0)
			return -1;
		if (!relocate(r, &l, &out))
			continue;
		if (store_object_write(r->o->st, kind, &of->v[i], out.p, out.len, e) < 0 ||
		    (kind == STORE_INDEX_LOC && rewrite_meta(r, &of->v[i], e) < 0))
			return -1;
	}
	return 0;
}

int store_repack_mark(const struct store *st, const struct fetch_digest *pack, struct hr_err *e)
{
	return store_object_exists(st, STORE_PACK_OLD, pack)
		       ? 0
		       : store_object_write(st, STORE_PACK_OLD, pack, "", 0, e);
}

/* A pack of which all is in use becomes itself again. */
static bool is_new(const struct repack *r, const struct fetch_digest *name)
{
	for (uint32_t i = 0; i < r->n_new; i++)
		if (fetch_digest_equal(&r->names[i].name, name))
			return true;
	return false;
}

static int replace(struct repack *r, struct hr_err *e)
{
	if (move_packs(r, e) < 0)
		return -1;
	for (size_t i = 0; i < r->n; i++)
		if (r->packs[i].replace && !is_new(r, &r->packs[i].name) &&
		    store_repack_mark(r->o->st, &r->packs[i].name, e) < 0)
			return -1;
	if (store_sync_names(r->o->st, e) < 0 ||
	    rewrite_locs(r, STORE_LAYER_LOC, &r->layers, e) < 0 ||
	    rewrite_locs(r, STORE_INDEX_LOC, &r->indexes, e) < 0)
		return -1;
	return store_sync_names(r->o->st, e);
}

static void release(struct repack *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->packs[i].used);
		free(r->packs[i].moved);
	}
	for (uint32_t i = 0; i < r->n_new; i++)
		store_pack_free(r->writers[i]);
	free(r->packs);
	free(r->writers);
	free(r->names);
	store_digest_set_release(&r->layers);
	store_digest_set_release(&r->indexes);
	store_pack_reader_free(r->reader);
	free(r->plain);
}

int store_repack(const struct store_repack_options *o, struct store_repack_result *out,
		 struct hr_err *e)
{
	struct repack r = { .o = o, .out = out };
	struct store_lease *lease = NULL;
	int done;

	memset(out, 0, sizeof(*out));
	if (!o->dry &&
	    store_lease_take(o->st, STORE_LEASE_GC, NULL, o->cancel, NULL, &lease, e) < 0)
		return -1;
	done = survey(&r, e);
	if (done == 0 && !o->dry && out->replaced > 0)
		done = replace(&r, e);
	store_lease_release(lease);
	release(&r);
	return done < 0 ? hr_wrap(e, "cannot compact store '%s'", o->st->path) : 0;
}
