/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A layer's blob in, the bytes of its archive out: gzip, zstd or neither, one level, streaming.
 *
 * Sequence: store_inflate_new(); store_inflate_feed() for each piece of the blob;
 * store_inflate_end() once; store_inflate_free().
 * Source: RFC 1952, RFC 8878.
 */
#ifndef STORE_INFLATE_H
#define STORE_INFLATE_H

#include <stddef.h>
#include <stdint.h>

#include "fetch/fetch.h"
#include "util/err.h"

/*
 * Where the bytes go. room() gives the place for the next ones, at least 1 byte, *cap of them, or
 * NULL with *e filled; done() says how many were put there, more than 0. Either may block.
 */
struct store_inflate_out {
	uint8_t *(*room)(void *arg, size_t *cap, struct hr_err *e);
	int (*done)(void *arg, size_t n, struct hr_err *e);
	void *arg;
};

struct store_inflate;

/*
 * TYPE is what the manifest says. The first bytes must agree; known mislabels pass: what Docker
 * calls gzip may be zstd or a plain archive.
 */
struct store_inflate *store_inflate_new(enum fetch_compression type,
					const struct store_inflate_out *out) HR_MUST_USE;
void store_inflate_free(struct store_inflate *s);
void store_inflate_freep(struct store_inflate **s);

/*
 * Several gzip members and zstd frames follow each other; skippable frames and zeros behind the
 * last gzip member are passed over.
 *
 * Errors:  HR_CORRUPT: the type differs from the bytes, damaged data, a window over 128 MiB, a
 *          dictionary, other bytes behind the end; what OUT returned.
 */
int store_inflate_feed(struct store_inflate *s, const void *p, size_t n,
		       struct hr_err *e) HR_MUST_USE;
/* Errors:  HR_CORRUPT when the blob ends too early. */
int store_inflate_end(struct store_inflate *s, struct hr_err *e) HR_MUST_USE;

#endif
