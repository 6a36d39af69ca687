/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large files of the image that the node cache holds whole, mounted over their paths in a running
 * container: what is read of them then comes from the node's disk, without FUSE.
 *
 * For: the session. A child does it, for it has to enter the container's namespaces; the session
 * does not wait for it and reaps it with the others. Each file that cannot be mounted stays as it
 * is.
 */
#ifndef RT_NATIVE_H
#define RT_NATIVE_H

#include <sys/types.h>

#include "util/err.h"

/*
 * Start mounting the files of LIST, a file with records of util/serve_proto.h, in the namespaces
 * USER_NS and MNT_NS.
 *
 * Returns the child's pid. Owns: the descriptors stay the caller's. Errors: HR_SYS.
 */
pid_t rt_native_start(int list, int user_ns, int mnt_ns, struct hr_err *e) HR_MUST_USE;

#endif
