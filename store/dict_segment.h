/* SPDX-License-Identifier: BSD-3-Clause */
/* One file of the dict: reading, writing, merging; for dict.c alone. */
#ifndef STORE_DICT_SEGMENT_H
#define STORE_DICT_SEGMENT_H

#include <stdbool.h>

#include "store/layout.h"
#include "store/loc.h"

struct dict_segment {
	struct fetch_digest name;
	uint8_t *map;
	size_t bytes;
	const uint8_t *packs, *records;
	uint32_t n_packs, n;
	bool *present; /* for each pack; set by dict.c */
};

int dict_segment_open(const struct store *st, const struct fetch_digest *name,
		      struct dict_segment *out, struct hr_err *e) HR_MUST_USE;
void dict_segment_close(struct dict_segment *s);
struct store_loc_pack dict_segment_pack(const struct dict_segment *s, uint32_t i);
/* A record whose pack is present; damaged ones are not found. */
bool dict_segment_find(const struct dict_segment *s, const struct fetch_digest *chunk,
		       struct store_loc_pack *pack, struct store_loc_chunk *where);

/* Records to be sorted and written. A zeroed struct is an empty one. */
struct dict_draft {
	struct hr_buf packs, records;
	uint32_t n_packs, n;
};
void dict_draft_add(struct dict_draft *d, const struct fetch_digest *chunk,
		    const struct store_loc_chunk *where);
void dict_draft_pack(struct dict_draft *d, const struct store_loc_pack *p);
/* Write it as a segment; D is empty afterwards. */
int dict_draft_write(const struct store *st, struct dict_draft *d, struct fetch_digest *name,
		     struct hr_err *e) HR_MUST_USE;
void dict_draft_release(struct dict_draft *d);

/* Write one segment with the records of N others whose packs are present, in bounded memory. */
int dict_segments_merge(const struct store *st, const struct dict_segment *s, size_t n,
			struct fetch_digest *name, struct hr_err *e) HR_MUST_USE;

#endif
