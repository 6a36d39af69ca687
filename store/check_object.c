/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/check_parts.h"
#include "store/dict_segment.h"
#include "store/index.h"
#include "store/layer.h"
#include "store/meta.h"
#include "store/trace.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define ANY_SIZE (SIZE_MAX / 2)

/* Read an object. False when it is gone, or damaged, which was told then. */
static bool read_object(struct check *ck, enum store_kind kind, const struct fetch_digest *d,
			uint64_t limit, struct hr_buf *b)
{
	struct hr_err e = { 0 };

	if (store_object_read(ck->o->st, kind, d, limit, b, &e) == 0) {
		check_count_bytes(ck, b->len);
		return true;
	}
	if (e.kind != HR_NOTFOUND)
		check_damaged(ck, kind, d, &e);
	return false;
}

/* The same for what something reaches: that it is not there is damage. */
static bool need_object(struct check *ck, enum store_kind kind, const struct fetch_digest *d,
			uint64_t limit, struct hr_buf *b)
{
	struct hr_err e = { 0 };

	if (store_object_exists(ck->o->st, kind, d))
		return read_object(ck, kind, d, limit, b);
	hr_fail(&e, HR_NOTFOUND, 0, "it is missing");
	check_damaged(ck, kind, d, &e);
	return false;
}

static int check_digest(const struct hr_buf *b, const struct fetch_digest *d, struct hr_err *e)
{
	struct fetch_digest got;
	char hex[FETCH_DIGEST_HEX];

	fetch_digest_of(b->p, b->len, &got);
	if (fetch_digest_equal(&got, d))
		return 0;
	return hr_fail(e, HR_CORRUPT, 0, "its digest is %s", fetch_digest_hex(&got, hex));
}

/* ---- locations ---- */

/* The chunks that are located: of a layer or of an image. */
struct located {
	const struct store_layer *layer; /* or */
	const struct store_index *index;
	uint32_t n;
};

static bool get_chunk(const struct located *l, uint32_t i, struct store_chunk *out)
{
	if (l->index)
		return store_index_chunk(l->index, i, out);
	*out = store_layer_chunk(l->layer, i);
	return true;
}

static void want_frame(struct check_pack *p, uint32_t frame)
{
	pthread_mutex_lock(&p->lock);
	if (!p->wanted)
		p->wanted = hr_xmalloc((size_t)p->n + 1);
	p->wanted[frame] = 1;
	pthread_mutex_unlock(&p->lock);
}

/* Each chunk where its pack's table says that it is? */
static int check_rows(struct check *ck, const struct located *l, const struct store_loc *loc,
		      const char *path, struct hr_err *e)
{
	hr_autofree struct check_pack **packs = hr_xmalloc((loc->n_packs + 1) * sizeof(*packs));

	for (uint32_t i = 0; i < loc->n_packs; i++) {
		struct store_loc_pack k = store_loc_pack(loc, i);

		packs[i] = check_pack_get(ck, &k.name, path);
		if (packs[i] && packs[i]->n != k.frames)
			return hr_fail(e, HR_CORRUPT, 0, "pack %u has %u frames, not %u", i,
				       packs[i]->n, k.frames);
	}
	for (uint32_t i = 0; i < loc->n_chunks; i++) {
		struct store_loc_chunk where = store_loc_chunk(loc, i);
		struct check_pack *p = packs[where.pack];
		struct store_chunk chunk;

		if (!p || !get_chunk(l, i, &chunk))
			continue;
		if (check_place(p, &where, &chunk.digest, e) < 0)
			return hr_wrap(e, "chunk %u", i);
		if (ck->some_frames && l->index)
			want_frame(p, where.frame);
	}
	return 0;
}

static void check_loc(struct check *ck, enum store_kind kind, const struct fetch_digest *d,
		      const struct located *l)
{
	hr_autobuf struct hr_buf b = { 0 };
	char path[STORE_OBJECT_PATH];
	struct hr_err e = { 0 };
	struct store_loc loc;

	store_object_path(kind, d, path);
	if (!need_object(ck, kind, d, ANY_SIZE, &b))
		return;
	if (store_loc_parse(b.p, b.len, l->n, &loc, &e) < 0 ||
	    check_rows(ck, l, &loc, path, &e) < 0)
		check_damaged(ck, kind, d, &e);
}

static void check_layer(struct check *ck, const struct fetch_digest *d)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct located l = { 0 };
	struct store_layer layer;
	struct hr_err e = { 0 };

	if (!read_object(ck, STORE_LAYER, d, ANY_SIZE, &b))
		return;
	if (store_layer_parse(b.p, b.len, &layer, &e) < 0 ||
	    (!fetch_digest_equal(&layer.diff_id, d) &&
	     hr_fail(&e, HR_CORRUPT, 0, "it is of another layer") < 0)) {
		check_damaged(ck, STORE_LAYER, d, &e);
		return;
	}
	l.layer = &layer;
	l.n = layer.n_chunks;
	check_loc(ck, STORE_LAYER_LOC, d, &l);
}

static void check_index(struct check *ck, const struct fetch_digest *d)
{
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	hr_autobuf struct hr_buf b = { 0 };
	struct located l = { 0 };
	struct hr_err e = { 0 };

	if (!read_object(ck, STORE_INDEX, d, ANY_SIZE, &b))
		return;
	if (check_digest(&b, d, &e) < 0 || store_index_parse(b.p, b.len, &ix, &e) < 0) {
		check_damaged(ck, STORE_INDEX, d, &e);
		return;
	}
	l.index = ix;
	l.n = store_index_chunks(ix);
	check_loc(ck, STORE_INDEX_LOC, d, &l);
}

/* ---- records ---- */

/* What an image record was made from. */
struct origins {
	struct hr_buf manifest_doc, config_doc, loc_file, index_file;
	struct fetch_manifest manifest;
	struct fetch_config config;
	struct store_index *ix;
	struct store_loc loc;
};

static void origins_release(struct origins *o)
{
	hr_buf_release(&o->manifest_doc);
	hr_buf_release(&o->config_doc);
	hr_buf_release(&o->loc_file);
	hr_buf_release(&o->index_file);
	fetch_manifest_release(&o->manifest);
	fetch_config_release(&o->config);
	store_index_free(o->ix);
}

/* Read them; false when one of them is damaged, which is told where it is checked itself. */
static bool read_origins(struct check *ck, const struct fetch_digest *manifest,
			 const struct fetch_digest *index, struct origins *o)
{
	struct hr_err e = { 0 };

	return need_object(ck, STORE_DOC, manifest, FETCH_MANIFEST_LIMIT, &o->manifest_doc) &&
	       check_digest(&o->manifest_doc, manifest, &e) == 0 &&
	       fetch_manifest_parse(o->manifest_doc.p, o->manifest_doc.len, &o->manifest, &e) ==
		       0 &&
	       need_object(ck, STORE_DOC, &o->manifest.config.digest, FETCH_CONFIG_LIMIT,
			   &o->config_doc) &&
	       check_digest(&o->config_doc, &o->manifest.config.digest, &e) == 0 &&
	       fetch_config_parse(o->config_doc.p, o->config_doc.len, &o->config, &e) == 0 &&
	       o->config.n_diff_ids == o->manifest.n_layers &&
	       need_object(ck, STORE_INDEX, index, ANY_SIZE, &o->index_file) &&
	       check_digest(&o->index_file, index, &e) == 0 &&
	       store_index_parse(o->index_file.p, o->index_file.len, &o->ix, &e) == 0 &&
	       need_object(ck, STORE_INDEX_LOC, index, ANY_SIZE, &o->loc_file) &&
	       store_loc_parse(o->loc_file.p, o->loc_file.len, store_index_chunks(o->ix), &o->loc,
			       &e) == 0 &&
	       !check_is_told(ck, STORE_INDEX_LOC, index);
}

/* The record as an import would write it. */
static void make_record(const struct origins *o, const struct fetch_digest *index,
			struct hr_buf *out)
{
	hr_autofree struct store_record_layer *layers =
		hr_xmalloc((o->manifest.n_layers + 1) * sizeof(*layers));
	struct store_image_record r = { .index = *index,
					.config = o->manifest.config.digest,
					.created = o->config.created,
					.size = store_index_file_bytes(o->ix),
					.layers = layers,
					.n_layers = o->manifest.n_layers };

	for (size_t i = 0; i < r.n_layers; i++) {
		layers[i] = (struct store_record_layer) { o->config.diff_ids[i],
							  o->manifest.layers[i].digest };
		r.compressed += o->manifest.layers[i].size;
	}
	for (uint32_t i = 0; i < o->loc.n_chunks; i++)
		r.occupies += store_loc_chunk(&o->loc, i).frame_len;
	store_image_record_write(&r, out);
}

static int check_owner(const struct origins *o, const struct fetch_digest *manifest,
		       struct hr_err *e)
{
	struct fetch_digest of;

	store_index_manifest(o->ix, &of);
	return fetch_digest_equal(&of, manifest)
		       ? 0
		       : hr_fail(e, HR_CORRUPT, 0, "it names the index of another image");
}

/* The layers of an image, with their aliases: pull wants them, if programs do not. */
static void need_layers(struct check *ck, const struct store_image_record *r)
{
	for (size_t i = 0; i < r->n_layers; i++) {
		const struct {
			enum store_kind kind;
			const struct fetch_digest *d;
		} parts[] = { { STORE_LAYER, &r->layers[i].diff_id },
			      { STORE_BLOB, &r->layers[i].blob } };

		for (size_t k = 0; k < HR_COUNT(parts); k++) {
			struct hr_err e = { 0 };

			if (store_object_exists(ck->o->st, parts[k].kind, parts[k].d))
				continue;
			hr_fail(&e, HR_NOTFOUND, 0, "it is missing");
			check_damaged(ck, parts[k].kind, parts[k].d, &e);
		}
	}
}

static void check_image(struct check *ck, const struct fetch_digest *d)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record r = { 0 };
	HR_CLEANUP(origins_release) struct origins o = { 0 };
	hr_autobuf struct hr_buf b = { 0 }, made = { 0 };
	struct hr_err e = { 0 };

	if (!read_object(ck, STORE_IMAGE, d, STORE_RECORD_LIMIT, &b))
		return;
	if (store_image_record_parse(b.p, b.len, &r, &e) < 0) {
		check_damaged(ck, STORE_IMAGE, d, &e);
		return;
	}
	need_layers(ck, &r);
	if (!read_origins(ck, d, &r.index, &o))
		return;
	make_record(&o, &r.index, &made);
	if (check_owner(&o, d, &e) < 0 ||
	    ((made.len != b.len || memcmp(made.p, b.p, b.len) != 0) &&
	     hr_fail(&e, HR_CORRUPT, 0, "it does not say what the image's documents say") < 0))
		check_damaged(ck, STORE_IMAGE, d, &e);
}

/* The three parts against the three files, whose own damage is told where they are checked. */
static int check_parts(struct check *ck, const struct store_meta *m,
		       const struct fetch_digest *manifest, struct hr_err *e)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record r = { 0 };
	hr_autobuf struct hr_buf record = { 0 }, loc = { 0 };

	if (store_image_record_parse(m->record.p, m->record.len, &r, e) < 0 ||
	    check_digest(&m->index, &r.index, e) < 0)
		return -1;
	if (!read_object(ck, STORE_IMAGE, manifest, STORE_RECORD_LIMIT, &record) ||
	    !read_object(ck, STORE_INDEX_LOC, &r.index, ANY_SIZE, &loc))
		return 0;
	if (check_is_told(ck, STORE_IMAGE, manifest) ||
	    check_is_told(ck, STORE_INDEX_LOC, &r.index))
		return 0;
	if (record.len != m->record.len || memcmp(record.p, m->record.p, record.len) != 0)
		return hr_fail(e, HR_CORRUPT, 0, "it holds another record of the image");
	if (loc.len != m->loc.len || memcmp(loc.p, m->loc.p, loc.len) != 0)
		return hr_fail(e, HR_CORRUPT, 0, "it holds other locations of the image");
	return 0;
}

static void check_meta(struct check *ck, const struct fetch_digest *d)
{
	HR_CLEANUP(store_meta_release) struct store_meta m = { 0 };
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };

	if (!read_object(ck, STORE_META, d, ANY_SIZE, &b))
		return;
	if (store_meta_open(b.p, b.len, &m, &e) < 0 || check_parts(ck, &m, d, &e) < 0)
		check_damaged(ck, STORE_META, d, &e);
}

/* ---- the rest ---- */

static void check_doc(struct check *ck, const struct fetch_digest *d)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };

	if (read_object(ck, STORE_DOC, d, ANY_SIZE, &b) && check_digest(&b, d, &e) < 0)
		check_damaged(ck, STORE_DOC, d, &e);
}

static void check_blob(struct check *ck, const struct fetch_digest *d)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct store_blob_record r;
	struct hr_err e = { 0 };

	if (read_object(ck, STORE_BLOB, d, STORE_RECORD_LIMIT, &b) &&
	    store_blob_record_parse(b.p, b.len, &r, &e) < 0)
		check_damaged(ck, STORE_BLOB, d, &e);
}

/* A trace names its image; that of an image that is gone is nobody's. */
static void check_trace(struct check *ck, const struct fetch_digest *d)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record r = { 0 };
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	hr_autobuf struct hr_buf b = { 0 }, index = { 0 };
	hr_autofree uint32_t *order = NULL;
	struct hr_err e = { 0 }, none = { 0 };
	struct fetch_digest manifest;
	uint32_t n;

	if (!read_object(ck, STORE_TRACE, d, ANY_SIZE, &b))
		return;
	if (store_trace_manifest(b.p, b.len, &manifest, &e) < 0) {
		check_damaged(ck, STORE_TRACE, d, &e);
		return;
	}
	if (store_image_record_read(ck->o->st, &manifest, &r, &none) < 0 ||
	    store_object_read(ck->o->st, STORE_INDEX, &r.index, ANY_SIZE, &index, &none) < 0 ||
	    store_index_parse(index.p, index.len, &ix, &none) < 0)
		return;
	if (store_trace_parse(b.p, b.len, ix, &order, &n, &e) < 0)
		check_damaged(ck, STORE_TRACE, d, &e);
}

/* Packs that are gone may be named. */
static int check_dict_rows(struct check *ck, const struct store_dict_segment *s, struct hr_err *e)
{
	struct fetch_digest chunk, packs;
	struct store_loc_chunk where;
	struct store_loc_pack pack;

	fetch_digest_of(s->packs, (size_t)s->n_packs * STORE_LOC_PACK_BYTES, &packs);
	if (!fetch_digest_equal(&packs, &s->name))
		return hr_fail(e, HR_CORRUPT, 0, "its packs have another digest than its name");
	for (uint32_t i = 0; i < s->n; i++) {
		struct check_pack *p;

		if (store_dict_segment_record(s, i, &chunk, &where, e) < 0)
			return hr_wrap(e, "record %u", i);
		pack = store_dict_segment_pack(s, where.pack);
		p = check_pack_find(ck, &pack.name);
		if (p && check_place(p, &where, &chunk, e) < 0)
			return hr_wrap(e, "record %u", i);
	}
	return 0;
}

static void check_dict(struct check *ck, const struct fetch_digest *d)
{
	struct store_dict_segment s = { 0 };
	struct hr_err e = { 0 };
	int r = store_dict_segment_open(ck->o->st, d, &s, &e);

	if (r == 0) {
		check_count_bytes(ck, s.bytes);
		r = check_dict_rows(ck, &s, &e);
		store_dict_segment_close(&s);
	}
	if (r < 0 && e.kind != HR_NOTFOUND)
		check_damaged(ck, STORE_DICT, d, &e);
}

void check_object(struct check *ck, enum store_kind kind, const struct fetch_digest *d)
{
	static void (*const checks[STORE_KINDS])(struct check * ck,
						 const struct fetch_digest *d) = {
		[STORE_DOC] = check_doc,     [STORE_BLOB] = check_blob, [STORE_LAYER] = check_layer,
		[STORE_IMAGE] = check_image, [STORE_META] = check_meta, [STORE_INDEX] = check_index,
		[STORE_TRACE] = check_trace, [STORE_DICT] = check_dict,
	};

	HR_BUG_ON(!checks[kind]);
	checks[kind](ck, d);
}
