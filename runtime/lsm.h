/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --security: what podman and Apptainer take under this name. Seccomp profiles go to --seccomp, a
 * profile of AppArmor or a context of SELinux is set for the program by the rank.
 */
#ifndef RT_LSM_H
#define RT_LSM_H

#include "util/err.h"
#include "util/mem.h"

struct rt_security {
	const char *seccomp;		/* a file or "off", or NULL; borrowed */
	const char *apparmor, *selinux; /* or NULL; borrowed */
};

/*
 * Take words of the form NAME:VALUE or NAME=VALUE, and "no-new-privileges", which is always so.
 * Pure.
 *
 * Errors:  HR_USAGE with the nearest name.
 */
int rt_security_parse(const struct hr_strv *words, struct rt_security *out,
		      struct hr_err *e) HR_MUST_USE;

/*
 * Ask for a change at the next execve, in the process that does it; /proc is mounted.
 *
 * Errors:  HR_NOTFOUND when the node does not have the module; HR_DENIED or HR_SYS when it refuses.
 */
int rt_security_apply(const struct rt_security *s, struct hr_err *e) HR_MUST_USE;

#endif
