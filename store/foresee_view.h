/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of foresee.h have in common: bytes of files of an image, which are waited for, and
 * lists of chunks, which are not. Private to store/foresee*.c.
 */
#ifndef STORE_FORESEE_VIEW_H
#define STORE_FORESEE_VIEW_H

#include "store/foresee.h"

/* Of one thread. */
struct store_foresee_view {
	const struct store_index *ix;
	struct store_foresee_source from;
	uint8_t *plain; /* of chunk HELD, or STORE_HOLE */
	uint32_t held;
};

/* IX is borrowed. */
void store_foresee_view_init(struct store_foresee_view *v, const struct store_index *ix,
			     const struct store_foresee_source *from);
void store_foresee_view_release(struct store_foresee_view *v);

/* LEN bytes of FILE from OFF on, waiting for them; false when they cannot be had. */
bool store_foresee_read(struct store_foresee_view *v, const struct store_inode *file, uint64_t off,
			uint8_t *out, size_t len);

/* Chunks that are asked for together; zeroed, it is empty. */
struct store_foresee_list {
	uint32_t chunk[1024];
	size_t n;
};

/* Add those that hold LEN bytes of FILE from OFF on, as long as there is room. Threads: any. */
void store_foresee_add(const struct store_foresee_view *v, struct store_foresee_list *l,
		       const struct store_inode *file, uint64_t off, uint64_t len);
/* Ask for them, the first N_SOON before others. Threads: any. */
void store_foresee_fetch(const struct store_foresee_view *v, const struct store_foresee_list *l,
			 size_t n_soon);

#endif
