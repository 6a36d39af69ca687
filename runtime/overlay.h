/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --overlay DIR: a directory of the user's that keeps what programs change of the image, as the
 * upper layer of an overlay, from one session to the next.
 *
 * DIR/upper has the changes, DIR/work is the kernel's. The kernel does not look after two overlays
 * on one upper layer: so the directory is locked as long as the session or its server lives.
 *
 * Sequence: rt_overlay_parse; rt_overlay_open in the session, its descriptor for the server; the
 * builder mounts it (mount.h).
 */
#ifndef RT_OVERLAY_H
#define RT_OVERLAY_H

#include <stdbool.h>

#include "util/err.h"

/*
 * Split "DIR[:ro|rw]". *DIR is on the heap. Pure.
 *
 * Errors:  HR_USAGE.
 */
int rt_overlay_parse(const char *spec, char **dir, bool *ro, struct hr_err *e) HR_MUST_USE;

/*
 * Check and lock the directory, and make what is missing in it. Waits a few seconds for a session
 * that is about to end.
 *
 * Returns a descriptor that holds the lock, close-on-exec.
 * Errors:  HR_NOTFOUND when there is no such directory; HR_USAGE when it is on a file system that
 *          cannot hold an upper layer; HR_DENIED when another session uses it; HR_SYS.
 */
int rt_overlay_open(const char *dir, bool ro, struct hr_err *e) HR_MUST_USE;

#endif
