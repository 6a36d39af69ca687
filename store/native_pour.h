/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large files of the node cache that are written while their chunks come, whatever the order: not
 * first to a pack and then, read and hashed again, to a file of their own (native_make.h).
 *
 * For: hpcrun prefetch, as store_pager_options.place. A chunk that is written is in the cache from
 * then on, through a reference of its pack, for all processes, and stays there when this one is
 * killed. Not for: files of which a chunk is there already, or belongs to another large file, too;
 * or that another process makes: their chunks go to the pack, and native_make.h makes them.
 *
 * Sequence: store_native_pour_new(); store_native_pour_place() for each chunk that comes;
 * store_native_pour_end().
 */
#ifndef STORE_NATIVE_POUR_H
#define STORE_NATIVE_POUR_H

#include <stdbool.h>
#include <stdint.h>

#include "store/cache.h"
#include "store/chunks.h"
#include "store/index.h"

struct store_native_pour;

struct store_native_pour_options {
	const struct store_index *ix; /* borrowed, like all below */
	struct store_cache *cache;
	uint64_t cache_bytes; /* no file takes more than a quarter of it */
	store_chunk_sha256 *sha256;
	/* asked at the beginning: whether a chunk is not there and is to come */
	bool (*comes)(void *arg, uint32_t chunk);
	void *arg;
};

struct store_native_pour *store_native_pour_new(const struct store_native_pour_options *o);

/*
 * A verified chunk has come, for the first time. True: it lies AT a place in a large file.
 *
 * Threads: any; ARG is a pour.
 */
bool store_native_pour_place(void *arg, uint32_t chunk, const uint8_t *plain, uint32_t bytes,
			     struct store_cache_at *at);

/* Wait until the files that are whole have their names, and free P. */
void store_native_pour_end(struct store_native_pour *p);

#endif
