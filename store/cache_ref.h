/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chunks of packs that the node cache holds in large files (cache_file.h) and not once more in the
 * packs: what stands in their place, and the files that a process reads so.
 *
 * For: cache.c alone. Not for: which chunks those are; the map of the pack knows. A file is held
 * open, so that nobody evicts it, from the first chunk that is read of it until
 * store_cache_refs_free(). Source: hpcrun-store(5) NODE CACHE.
 */
#ifndef STORE_CACHE_REF_H
#define STORE_CACHE_REF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/cache.h"
#include "util/err.h"

#define STORE_CACHE_REF_BYTES 64

void store_cache_ref_write(const struct store_cache_at *at, uint8_t out[STORE_CACHE_REF_BYTES]);
/* False when it is none: after a loss of power there may be anything. */
bool store_cache_ref_read(const uint8_t p[STORE_CACHE_REF_BYTES], struct store_cache_at *at);

struct store_cache_refs;

/* C is borrowed. */
struct store_cache_refs *store_cache_refs_new(struct store_cache *c);
void store_cache_refs_free(struct store_cache_refs *r);

/*
 * Read LEN bytes at AT, unverified; 0 bytes tell whether the file is there.
 *
 * Errors:  HR_NOTFOUND the file has been evicted; HR_SYS; HR_CORRUPT it is too short.
 * Threads: any.
 */
int store_cache_refs_get(struct store_cache_refs *r, const struct store_cache_at *at, void *buf,
			 size_t len, struct hr_err *e) HR_MUST_USE;

#endif
