/* SPDX-License-Identifier: BSD-3-Clause */
/* One file of the dict: reading, writing, merging; for dict.c alone. */
#ifndef STORE_DICT_SEGMENT_H
#define STORE_DICT_SEGMENT_H

#include <stdbool.h>

#include "store/layout.h"
#include "store/loc.h"

struct store_dict_segment {
	struct fetch_digest name;
	uint8_t *map;
	size_t bytes;
	const uint8_t *packs, *records;
	uint32_t n_packs, n;
	bool *present; /* for each pack; set by dict.c */
};

int store_dict_segment_open(const struct store *st, const struct fetch_digest *name,
			    struct store_dict_segment *out, struct hr_err *e) HR_MUST_USE;
void store_dict_segment_close(struct store_dict_segment *s);
struct store_loc_pack store_dict_segment_pack(const struct store_dict_segment *s, uint32_t i);
/* A record whose pack is present; damaged ones are not found. */
bool store_dict_segment_find(const struct store_dict_segment *s, const struct fetch_digest *chunk,
			     struct store_loc_pack *pack, struct store_loc_chunk *where);

/* Record I, whether its pack is present or not. Errors: HR_CORRUPT. */
int store_dict_segment_record(const struct store_dict_segment *s, uint32_t i,
			      struct fetch_digest *chunk, struct store_loc_chunk *where,
			      struct hr_err *e) HR_MUST_USE;

/* Records to be sorted and written. A zeroed struct is an empty one. */
struct store_dict_draft {
	struct hr_buf packs, records;
	uint32_t n_packs, n;
};
void store_dict_draft_add(struct store_dict_draft *d, const struct fetch_digest *chunk,
			  const struct store_loc_chunk *where);
void store_dict_draft_pack(struct store_dict_draft *d, const struct store_loc_pack *p);
/* Write it as a segment; D is empty afterwards. */
int store_dict_draft_write(const struct store *st, struct store_dict_draft *d,
			   struct fetch_digest *name, struct hr_err *e) HR_MUST_USE;
void store_dict_draft_release(struct store_dict_draft *d);

/* Write one segment with the records of N others whose packs are present, in bounded memory. */
int store_dict_segments_merge(const struct store *st, const struct store_dict_segment *s, size_t n,
			      struct fetch_digest *name, struct hr_err *e) HR_MUST_USE;

#endif
