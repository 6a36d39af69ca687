/* SPDX-License-Identifier: BSD-3-Clause */
/* One layer of an import: from its blob to its layer index; for import.c. */
#ifndef STORE_IMPORT_LAYER_H
#define STORE_IMPORT_LAYER_H

#include "store/import.h"

/*
 * Have a layer in the store: take a lease, look whether it is there, else fetch it, check all its
 * digests and publish it.
 *
 * Errors:  as store_import_pull(), naming the layer.
 * Threads: several layers of one import at once.
 */
int store_import_layer_run(const struct store_import_options *o, struct store_import_work *w,
			   struct store_import_layer *layer, struct hr_err *e) HR_MUST_USE;

/*
 * Whether the location file of an index of layer or image D is there, and the packs it names;
 * *n_chunks receives how many chunks it locates.
 */
bool store_import_packs_are_here(const struct store *st, enum store_kind kind,
				 const struct fetch_digest *d, uint32_t *n_chunks);

/* Whether all of a layer is in the store, with the packs it refers to. */
bool store_import_layer_is_here(const struct store *st, const struct store_import_layer *layer);

#endif
