/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chunks that no store has any more, out of the layers of their image as the registry has them.
 *
 * For: 'hpcrun-store refill', the helper of upstream.h. Not for: repairing a store, which is what
 * 'hpcrun pull' does.
 * A layer is cut by its content alone (hpcrun-store(5) CHUNKS), so its blob, downloaded again,
 * gives the chunks that were lost. All of the image that pass by are kept in the node cache, for
 * the chunk that was asked for is seldom the only one.
 */
#ifndef STORE_REFILL_H
#define STORE_REFILL_H

#include <stddef.h>
#include <stdint.h>

#include "fetch/fetch.h"
#include "store/cache.h"
#include "store/index.h"
#include "store/layout.h"
#include "store/loc.h"
#include "util/err.h"

struct store_refill {
	struct fetch_client *client;
	const struct fetch_ref *ref; /* the image's manifest, by digest */
	const struct store_index *ix;
	const struct store_loc *loc;
	struct store_cache *cache; /* or NULL */
	/* A store, path or URL, that may know what is in which layer; or NULL: all are tried. */
	const char *advisor;
	const struct store_owners *trusted; /* with that store; or NULL */
	uint64_t max_bytes;		    /* of one uncompressed layer */
	/* Called for each chunk that was asked for, once, with its verified bytes. */
	int (*found)(void *arg, uint32_t chunk, const uint8_t *p, uint32_t bytes, struct hr_err *e);
	void *arg;
};

/*
 * Look for N chunks, by their numbers in the index.
 *
 * One process of the node works on a layer at a time; the others then find its chunks in the cache.
 * Errors:  those of fetch; HR_NOTFOUND when some of them are in no layer; what FOUND returned.
 */
int store_refill_run(const struct store_refill *r, const uint32_t *chunks, size_t n,
		     struct hr_err *e) HR_MUST_USE;

#endif
