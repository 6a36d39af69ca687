/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which chunks the packs of a store hold: so that an import stores nothing twice.
 *
 * Derived from the tables of the packs: opening it brings it up to date, a damaged part is thrown
 * away and made anew. The caller holds an import lease, so no pack disappears meanwhile.
 * Source: hpcrun-store(5) DICT.
 */
#ifndef STORE_DICT_H
#define STORE_DICT_H

#include <stdbool.h>

#include "store/layout.h"
#include "store/loc.h"

struct store_dict;

/* Errors:  HR_SYS; a pack that cannot be read is a warning, its chunks are not known then. */
int store_dict_open(const struct store *st, struct store_dict **out, struct hr_err *e) HR_MUST_USE;
void store_dict_close(struct store_dict *d);

/*
 * Where a chunk lies, in a pack that was there when the dict was opened; where->pack is not set.
 * Threads: any.
 */
bool store_dict_find(const struct store_dict *d, const struct fetch_digest *chunk,
		     struct store_loc_pack *pack, struct store_loc_chunk *where);

#endif
