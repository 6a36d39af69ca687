/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tree that hpcrun-serve shows: an image index, with the targets of the session laid over it.
 * Pure: no I/O, no FUSE.
 *
 * Nodes are numbered: inodes of the index first, by their position, then what was laid over it, in
 * the order it was added. The same index and the same targets give the same numbers, which is what
 * a server that takes over from a killed one relies on.
 *
 * Sequence: serve_tree_new(); serve_tree_force(), serve_tree_targets(); then the accessors, from
 * any number of threads; serve_tree_free().
 */
#ifndef STORE_SERVE_TREE_H
#define STORE_SERVE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/index.h"
#include "util/err.h"

#define SERVE_TREE_ROOT 0

struct serve_tree;

/* IX is borrowed. */
struct serve_tree *serve_tree_new(const struct store_index *ix);
void serve_tree_free(struct serve_tree *t);
void serve_tree_freep(struct serve_tree **t);

/* Put an empty directory NAME into the root, whatever the image has there. */
int serve_tree_force(struct serve_tree *t, const char *name, uint32_t mode,
		     struct hr_err *e) HR_MUST_USE;

/*
 * Make each target of the N bytes at P exist: records "d/abs/path\0" and "f/abs/path\0".
 *
 * Symlinks are resolved inside the root. A last part that is a symlink to the right type is
 * followed; a node of another type is hidden by an empty directory or file; missing parents are
 * made.
 * Errors:  HR_CORRUPT a malformed record, or an index that is damaged where the path leads.
 */
int serve_tree_targets(struct serve_tree *t, const uint8_t *p, size_t n,
		       struct hr_err *e) HR_MUST_USE;

uint64_t serve_tree_nodes(const struct serve_tree *t);
/* What a node is; false when there is none of this number or the index is damaged there. */
bool serve_tree_inode(const struct serve_tree *t, uint32_t node,
		      struct store_inode *out) HR_MUST_USE;
/* NAME in directory NODE, which DIR describes: 1 and *out, 0 not there, -1 damaged. */
int serve_tree_lookup(const struct serve_tree *t, uint32_t node, const struct store_inode *dir,
		      const char *name, size_t len, uint32_t *out) HR_MUST_USE;
/* Entries of a directory, and entry I; the order never changes. */
uint64_t serve_tree_entries(const struct serve_tree *t, uint32_t node,
			    const struct store_inode *dir);
bool serve_tree_entry(const struct serve_tree *t, uint32_t node, const struct store_inode *dir,
		      uint64_t i, struct store_entry *out) HR_MUST_USE;
/* The directory above a directory; the root's is the root. */
uint32_t serve_tree_parent(const struct serve_tree *t, uint32_t node,
			   const struct store_inode *dir);

#endif
