/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether what lies in a store is what its name says: every object against its digest or against
 * what it was made from, packs chunk by chunk.
 *
 * For: 'hpcrun store fsck', all of a store, and 'hpcrun verify', one image. Changes nothing, takes
 * no lease: what others add or remove meanwhile is passed over. Not for: repairing (repair.h), nor
 * for reading an image, where each chunk is checked as it is read.
 *
 * Sequence: fill struct store_check_options; store_check_all() or store_check_image(); the callback
 * is told of each damage, struct store_check_result says how much was looked at.
 */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "store/crew.h"
#include "store/layout.h"

/* One thing that is not as it should be; all of it is borrowed for the call. */
struct store_damage {
	const char *path; /* below the store, printable: "packs/ab/abcd...", "refs/..." */
	bool is_ref;	  /* a reference; else an object: */
	enum store_kind kind;
	struct fetch_digest digest;
	const struct hr_err *why; /* HR_NOTFOUND: it is missing, and something reaches it */
};

struct store_check_options {
	const struct store *st;	   /* borrowed */
	unsigned int threads;	   /* 1 to STORE_CREW_MAX */
	const atomic_bool *cancel; /* or NULL: when it becomes true the work ends with EINTR */
	/* Told of each damage, once; by one thread at a time. */
	void (*damaged)(void *arg, const struct store_damage *d);
	void *arg;
	_Atomic uint64_t *bytes; /* or NULL: grows as bytes are read, for who shows that */
};

struct store_check_result {
	uint64_t objects; /* looked at, references included */
	uint64_t chunks;  /* of packs */
	uint64_t bytes;	  /* read from the store, compressed */
	uint64_t damaged; /* objects, each once */
};

/*
 * Check all of a store: references, documents, records, indexes, locations, layers, metadata,
 * aliases, traces, the dict, and every frame of every pack. Also whether all that a reference
 * reaches is there.
 *
 * Memory:  about 64 bytes for each chunk of the store.
 * Errors:  HR_SYS the store cannot be listed, or EINTR. Damage is no error.
 */
int store_check_all(const struct store_check_options *o, struct store_check_result *out,
		    struct hr_err *e) HR_MUST_USE;

/*
 * Check what the image of MANIFEST consists of: its record, documents, index, layers, metadata and
 * locations, and of the packs those frames that its chunks lie in.
 *
 * Errors:  HR_NOTFOUND the store has no such image; else as above.
 */
int store_check_image(const struct store_check_options *o, const struct fetch_digest *manifest,
		      struct store_check_result *out, struct hr_err *e) HR_MUST_USE;

#endif
