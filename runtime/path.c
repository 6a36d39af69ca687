/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/walk.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/poison.h"

static int open_in(int root, const char *path, int flags, uint64_t resolve, struct hr_err *e)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC),
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve };
	long fd;

	do {
		/* EAGAIN: something was renamed on the way, openat2(2) */
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	/* EPERM: a seccomp filter from before openat2; if it is more, we are told once more */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM) && !(resolve & RESOLVE_NO_XDEV))
		fd = rt_walk_open(root, path, flags);
	if (fd >= 0)
		return (int)fd;
	hr_fail(e, errno == ENOENT ? HR_NOTFOUND : HR_SYS, errno,
		"cannot open '%s' of the container", path);
	return -1;
}

int rt_path_open(int root, const char *path, int flags, struct hr_err *e)
{
	return open_in(root, path, flags, 0, e);
}

int rt_path_open_plain(int root, const char *path, struct hr_err *e)
{
	return open_in(root, path, O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV, e);
}

int rt_path_make(int root, const char *path, bool file, struct hr_err *e)
{
	hr_autofree char *part = hr_xstrdup(path);
	hr_autofd int dir = rt_path_open(root, "/", O_PATH | O_DIRECTORY, e);

	for (char *p = part + 1, *slash; dir >= 0 && *p; p = slash) {
		bool last;
		int r;

		slash = p + strcspn(p, "/");
		last = *slash == '\0';
		if (!last)
			*slash = '\0';
		r = last && file ? openat(dir, p, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644)
				 : mkdirat(dir, p, 0755);
		if (r < 0 && errno != EEXIST && errno != EROFS)
			return hr_fail(e, HR_SYS, errno, "cannot make '%s' of the container", part);
		if (last && file)
			hr_fd_cleanup(&r);
		hr_fd_cleanup(&dir);
		dir = rt_path_open(root, part, O_PATH, e);
		if (!last)
			*slash++ = '/';
	}
	return dir < 0 ? -1 : 0;
}

int rt_path_read(int root, const char *path, size_t limit, struct hr_buf *b, struct hr_err *e)
{
	struct hr_err missing = { 0 };
	hr_autofd int fd = rt_path_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &missing);
	struct stat st;

	if (fd < 0 && (missing.kind == HR_NOTFOUND || missing.sys == EACCES))
		return 0;
	if (fd < 0) {
		*e = missing;
		return -1;
	}
	if (fstat(fd, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot look at '%s' of the container", path);
	return S_ISREG(st.st_mode) ? hr_fd_read(fd, limit, path, b, e) : 0;
}
