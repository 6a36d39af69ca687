/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/cache_meta.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/poison.h"

#define DEPTH_MAX 8 /* a store has four levels below its name */

/* Add up, or with CLEAR remove, what is in the directory NAME; symlinks are not followed. */
static uint64_t walk(int parent, const char *name, bool clear, int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	hr_autodir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t bytes = 0;

	while (d && depth < DEPTH_MAX && (entry = readdir(d))) {
		const char *at = entry->d_name;
		struct stat st;

		if (strcmp(at, ".") == 0 || strcmp(at, "..") == 0 ||
		    fstatat(fd, at, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		bytes += (uint64_t)st.st_blocks * 512;
		if (S_ISDIR(st.st_mode))
			bytes += walk(fd, at, clear, depth + 1);
		if (clear) /* not possible: it stays, and is counted the next time */
			(void)unlinkat(fd, at, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
	}
	return bytes;
}

/* Copies of what stores have, and lists of large files. */
static uint64_t in_all(const char *dir, bool clear)
{
	hr_autofd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? 0 : walk(fd, "stores", clear, 0) + walk(fd, "native", clear, 0);
}

uint64_t store_cache_meta_bytes(const char *dir)
{
	return in_all(dir, false);
}

void store_cache_meta_clear(const char *dir)
{
	(void)in_all(dir, true);
}

void store_cache_meta_clear_copy(const char *copy)
{
	(void)walk(AT_FDCWD, copy, true, 1);
}
