/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hash table from keys that live elsewhere to their numbers, for interning strings and chunks.
 *
 * Seeded, so that the names in an image cannot be chosen to collide. The seed moves nothing but
 * slots: numbers are the caller's, so what is built with it stays deterministic.
 * Sequence: struct store_idmap m = { 0 }; find; when absent, add with the same hash; release.
 */
#ifndef STORE_IDMAP_H
#define STORE_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store_idmap {
	struct store_idmap_slot *slots; /* NULL while empty */
	size_t cap;			/* a power of two */
	size_t n;
	uint64_t seed;
};

/* Whether number ID stands for KEY, N bytes. */
typedef bool store_idmap_equal(const void *ctx, uint32_t id, const void *key, size_t n);

uint64_t store_idmap_hash(struct store_idmap *m, const void *key, size_t n);
bool store_idmap_find(const struct store_idmap *m, uint64_t hash, store_idmap_equal *equal,
		      const void *ctx, const void *key, size_t n, uint32_t *id);
void store_idmap_add(struct store_idmap *m, uint64_t hash, uint32_t id);
void store_idmap_release(struct store_idmap *m);

#endif
