/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/foresee_view.h"

#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/poison.h"

void store_foresee_view_init(struct store_foresee_view *v, const struct store_index *ix,
			     const struct store_foresee_source *from)
{
	*v = (struct store_foresee_view) {
		.ix = ix, .from = *from, .plain = hr_xmalloc(STORE_CHUNK_MAX), .held = STORE_HOLE
	};
}

void store_foresee_view_release(struct store_foresee_view *v)
{
	free(v->plain);
	v->plain = NULL;
}

bool store_foresee_read(struct store_foresee_view *v, const struct store_inode *file, uint64_t off,
			uint8_t *out, size_t len)
{
	while (len > 0) {
		struct store_piece at;
		size_t part;

		if (!store_index_piece(v->ix, file, off, &at) || at.chunk == STORE_HOLE)
			return false;
		if (v->held != at.chunk) {
			v->held = STORE_HOLE;
			if (!v->from.bring(v->from.arg, at.chunk, v->plain))
				return false;
			v->held = at.chunk;
		}
		part = at.len < len ? (size_t)at.len : len;
		memcpy(out, v->plain + at.off, part);
		out += part;
		off += part;
		len -= part;
	}
	return true;
}

void store_foresee_add(const struct store_foresee_view *v, struct store_foresee_list *l,
		       const struct store_inode *file, uint64_t off, uint64_t len)
{
	struct store_piece at;

	for (uint64_t end = off + len; off < end && l->n < HR_COUNT(l->chunk); off += at.len) {
		if (!store_index_piece(v->ix, file, off, &at))
			return;
		/* small files beside each other share one */
		if (at.chunk != STORE_HOLE && (l->n == 0 || l->chunk[l->n - 1] != at.chunk))
			l->chunk[l->n++] = at.chunk;
	}
}

void store_foresee_fetch(const struct store_foresee_view *v, const struct store_foresee_list *l,
			 size_t n_soon)
{
	if (l->n > 0)
		v->from.fetch(v->from.arg, l->chunk, l->n, n_soon);
}
