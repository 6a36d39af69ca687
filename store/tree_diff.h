/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What differs between the trees of two images. Content is compared by the digests of chunks; what
 * lies in different chunks, by its bytes.
 *
 * For: hpcrun diff. Sequence: store_tree_diff() with a function that is told each difference.
 */
#ifndef STORE_TREE_DIFF_H
#define STORE_TREE_DIFF_H

#include <stdbool.h>

#include "store/chunks.h"
#include "store/index.h"
#include "util/err.h"

enum store_diff_kind { STORE_DIFF_ADDED, STORE_DIFF_REMOVED, STORE_DIFF_CHANGED };

/* What of an entry has changed. */
enum store_diff_what {
	STORE_DIFF_TYPE = 1,
	STORE_DIFF_CONTENT = 2, /* or the target of a symlink, or the number of a device */
	STORE_DIFF_MODE = 4,
	STORE_DIFF_OWNER = 8,
	STORE_DIFF_XATTRS = 16,
	STORE_DIFF_TIME = 32
};

struct store_difference {
	enum store_diff_kind kind;
	unsigned int what; /* of what is CHANGED */
	const char
		*path; /* "/usr/bin/x", borrowed; of an image's making, so anything may be in it */
	size_t path_len;
	const struct store_inode *before, *after; /* NULL: not there */
};
/* Returns 0 to go on. */
typedef int store_diff_fn(void *arg, const struct store_difference *d, struct hr_err *e);

/* One of the two images. */
struct store_diff_side {
	const struct store_index *ix;
	struct store_chunks *chunks; /* that no other thread uses */
	bool by_digest;		     /* digests of its chunks are those of their content */
};

/*
 * Tell FN each difference, in the order of the paths as trees are walked: a directory before what
 * is in it.
 *
 * Errors:  HR_CORRUPT an index or a chunk is damaged; what FN returned.
 */
int store_tree_diff(const struct store_diff_side *before, const struct store_diff_side *after,
		    store_diff_fn *fn, void *arg, struct hr_err *e) HR_MUST_USE;

#endif
