/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/import_layer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/import_stream.h"
#include "store/lease.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

/* A layer under work. */
struct run {
	const struct store_import_options *o;
	struct store_import_layer *layer;
	struct store_import_layer_work *work;
	struct store_import_stream stream;
};

/* ---- chunks go to the work ---- */

static uint8_t *on_room(void *arg, struct hr_err *e)
{
	return store_import_work_room(arg, e);
}

static int on_chunk(void *arg, uint32_t ticket, uint8_t *buf, uint32_t n, struct hr_err *e)
{
	return store_import_work_chunk(arg, ticket, buf, n, e);
}

static void on_drop(void *arg, uint8_t *buf)
{
	store_import_work_drop(arg, buf);
}

static int check_diff_id(const struct run *r, struct hr_err *e)
{
	char got[FETCH_DIGEST_TEXT], want[FETCH_DIGEST_TEXT];

	if (fetch_digest_equal(&r->stream.diff_id, &r->layer->diff_id))
		return 0;
	return hr_fail(e, HR_CORRUPT, 0, "its DiffID is %s, the image config says %s",
		       fetch_digest_text(&r->stream.diff_id, got),
		       fetch_digest_text(&r->layer->diff_id, want));
}

/* The layer is verified: packs, then locations, then the index, and the alias last. */
static int publish(struct run *r, struct hr_err *e)
{
	const struct store_import_layer *layer = r->layer;
	struct store_blob_record alias = { layer->diff_id, layer->blob.size };
	hr_autobuf struct hr_buf index = { 0 }, loc = { 0 }, blob = { 0 };
	hr_autofree uint32_t *order = NULL;
	const struct store_chunk *chunks;
	const uint32_t *chunk_of;
	uint32_t n_chunks, n;

	if (store_import_layer_work_publish(r->work, e) < 0)
		return -1;
	store_import_layer_work_lock(r->work, &chunk_of, &chunks, &n_chunks);
	store_layer_build_finish(&r->stream.rows.builder, chunk_of, chunks, n_chunks,
				 r->stream.plain_bytes, &layer->diff_id, &index, &order, &n);
	store_import_layer_work_unlock(r->work);
	store_import_layer_work_loc(r->work, order, n, &loc);
	store_blob_record_write(&alias, &blob);
	if (store_object_write(r->o->st, STORE_LAYER_LOC, &layer->diff_id, loc.p, loc.len, e) < 0 ||
	    store_object_write(r->o->st, STORE_LAYER, &layer->diff_id, index.p, index.len, e) < 0)
		return -1;
	return store_object_write(r->o->st, STORE_BLOB, &layer->blob.digest, blob.p, blob.len, e);
}

static void warn_odd(const struct run *r)
{
	const struct store_import_rows *rows = &r->stream.rows;
	char text[FETCH_DIGEST_TEXT];

	if (rows->odd > 0)
		hr_warn("layer %s: entries that mean nothing were passed over: %" PRIu64
			", the first is '%s'",
			fetch_digest_text(&r->layer->blob.digest, text), rows->odd,
			rows->first_odd);
}

static int import(const struct store_import_options *o, struct store_import_work *w,
		  struct store_import_layer *layer, struct hr_err *e)
{
	struct run r = { .o = o,
			 .layer = layer,
			 .work = store_import_layer_work_new(w, &layer->sums) };
	int failed;

	layer->state = STORE_IMPORT_RUNNING;
	r.stream = (struct store_import_stream) { .source = o->source,
						  .blob = &layer->blob,
						  .max_bytes = o->max_bytes,
						  .stop = o->stop,
						  .got = &layer->got,
						  .room = on_room,
						  .chunk = on_chunk,
						  .drop = on_drop,
						  .arg = r.work };
	failed = store_import_stream_run(&r.stream, e) < 0 || check_diff_id(&r, e) < 0 ||
		 store_import_layer_work_wait(r.work, e) < 0 || publish(&r, e) < 0;
	if (!failed)
		warn_odd(&r);
	store_import_layer_work_free(r.work);
	store_import_rows_release(&r.stream.rows);
	return failed ? -1 : 0;
}

/* ---- is it here? ---- */

bool store_import_packs_are_here(const struct store *st, enum store_kind kind,
				 const struct fetch_digest *d, uint32_t *n_chunks)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err damaged = { 0 }; /* then it is made again */
	struct store_loc l;
	uint32_t n_packs;

	if (store_object_read(st, kind, d, SIZE_MAX / 2, &b, &damaged) < 0 ||
	    b.len < STORE_LOC_HEADER_BYTES ||
	    store_loc_header_parse(b.p, b.len, &n_packs, n_chunks, &damaged) < 0 ||
	    store_loc_parse(b.p, b.len, *n_chunks, &l, &damaged) < 0)
		return false;
	for (uint32_t i = 0; i < l.n_packs; i++) {
		struct store_loc_pack p = store_loc_pack(&l, i);

		if (!store_object_exists(st, STORE_PACK, &p.name) ||
		    store_object_exists(st, STORE_PACK_OLD, &p.name))
			return false;
	}
	return true;
}

bool store_import_layer_is_here(const struct store *st, const struct store_import_layer *layer)
{
	hr_autobuf struct hr_buf alias = { 0 }, index = { 0 };
	struct store_blob_record blob;
	struct hr_err damaged = { 0 }; /* then the layer is fetched again */
	struct store_layer l;
	uint32_t located;

	return store_object_read(st, STORE_BLOB, &layer->blob.digest, STORE_RECORD_LIMIT, &alias,
				 &damaged) == 0 &&
	       store_blob_record_parse(alias.p, alias.len, &blob, &damaged) == 0 &&
	       blob.size == layer->blob.size && fetch_digest_equal(&blob.layer, &layer->diff_id) &&
	       store_object_read(st, STORE_LAYER, &layer->diff_id, SIZE_MAX / 2, &index,
				 &damaged) == 0 &&
	       store_layer_parse(index.p, index.len, &l, &damaged) == 0 &&
	       store_import_packs_are_here(st, STORE_LAYER_LOC, &layer->diff_id, &located) &&
	       located == l.n_chunks;
}

int store_import_layer_run(const struct store_import_options *o, struct store_import_work *w,
			   struct store_import_layer *layer, struct hr_err *e)
{
	struct store_lease *lease = NULL;
	char text[FETCH_DIGEST_TEXT];
	int r = 0;

	if (store_lease_take(o->st, STORE_LEASE_IMPORT, &layer->blob.digest, o->stop, NULL, &lease,
			     e) < 0)
		return -1;
	if (!o->force && store_import_layer_is_here(o->st, layer)) {
		layer->state = STORE_IMPORT_HERE;
	} else {
		r = import(o, w, layer, e);
		if (r == 0)
			layer->state = STORE_IMPORT_DONE;
	}
	store_lease_release(lease);
	if (r < 0 && e->sys != EINTR)
		hr_wrap(e, "layer %s", fetch_digest_text(&layer->blob.digest, text));
	return r;
}
