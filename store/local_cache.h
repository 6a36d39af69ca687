/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The node cache in front of a store that is read as files: what programs touch first is kept
 * uncompressed on the node's disk, so that the next session, as every job step is, need not
 * decompress it again.
 *
 * For: hpcrun-serve. Not for: what comes over a network (pager.h). Advice throughout: without it
 * everything is decompressed each time. Sequence: store_local_cache_new(); store_local_cache_wrap()
 * the source of the image.
 */
#ifndef STORE_LOCAL_CACHE_H
#define STORE_LOCAL_CACHE_H

#include "store/cache.h"
#include "store/chunks.h"
#include "store/image.h"

struct store_local_cache;

/* CACHE is taken and IMG borrowed, for as long as the process lives. */
struct store_local_cache *store_local_cache_new(struct store_cache *cache, struct store_image *img);

/* The same source, asked only for what the cache does not have. Threads: any. */
struct store_chunk_source store_local_cache_wrap(struct store_local_cache *c,
						 const struct store_chunk_source *source);

/* A chunk lies AT a place in a large file of the cache, too: it is kept there alone. ARG is a
 * cache. Threads: any. */
void store_local_cache_moved(void *arg, uint32_t chunk, uint32_t bytes,
			     const struct store_cache_at *at);

#endif
