/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/refill.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/frame.h"
#include "store/idmap.h"
#include "store/import_stream.h"
#include "store/layer.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define TURN_WAIT_MS	  600000     /* a large layer takes its time; the other may be stopped */
#define LAYER_INDEX_LIMIT UINT32_MAX /* bytes */
#define ROOMS_MAX	  4	     /* kept for the next chunks; the cutter has two in use */

struct refill {
	const struct store_refill *o;
	struct store_idmap by_digest;	 /* the chunks of the image */
	bool *wanted;			 /* by chunk */
	size_t left;			 /* of those */
	struct store_cache_pack **packs; /* by number in the location file; opened when used */
	uint8_t *rooms[ROOMS_MAX];
	size_t n_rooms;
};

static void release(struct refill *r)
{
	for (uint32_t i = 0; r->packs && i < r->o->loc->n_packs; i++)
		store_cache_pack_close(r->packs[i]);
	while (r->n_rooms > 0)
		free(r->rooms[--r->n_rooms]);
	free(r->packs);
	free(r->wanted);
	store_idmap_release(&r->by_digest);
}

static bool same_chunk(const void *ctx, uint32_t id, const void *key, size_t n)
{
	struct store_chunk c;

	return store_index_chunk(ctx, id, &c) && memcmp(c.digest.b, key, n) == 0;
}

static bool find(struct refill *r, const struct fetch_digest *d, uint32_t *chunk)
{
	uint64_t hash = store_idmap_hash(&r->by_digest, d->b, sizeof(d->b));

	return store_idmap_find(&r->by_digest, hash, same_chunk, r->o->ix, d->b, sizeof(d->b),
				chunk);
}

static int init(struct refill *r, const uint32_t *chunks, size_t n, struct hr_err *e)
{
	uint32_t all = store_index_chunks(r->o->ix);

	r->wanted = hr_xmalloc((size_t)all + 1);
	r->packs = hr_xmalloc(((size_t)r->o->loc->n_packs + 1) * sizeof(struct store_cache_pack *));
	for (uint32_t i = 0; i < all; i++) {
		struct store_chunk c;

		if (!store_index_chunk(r->o->ix, i, &c))
			return hr_fail(e, HR_CORRUPT, 0, "the image index is damaged");
		store_idmap_add(&r->by_digest,
				store_idmap_hash(&r->by_digest, c.digest.b, sizeof(c.digest.b)), i);
	}
	for (size_t i = 0; i < n; i++) {
		if (chunks[i] >= all)
			return hr_fail(e, HR_USAGE, 0, "the image has no chunk %u", chunks[i]);
		r->left += !r->wanted[chunks[i]];
		r->wanted[chunks[i]] = true;
	}
	return 0;
}

/* ---- the node cache ---- */

/* Where the cache keeps the chunk, or NULL. */
static struct store_cache_pack *pack_of(struct refill *r, const struct store_loc_chunk *at)
{
	struct store_loc_pack name = store_loc_pack(r->o->loc, at->pack);
	struct hr_err e = { 0 }; /* a full disk: what was asked for is found all the same */

	if (r->o->cache && !r->packs[at->pack] &&
	    store_cache_pack_open(r->o->cache, &name.name, name.frames, &r->packs[at->pack], &e) <
		    0)
		hr_debug("not cached: %s", e.text);
	return r->packs[at->pack];
}

static int give(struct refill *r, uint32_t chunk, const uint8_t *p, uint32_t bytes,
		struct hr_err *e)
{
	if (!r->wanted[chunk])
		return 0;
	r->wanted[chunk] = false;
	r->left--;
	return r->o->found(r->o->arg, chunk, p, bytes, e);
}

static int keep(struct refill *r, uint32_t chunk, const uint8_t *p, uint32_t bytes,
		struct hr_err *e)
{
	struct store_loc_chunk at = store_loc_chunk(r->o->loc, chunk);
	struct store_cache_pack *pack = pack_of(r, &at);
	struct hr_err full = { 0 };

	if (pack && !store_cache_has(pack, at.frame) &&
	    store_cache_put(pack, at.frame, at.plain_off, p, bytes, &full) < 0)
		hr_debug("not cached: %s", full.text);
	return give(r, chunk, p, bytes, e);
}

/* What another process brought meanwhile. */
static int take_cached(struct refill *r, struct hr_err *e)
{
	hr_autofree uint8_t *buf = hr_xmalloc(STORE_CHUNK_MAX);

	for (uint32_t i = 0; i < store_index_chunks(r->o->ix) && r->left > 0; i++) {
		struct store_loc_chunk at = store_loc_chunk(r->o->loc, i);
		struct store_cache_pack *pack = r->wanted[i] ? pack_of(r, &at) : NULL;
		struct hr_err damaged = { 0 }; /* then it is looked for in the layers */
		struct store_chunk c;

		if (!pack || !store_cache_has(pack, at.frame) ||
		    !store_index_chunk(r->o->ix, i, &c))
			continue;
		if (store_cache_get(pack, at.frame, at.plain_off, buf, c.bytes, &damaged) < 0 ||
		    store_frame_verify(&c, buf, fetch_digest_of, &damaged) < 0)
			store_cache_drop(pack, at.frame);
		else if (give(r, i, buf, c.bytes, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- the chunks of a layer pass by ---- */

static uint8_t *on_room(void *arg, struct hr_err *e)
{
	struct refill *r = arg;

	(void)e;
	return r->n_rooms > 0 ? r->rooms[--r->n_rooms] : hr_xmalloc(STORE_CHUNK_MAX);
}

static void on_drop(void *arg, uint8_t *room)
{
	struct refill *r = arg;

	if (r->n_rooms < ROOMS_MAX)
		r->rooms[r->n_rooms++] = room;
	else
		free(room);
}

static int on_chunk(void *arg, uint32_t ticket, uint8_t *room, uint32_t n, struct hr_err *e)
{
	struct refill *r = arg;
	struct fetch_digest d;
	uint32_t chunk;
	int failed = 0;

	(void)ticket;
	fetch_digest_of(room, n, &d);
	if (find(r, &d, &chunk))
		failed = keep(r, chunk, room, n, e);
	on_drop(r, room);
	return failed;
}

static int fetch_layer(struct refill *r, const struct fetch_descriptor *blob, struct hr_err *e)
{
	struct store_import_registry registry = { r->o->client, r->o->ref };
	struct store_import_source source = store_import_registry_source(&registry);
	struct store_import_stream s = { .source = &source,
					 .blob = blob,
					 .max_bytes = r->o->max_bytes,
					 .room = on_room,
					 .chunk = on_chunk,
					 .drop = on_drop,
					 .arg = r };
	hr_autofd int turn =
		r->o->cache ? store_cache_turn(r->o->cache, &blob->digest, TURN_WAIT_MS) : -1;
	char text[FETCH_DIGEST_TEXT];
	int failed = take_cached(r, e);

	(void)turn; /* held until the end of this function */
	if (failed == 0 && r->left > 0)
		failed = store_import_stream_run(&s, e);
	store_import_rows_release(&s.rows);
	return failed ? hr_wrap(e, "layer %s", fetch_digest_text(&blob->digest, text)) : 0;
}

/* ---- which layers? ---- */

static int read_layer_index(const struct refill *r, const struct fetch_digest *diff_id,
			    struct hr_buf *b, struct hr_err *e)
{
	HR_CLEANUP(store_closep) struct store *st = NULL;
	char path[STORE_OBJECT_PATH];
	hr_autofree char *url = NULL;

	if (!r->o->advisor)
		return hr_fail(e, HR_NOTFOUND, 0, "no store to ask");
	if (store_is_url(r->o->advisor)) {
		url = hr_xasprintf("%s/%s", r->o->advisor,
				   store_object_path(STORE_LAYER, diff_id, path));
		return fetch_web_read(r->o->client, url, LAYER_INDEX_LIMIT, b, e);
	}
	if (store_open(r->o->advisor, STORE_READ, r->o->trusted, &st, e) < 0)
		return -1;
	return store_object_read(st, STORE_LAYER, diff_id, LAYER_INDEX_LIMIT, b, e);
}

enum holds { HOLDS_NOTHING, HOLDS_SOME, HOLDS_UNKNOWN };

/* Whether a layer has a chunk that is still wanted. */
static enum holds look_into(struct refill *r, const struct fetch_digest *diff_id)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 }; /* advice only */
	struct store_layer layer;

	if (read_layer_index(r, diff_id, &b, &e) < 0 ||
	    store_layer_parse(b.p, b.len, &layer, &e) < 0) {
		hr_debug("what is in a layer is not known: %s", e.text);
		return HOLDS_UNKNOWN;
	}
	for (uint32_t i = 0; i < layer.n_chunks; i++) {
		struct store_chunk c = store_layer_chunk(&layer, i);
		uint32_t chunk;

		if (find(r, &c.digest, &chunk) && r->wanted[chunk])
			return HOLDS_SOME;
	}
	return HOLDS_NOTHING;
}

/* The layers that are known to hold something first; then those of which nothing is known. */
static int fetch_layers(struct refill *r, const struct fetch_manifest *m,
			const struct fetch_config *c, struct hr_err *e)
{
	hr_autofree enum holds *holds = hr_xmalloc((m->n_layers + 1) * sizeof(*holds));

	for (size_t i = 0; i < m->n_layers && r->left > 0; i++) {
		holds[i] = look_into(r, &c->diff_ids[i]);
		if (holds[i] == HOLDS_SOME && fetch_layer(r, &m->layers[i], e) < 0)
			return -1;
	}
	for (size_t i = 0; i < m->n_layers && r->left > 0; i++)
		if (holds[i] == HOLDS_UNKNOWN && fetch_layer(r, &m->layers[i], e) < 0)
			return -1;
	if (r->left > 0)
		return hr_fail(e, HR_NOTFOUND, 0,
			       "chunks of the image that are in none of its layers: %zu", r->left);
	return 0;
}

static int run(struct refill *r, struct hr_err *e)
{
	HR_CLEANUP(fetch_manifest_release) struct fetch_manifest m = { 0 };
	HR_CLEANUP(fetch_config_release) struct fetch_config c = { 0 };
	hr_autobuf struct hr_buf doc = { 0 };
	struct fetch_digest digest;
	const uint8_t *config;
	size_t len;

	config = store_index_config(r->o->ix, &len);
	if (take_cached(r, e) < 0)
		return -1;
	if (r->left == 0)
		return 0;
	if (fetch_manifest_get(r->o->client, r->o->ref, &doc, &digest, e) < 0 ||
	    fetch_manifest_parse(doc.p, doc.len, &m, e) < 0 ||
	    fetch_config_parse(config, len, &c, e) < 0)
		return -1;
	if (c.n_diff_ids != m.n_layers)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the manifest has %zu layer%s, the image config %zu", m.n_layers,
			       HR_PLURAL(m.n_layers), c.n_diff_ids);
	return fetch_layers(r, &m, &c, e);
}

int store_refill_run(const struct store_refill *o, const uint32_t *chunks, size_t n,
		     struct hr_err *e)
{
	HR_CLEANUP(release) struct refill r = { .o = o };

	if (init(&r, chunks, n, e) < 0)
		return -1;
	return run(&r, e);
}
