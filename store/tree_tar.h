/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tree as a tar stream: an image, out of its index and chunks, or a directory of this machine.
 * The same tree gives the same bytes with the same libarchive.
 *
 * For: export, and import of what is no archive. Not for: reading archives (tar.h).
 */
#ifndef STORE_TREE_TAR_H
#define STORE_TREE_TAR_H

#include "store/chunks.h"
#include "store/index.h"
#include "util/err.h"

/* Errors: HR_CORRUPT the index is damaged or a chunk cannot be had; what SINK returned. */
int store_tree_tar_image(const struct store_index *ix, struct store_chunks *chunks,
			 fetch_sink *sink, void *arg, struct hr_err *e) HR_MUST_USE;

/*
 * Symlinks are not followed, other file systems are entered; sockets are left out with a warning.
 *
 * Errors:  HR_DENIED naming what cannot be read; HR_SYS; what SINK returned.
 */
int store_tree_tar_dir(const char *path, fetch_sink *sink, void *arg, struct hr_err *e) HR_MUST_USE;

#endif
