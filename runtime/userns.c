/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "util/cleanup.h"
#include "util/poison.h"

int rt_userns_open_proc(struct hr_err *e)
{
	hr_autofd int fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open '/proc/self'");
	if (fs.f_type != PROC_SUPER_MAGIC)
		return hr_fail(e, HR_SYS, 0, "'/proc' is not a proc file system");
	return hr_steal_fd(&fd);
}

/* The first character of a sysctl, 0 when this kernel does not have it. */
static char sysctl_char(const char *path)
{
	hr_autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c = 0;

	return fd >= 0 && read(fd, &c, 1) == 1 ? c : 0;
}

static bool in_chroot(void)
{
	struct stat root, init;

	return stat("/", &root) == 0 && stat("/proc/1/root", &init) == 0 &&
	       (root.st_dev != init.st_dev || root.st_ino != init.st_ino);
}

void rt_userns_hint_lsm(struct hr_err *e)
{
	if (sysctl_char("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") != '1')
		return;
	hr_hint(e, "kernel.apparmor_restrict_unprivileged_userns=1 takes capabilities from user "
		   "namespaces; the administrator must load an AppArmor profile for "
		   "hpcrun-session with 'flags=(unconfined) { userns, }'");
}

/* What the errno of unshare(CLONE_NEWUSER) means here; user_namespaces(7), unshare(2). */
static int explain_unshare(int err, struct hr_err *e)
{
	hr_fail(e, HR_DENIED, err, "cannot create a user namespace");
	if (sysctl_char("/proc/sys/user/max_user_namespaces") == '0')
		hr_hint(e, "user namespaces are off: the administrator must set the sysctl "
			   "user.max_user_namespaces, to 15000 for example");
	else if (sysctl_char("/proc/sys/kernel/unprivileged_userns_clone") == '0')
		hr_hint(e, "user namespaces are off for users: the administrator must set the "
			   "sysctl kernel.unprivileged_userns_clone=1");
	else if (err == ENOSPC || err == EUSERS)
		hr_hint(e, "the limit of the sysctl user.max_user_namespaces is reached, or "
			   "namespaces are nested more than 32 deep");
	rt_userns_hint_lsm(e);
	if (err == EPERM && in_chroot())
		hr_hint(e, "a process in a chroot may not create a user namespace; start hpcrun "
			   "outside, or make the environment with pivot_root");
	else if (err == EPERM || err == ENOSYS)
		hr_hint(e,
			"a seccomp filter of an enclosing container may forbid it: allow unshare "
			"and mount there");
	else if (err == EINVAL)
		hr_hint(e, "the kernel must be built with CONFIG_USER_NS");
	return -1;
}

static int write_proc(int proc_fd, const char *name, const char *text, struct hr_err *e)
{
	hr_autofd int fd = openat(proc_fd, name, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);

	if (fd >= 0 && write(fd, text, len) == (ssize_t)len)
		return 0;
	hr_fail(e, errno == EPERM || errno == EACCES ? HR_DENIED : HR_SYS, errno,
		"cannot write '%s' to /proc/self/%s", text, name);
	rt_userns_hint_lsm(e);
	/* since 5.12 mapping user 0 takes CAP_SETFCAP outside: user_namespaces(7) */
	if (e->kind == HR_DENIED && strcmp(name, "uid_map") == 0 && strstr(text, " 0 1"))
		hr_hint(e,
			"user 0 without capabilities, as in a container that root started, cannot "
			"be mapped once more; start the outer one as an ordinary user");
	return -1;
}

int rt_userns_enter(int proc_fd, const struct rt_ids *ids, struct hr_err *e)
{
	char map[64];

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return explain_unshare(errno, e);
	snprintf(map, sizeof(map), "%u %u 1", ids->uid_inside, ids->uid);
	if (write_proc(proc_fd, "uid_map", map, e) < 0)
		return -1;
	/* user_namespaces(7): without it an unprivileged gid_map is refused */
	if (write_proc(proc_fd, "setgroups", "deny", e) < 0)
		return -1;
	snprintf(map, sizeof(map), "%u %u 1", ids->gid_inside, ids->gid);
	return write_proc(proc_fd, "gid_map", map, e);
}
