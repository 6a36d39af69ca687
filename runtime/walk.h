/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What openat2(2) does with RESOLVE_IN_ROOT, for where it cannot be had: Linux before 5.6, or an
 * enclosing container whose seccomp filter does not know it. One component at a time, each by the
 * descriptor of the one before it, no symlink followed by the kernel.
 *
 * Not for: anybody but path.c.
 */
#ifndef RT_WALK_H
#define RT_WALK_H

/*
 * Open PATH inside the tree at ROOT with FLAGS; O_CLOEXEC is added. Absolute links of proc, which
 * lead anywhere, are refused.
 *
 * Errors:  -1 with errno, as openat2(2).
 */
int rt_walk_open(int root, const char *path, int flags);

#endif
