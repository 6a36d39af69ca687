/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An image for a verb that reads its content: of a store, or a file that is read in place.
 *
 * Sequence: struct store_cmd_image i = { 0 }; store_cmd_image_open(); i.ix and i.chunks;
 * store_cmd_image_release().
 */
#ifndef STORE_CMD_IMAGE_H
#define STORE_CMD_IMAGE_H

#include "store/cmd.h"
#include "store/file_image.h"
#include "store/image.h"

struct store_cmd_image {
	struct store_image *img; /* of a store, or NULL */
	struct store_file *file; /* else */
	const struct store_index *ix;
	struct store_chunks *chunks;
};

/*
 * Open NAME, a reference or digest in one of the stores PATHS, or a path.
 *
 * Errors:  those of store_image_open() and store_file_open().
 * Owns:    *out; store_cmd_image_release frees it, also after an error.
 */
int store_cmd_image_open(const struct store_paths *paths, const char *name,
			 struct store_cmd_image *out, struct hr_err *e) HR_MUST_USE;
void store_cmd_image_release(struct store_cmd_image *i);

#endif
