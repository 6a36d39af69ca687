/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the node cache has beside packs: copies of the metadata of stores behind URLs (web.h).
 *
 * For: hpcrun cache; web.c, of a copy that is damaged.
 */
#ifndef STORE_CACHE_META_H
#define STORE_CACHE_META_H

#include <stdint.h>

/* Bytes on disk of all that lies below "stores" in the cache directory DIR. */
uint64_t store_cache_meta_bytes(const char *dir);

/*
 * Remove them. A session that starts at the same time copies them anew or fails; one that runs has
 * all it needs open. What cannot be removed stays.
 */
void store_cache_meta_clear(const char *dir);

/* Remove what is in the directory COPY, that of one store, likewise. */
void store_cache_meta_clear_copy(const char *copy);

#endif
