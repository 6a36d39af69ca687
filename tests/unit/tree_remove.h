/* SPDX-License-Identifier: BSD-3-Clause */
/* For the end of a test that made a directory. */
#ifndef TESTS_UNIT_TREE_REMOVE_H
#define TESTS_UNIT_TREE_REMOVE_H

/* Remove PATH and all below it; symlinks are not followed. Not 0 when something cannot be removed.
 */
int tree_remove(const char *path);

#endif
