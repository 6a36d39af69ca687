/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Paths inside the container's tree, resolved by the kernel with that tree as the root, and used by
 * descriptor from then on.
 */
#ifndef RT_PATH_H
#define RT_PATH_H

#include <stdbool.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/mem.h"

#define RT_PATH_EXPAND_MAX 64

/*
 * Open PATH inside the tree at ROOT with FLAGS (O_CLOEXEC is added). Symlinks are followed inside
 * the tree; magic links of proc are refused.
 *
 * Errors:  HR_NOTFOUND; HR_SYS.
 */
int rt_path_open(int root, const char *path, int flags, struct hr_err *e) HR_MUST_USE;

/*
 * Open PATH inside the tree at ROOT, O_PATH: no symlink anywhere, nothing mounted on the way or on
 * it.
 *
 * Errors:  as above; also where one of these stands in the way, and where there is no openat2
 *          (Linux 5.6).
 */
int rt_path_open_plain(int root, const char *path, struct hr_err *e) HR_MUST_USE;

/*
 * Make PATH inside the tree at ROOT, a directory or an empty file, and what it lies in, where it is
 * missing. For file systems that we have just made: no path of an image or a host.
 *
 * Errors:  HR_SYS.
 */
int rt_path_make(int root, const char *path, bool file, struct hr_err *e) HR_MUST_USE;

/*
 * Add the directories of the tree at ROOT that PATTERN means, an absolute path with patterns of
 * fnmatch(3) between its slashes: of one directory the highest version first, strverscmp(3). What
 * cannot be looked into has none.
 *
 * Bounds:  RT_PATH_EXPAND_MAX directories in DIRS; the others are left out.
 */
void rt_path_expand(int root, const char *pattern, struct hr_strv *dirs);

/*
 * Append the file PATH of the tree to B: nothing if there is no such regular file.
 *
 * Bounds:  more than LIMIT bytes is HR_CORRUPT. Never blocks on a FIFO or device.
 */
int rt_path_read(int root, const char *path, size_t limit, struct hr_buf *b,
		 struct hr_err *e) HR_MUST_USE;

#endif
