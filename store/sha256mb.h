/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sha256 of many independent buffers at once.
 *
 * For: chunks at import, of which there are always several to hash. On CPUs without SHA
 * instructions the buffers are hashed side by side in the lanes of vector registers, several times
 * faster than one after the other; elsewhere libcrypto does them in turn. Not for: a stream that is
 * one long message (EVP does that).
 */
#ifndef STORE_SHA256MB_H
#define STORE_SHA256MB_H

#include <stddef.h>
#include <stdint.h>

#include "fetch/fetch.h"

/* How many buffers one call should be given to fill all lanes of this CPU: 1, 8 or 16. */
size_t store_sha256_lanes(void);

/*
 * out[i] = sha256 of the len[i] bytes at p[i], for i < n.
 *
 * Bounds:  any n, any lengths, 0 too; best when the lengths are alike.
 * Threads: any.
 * Source:  FIPS 180-4.
 */
void store_sha256_many(const uint8_t *const *p, const size_t *len, size_t n,
		       struct fetch_digest *out);

#endif
