/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store with an image of a few chunks whose pack is lost, and an empty node cache, for tests of
 * where chunks come from then.
 */
#ifndef TESTS_UNIT_CHUNK_RIG_H
#define TESTS_UNIT_CHUNK_RIG_H

#include "store/cache.h"
#include "store/image.h"

/*
 * Of 1000 bytes, but LARGEST, of as many as a chunk can have, and the two that are not what the
 * index says of them: one has its check sum alone, the other its digest alone.
 */
enum { LARGEST = 3, BY_CRC_ALONE, BY_DIGEST_ALONE, CHUNKS = 8 };

struct chunk_rig {
	char top[64]; /* with "store" and "cache" */
	char store_path[80], cache_path[80];
	struct store *st;
	struct store_image *img;
	struct store_cache *cache;
	struct store_cache_pack *pack; /* of all chunks, in the cache */
};

extern struct chunk_rig rig;

/* Of the image; the digest that the config says of layer I is zeros but for I in the last place. */
#define CHUNK_RIG_LAYERS 3

/* For each test: MUST() of store_rig.h is used. */
int chunk_rig_setup(void **state);
int chunk_rig_teardown(void **state);

/* What a chunk is; *n receives its bytes. */
const uint8_t *chunk_rig_content(uint32_t chunk, uint32_t *n);

/* The cache has the chunk; WRONG: in its place other bytes. */
void chunk_rig_cache(uint32_t chunk, bool wrong);
bool chunk_rig_cached(uint32_t chunk);

/* The store has an image under this name, from a registry or from files; NULL: that of the rig. */
void chunk_rig_name(const char *name, bool fetched, const struct fetch_digest *manifest);

#endif
