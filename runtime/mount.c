/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/userns.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

/* linux/mount.h and sys/mount.h of glibc 2.36 exclude each other, and 2.34 lacks these: the values
 * are the kernel's, from linux/mount.h and linux/fcntl.h */
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x04
#endif
#ifndef MOVE_MOUNT_T_EMPTY_PATH
#define MOVE_MOUNT_T_EMPTY_PATH 0x40
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef FSOPEN_CLOEXEC
#define FSOPEN_CLOEXEC 1
#endif
#ifndef FSMOUNT_CLOEXEC
#define FSMOUNT_CLOEXEC 1
#endif
#define CONFIG_STRING 1 /* enum fsconfig_command */
#define CONFIG_CREATE 6
#define ATTR_RDONLY   0x00000001
#define ATTR_NOSUID   0x00000002
#define ATTR_NODEV    0x00000004

struct attr {
	uint64_t attr_set, attr_clr, propagation, userns_fd;
};

int rt_mount_private(struct hr_err *e)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		return 0;
	hr_fail(e, HR_SYS, errno, "cannot make the mounts private");
	rt_userns_hint_lsm(e);
	return -1;
}

int rt_mount_clone_at(int dirfd, const char *name, struct hr_err *e)
{
	/* recursive always: a part of a tree whose submounts are locked cannot be taken alone */
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
	long fd = syscall(SYS_open_tree, dirfd, name, flags);

	if (fd >= 0)
		return (int)fd;
	hr_fail(e, HR_SYS, errno, "cannot take a copy of mount '%s'", name);
	if (errno == ENOSYS)
		hr_hint(e, "hpcrun needs the open_tree system call: Linux 5.2 or newer");
	return -1;
}

int rt_mount_clone(const char *src, struct hr_err *e)
{
	return rt_mount_clone_at(AT_FDCWD, src, e);
}

static int set_attr(int tree, uint64_t set, struct hr_err *e)
{
	struct attr attr = { .attr_set = set };

	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
		    sizeof(attr)) == 0)
		return 0;
	hr_fail(e, HR_SYS, errno, "cannot make a bind read-only");
	if (errno == ENOSYS)
		hr_hint(e, "read-only binds need Linux 5.12 or newer");
	return -1;
}

int rt_mount_set_readonly(int tree, struct hr_err *e)
{
	return set_attr(tree, ATTR_RDONLY, e);
}

int rt_mount_seal(int tree, struct hr_err *e)
{
	return set_attr(tree, ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV, e);
}

int rt_mount_attach(int tree, int target, struct hr_err *e)
{
	if (syscall(SYS_move_mount, tree, "", target, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0)
		return 0;
	return hr_fail(e, HR_SYS, errno, "cannot attach a mount");
}

/* One "NAME=VALUE" of a file system that is being made. */
static int configure(int fs, char *option)
{
	char *value = strchr(option, '=');

	if (!value)
		return (int)syscall(SYS_fsconfig, fs, 0, option, NULL, 0);
	*value++ = '\0';
	return (int)syscall(SYS_fsconfig, fs, CONFIG_STRING, option, value, 0);
}

int rt_mount_new(const char *type, const char *options, struct hr_err *e)
{
	hr_autofree char *copy = hr_xstrdup(options);
	hr_autofd int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	long fd = -1;
	int r = fs;

	for (char *p = copy, *next; r >= 0 && *p; p = next) {
		next = p + strcspn(p, ",");
		if (*next)
			*next++ = '\0';
		r = configure(fs, p);
	}
	if (r >= 0)
		r = (int)syscall(SYS_fsconfig, fs, CONFIG_CREATE, NULL, NULL, 0);
	if (r >= 0)
		fd = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, ATTR_NOSUID);
	if (fd >= 0)
		return (int)fd;
	hr_fail(e, HR_SYS, errno, "cannot make a file system of type %s", type);
	if (errno == ENOSYS)
		hr_hint(e, "hpcrun needs the fsopen system call: Linux 5.2 or newer");
	return -1;
}

/* "/" names our root directory, which lies beneath what was stacked on it; ".." of it is the top.
 */
static int open_top(struct hr_err *e)
{
	int fd = open("/..", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fd : hr_fail(e, HR_SYS, errno, "cannot open what was just mounted");
}

static int stack(const char *type, unsigned long flags, const char *options, struct hr_err *e)
{
	if (mount("hpcrun", "/", type, MS_NOSUID | MS_NODEV | flags, options) == 0)
		return open_top(e);
	hr_fail(e, HR_SYS, errno, "cannot mount a file system of type %s", type);
	if (errno == EPERM || errno == EACCES)
		rt_userns_hint_lsm(e);
	return -1;
}

int rt_mount_tmpfs(const char *options, struct hr_err *e)
{
	return stack("tmpfs", 0, options, e);
}

int rt_mount_open_fuse(struct hr_err *e)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int err = errno;

	if (fd >= 0)
		return fd;
	hr_fail(e, err == EACCES || err == EPERM ? HR_DENIED : HR_SYS, err,
		"cannot open '/dev/fuse'");
	if (err == ENOENT)
		hr_hint(e, "the administrator must load the kernel module: 'modprobe fuse'; in an "
			   "enclosing container, pass the device in: --device /dev/fuse");
	else if (err == ENODEV || err == ENXIO)
		hr_hint(e, "the kernel has no FUSE: the administrator must load its module with "
			   "'modprobe fuse'");
	else if (err == EACCES)
		hr_hint(e, "its mode should be 0666, as udev sets it: 'chmod 666 /dev/fuse' by the "
			   "administrator");
	else if (err == EPERM)
		hr_hint(e, "the device list of the cgroup, or of an enclosing container, forbids "
			   "it: character device 10:229 must be allowed");
	return -1;
}

int rt_mount_fuse(int fuse, uid_t uid, gid_t gid, struct hr_err *e)
{
	char options[160];

	/* allow_other within a user namespace means: those in it (fuse_allow_current_process) */
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other,default_permissions",
		 fuse, uid, gid);
	return stack("fuse", MS_RDONLY, options, e);
}

int rt_mount_overlay(int lower, int scratch, bool read_only, struct hr_err *e)
{
	char options[256];
	int fd;

	/* userxattr: trusted.* is not for user namespaces. index: it would hold file handles of the
	 * image, which mean nothing to the next session */
	if (read_only)
		snprintf(options, sizeof(options),
			 "lowerdir=/proc/self/fd/%d/upper:/proc/self/fd/%d,userxattr", scratch,
			 lower);
	else
		snprintf(options, sizeof(options),
			 "lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d/upper,"
			 "workdir=/proc/self/fd/%d/work,userxattr,index=off",
			 lower, scratch, scratch);
	fd = stack("overlay", 0, options, e);
	if (fd < 0 && (e->sys == EPERM || e->sys == EINVAL || e->sys == ENODEV))
		hr_hint(e, "it takes overlayfs in user namespaces: Linux 5.11 or newer with "
			   "CONFIG_OVERLAY_FS; and for --overlay a file system that it can use");
	return fd;
}

/* Whoever enters the namespace is put on top of what is mounted on its root. */
static int check_top(int root, struct hr_err *e)
{
	hr_autofd int top = open_top(e);
	struct stat want, got;

	if (top < 0)
		return -1;
	if (fstat(root, &want) < 0 || fstat(top, &got) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot look at the new root");
	if (want.st_dev != got.st_dev || want.st_ino != got.st_ino)
		return hr_fail(e, HR_SYS, 0, "something covers the root of the container");
	return 0;
}

int rt_mount_pivot(int root, unsigned int below, struct hr_err *e)
{
	if (fchdir(root) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot enter the new root");
	/*
	 * pivot_root(2), NOTES: with "." twice the old root ends up on top of the new one, and what
	 * we stacked on the old root on top of that. EINVAL: the host's root is an initramfs, which
	 * cannot be moved; then the container stays on top of it.
	 */
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		for (unsigned int i = 0; i < below + 1; i++)
			if (umount2(".", MNT_DETACH) < 0)
				return hr_fail(e, HR_SYS, errno,
					       "cannot let go of the host's root");
	} else if (errno != EINVAL) {
		return hr_fail(e, HR_SYS, errno, "cannot change the root");
	}
	return check_top(root, e);
}
