/* SPDX-License-Identifier: BSD-3-Clause */
/* The tree that layers are merged into; for merge.c and merge_finish.c. */
#ifndef STORE_MERGE_TREE_H
#define STORE_MERGE_TREE_H

#include <stdbool.h>

#include "store/idmap.h"
#include "store/merge.h"

#define MERGE_NONE UINT32_MAX
#define MERGE_ROOT 0

/* An inode. Its attributes are those of an entry of a layer, or those of a directory made. */
struct merge_node {
	uint32_t layer, entry; /* MERGE_NONE: made, because a path needed it */
	uint32_t mode;
	uint32_t parent;      /* of a directory */
	uint32_t first_child; /* name, or MERGE_NONE */
};

/* A name in a directory; one that was removed stays, with node MERGE_NONE, for its return. */
struct merge_name {
	uint32_t parent, node;
	uint32_t next; /* name in the list of the same directory */
	bool listed;   /* it stands in that list */
	struct store_string name;
};

struct merge_layer {
	struct store_layer l;
	struct store_loc loc;
};

struct store_merge {
	struct merge_layer *layers;
	uint32_t n_layers;
	struct merge_node *nodes;
	uint32_t n_nodes;
	size_t cap_nodes;
	struct merge_name *names;
	uint32_t n_names;
	size_t cap_names;
	struct store_idmap by_name; /* (parent, name) to its number */
};

#endif
