/* SPDX-License-Identifier: BSD-3-Clause */
/* From the layers of an image that are in the store to its image index; for import.c. */
#ifndef STORE_IMPORT_MERGE_H
#define STORE_IMPORT_MERGE_H

#include "store/import.h"

struct store_import_merge_image {
	struct fetch_digest manifest, config;
	const struct hr_buf *config_doc;
	const char *created;			 /* or NULL */
	const struct store_import_layer *layers; /* lowest first */
	size_t n_layers;
};

/*
 * Merge the layers and write the image index, its locations and the image record.
 *
 * Errors:  HR_CORRUPT naming layer and entry; HR_SYS.
 */
int store_import_merge(const struct store *st, const struct store_import_merge_image *image,
		       struct hr_err *e) HR_MUST_USE;

#endif
