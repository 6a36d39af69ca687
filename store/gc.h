/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Garbage: the objects of a store that no reference reaches.
 *
 * References reach image records; these reach their documents, image index and layers; location
 * files reach packs. A pack is kept whole when one chunk of it is reached. What reaches is removed,
 * and that is made durable, before what is reached: a crash at any moment leaves garbage at most.
 * Source: hpcrun-store(5) WRITERS.
 */
#ifndef STORE_GC_H
#define STORE_GC_H

#include <stdatomic.h>
#include <stdbool.h>

#include "store/layout.h"

struct store_gc_options {
	bool wait;		   /* for pulls to end; else one that works is an error */
	bool dry;		   /* count, remove nothing, take no lease */
	uint64_t grace_s;	   /* spare images whose last reference went less long ago */
	uint64_t replaced_s;	   /* spare packs that repack.h has replaced less long ago */
	const atomic_bool *cancel; /* or NULL: when it becomes true the work ends with EINTR */
	void (*removed)(void *arg, const char *path, uint64_t bytes); /* or NULL: told of each */
	void *arg;
};

struct store_gc_result {
	uint64_t images, layers, packs; /* removed, or with DRY what would be */
	uint64_t others;		/* other files: indexes, documents, aliases */
	uint64_t spared;		/* images that nothing reaches but the grace */
	uint64_t bytes;			/* of all of these, and of left-over unfinished objects */
};

/*
 * The grace that the file system of ST asks for: a day where a file that is removed by one host is
 * gone at once for the programs of another that have it open (NFS and its like), else none.
 */
uint64_t store_gc_default_grace_s(const struct store *st);
/* The same for packs that were replaced, given that for images: a day at least, for a node may read
 * one over the network by locations that it has got before. */
uint64_t store_gc_replaced_s(uint64_t grace_s);

/*
 * Remove what no reference reaches, and what dead processes left unfinished.
 *
 * OUT is set after an error, too: what was removed until then.
 * Errors:  HR_SYS a pull or another gc works (it is named), or a file cannot be removed;
 *          HR_CORRUPT something that is reached cannot be read: then what it reaches is unknown,
 * and nothing is removed.
 */
int store_gc(struct store *st, const struct store_gc_options *o, struct store_gc_result *out,
	     struct hr_err *e) HR_MUST_USE;

#endif
