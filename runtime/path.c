/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/openat2.h>
#include <stdlib.h>
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

static int newest_first(const void *a, const void *b)
{
	return strverscmp(*(char *const *)b, *(char *const *)a);
}

/* The entries of directory DIR that match PATTERN, sorted. */
static void list_matching(int root, const char *dir, const char *pattern, struct hr_strv *out)
{
	struct hr_err missing = { 0 }; /* it has none, then */
	int fd = rt_path_open(root, dir, O_RDONLY | O_DIRECTORY, &missing);
	hr_autodir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (d && (entry = readdir(d)) != NULL)
		if (fnmatch(pattern, entry->d_name, FNM_PERIOD) == 0)
			hr_strv_add(out, entry->d_name);
	if (out->n > 0)
		qsort(out->v, out->n, sizeof(*out->v), newest_first);
}

static void add_if_directory(int root, const char *path, struct hr_strv *dirs)
{
	struct hr_err missing = { 0 };
	hr_autofd int fd = rt_path_open(root, path, O_PATH | O_DIRECTORY, &missing);

	if (fd >= 0 && dirs->n < RT_PATH_EXPAND_MAX)
		hr_strv_add(dirs, path);
}

/* DONE has no pattern any more; REST begins behind a slash, or is "". */
static void expand(int root, const char *done, const char *rest, struct hr_strv *dirs)
{
	size_t len = strcspn(rest, "/");
	hr_autofree char *part = hr_xstrndup(rest, len);
	struct hr_strv names = { 0 };

	if (len == 0) {
		add_if_directory(root, done, dirs);
		return;
	}
	if (strpbrk(part, "*?["))
		list_matching(root, *done ? done : "/", part, &names);
	else
		hr_strv_add(&names, part);
	for (size_t i = 0; i < names.n && dirs->n < RT_PATH_EXPAND_MAX; i++) {
		hr_autofree char *next = hr_xasprintf("%s/%s", done, names.v[i]);

		expand(root, next, rest + len + (rest[len] == '/'), dirs);
	}
	hr_strv_release(&names);
}

void rt_path_expand(int root, const char *pattern, struct hr_strv *dirs)
{
	HR_BUG_ON(pattern[0] != '/');
	expand(root, "", pattern + 1, dirs);
}
