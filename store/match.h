/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * References of a store that fit what a user wrote, who may leave out the tag and the first parts:
 * "app" and "lab/app:1" fit registry.example/lab/app:1. Pure.
 *
 * For: lists and hints. Not for: what is run or removed, which is named in full.
 * Sequence: store_match_parse(); store_match_fits() for each reference; store_match_release().
 */
#ifndef STORE_MATCH_H
#define STORE_MATCH_H

#include <stdbool.h>

#include "store/record.h"

struct store_match {
	struct fetch_ref ref;
	char *name; /* the repository as it was written */
	bool any_tag;
};

/* Errors:  HR_USAGE when TEXT is no reference. */
int store_match_parse(const char *text, struct store_match *out, struct hr_err *e) HR_MUST_USE;
void store_match_release(struct store_match *m);

/* Does it fit REF, whose record is R? */
bool store_match_fits(const struct store_match *m, const struct fetch_ref *ref,
		      const struct store_ref_record *r);

#endif
