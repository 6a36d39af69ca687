/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/local_cache.h"

#include <pthread.h>
#include <stdatomic.h>

#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

/*
 * What one session adds at most: the start of a large program, not a scan of the whole image, which
 * would only write everything once more.
 */
#define KEPT_MAX (UINT64_C(512) << 20)

struct store_local_cache {
	struct store_cache *cache;
	struct store_image *img;
	const struct store_loc *loc; /* of it */
	struct store_chunk_source below;
	atomic_uint_least64_t kept; /* bytes */
	pthread_mutex_t lock;	    /* of opening packs */
	struct pack {
		_Atomic(struct store_cache_pack *) open;
		bool failed;
	} * packs; /* by number in the location file */
};

struct store_local_cache *store_local_cache_new(struct store_cache *cache, struct store_image *img)
{
	const struct store_loc *loc = store_image_loc(img);
	struct store_local_cache *c = hr_xmalloc(sizeof(*c));

	c->cache = cache;
	c->img = img;
	c->loc = loc;
	atomic_init(&c->kept, 0);
	pthread_mutex_init(&c->lock, NULL);
	c->packs = hr_xmalloc(((size_t)loc->n_packs + 1) * sizeof(*c->packs));
	return c;
}

/* The pack's place in the cache, opened when it is used first; NULL when it cannot be had. */
static struct store_cache_pack *pack_of(struct store_local_cache *c, uint32_t number)
{
	struct pack *p = &c->packs[number];
	struct store_loc_pack what = store_loc_pack(c->loc, number);
	struct store_cache_pack *open = atomic_load(&p->open);
	struct hr_err e = { 0 };

	if (open)
		return open;
	pthread_mutex_lock(&c->lock);
	if (!atomic_load(&p->open) && !p->failed) {
		p->failed = store_cache_pack_open(c->cache, &what.name, what.frames, &open, &e) < 0;
		if (p->failed)
			hr_debug("not cached: %s", e.text);
		else
			atomic_store(&p->open, open);
	}
	open = atomic_load(&p->open);
	pthread_mutex_unlock(&c->lock);
	return open;
}

static bool plain(void *arg, uint32_t chunk, uint8_t *out, uint32_t bytes)
{
	struct store_local_cache *c = arg;
	struct store_loc_chunk at = store_loc_chunk(c->loc, chunk);
	struct store_cache_pack *pack = pack_of(c, at.pack);
	struct hr_err e = { 0 }; /* the store has it */

	if (!pack || !store_cache_has(pack, at.frame))
		return false;
	return store_cache_get(pack, at.frame, at.plain_off, out, bytes, &e) == 0;
}

static void damaged(void *arg, uint32_t chunk)
{
	struct store_local_cache *c = arg;
	struct store_loc_chunk at = store_loc_chunk(c->loc, chunk);

	hr_warn("a cached chunk is damaged and is read from the store again");
	store_cache_drop(pack_of(c, at.pack), at.frame);
}

static void keep(void *arg, uint32_t chunk, const uint8_t *p, uint32_t bytes)
{
	struct store_local_cache *c = arg;
	struct store_loc_chunk at = store_loc_chunk(c->loc, chunk);
	struct store_cache_pack *pack = pack_of(c, at.pack);
	struct hr_err e = { 0 }; /* a full disk: the next session decompresses again */

	if (!pack || atomic_fetch_add(&c->kept, bytes) + bytes > KEPT_MAX)
		return;
	if (store_cache_put(pack, at.frame, at.plain_off, p, bytes, &e) < 0)
		hr_debug("not cached: %s", e.text);
}

static int frame(void *arg, uint32_t chunk, uint8_t *out, size_t cap, size_t *len, struct hr_err *e)
{
	struct store_local_cache *c = arg;

	return c->below.frame(c->below.arg, chunk, out, cap, len, e);
}

static int open_frame(void *arg, ZSTD_DCtx *zstd, const uint8_t *frame_bytes, size_t len,
		      const struct store_chunk *want, uint8_t *out, struct hr_err *e)
{
	struct store_local_cache *c = arg;

	return c->below.open(c->below.arg, zstd, frame_bytes, len, want, out, e);
}

static void learn(void *arg, uint32_t chunk, uint64_t crc)
{
	struct store_local_cache *c = arg;

	c->below.learn(c->below.arg, chunk, crc);
}

static void where(void *arg, uint32_t chunk, struct hr_buf *out)
{
	struct store_local_cache *c = arg;

	c->below.where(c->below.arg, chunk, out);
}

struct store_chunk_source store_local_cache_wrap(struct store_local_cache *c,
						 const struct store_chunk_source *source)
{
	c->below = *source;
	return (struct store_chunk_source) { .frame = frame,
					     .open = source->open ? open_frame : NULL,
					     .learn = source->learn ? learn : NULL,
					     .where = where,
					     .plain = plain,
					     .damaged = damaged,
					     .keep = keep,
					     .arg = c };
}

void store_local_cache_moved(void *arg, uint32_t chunk, uint32_t bytes,
			     const struct store_cache_at *to)
{
	struct store_local_cache *c = arg;
	struct store_loc_chunk at = store_loc_chunk(c->loc, chunk);
	struct store_cache_pack *pack = pack_of(c, at.pack);

	if (pack)
		store_cache_move(pack, at.frame, at.plain_off, bytes, to);
}
