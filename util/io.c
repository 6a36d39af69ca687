/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define STALE_TIMES 3 /* a busy name can be replaced again before it is read */

int hr_pread_all(int fd, void *buf, size_t len, uint64_t off, const char *what, struct hr_err *e)
{
	uint8_t *p = buf;
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, p + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hr_fail(e, HR_SYS, errno, "cannot read '%s' at %" PRIu64, what,
				       off + done);
		if (n == 0)
			return hr_fail(e, HR_CORRUPT, 0,
				       "'%s' ends at %" PRIu64 ", expected %zu bytes at %" PRIu64,
				       what, off + done, len, off);
		done += (size_t)n;
	}
	return 0;
}

int hr_write_all(int fd, const void *buf, size_t len, const char *what, struct hr_err *e)
{
	const uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hr_fail(e, HR_SYS, errno, "cannot write '%s'", what);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int hr_pwrite_all(int fd, const void *buf, size_t len, uint64_t off, const char *what,
		  struct hr_err *e)
{
	const uint8_t *p = buf;
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, p + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hr_fail(e, HR_SYS, errno, "cannot write '%s' at %" PRIu64, what,
				       off + done);
		done += (size_t)n;
	}
	return 0;
}

int hr_fd_read(int fd, uint64_t limit, const char *what, struct hr_buf *b, struct hr_err *e)
{
	uint64_t got = 0;

	for (;;) {
		ssize_t n;

		hr_buf_reserve(b, 65536);
		n = read(fd, b->p + b->len, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hr_fail(e, HR_SYS, errno, "cannot read '%s'", what);
		b->p[b->len + (size_t)n] = '\0';
		if (n == 0)
			return 0;
		b->len += (size_t)n;
		got += (uint64_t)n;
		if (got > limit)
			return hr_fail(e, HR_CORRUPT, 0, "'%s' is larger than %" PRIu64 " bytes",
				       what, limit);
	}
}

bool hr_io_stale(unsigned int *times, struct hr_err *e)
{
	if (e->sys != ESTALE || ++*times > STALE_TIMES)
		return false;
	hr_err_clear(e);
	return true;
}

static int read_named(int dirfd, const char *name, uint64_t limit, struct hr_buf *b,
		      struct hr_err *e)
{
	hr_autofd int fd =
		openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return hr_fail(e,
			       errno == ENOENT || errno == ENOTDIR ? HR_NOTFOUND
			       : errno == EACCES || errno == EPERM ? HR_DENIED
								   : HR_SYS,
			       errno, "cannot open '%s'", name);
	if (fstat(fd, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot stat '%s'", name);
	if (!S_ISREG(st.st_mode))
		return hr_fail(e, HR_CORRUPT, 0, "'%s' is not a regular file", name);
	if ((uint64_t)st.st_size <= limit)
		hr_buf_reserve(b, (size_t)st.st_size + 65536);
	return hr_fd_read(fd, limit, name, b, e);
}

int hr_file_read(int dirfd, const char *name, uint64_t limit, struct hr_buf *b, struct hr_err *e)
{
	unsigned int stale = 0;
	size_t before = b->len;
	int r;

	while ((r = read_named(dirfd, name, limit, b, e)) < 0 && hr_io_stale(&stale, e))
		b->len = before;
	return r;
}

static int replace_with(int dirfd, const char *tmp, const char *name, const void *p, size_t len,
			mode_t mode, struct hr_err *e)
{
	hr_autofd int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
				  mode & 0777);

	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot create '%s'", tmp);
	if (fchmod(fd, mode & 0777) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot set the mode of '%s'", tmp);
	if (hr_write_all(fd, p, len, name, e) < 0)
		return -1;
	if (fsync(fd) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot sync '%s'", name);
	if (hr_close(&fd, name, e) < 0)
		return -1;
	if (renameat(dirfd, tmp, dirfd, name) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot rename '%s' to '%s'", tmp, name);
	return 0;
}

int hr_file_replace(int dirfd, const char *name, const void *p, size_t len, mode_t mode,
		    struct hr_err *e)
{
	static atomic_uint serial;
	const char *slash = strrchr(name, '/');
	hr_autofree char *tmp =
		hr_xasprintf("%.*s.%s.%d-%u.tmp", slash ? (int)(slash + 1 - name) : 0, name,
			     slash ? slash + 1 : name, (int)getpid(), atomic_fetch_add(&serial, 1));

	if (replace_with(dirfd, tmp, name, p, len, mode, e) < 0) {
		unlinkat(dirfd, tmp, 0);
		return -1;
	}
	return 0;
}

int hr_file_publish(int dirfd, const char *tmp, const char *name)
{
	if (linkat(dirfd, tmp, dirfd, name, 0) == 0)
		return 0;
	/* link(2): "The filesystem ... does not support the creation of hard links" */
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
		return -1;
	return renameat2(dirfd, tmp, dirfd, name, RENAME_NOREPLACE);
}

int hr_mkdir_all(int dirfd, const char *path, mode_t mode, struct hr_err *e)
{
	hr_autofree char *part = hr_xstrdup(path);
	struct stat st;
	int refused = 0;

	for (char *p = part + 1;; p++) {
		char was = *p;

		if (was != '/' && was != '\0')
			continue;
		*p = '\0';
		if (mkdirat(dirfd, part, mode) < 0 && errno != EEXIST) {
			refused = errno;
			if (refused != EROFS && refused != EACCES)
				return hr_fail(e, HR_SYS, refused, "cannot create directory '%s'",
					       part);
		}
		*p = was;
		if (was == '\0')
			break;
	}
	/* EROFS and EACCES on a parent that exists are harmless; the last word is whether the path
	 * is there. */
	if (fstatat(dirfd, path, &st, 0) < 0)
		return hr_fail(e, HR_SYS, refused ? refused : errno, "cannot create directory '%s'",
			       path);
	if (!S_ISDIR(st.st_mode))
		return hr_fail(e, HR_SYS, ENOTDIR, "cannot create directory '%s'", path);
	return 0;
}

int hr_close(int *fd, const char *what, struct hr_err *e)
{
	int v = hr_steal_fd(fd);

	if (close(v) < 0 && errno != EINTR)
		return hr_fail(e, HR_SYS, errno, "cannot close '%s'", what);
	return 0;
}

char *hr_path_existing(const char *path)
{
	char *at = hr_xstrdup(path), *slash;

	while (access(at, F_OK) < 0 && (slash = strrchr(at, '/')) && slash > at)
		*slash = '\0';
	return at;
}
