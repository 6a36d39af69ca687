/* SPDX-License-Identifier: BSD-3-Clause */
/* What layout.c, layout_each.c, layout_tmp.c and layout_ref.c tell each other. */
#ifndef STORE_LAYOUT_NAMES_H
#define STORE_LAYOUT_NAMES_H

#include "store/layout.h"

#define LAYOUT_DIR_MODE 0755 /* of the directories in a store; the top one decides who gets in */

/*
 * The directory of the objects of a kind whose digest begins with AB, and the ending of their
 * names. False when the directory is the same as that of another AB before.
 */
#define STORE_KIND_DIR 16
bool store_kind_dir_path(enum store_kind kind, unsigned int ab, char path[STORE_KIND_DIR]);
const char *store_kind_suffix(enum store_kind kind);

/* An object got or lost its name: store_sync_names() has to sync its directory. */
void store_names_add(const struct store *st, enum store_kind kind, const struct fetch_digest *d);

#endif
