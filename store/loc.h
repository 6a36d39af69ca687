/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Location files: where a store keeps the chunks of a layer index or an image index.
 *
 * For: opening an index together with its .loc, and writing one at import. Where chunks lie is
 * advice: digests decide whether the bytes found are right. By the names of packs digests of frames
 * are known.
 * Source: hpcrun-store(5) LOCATIONS, TRUST.
 */
#ifndef STORE_LOC_H
#define STORE_LOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fetch/fetch.h"
#include "util/buf.h"
#include "util/err.h"

struct store_loc_pack {
	struct fetch_digest name;
	uint32_t frames; /* number of them */
};

/* Where one chunk lies. */
struct store_loc_chunk {
	uint64_t frame_off; /* in the pack */
	uint64_t plain_off; /* among the uncompressed bytes of the pack */
	uint32_t frame_len;
	uint32_t pack;	/* its number in this file */
	uint32_t frame; /* its number in the pack */
};

/* A checked location file; borrows the bytes it was parsed from. */
struct store_loc {
	const uint8_t *packs, *chunks;
	uint32_t n_packs, n_chunks;
};

/*
 * Check N bytes at P as the locations of an index of N_CHUNKS chunks: sizes, that each pack number
 * and frame number is known.
 *
 * Errors:  HR_CORRUPT, saying got and expected.
 * Owns:    *out borrows P.
 */
int store_loc_parse(const uint8_t *p, size_t n, uint32_t n_chunks, struct store_loc *out,
		    struct hr_err *e) HR_MUST_USE;

/*
 * The header alone, for who wants to know the packs and not the chunks: the packs follow it.
 * FILE_BYTES are those of the whole file.
 *
 * Errors:  HR_CORRUPT.
 */
#define STORE_LOC_HEADER_BYTES 16
int store_loc_header_parse(const uint8_t p[STORE_LOC_HEADER_BYTES], uint64_t file_bytes,
			   uint32_t *n_packs, uint32_t *n_chunks, struct hr_err *e) HR_MUST_USE;

/* One pack or chunk; I is below the count. Threads: any. */
struct store_loc_pack store_loc_pack(const struct store_loc *l, uint32_t i);
struct store_loc_chunk store_loc_chunk(const struct store_loc *l, uint32_t i);

/* Append a location file. */
void store_loc_write(const struct store_loc_pack *packs, uint32_t n_packs,
		     const struct store_loc_chunk *chunks, uint32_t n_chunks, struct hr_buf *b);

/* The rows alone, for dict.c, which has the same. */
#define STORE_LOC_PACK_BYTES  40
#define STORE_LOC_CHUNK_BYTES 32
struct store_loc_pack store_loc_pack_get(const uint8_t *p);
void store_loc_pack_put(const struct store_loc_pack *in, struct hr_buf *b);
/* False when the bytes that are written as zero are not. */
bool store_loc_chunk_get(const uint8_t *p, struct store_loc_chunk *out);
void store_loc_chunk_put(const struct store_loc_chunk *in, struct hr_buf *b);
/* Can a frame be there: its pack one of N_PACKS at PACKS (rows of a file), its numbers sane? */
int store_loc_chunk_check(const struct store_loc_chunk *c, const uint8_t *packs, uint32_t n_packs,
			  struct hr_err *e) HR_MUST_USE;

#endif
