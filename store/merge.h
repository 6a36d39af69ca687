/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Layers one over the other: from layer indexes to an image index. Pure: no I/O, and linear in the
 * number of entries.
 *
 * Sequence: store_merge_new(); store_merge_layer() for each layer, lowest first;
 * store_merge_finish(); store_merge_free().
 * Source: hpcrun-store(5) MERGING.
 */
#ifndef STORE_MERGE_H
#define STORE_MERGE_H

#include "store/layer.h"
#include "store/loc.h"

struct store_merge;

struct store_merge *store_merge_new(void);
void store_merge_free(struct store_merge *m);
void store_merge_freep(struct store_merge **m);

/*
 * Put a layer on top. LAYER and LOC, and what they borrow, must stay until store_merge_finish().
 *
 * Errors:  HR_CORRUPT naming the entry: a hardlink to nothing or to a directory, a path that
 *          follows more than 40 symlinks.
 */
int store_merge_layer(struct store_merge *m, const struct store_layer *layer,
		      const struct store_loc *loc, struct hr_err *e) HR_MUST_USE;

/* What goes into the header of an image index. */
struct store_merge_image {
	const struct fetch_digest *manifest, *config;
	const void *config_bytes;
	size_t config_len;
};

struct store_merge_sums {
	uint64_t size;	 /* bytes of all files, hardlinks once */
	uint64_t frames; /* bytes of the frames of all chunks, each once */
};

/*
 * Append the image index and its locations. M can only be freed afterwards.
 *
 * Errors:  HR_CORRUPT when the image is too big for the format.
 */
int store_merge_finish(struct store_merge *m, const struct store_merge_image *image,
		       struct hr_buf *index, struct hr_buf *loc, struct store_merge_sums *sums,
		       struct hr_err *e) HR_MUST_USE;

#endif
