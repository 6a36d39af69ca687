/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system call filter of the container; hpcrun-session(7), SYSTEM CALLS, says what it is for.
 */
#ifndef RT_SECCOMP_H
#define RT_SECCOMP_H

#include <stdbool.h>

#include "util/buf.h"
#include "util/err.h"

/*
 * Compile the filter for all system call interfaces of this machine and append it (struct
 * sock_filter[]). PROFILE is the file that takes the place of hpcrun's own rules, "off" for none at
 * all, or NULL; of its rules those count that are for programs with the rights of FAKEROOT.
 *
 * Errors:  what is wrong with the profile; HR_SYS.
 */
int rt_seccomp_compile(const char *profile, bool fakeroot, struct hr_buf *out,
		       struct hr_err *e) HR_MUST_USE;

#endif
