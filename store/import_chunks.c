/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/import_chunks.h"

#include <stdlib.h>
#include <string.h>

#include "store/idmap.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define NO_PACK UINT32_MAX

struct pack {
	struct store_loc_pack name;
	bool published;
};

struct store_import_chunks {
	struct store_chunk *chunks;
	struct store_loc_chunk *where; /* pack NO_PACK: not placed yet */
	uint32_t n;
	size_t cap;
	struct store_idmap by_digest;
	struct pack *packs;
	uint32_t n_packs;
	size_t cap_packs;
	struct store_idmap by_name; /* packs that were there before */
};

struct store_import_chunks *store_import_chunks_new(void)
{
	return hr_xmalloc(sizeof(struct store_import_chunks));
}

void store_import_chunks_free(struct store_import_chunks *c)
{
	if (!c)
		return;
	free(c->chunks);
	free(c->where);
	free(c->packs);
	store_idmap_release(&c->by_digest);
	store_idmap_release(&c->by_name);
	free(c);
}

static bool same_chunk(const void *ctx, uint32_t id, const void *key, size_t n)
{
	const struct store_import_chunks *c = ctx;

	return memcmp(c->chunks[id].digest.b, key, n) == 0;
}

static bool same_pack(const void *ctx, uint32_t id, const void *key, size_t n)
{
	const struct store_import_chunks *c = ctx;

	return memcmp(c->packs[id].name.name.b, key, n) == 0;
}

uint32_t store_import_chunks_add_pack(struct store_import_chunks *c)
{
	c->packs = hr_xgrow(c->packs, c->n_packs, &c->cap_packs, sizeof(*c->packs));
	memset(&c->packs[c->n_packs], 0, sizeof(*c->packs));
	return c->n_packs++;
}

void store_import_chunks_publish_pack(struct store_import_chunks *c, uint32_t pack,
				      const struct store_loc_pack *name)
{
	c->packs[pack] = (struct pack) { *name, true };
}

/* The number of a pack that was there before. */
static uint32_t known_pack(struct store_import_chunks *c, const struct store_loc_pack *in)
{
	uint64_t hash = store_idmap_hash(&c->by_name, in->name.b, sizeof(in->name.b));
	uint32_t id;

	if (store_idmap_find(&c->by_name, hash, same_pack, c, in->name.b, sizeof(in->name.b), &id))
		return id;
	id = store_import_chunks_add_pack(c);
	store_import_chunks_publish_pack(c, id, in);
	store_idmap_add(&c->by_name, hash, id);
	return id;
}

uint32_t store_import_chunks_add(struct store_import_chunks *c, const struct store_chunk *chunk,
				 const struct store_loc_chunk *known,
				 const struct store_loc_pack *in, bool *fresh)
{
	const uint8_t *key = chunk->digest.b;
	uint64_t hash = store_idmap_hash(&c->by_digest, key, FETCH_DIGEST_LEN);
	uint32_t id;
	size_t cap;

	*fresh = false;
	if (store_idmap_find(&c->by_digest, hash, same_chunk, c, key, FETCH_DIGEST_LEN, &id))
		return id;
	cap = c->cap; /* of both */
	c->chunks = hr_xgrow(c->chunks, c->n, &cap, sizeof(*c->chunks));
	c->where = hr_xgrow(c->where, c->n, &c->cap, sizeof(*c->where));
	id = c->n++;
	c->chunks[id] = *chunk;
	store_idmap_add(&c->by_digest, hash, id);
	*fresh = known == NULL;
	c->where[id] = known ? *known : (struct store_loc_chunk) { .pack = NO_PACK };
	if (known)
		c->where[id].pack = known_pack(c, in);
	return id;
}

void store_import_chunks_place(struct store_import_chunks *c, uint32_t id,
			       const struct store_loc_chunk *where)
{
	c->where[id] = *where;
}

bool store_import_chunks_ready(const struct store_import_chunks *c, uint32_t id)
{
	return c->where[id].pack != NO_PACK && c->packs[c->where[id].pack].published;
}

const struct store_chunk *store_import_chunks_all(const struct store_import_chunks *c, uint32_t *n)
{
	*n = c->n;
	return c->chunks;
}

void store_import_chunks_loc(const struct store_import_chunks *c, const uint32_t *ids, uint32_t n,
			     struct hr_buf *out)
{
	hr_autofree struct store_loc_chunk *where = hr_xmalloc((size_t)n * sizeof(*where));
	hr_autofree struct store_loc_pack *packs = hr_xmalloc(c->n_packs * sizeof(*packs));
	hr_autofree uint32_t *number = hr_xmalloc(c->n_packs * sizeof(*number));
	uint32_t n_packs = 0;

	memset(number, 0xff, c->n_packs * sizeof(*number));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t pack = c->where[ids[i]].pack;

		if (number[pack] == NO_PACK) {
			packs[n_packs] = c->packs[pack].name;
			number[pack] = n_packs++;
		}
		where[i] = c->where[ids[i]];
		where[i].pack = number[pack];
	}
	store_loc_write(packs, n_packs, where, n, out);
}
