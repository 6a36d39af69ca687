/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making good what check.h found damaged: what was made from other objects of the store is made
 * again, the rest is fetched from the registries by the same import that 'hpcrun pull' does.
 *
 * A damaged pack is marked as one to be replaced, and stays: whoever reads its good chunks goes on,
 * and imports no longer count what is in it. A pack goes when nothing reaches it any more (gc).
 * Sequence: store_repair_new(); store_repair_add() for each damage; store_repair_run();
 * store_repair_free().
 */
#ifndef STORE_REPAIR_H
#define STORE_REPAIR_H

#include "store/check.h"
#include "store/import.h"

struct store_repair;

struct store_repair_options {
	struct store *st;
	struct fetch_client *client;
	unsigned int workers;
	int level;	    /* of zstd */
	uint64_t max_bytes; /* of one uncompressed layer */
	atomic_bool *stop;
	/* Told of each image that was fetched, WHY NULL, or could not be. */
	void (*image)(void *arg, const char *name, const struct hr_err *why);
	void *arg;
};

struct store_repair *store_repair_new(void);
void store_repair_free(struct store_repair *r);
void store_repair_freep(struct store_repair **r);
/* Note a damage; only what it says of the object is kept. */
void store_repair_add(struct store_repair *r, const struct store_damage *d);
/*
 * Repair what was noted. That an image cannot be fetched is told and is no error.
 *
 * Errors:  HR_SYS the store cannot be changed, or EINTR.
 */
int store_repair_run(struct store_repair *r, const struct store_repair_options *o,
		     struct hr_err *e) HR_MUST_USE;

#endif
