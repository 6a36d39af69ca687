/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The directory of the user's on this node in which sessions have what outlives them: the secret of
 * their names (name.h), what they have counted (stats.h), what they have found out (memo.h).
 *
 * Not for: anything that must survive the node's next boot.
 */
#ifndef RT_PLACE_H
#define RT_PLACE_H

#include "util/err.h"

/*
 * Open the directory, making it if it is not there: $XDG_RUNTIME_DIR/hpcrun, else
 * /tmp/hpcrun-<uid>, else /tmp/hpcrun-<uid>.1 and so on if another user was faster.
 *
 * The result is an O_PATH descriptor of a directory that is owned by the caller with mode 0700, not
 * reached through a symlink, and not on a network file system.
 * Errors:  HR_DENIED when every name is taken by somebody else; HR_SYS.
 */
int rt_place_open(struct hr_err *e) HR_MUST_USE;

#endif
