/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/layout_names.h"
#include "util/cleanup.h"
#include "util/poison.h"

/* Open a directory below the store for listing; NULL and no error when it is not there. */
static DIR *open_listing(const struct store *st, const char *path, struct hr_err *e)
{
	hr_autofd int fd = openat(st->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d)
		(void)hr_steal_fd(&fd);
	else if (errno != ENOENT)
		hr_fail(e, HR_SYS, errno, "cannot list '%s/%s'", st->path, path);
	return d;
}

/* Is NAME the digits of a digest and SUFFIX? */
static bool parse_name(const char *name, const char *suffix, struct fetch_digest *d)
{
	char hex[FETCH_DIGEST_HEX];
	struct hr_err other = { 0 }; /* a name of another form is none of ours */

	if (strlen(name) != sizeof(hex) - 1 + strlen(suffix) ||
	    strcmp(name + sizeof(hex) - 1, suffix) != 0)
		return false;
	memcpy(hex, name, sizeof(hex) - 1);
	hex[sizeof(hex) - 1] = '\0';
	return fetch_digest_parse_hex(hex, d, &other) == 0;
}

static int each_in(const struct store *st, enum store_kind kind, unsigned int ab,
		   store_object_fn *fn, void *arg, struct hr_err *e)
{
	char path[STORE_KIND_DIR];
	hr_autodir DIR *d = NULL;
	struct dirent *n;
	bool flat;

	if (!store_kind_dir_path(kind, ab, path))
		return 0;
	flat = !strchr(path, '/');
	d = open_listing(st, path, e);
	if (!d)
		return e->kind == HR_OK ? 0 : -1;
	while ((n = readdir(d))) {
		struct fetch_digest digest;
		struct stat sb;

		if (!parse_name(n->d_name, store_kind_suffix(kind), &digest) ||
		    (!flat && digest.b[0] != ab) ||
		    fstatat(dirfd(d), n->d_name, &sb, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(sb.st_mode))
			continue;
		if (fn(arg, &digest, (uint64_t)sb.st_size, e) < 0)
			return -1;
	}
	return 0;
}

int store_object_each(const struct store *st, enum store_kind kind, store_object_fn *fn, void *arg,
		      struct hr_err *e)
{
	for (unsigned int ab = 0; ab < 256; ab++)
		if (each_in(st, kind, ab, fn, arg, e) < 0)
			return -1;
	return 0;
}

/* Add the bytes of all files of a directory, whatever their names are. */
static int add_bytes(const struct store *st, const char *path, uint64_t *bytes, struct hr_err *e)
{
	hr_autodir DIR *d = open_listing(st, path, e);
	struct dirent *n;

	if (!d)
		return e->kind == HR_OK ? 0 : -1;
	while ((n = readdir(d))) {
		struct stat sb;

		if ((n->d_type == DT_REG || n->d_type == DT_UNKNOWN) &&
		    fstatat(dirfd(d), n->d_name, &sb, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(sb.st_mode))
			*bytes += (uint64_t)sb.st_size;
	}
	return 0;
}

int store_size(const struct store *st, uint64_t *bytes, struct hr_err *e)
{
	/* one for each directory: the locations are beside what they locate */
	static const enum store_kind kinds[] = { STORE_PACK, STORE_INDEX, STORE_META, STORE_LAYER };
	char path[STORE_KIND_DIR];

	*bytes = 0;
	for (size_t i = 0; i < HR_COUNT(kinds); i++)
		for (unsigned int ab = 0; ab < 256; ab++)
			if (store_kind_dir_path(kinds[i], ab, path) &&
			    add_bytes(st, path, bytes, e) < 0)
				return -1;
	return 0;
}
