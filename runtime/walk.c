/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/poison.h"

#define DEPTH_MAX 256
#define LINKS_MAX 40 /* as the kernel, path_resolution(7) */

struct walk {
	int stack[DEPTH_MAX]; /* the root, and the directories on the way */
	size_t depth;
	unsigned int links;
	char rest[PATH_MAX]; /* still to go */
};

static int fail(int err)
{
	errno = err;
	return -1;
}

static int top(const struct walk *w)
{
	return w->stack[w->depth - 1];
}

static void pop_to(struct walk *w, size_t depth)
{
	while (w->depth > depth)
		hr_fd_cleanup(&w->stack[--w->depth]);
}

/* Take the first name off the rest; 0: there is none. */
static int next_name(struct walk *w, char name[NAME_MAX + 1])
{
	char *p = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(p, "/");

	if (len > NAME_MAX)
		return fail(ENAMETOOLONG);
	memcpy(name, p, len);
	name[len] = '\0';
	p += len;
	p += strspn(p, "/");
	memmove(w->rest, p, strlen(p) + 1);
	return len > 0;
}

/* The target of the link goes in front of what is still to go. */
static int follow(struct walk *w, int link)
{
	char text[PATH_MAX], joined[PATH_MAX];
	ssize_t len = readlinkat(link, "", text, sizeof(text) - 1);
	struct statfs fs;
	int n;

	if (len < 0)
		return -1;
	text[len] = '\0';
	if (++w->links > LINKS_MAX)
		return fail(ELOOP);
	if (len == 0)
		return fail(ENOENT);
	if (text[0] == '/') {
		/* of proc: not a path, but a jump to an open file */
		if (fstatfs(link, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC)
			return fail(ELOOP);
		pop_to(w, 1);
	}
	n = snprintf(joined, sizeof(joined), "%s/%s", text, w->rest);
	if (n < 0 || (size_t)n >= sizeof(joined))
		return fail(ENAMETOOLONG);
	memcpy(w->rest, joined, (size_t)n + 1);
	return 0;
}

/* One component; 1: it was the last, and *FD is open. */
static int step(struct walk *w, const char *name, int flags, int *fd)
{
	hr_autofd int next = openat(top(w), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	bool last = w->rest[0] == '\0';
	struct stat st;

	if (next < 0 || fstat(next, &st) < 0)
		return -1;
	if (S_ISLNK(st.st_mode) && !(last && (flags & O_NOFOLLOW)))
		return follow(w, next);
	if (last) {
		*fd = openat(top(w), name, flags | O_NOFOLLOW | O_CLOEXEC);
		return *fd < 0 ? -1 : 1;
	}
	if (w->depth == DEPTH_MAX)
		return fail(ENAMETOOLONG);
	w->stack[w->depth++] = hr_steal_fd(&next);
	return 0;
}

static int walk(struct walk *w, int flags)
{
	char name[NAME_MAX + 1];
	int fd, r;

	while ((r = next_name(w, name)) > 0) {
		if (strcmp(name, "..") == 0) {
			if (w->depth > 1)
				pop_to(w, w->depth - 1);
		} else if (strcmp(name, ".") != 0) {
			r = step(w, name, flags, &fd);
			if (r != 0)
				return r < 0 ? -1 : fd;
		}
	}
	return r < 0 ? -1 : openat(top(w), ".", flags | O_CLOEXEC);
}

int rt_walk_open(int root, const char *path, int flags)
{
	struct walk w = { .depth = 1, .links = 0 };
	int fd, err;

	if (path[0] == '\0')
		return fail(ENOENT);
	if (strlen(path) >= sizeof(w.rest))
		return fail(ENAMETOOLONG);
	memcpy(w.rest, path, strlen(path) + 1);
	w.stack[0] = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w.stack[0] < 0)
		return -1;
	fd = walk(&w, flags);
	err = errno;
	pop_to(&w, 0);
	errno = err;
	return fd;
}
