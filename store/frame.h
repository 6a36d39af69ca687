/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the bytes of a frame to a chunk that is known to be right.
 *
 * For: everything that reads packs. Not for: where frames come from, or who keeps the chunk.
 * Sequence: store_frame_open() into a buffer of want->bytes, then use the buffer, not the frame.
 */
#ifndef STORE_FRAME_H
#define STORE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zstd.h>

#include "store/store.h"
#include "util/err.h"

/* No frame of a valid pack is longer. */
#define STORE_FRAME_CAP ZSTD_COMPRESSBOUND(STORE_CHUNK_MAX)

/*
 * Decompress the LEN bytes of a frame into OUT, which has room for want->bytes.
 *
 * Errors:  HR_CORRUPT, saying got and expected.
 * Threads: any, each with a ZSTD context of its own.
 */
int store_frame_open(ZSTD_DCtx *zstd, const void *frame, size_t len, const struct store_chunk *want,
		     uint8_t *out, struct hr_err *e) HR_MUST_USE;

/* sha256; fetch_digest_of(), or what a program that does not link it brings. */
typedef void store_chunk_sha256(const void *p, size_t n, struct fetch_digest *out);

/* Compare the check sum of a chunk and, unless SHA256 is NULL, its digest. Errors: HR_CORRUPT. */
int store_frame_verify(const struct store_chunk *want, const uint8_t *p, store_chunk_sha256 *sha256,
		       struct hr_err *e) HR_MUST_USE;

#endif
