/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sha256 of a stream, for documents and blobs as they arrive. Private to fetch/.
 *
 * Sequence: fetch_hash_new(); fetch_hash_add() for each piece; fetch_hash_end() once;
 * fetch_hash_free().
 */
#ifndef FETCH_DIGEST_H
#define FETCH_DIGEST_H

#include <stddef.h>

#include "fetch/fetch.h"

struct fetch_hash;

/* A new running hash; aborts when libcrypto has no sha256 or memory is gone. */
struct fetch_hash *fetch_hash_new(void) HR_MUST_USE;
void fetch_hash_add(struct fetch_hash *h, const void *p, size_t n);
/* The digest of all that was added; nothing may be added afterwards. */
void fetch_hash_end(struct fetch_hash *h, struct fetch_digest *out);
void fetch_hash_free(struct fetch_hash *h);
void fetch_hash_freep(struct fetch_hash **h); /* for HR_CLEANUP */

#endif
