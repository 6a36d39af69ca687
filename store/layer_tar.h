/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A layer of a store as a tar stream again, out of its index and the packs: its entries in their
 * order, with whiteouts. It means what the layer meant that was imported, but has other bytes, for
 * headers are not kept, nor are the names of owners and other xattrs than "user."; imported again
 * it gives the same index but for its DiffID. The same layer gives the same bytes with the same
 * libarchive.
 *
 * For: push. Not for: a merged image (tree_tar.h).
 */
#ifndef STORE_LAYER_TAR_H
#define STORE_LAYER_TAR_H

#include "store/layout.h"

/*
 * Write the layer of DIFF_ID to SINK. Each chunk is compared with its digest.
 *
 * Bounds:  memory for the index of the layer and a few chunks.
 * Errors:  HR_NOTFOUND the store has no such layer, or it has hardlinks to what other layers hold,
 *          whose owner and mode an archive must repeat; HR_CORRUPT; HR_SYS; what SINK returned.
 */
int store_layer_tar(const struct store *st, const struct fetch_digest *diff_id, fetch_sink *sink,
		    void *arg, struct hr_err *e) HR_MUST_USE;

#endif
