/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/native.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/mount.h"
#include "runtime/path.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/serve_proto.h"
#include "util/poison.h"

/* A server that hangs must not keep the child, and with it the container, for ever. */
#define LIMIT_S 30

#define MANY	      8		   /* files of a directory, for which it is read once */
#define ENTRIES_BYTES (128u << 10) /* of that */

enum { FD_LIST = 3, FD_USER, FD_MNT, FD_FREE };

/* A file of the list, and the detached mount of its source, or -1. */
struct file {
	struct hr_native at;
	int tree;
};

/*
 * A mount can be copied only out of the caller's own mount namespace, and the container's has no
 * host paths any more. So the copies are made in a third: the host's mounts, owned by the
 * container's user namespace.
 */
static int enter_copy(struct hr_err *e)
{
	if (setns(FD_USER, CLONE_NEWUSER) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot enter the user namespace of the session");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* here: new credentials clear it */
	if (unshare(CLONE_NEWNS) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot copy the mounts of the host");
	return rt_mount_private(e);
}

/* The path may name another file by now; the one that the server verified is known by its number.
 */
static int copy_source(const struct hr_native *n, struct hr_err *e)
{
	hr_autofd int tree = rt_mount_clone(n->source, e);
	struct stat st;

	if (tree < 0)
		return -1;
	if (fstat(tree, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot stat '%s'", n->source);
	if (!S_ISREG(st.st_mode) || st.st_dev != n->dev || st.st_ino != n->ino)
		return hr_fail(e, HR_DENIED, 0, "'%s' is not the file it was", n->source);
	if (rt_mount_seal(tree, e) < 0)
		return -1;
	return hr_steal_fd(&tree);
}

/* How much of its target is the directory, without the slash behind it. */
static size_t dir_len(const struct file *f)
{
	const char *slash = strrchr(f->at.target, '/');

	return slash ? (size_t)(slash - f->at.target) : 0;
}

/*
 * One reading of a directory tells the kernel of as many files as one request to the server can
 * (since Linux 6.16; before, of 20): what it does not know then it has to ask for one by one.
 */
static void look_around(int dir)
{
	hr_autofree char *entries = hr_xmalloc(ENTRIES_BYTES);
	hr_autofd int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) /* it only saves time */
		(void)syscall(SYS_getdents64, fd, entries, ENTRIES_BYTES);
}

/* Only over the very file of the image: not what a bind of the user shows under this path. */
static int attach(const struct file *f, int dir, dev_t image, struct hr_err *e)
{
	hr_autofd int target = rt_path_open_plain(dir, f->at.target + dir_len(f) + 1, e);
	struct stat st;

	if (target < 0)
		return -1;
	if (fstat(target, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot stat '%s'", f->at.target);
	if (!S_ISREG(st.st_mode) || st.st_dev != image || st.st_ino != f->at.node)
		return hr_fail(e, HR_DENIED, 0, "'%s' is not the file it was", f->at.target);
	return rt_mount_attach(f->tree, target, e);
}

/* How many of the N files, from the first on, lie in one directory. */
static size_t together(const struct file *v, size_t n)
{
	size_t len = dir_len(&v[0]), i = 1;

	while (i < n && dir_len(&v[i]) == len && memcmp(v[0].at.target, v[i].at.target, len) == 0)
		i++;
	return i;
}

/* The N files of one directory. */
static void attach_dir(const struct file *v, size_t n, int root, dev_t image)
{
	hr_autofree char *path = hr_xstrndup(v[0].at.target, dir_len(&v[0]) + 1);
	struct hr_err stays = { 0 }; /* where they are, on FUSE */
	hr_autofd int dir = rt_path_open_plain(root, path, &stays);

	if (dir >= 0 && n >= MANY)
		look_around(dir);
	for (size_t i = 0; dir >= 0 && i < n; i++) {
		hr_err_clear(&stays);
		if (v[i].tree >= 0 && attach(&v[i], dir, image, &stays) < 0)
			continue;
	}
}

static int attach_all(const struct file *v, size_t n, struct hr_err *e)
{
	hr_autofd int root = -1;
	struct stat st;

	if (setns(FD_MNT, CLONE_NEWNS) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot enter the mount namespace of the session");
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || fstat(root, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open the root of the container");
	for (size_t i = 0, some; i < n; i += some) {
		some = together(v + i, n - i);
		attach_dir(v + i, some, root, st.st_dev);
	}
	return 0;
}

static int mount_list(struct hr_err *e)
{
	hr_autobuf struct hr_buf b = { 0 };
	hr_autofree struct file *v = hr_xmalloc(HR_NATIVES_MAX * sizeof(*v));
	const uint8_t *p;
	size_t n = 0, left;
	int r;

	if (lseek(FD_LIST, 0, SEEK_SET) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot rewind the list of large files");
	if (hr_fd_read(FD_LIST, HR_NATIVES_BYTES, "the list of large files", &b, e) < 0)
		return -1;
	p = b.p;
	left = b.len;
	while (n < HR_NATIVES_MAX && (r = hr_native_next(&p, &left, &v[n].at, e)) > 0)
		n++;
	if (e->kind != HR_OK || enter_copy(e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct hr_err gone = { 0 }; /* evicted since */

		v[i].tree = copy_source(&v[i].at, &gone);
	}
	return attach_all(v, n, e);
}

/* The session's sockets must not live on in this child. */
static int keep(const int fds[3])
{
	int high[3];

	for (size_t i = 0; i < HR_COUNT(high); i++) {
		high[i] = fcntl(fds[i], F_DUPFD, FD_FREE);
		if (high[i] < 0)
			return -1;
	}
	for (size_t i = 0; i < HR_COUNT(high); i++)
		if (dup2(high[i], FD_LIST + (int)i) < 0)
			return -1;
	return (int)syscall(SYS_close_range, (unsigned int)FD_FREE, ~0u, 0u);
}

static void child_main(const int fds[3])
{
	struct hr_err e = { 0 }; /* nobody waits for it */
	int r = keep(fds);

	signal(SIGALRM, SIG_DFL);
	(void)alarm(LIMIT_S);
	if (r == 0)
		r = mount_list(&e);
	_exit(r < 0 ? HR_EXIT_FAILED : 0);
}

pid_t rt_native_start(int list, int user_ns, int mnt_ns, struct hr_err *e)
{
	const int fds[] = { list, user_ns, mnt_ns };
	pid_t pid = fork();

	if (pid == 0)
		child_main(fds);
	if (pid < 0)
		return hr_fail(e, HR_SYS, errno, "cannot start what mounts large files");
	return pid;
}
