/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The user namespace of a session: one user id, one group id, no helper programs.
 */
#ifndef RT_USERNS_H
#define RT_USERNS_H

#include <stdbool.h>
#include <sys/types.h>

#include "util/err.h"

/* The caller as it was outside, for messages about what failed inside, and for the maps. */
struct rt_ids {
	uid_t uid;
	gid_t gid;
	uid_t uid_inside;
	gid_t gid_inside;
};

/*
 * An O_PATH descriptor of /proc/self, opened before anything of an image is mounted: identity maps
 * are written through it, so that no mount can catch them (CVE-2025-52881).
 *
 * Errors:  HR_SYS when /proc is not a proc file system.
 */
int rt_userns_open_proc(struct hr_err *e) HR_MUST_USE;

/*
 * Move the calling process into new user and mount namespaces and map its ids.
 *
 * Errors:  HR_DENIED or HR_SYS, with the setting of this machine that forbids it in the hint.
 */
int rt_userns_enter(int proc_fd, const struct rt_ids *ids, struct hr_err *e) HR_MUST_USE;

/* What this machine says of user namespaces: the first characters of sysctls, 0 where it has none.
 */
struct rt_userns_site {
	char max;      /* user.max_user_namespaces */
	char clone;    /* kernel.unprivileged_userns_clone, Debian's */
	char apparmor; /* kernel.apparmor_restrict_unprivileged_userns */
	bool filtered; /* this process runs under a seccomp filter */
};
/*
 * Fail with what errno ERR of unshare(CLONE_NEWUSER) means on such a machine; -1. Pure.
 *
 * Source:  unshare(2), user_namespaces(7).
 */
int rt_userns_explain(int err, const struct rt_userns_site *s, struct hr_err *e);

/* For failures of mount(2) inside: add the hint about AppArmor if that is how this machine is set.
 */
void rt_userns_hint_lsm(struct hr_err *e);

#endif
