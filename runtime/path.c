/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
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
	if (fd >= 0)
		return (int)fd;
	hr_fail(e, errno == ENOENT ? HR_NOTFOUND : HR_SYS, errno,
		"cannot open '%s' of the container", path);
	if (errno == ENOSYS)
		hr_hint(e, "hpcrun needs the openat2 system call: Linux 5.6 or newer");
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
