/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages the chunks of an image in from web servers, through the node cache.
 *
 * For: hpcrun-serve, for an image of a store behind a URL. Not for: metadata (web.h), memory
 * (chunks.h).
 *
 * Chunks that are wanted are asked for first, chunks wanted side by side in one request, which is
 * as large as the link carries in a twentieth of a second; a chunk is on its way once for all
 * threads and, through the cache's claims, for all processes of the node. Every chunk is verified
 * when it arrives, by its sha256 or by that of its frame. Origins are tried in order; when all fail
 * they are tried again, with growing pauses, until OUTAGE_S have passed since the first failure:
 * then reads fail with EIO.
 *
 * Sequence: store_pager_new(); store_chunks_new() with store_pager_source(); store_pager_start();
 * it then lives as long as the process.
 */
#ifndef STORE_PAGER_H
#define STORE_PAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "fetch/fetch.h"
#include "store/cache.h"
#include "store/chunks.h"
#include "store/index.h"
#include "store/loc.h"
#include "store/trace.h"
#include "store/upstream.h"
#include "util/mem.h"
#include "util/stats.h"

struct store_pager;

/*
 * An object that is read in place, in the place of packs: its frames are blocks of another kind
 * without digests. LEARN of BLOCKS is told the check sum of each that came for the first time,
 * OPEN decompresses it.
 */
struct store_pager_object {
	const char *url;
	struct fetch_version version; /* of which it must stay */
	struct store_chunk_source blocks;
};

struct store_pager_options {
	const struct store_index *ix; /* borrowed for ever, like all below */
	const struct store_loc *loc;
	const struct hr_strv *origins;		 /* URLs of stores that have the packs, in order */
	const struct store_pager_object *object; /* else NULL; then ORIGINS has its URL alone */
	struct fetch_client *client;
	struct store_trace *trace;	 /* where first touches are noted */
	struct store_cache *cache;	 /* or NULL: memory alone */
	struct store *copy;		 /* whose locations are used, or NULL */
	struct store_upstream *upstream; /* asked when all origins fail; or NULL */
	struct hr_stats *stats;		 /* what origins gave, outages and damage */
	uint64_t outage_s;
	/* told when an outage begins, ends, or is given up, and once when the cache cannot be used,
	 * unless it is all that is wanted; any thread */
	void (*notice)(void *arg, const char *text);
	void *notice_arg;
	/* Offered each chunk that is right before the cache is, or NULL. True: it lies AT a place
	 * in a large file of the cache. Threads: any. */
	bool (*place)(void *arg, uint32_t chunk, const uint8_t *plain, uint32_t bytes,
		      struct store_cache_at *at);
	void *place_arg;
	bool guess;	      /* fetch what lies beside a wanted chunk as well, if that pays */
	unsigned int threads; /* requests at the same time, at least 1 */
};

struct store_pager *store_pager_new(const struct store_pager_options *o);
struct store_chunk_source store_pager_source(struct store_pager *p);
/* Begin to work, and deliver to CHUNKS (NULL: to the cache alone). Errors: HR_SYS (no thread can be
 * made). */
int store_pager_start(struct store_pager *p, struct store_chunks *chunks,
		      struct hr_err *e) HR_MUST_USE;
/* Tell that the cache cannot be used, all of it or not for everything; once, whoever finds out. */
void store_pager_no_cache(struct store_pager *p, const struct hr_err *why);
/*
 * Fetch a chunk into the cache when nothing more urgent is to be done. Whoever asks so knows what
 * will be touched: what else is likely is then fetched only in the measure in which such is
 * touched.
 */
void store_pager_later(struct store_pager *p, uint32_t chunk);
/*
 * Fetch N chunks into the cache that are almost certain to be wanted, the first N_SOON before
 * others; once much of what came so has not been touched, no more does. ARG is a pager.
 */
void store_pager_foreseen(void *arg, const uint32_t *chunk, size_t n, size_t n_soon);
/*
 * A chunk, which is fetched if it is not in the cache; OUT has room for STORE_CHUNK_MAX bytes. Not
 * a touch of the program. ARG is a pager. Returns: false when it cannot be had, or there is no
 * cache for it.
 */
bool store_pager_bring(void *arg, uint32_t chunk, uint8_t *out) HR_MUST_USE;
/* The same for all chunks of the image: N of them first, then pack after pack. */
void store_pager_fill(struct store_pager *p, const uint32_t *first, size_t n);
/* The chunks of the image as they lie in its packs, borrowed; returns how many. */
uint32_t store_pager_order(struct store_pager *p, uint32_t **order);
/* Whether a chunk is in the cache. */
bool store_pager_has(const struct store_pager *p, uint32_t chunk);
/* The BYTES of a chunk that is in the cache, unverified; ARG is a pager. Not a touch of the
 * program. Threads: any. */
bool store_pager_peek(void *arg, uint32_t chunk, uint8_t *out, uint32_t bytes);
/* A chunk lies AT a place in a large file of the cache, too: it is kept there alone. ARG is a
 * pager. Threads: any. */
void store_pager_moved(void *arg, uint32_t chunk, uint32_t bytes, const struct store_cache_at *at);
/*
 * Wait until no chunk is asked for or on its way and no request goes on, MS milliseconds at most.
 * Returns how many are.
 *
 * *FAILURE (no failure: unchanged) is the first chunk's that could not be had or kept.
 */
uint32_t store_pager_wait(struct store_pager *p, unsigned int ms, struct hr_err *failure);

#endif
