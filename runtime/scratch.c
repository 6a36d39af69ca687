/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

#define DEPTH_MAX 512 /* one descriptor each; what lies deeper stays */
#define NAMES_MAX 100
#define FD_HIGH	  64 /* out of the way of those that are placed by number for the server */

static char *prefix(void)
{
	return hr_xasprintf("hpcrun-%u-scratch-", (unsigned int)geteuid());
}

static bool remove_in(int dirfd, const char *name, int depth);

/* All that is in the directory FD, which is closed. */
static void empty(int fd, int depth)
{
	hr_autodir DIR *d = fdopendir(fd);
	struct dirent *entry;

	if (!d) {
		close(fd);
		return;
	}
	while ((entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)remove_in(fd, entry->d_name, depth + 1);
}

/* Never through a symlink; a directory whose mode forbids it gets another first. */
static bool remove_in(int dirfd, const char *name, int depth)
{
	int fd;

	if (unlinkat(dirfd, name, 0) == 0)
		return true;
	if ((errno != EISDIR && errno != EPERM) || depth > DEPTH_MAX)
		return false;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	(void)fchmod(fd, 0700); /* not ours: then what is in it stays, too */
	empty(fd, depth);
	return unlinkat(dirfd, name, AT_REMOVEDIR) == 0;
}

/* Open NAME of the user's and take the lock; -1: it is held, or not there, or removed meanwhile. */
static int hold(int base, const char *name)
{
	hr_autofd int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0 ||
	    st.st_uid != geteuid() || st.st_nlink == 0)
		return -1;
	return hr_steal_fd(&fd);
}

/* What sessions left behind that were killed. */
static void sweep(int base)
{
	hr_autofd int fd = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	hr_autodir DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	hr_autofree char *start = prefix();
	struct dirent *entry;

	if (!d)
		return;
	fd = -1; /* closedir closes it */
	while ((entry = readdir(d))) {
		hr_autofd int lock = -1;

		if (strncmp(entry->d_name, start, strlen(start)) != 0)
			continue;
		lock = hold(base, entry->d_name);
		if (lock >= 0 && remove_in(base, entry->d_name, 0))
			hr_debug("removed '%s', left behind", entry->d_name);
	}
}

static int make_base(struct rt_scratch *s, const char *path, const char *key, struct hr_err *e)
{
	hr_autofree char *start = prefix();

	s->base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->base < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open '%s' for --scratch", path);
	sweep(s->base);
	/* The session of this name before us may still be cleaning up, and another one that sweeps
	 * may take a new directory for a leftover before we hold it: another name then. */
	for (unsigned int i = 0; i < NAMES_MAX; i++) {
		hr_autofree char *name = hr_xasprintf("%s%s.%u", start, key, i);
		hr_autofd int fd = -1;

		if (mkdirat(s->base, name, 0700) == 0) {
			fd = hold(s->base, name);
		} else if (errno != EEXIST) {
			hr_fail(e, HR_SYS, errno, "cannot make a directory in '%s' for --scratch",
				path);
			hr_hint(e, "TMPDIR names a directory on a disk of the node, else it is "
				   "/tmp");
			return -1;
		}
		if (fd < 0)
			continue;
		s->lock = fcntl(fd, F_DUPFD_CLOEXEC, FD_HIGH);
		if (s->lock < 0)
			break;
		s->name = hr_steal(&name);
		return 0;
	}
	return hr_fail(e, HR_SYS, errno, "cannot hold a directory in '%s' for --scratch", path);
}

void rt_scratch_init(struct rt_scratch *s)
{
	*s = (struct rt_scratch) { .base = -1, .lock = -1 };
}

int rt_scratch_make(struct rt_scratch *s, const struct hr_strv *targets, const char *key,
		    struct hr_err *e)
{
	const char *tmpdir = getenv("TMPDIR"), *base = tmpdir && tmpdir[0] == '/' ? tmpdir : "/tmp";

	if (targets->n == 0)
		return 0;
	if (make_base(s, base, key, e) < 0)
		return -1;
	for (size_t i = 0; i < targets->n; i++) {
		hr_autofree char *dst = rt_path_normal(targets->v[i]);
		hr_autofree char *name = hr_xasprintf("%zu", i);
		hr_autofree char *src = hr_xasprintf("%s/%s/%s", base, s->name, name);

		if (mkdirat(s->lock, name, 0700) < 0)
			return hr_fail(e, HR_SYS, errno, "cannot make '%s' for --scratch", src);
		rt_binds_add(&s->binds, src, dst, false, false);
	}
	return 0;
}

void rt_scratch_remove(struct rt_scratch *s)
{
	/* the server, which has the same lock, has ended: else the next session removes it */
	if (s->name && !remove_in(s->base, s->name, 0))
		hr_debug("'%s' could not be removed: %s", s->name, strerror(errno));
	free(s->name);
	hr_fd_cleanup(&s->lock);
	hr_fd_cleanup(&s->base);
	rt_binds_release(&s->binds);
	rt_scratch_init(s);
}
