/* SPDX-License-Identifier: BSD-3-Clause */
/* What check.c, check_object.c and check_pack.c share; for them alone. */
#ifndef STORE_CHECK_PARTS_H
#define STORE_CHECK_PARTS_H

#include <pthread.h>

#include "store/check.h"
#include "store/digest_set.h"
#include "store/pack.h"

/* A pack that is there: its rows, and which of its frames are to be checked. */
struct check_pack {
	struct fetch_digest name;
	uint64_t bytes;
	pthread_mutex_t lock; /* of what follows */
	bool reached;	      /* some locations name it */
	bool looked;
	bool usable; /* the table was read: */
	struct store_pack_row *rows;
	uint32_t n;
	bool frame_digests; /* the rows have them */
	uint8_t *wanted;    /* for each frame; NULL: all */
	uint32_t bad;
	struct hr_err first_bad;
};

/* An object that is to be checked. */
struct check_object {
	enum store_kind kind;
	struct fetch_digest digest;
};

/* Frames [first, end) of a pack. */
struct check_range {
	struct check_pack *pack;
	uint32_t first, end;
};

struct check {
	const struct store_check_options *o;
	struct check_pack *packs; /* sorted by name */
	size_t n_packs, cap_packs;
	struct check_object *objects;
	size_t n_objects, cap_objects;
	struct check_range *ranges;
	size_t n_ranges, cap_ranges;
	bool some_frames; /* those that were marked alone */

	pthread_mutex_t lock; /* of what follows, and around the callback */
	struct store_check_result *out;
	struct hr_strv told; /* paths of what was damaged, each once */
	struct hr_err failure;

	atomic_size_t next; /* of the tasks under work */
	_Atomic uint64_t bytes;
	_Atomic uint64_t chunks;
};

/* ---- check.c ---- */

bool check_stopped(const struct check *ck);
void check_count_bytes(struct check *ck, uint64_t n);
/* Tell of a damaged object, unless it was told of. E is cleared. */
void check_damaged(struct check *ck, enum store_kind kind, const struct fetch_digest *d,
		   struct hr_err *e);
/* Was it damaged already? */
bool check_is_told(struct check *ck, enum store_kind kind, const struct fetch_digest *d);
/* The pack that the locations BY name, its rows read; NULL when it is not there or unusable, which
 * is told. */
struct check_pack *check_pack_get(struct check *ck, const struct fetch_digest *name,
				  const char *by);
/* The same, but a pack that is not there is fine. */
struct check_pack *check_pack_find(struct check *ck, const struct fetch_digest *name);

/* ---- check_object.c ---- */

/* Check one object that is no pack; what it needs and is missing is told of, too. */
void check_object(struct check *ck, enum store_kind kind, const struct fetch_digest *d);

/* ---- check_pack.c ---- */

/* Read the rows of a pack. */
void check_pack_load(struct check *ck, struct check_pack *p);
struct check_reader;
struct check_reader *check_reader_new(const struct check *ck);
void check_reader_free(struct check_reader *r);
/* Check the frames of a range that are wanted; for one thread with its own reader. */
void check_pack_range(struct check *ck, struct check_reader *r, const struct check_range *range);
/* Does WHERE, in pack P, say what the table of the pack says of the chunk DIGEST of BYTES? */
int check_place(const struct check_pack *p, const struct store_loc_chunk *where,
		const struct fetch_digest *digest, struct hr_err *e) HR_MUST_USE;

#endif
