/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/trust.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

static int check(const struct stat *st, const char *dir, const char *name, struct hr_err *e)
{
	const char *slash = name[0] ? "/" : "";

	if (st->st_uid != 0 && st->st_uid != getauxval(AT_EUID)) {
		hr_fail(e, HR_DENIED, 0, "'%s%s%s' belongs to user %u, neither to root nor to you",
			dir, slash, name, (unsigned int)st->st_uid);
	} else if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		hr_fail(e, HR_DENIED, 0, "'%s%s%s' may be written by others (mode %04o)", dir,
			slash, name, (unsigned int)st->st_mode & 07777);
		hr_hint(e, "remove the permission: chmod go-w '%s%s%s'", dir, slash, name);
	}
	return e->kind == HR_OK ? 0 : -1;
}

static bool is_wanted(const char *name, const char *const *suffixes)
{
	size_t len = strlen(name);

	for (size_t i = 0; name[0] != '.' && suffixes[i]; i++) {
		size_t n = strlen(suffixes[i]);

		if (len > n && strcmp(name + len - n, suffixes[i]) == 0)
			return true;
	}
	return false;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int list_names(int dirfd, const char *dir, const char *const *suffixes,
		      struct hr_strv *names, struct hr_err *e)
{
	hr_autofd int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	hr_autodir DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!d)
		return hr_fail(e, HR_SYS, errno, "cannot list '%s'", dir);
	fd = -1; /* closedir closes it */
	while ((entry = readdir(d))) {
		if (!is_wanted(entry->d_name, suffixes))
			continue;
		if (names->n >= RT_TRUST_FILES_MAX)
			return hr_fail(e, HR_CORRUPT, 0, "'%s' has more than %d files", dir,
				       RT_TRUST_FILES_MAX);
		hr_strv_add(names, entry->d_name);
	}
	if (names->n > 0)
		qsort(names->v, names->n, sizeof(*names->v), by_bytes);
	return 0;
}

int rt_trust_list(const char *dir, const char *const *suffixes, struct hr_strv *names,
		  struct hr_err *e)
{
	hr_autofd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return hr_fail(e, errno == ENOENT ? HR_NOTFOUND : HR_SYS, errno,
			       "cannot open directory '%s'", dir);
	if (fstat(fd, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot look at '%s'", dir);
	if (check(&st, dir, "", e) < 0 || list_names(fd, dir, suffixes, names, e) < 0)
		return -1;
	return hr_steal_fd(&fd);
}

int rt_trust_read(int dirfd, const char *dir, const char *name, size_t limit, struct hr_buf *out,
		  struct hr_err *e)
{
	hr_autofd int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open '%s/%s'", dir, name);
	if (!S_ISREG(st.st_mode))
		return hr_fail(e, HR_CORRUPT, 0, "'%s/%s' is not a regular file", dir, name);
	if (check(&st, dir, name, e) < 0)
		return -1;
	return hr_fd_read(fd, limit, name, out, e);
}

int rt_trust_program(const char *path, struct hr_err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot look at program '%s'", path);
	if (!S_ISREG(st.st_mode))
		return hr_fail(e, HR_CORRUPT, 0, "program '%s' is not a regular file", path);
	return check(&st, path, "", e);
}
