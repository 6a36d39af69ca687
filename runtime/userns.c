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
#include <sys/vfs.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define STATUS_MAX (64u << 10)

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

/* proc(5): "Seccomp:" of our own status, 2 under a filter. */
static bool is_filtered(void)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err unknown = { 0 }; /* then nothing is said of filters */

	return hr_file_read(AT_FDCWD, "/proc/self/status", STATUS_MAX, &b, &unknown) == 0 &&
	       b.len > 0 && strstr((const char *)b.p, "\nSeccomp:\t2\n");
}

static void look_at(struct rt_userns_site *s)
{
	s->max = sysctl_char("/proc/sys/user/max_user_namespaces");
	s->clone = sysctl_char("/proc/sys/kernel/unprivileged_userns_clone");
	s->apparmor = sysctl_char("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
	s->filtered = is_filtered();
}

#define HINT_APPARMOR                                                                              \
	"kernel.apparmor_restrict_unprivileged_userns=1 takes capabilities from user "             \
	"namespaces; the administrator must load the AppArmor profile '" HPCRUN_DATADIR            \
	"/apparmor/hpcrun', see hpcrun-admin(7)"

void rt_userns_hint_lsm(struct hr_err *e)
{
	struct rt_userns_site s;

	look_at(&s);
	if (s.apparmor == '1')
		hr_hint(e, HINT_APPARMOR);
}

int rt_userns_explain(int err, const struct rt_userns_site *s, struct hr_err *e)
{
	bool refused = err == EPERM || err == EACCES;

	hr_fail(e, HR_DENIED, err, "cannot create a user namespace");
	/* the first that is true stays */
	if (s->max == '0')
		hr_hint(e, "user namespaces are off: the administrator must set the sysctl "
			   "user.max_user_namespaces, to 15000 for example");
	if (s->clone == '0')
		hr_hint(e, "user namespaces are off for users: the administrator must set the "
			   "sysctl kernel.unprivileged_userns_clone=1");
	if (err == ENOSPC || err == EUSERS)
		hr_hint(e, "the limit of the sysctl user.max_user_namespaces is reached, or "
			   "namespaces are nested more than 32 deep");
	if (s->apparmor == '1')
		hr_hint(e, HINT_APPARMOR);
	if ((refused || err == ENOSYS) && s->filtered)
		hr_hint(e, "the seccomp filter of an enclosing container may forbid it: allow "
			   "unshare and mount there");
	/* a user cannot see whether this is a chroot; nothing else is left that refuses */
	if (refused)
		hr_hint(e, "a process in a chroot may not create a user namespace: start hpcrun "
			   "outside, or make the environment with pivot_root; or a security "
			   "module forbids it");
	if (err == EINVAL || err == ENOSYS)
		hr_hint(e, "the kernel must be built with CONFIG_USER_NS");
	return -1;
}

static int explain_unshare(int err, struct hr_err *e)
{
	struct rt_userns_site s;

	look_at(&s);
	return rt_userns_explain(err, &s, e);
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
