/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/members.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/tar.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/poison.h"

#define MEMBERS_MAX (1u << 20)
#define READ_BYTES  (1u << 20)
#define LINKS_MAX   8

struct member {
	char *name, *link; /* link: the member that this one is, or NULL */
	uint64_t off, size;
};

struct store_members {
	int fd; /* of the archive or of the directory */
	bool is_dir;
	struct member *v; /* of an archive; a name that is there twice means the last one */
	size_t n;
};

void store_members_close(struct store_members *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].name);
		free(m->v[i].link);
	}
	free(m->v);
	close(m->fd);
	free(m);
}

static void closep(struct store_members **m)
{
	store_members_close(*m);
}

/* ---- reading an archive's headers ---- */

struct reader {
	int fd;
	uint64_t at;
	uint8_t *room;
};

static int on_source(void *arg, const uint8_t **p, size_t *n, struct hr_err *e)
{
	struct reader *r = arg;
	ssize_t got;

	do
		got = pread(r->fd, r->room, READ_BYTES, (off_t)r->at);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return hr_fail(e, HR_SYS, errno, "cannot read the archive");
	r->at += (uint64_t)got;
	*p = r->room;
	*n = (size_t)got;
	return 0;
}

/* A path without "./" in front and slashes behind. */
static char *clean(const char *p)
{
	size_t n;

	while (p[0] == '/' || (p[0] == '.' && p[1] == '/'))
		p++;
	n = strlen(p);
	while (n > 0 && p[n - 1] == '/')
		n--;
	return hr_xstrndup(p, n);
}

/* What a symlink of NAME to TARGET means inside the archive; docker save has "../HEX/layer.tar". */
static char *resolve(const char *name, const char *target)
{
	const char *slash = strrchr(name, '/');
	hr_autofree char *dir = hr_xstrndup(name, slash ? (size_t)(slash - name) : 0);

	while (strncmp(target, "../", 3) == 0) {
		char *up = strrchr(dir, '/');

		*(up ? up : dir) = '\0';
		target += 3;
	}
	return dir[0] ? hr_xasprintf("%s/%s", dir, target) : hr_xstrdup(target);
}

static void add(struct store_members *m, const struct store_tar_entry *n, uint64_t off)
{
	struct member *x;

	if ((m->n & (m->n - 1)) == 0) /* grows at each power of two */
		m->v = hr_xrealloc(m->v, (m->n ? 2 * m->n : 1) * sizeof(*m->v));
	x = &m->v[m->n++];
	*x = (struct member) { .name = clean((const char *)n->path.p),
			       .off = off,
			       .size = n->attr.size };
	if (n->hardlink)
		x->link = clean((const char *)n->target.p);
	else if (S_ISLNK(n->attr.mode))
		x->link = resolve(x->name, (const char *)n->target.p);
	/* 'tar -c x ./x' writes the second as a link to the first */
	if (x->link && strcmp(x->link, x->name) == 0) {
		free(x->name);
		free(x->link);
		m->n--;
	}
}

static int scan(struct store_members *m, struct hr_err *e)
{
	HR_CLEANUP(store_tar_entry_release) struct store_tar_entry n = { .hardlink = false };
	HR_CLEANUP(store_tar_release) struct store_tar tar;
	hr_autofree uint8_t *room = hr_xmalloc(READ_BYTES);
	struct reader r = { m->fd, 0, room };
	int got;

	store_tar_init(&tar, on_source, &r);
	while ((got = store_tar_next(&tar, &n, e)) > 0) {
		if (m->n == MEMBERS_MAX)
			return hr_fail(e, HR_CORRUPT, 0, "more than %u members", MEMBERS_MAX);
		/* sparse members are of no use to us: their bytes do not lie side by side */
		if (n.path.len > 0 && (n.hardlink || S_ISLNK(n.attr.mode) ||
				       (S_ISREG(n.attr.mode) && tar.left == n.attr.size)))
			add(m, &n, tar.at);
	}
	return got;
}

int store_members_open_tar(int fd, struct store_members **out, struct hr_err *e)
{
	HR_CLEANUP(closep) struct store_members *m = hr_xmalloc(sizeof(*m));

	m->fd = fd;
	if (scan(m, e) < 0)
		return -1;
	*out = hr_steal(&m);
	return 0;
}

int store_members_open_dir(const char *path, struct store_members **out, struct hr_err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return hr_fail(e,
			       errno == ENOENT	 ? HR_NOTFOUND
			       : errno == EACCES ? HR_DENIED
						 : HR_SYS,
			       errno, "cannot open the directory '%s'", path);
	*out = hr_xmalloc(sizeof(**out));
	(*out)->fd = fd;
	(*out)->is_dir = true;
	return 0;
}

/* ---- members ---- */

/* The member that NAME is, through links, or NULL. */
static const struct member *find(const struct store_members *m, const char *name)
{
	for (int links = 0; links < LINKS_MAX; links++) {
		const struct member *x = NULL;

		for (size_t i = m->n; i > 0 && !x; i--)
			if (strcmp(m->v[i - 1].name, name) == 0)
				x = &m->v[i - 1];
		if (!x || !x->link)
			return x;
		name = x->link;
	}
	return NULL;
}

/* Where a member's bytes are; *fd is closed by the caller when it is not that of M. */
static int locate(const struct store_members *m, const char *name, struct member *out, int *fd,
		  struct hr_err *e)
{
	const struct member *x = m->is_dir ? NULL : find(m, name);
	struct stat st;

	*fd = m->fd;
	if (x) {
		*out = *x;
		return 0;
	}
	if (!m->is_dir)
		return hr_fail(e, HR_NOTFOUND, 0, "the archive has no file '%.200s'", name);
	/* names are digests and those of the layout: none leads out of the directory */
	*fd = openat(m->fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0)
		return hr_fail(e, errno == ENOENT ? HR_NOTFOUND : HR_SYS, errno,
			       "cannot open '%.200s'", name);
	if (fstat(*fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(*fd);
		return hr_fail(e, HR_CORRUPT, 0, "'%.200s' is not a regular file", name);
	}
	*out = (struct member) { .size = (uint64_t)st.st_size };
	return 0;
}

bool store_members_has(const struct store_members *m, const char *name)
{
	struct hr_err e = { 0 }; /* not there is an answer */
	struct member x;
	int fd;

	if (locate(m, name, &x, &fd, &e) < 0)
		return false;
	if (fd != m->fd)
		close(fd);
	return true;
}

static int stream(int fd, const struct member *x, const char *name, fetch_sink *sink, void *arg,
		  struct hr_err *e)
{
	hr_autofree uint8_t *room = hr_xmalloc(READ_BYTES);

	for (uint64_t at = 0; at < x->size;) {
		size_t n = x->size - at < READ_BYTES ? (size_t)(x->size - at) : READ_BYTES;

		if (hr_pread_all(fd, room, n, x->off + at, name, e) < 0 ||
		    sink(arg, room, n, e) < 0)
			return -1;
		at += n;
	}
	return 0;
}

int store_members_stream(const struct store_members *m, const char *name, fetch_sink *sink,
			 void *arg, struct hr_err *e)
{
	struct member x;
	int fd, r;

	if (locate(m, name, &x, &fd, e) < 0)
		return -1;
	r = stream(fd, &x, name, sink, arg, e);
	if (fd != m->fd)
		close(fd);
	return r;
}

static int add_to_buf(void *arg, const void *p, size_t n, struct hr_err *e)
{
	(void)e;
	hr_buf_add(arg, p, n);
	return 0;
}

int store_members_read(const struct store_members *m, const char *name, uint64_t limit,
		       struct hr_buf *b, struct hr_err *e)
{
	struct member x;
	int fd, r;

	if (locate(m, name, &x, &fd, e) < 0)
		return -1;
	r = x.size > limit ? hr_fail(e, HR_CORRUPT, 0, "'%.200s' has %llu bytes, at most %llu",
				     name, (unsigned long long)x.size, (unsigned long long)limit)
			   : stream(fd, &x, name, add_to_buf, b, e);
	if (fd != m->fd)
		close(fd);
	return r;
}
