/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an archive entry means in a layer: its path inside the root, whiteouts, what is kept of its
 * attributes, what is refused.
 *
 * Sequence: store_import_row_begin() for each entry; for a regular file the owner adds its extents;
 * store_import_row_end().
 * Source: OCI image-spec layer.md, "Whiteouts"; hpcrun-store(5) LAYER INDEX.
 */
#ifndef STORE_IMPORT_ROWS_H
#define STORE_IMPORT_ROWS_H

#include <stdbool.h>

#include "store/layer.h"
#include "store/tar.h"

struct store_import_rows {
	struct store_layer_builder builder;
	uint64_t odd;	 /* entries passed over */
	char *first_odd; /* printable, or NULL */
	/* of the entry under work */
	struct hr_buf path, target;
	struct store_layer_entry row;
};

void store_import_rows_release(struct store_import_rows *r);

/*
 * Judge an entry.
 *
 * Returns 1 when it becomes a row, 0 when it is passed over (its data too).
 * Errors:  HR_CORRUPT, naming the entry: a path with "..", a part of more than 255 bytes, a path
 *          or target of more than 4095, a symlink to nothing, a root that is no directory.
 */
int store_import_row_begin(struct store_import_rows *r, const struct store_tar_entry *n,
			   struct hr_err *e) HR_MUST_USE;
int store_import_row_end(struct store_import_rows *r, const struct store_tar_entry *n,
			 struct hr_err *e) HR_MUST_USE;

#endif
