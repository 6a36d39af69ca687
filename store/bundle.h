/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An image in files of this machine, of whatever kind, as a source for an import: OCI layouts, the
 * archives of 'docker save' and 'docker export', directories, squashfs and SIF files.
 *
 * For: hpcrun import, and hpcrun pull of such names. What is no OCI image becomes one of one layer;
 * its bytes are made twice, once to know its digest.
 * Sequence: store_bundle_open(); store_bundle_source() for import.h; store_bundle_close().
 */
#ifndef STORE_BUNDLE_H
#define STORE_BUNDLE_H

#include <stdbool.h>

#include "store/cache.h"
#include "store/import.h"
#include "util/err.h"

struct store_bundle;

/* Whether NAME says its kind, "oci:DIR[:TAG]", and thus is no reference. */
bool store_bundle_is_named(const char *name);
/*
 * The name that an image gets when none is given: the last part of its path without the ending, and
 * the tag if NAME has one. The caller frees; NULL when nothing of it can stand in a reference.
 */
char *store_bundle_default_name(const char *name);

/*
 * Open what NAME says: KIND:PATH[:TAG], or a path, whose kind is found by looking. CACHE, or NULL,
 * keeps the index of a squashfs.
 *
 * Errors:  HR_NOTFOUND, HR_USAGE of no known kind, several images and none named; HR_CORRUPT;
 *          HR_DENIED; HR_SYS.
 */
int store_bundle_open(const char *name, struct store_cache *cache, struct store_bundle **out,
		      struct hr_err *e) HR_MUST_USE;
void store_bundle_close(struct store_bundle *b);
/* Valid while B is open. */
struct store_import_source store_bundle_source(struct store_bundle *b);

#endif
