/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last origin of a chunk: the registry that the image came from.
 *
 * For: a server whose stores have lost a pack, or have it damaged. Not for: the download itself,
 * which a process of its own does ('hpcrun-store refill', refill.h): what a registry sends is an
 * archive of a stranger's, and no server of running programs should read one.
 *
 * A thread that begins with the first question collects chunks, looks for them in the node cache,
 * and starts the helper for the rest, one at a time.
 * Sequence: store_upstream_new(); store_upstream_wrap() or the source's own START, which calls
 * store_upstream_ask(). It lives as long as the process.
 */
#ifndef STORE_UPSTREAM_H
#define STORE_UPSTREAM_H

#include <stdint.h>

#include "store/chunks.h"
#include "store/frame.h"
#include "store/image.h"
#include "util/err.h"
#include "util/stats.h"

/*
 * The helper's descriptors. On standard input it reads the numbers of chunks, 4 bytes each in the
 * order of this machine; on standard output it writes a struct store_upstream_reply and its bytes
 * for each chunk it found, and, when it fails, one with STORE_UPSTREAM_FAILED and a struct hr_err.
 */
#define STORE_UPSTREAM_INDEX_FD 3
#define STORE_UPSTREAM_LOC_FD	4
#define STORE_UPSTREAM_FAILED	UINT32_MAX

struct store_upstream_reply {
	uint32_t chunk, bytes;
};

struct store_upstream;

struct store_upstream_options {
	struct store_image *img;    /* borrowed for ever, like all below */
	const char *image;	    /* as the user named it */
	const char *advisor;	    /* the store it came from, path or URL */
	const char *cache;	    /* directory of the node cache */
	store_chunk_sha256 *sha256; /* or NULL: check sums will do */
	struct hr_stats *stats;	    /* the registry is one of its origins */
};

struct store_upstream *store_upstream_new(const struct store_upstream_options *o);

/*
 * Ask for a chunk that cannot be had for the reason WHY. LANDED is called once, by another thread:
 * with its verified bytes, or, E not NULL, with both reasons; HR_USAGE when WHY is. A chunk that
 * the registry did not give is not asked for again for half a minute.
 */
typedef void store_upstream_landed(void *arg, uint32_t chunk, const uint8_t *p, uint32_t bytes,
				   const struct hr_err *e);
void store_upstream_deliver(struct store_upstream *u, store_upstream_landed *landed, void *arg);
void store_upstream_ask(struct store_upstream *u, uint32_t chunk, const struct hr_err *why);

/* SOURCE, a source of files, with U behind it; what lands goes to CHUNKS, set when that is made. */
struct store_chunk_source store_upstream_wrap(struct store_upstream *u,
					      const struct store_chunk_source *source);
void store_upstream_deliver_to(struct store_upstream *u, struct store_chunks *chunks);

#endif
