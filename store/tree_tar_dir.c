/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "store/idmap.h"
#include "store/tar_out.h"
#include "store/tree_tar.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define READ_BYTES (256u << 10)
#define NAMES_MAX  (64u << 10) /* bytes of the names of a file's xattrs, as Linux has it */

/* A file with several names, met before. */
struct met {
	dev_t dev;
	ino_t ino;
	size_t path; /* in paths */
};

struct walk {
	struct tar_out out;
	struct hr_buf paths, names, values;
	struct met *met;
	uint32_t n_met;
	size_t cap_met;
	struct store_idmap by_inode;
	struct store_xattr *xattrs;
	size_t n_xattrs;
	uint8_t *room;
};

static void walk_release(struct walk *w)
{
	tar_out_release(&w->out);
	hr_buf_release(&w->paths);
	hr_buf_release(&w->names);
	hr_buf_release(&w->values);
	store_idmap_release(&w->by_inode);
	free(w->met);
	free(w->xattrs);
	free(w->room);
}

static int cannot(const char *what, const char *path, struct hr_err *e)
{
	return hr_fail(e, errno == EACCES || errno == EPERM ? HR_DENIED : HR_SYS, errno,
		       "cannot %s '%s'", what, path);
}

static bool same_inode(const void *ctx, uint32_t id, const void *key, size_t n)
{
	const struct met *m = &((const struct walk *)ctx)->met[id], *k = key;

	(void)n;
	return m->dev == k->dev && m->ino == k->ino;
}

/* The path under which the file was written before, or NULL. */
static const char *other_name(struct walk *w, const struct stat *st, const char *path)
{
	struct met key;
	uint64_t hash;
	uint32_t id;

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return NULL;
	memset(&key, 0, sizeof(key));
	key.dev = st->st_dev;
	key.ino = st->st_ino;
	hash = store_idmap_hash(&w->by_inode, &key, sizeof(key));
	if (store_idmap_find(&w->by_inode, hash, same_inode, w, &key, sizeof(key), &id))
		return (const char *)w->paths.p + w->met[id].path;
	w->met = hr_xgrow(w->met, w->n_met, &w->cap_met, sizeof(*w->met));
	key.path = w->paths.len;
	hr_buf_add(&w->paths, path, strlen(path) + 1);
	w->met[w->n_met] = key;
	store_idmap_add(&w->by_inode, hash, w->n_met++);
	return NULL;
}

/* The xattrs of a file whose names begin with "user.": no others are kept in an image. */
static int read_xattrs(struct walk *w, const char *path, struct hr_err *e)
{
	ssize_t n;
	size_t at;

	w->n_xattrs = 0;
	w->values.len = 0;
	hr_buf_reserve(&w->names, NAMES_MAX);
	n = llistxattr(path, (char *)w->names.p, NAMES_MAX);
	if (n < 0)
		return errno == ENOTSUP ? 0 : cannot("list the xattrs of", path, e);
	/* values lie one behind the other, and pointers are set when all are there */
	for (char *name = (char *)w->names.p; name < (char *)w->names.p + n;
	     name += strlen(name) + 1) {
		ssize_t len;

		if (strncmp(name, "user.", 5) != 0)
			continue;
		hr_buf_reserve(&w->values, STORE_XATTR_MAX);
		len = lgetxattr(path, name, w->values.p + w->values.len, STORE_XATTR_MAX);
		if (len < 0)
			return cannot("read an xattr of", path, e);
		w->values.len += (size_t)len;
		w->xattrs = hr_xrealloc(w->xattrs, (w->n_xattrs + 1) * sizeof(*w->xattrs));
		w->xattrs[w->n_xattrs++] = (struct store_xattr) { { name, (uint32_t)strlen(name) },
								  { NULL, (uint32_t)len } };
	}
	at = 0;
	for (size_t i = 0; i < w->n_xattrs; i++) {
		w->xattrs[i].value.p = (const char *)w->values.p + at;
		at += w->xattrs[i].value.len;
	}
	return 0;
}

static int put_content(struct walk *w, int fd, uint64_t size, const char *path, struct hr_err *e)
{
	while (size > 0) {
		size_t want = size < READ_BYTES ? (size_t)size : READ_BYTES;
		ssize_t n = read(fd, w->room, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cannot("read", path, e);
		if (n == 0)
			return hr_fail(e, HR_SYS, 0, "'%s' became shorter while it was read", path);
		if (tar_out_data(&w->out, w->room, (size_t)n, e) < 0)
			return -1;
		size -= (uint64_t)n;
	}
	return 0;
}

static int put_file(struct walk *w, const char *path, const char *name, struct store_attr *attr,
		    struct hr_err *e)
{
	hr_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cannot("open", path, e);
	if (!S_ISREG(st.st_mode))
		return hr_fail(e, HR_SYS, 0, "'%s' was replaced while it was read", path);
	attr->size = (uint64_t)st.st_size;
	if (tar_out_entry(&w->out, name, attr, NULL, false, w->xattrs, w->n_xattrs, e) < 0)
		return -1;
	return put_content(w, fd, attr->size, path, e);
}

static int put_entry(struct walk *w, const char *path, const char *name, const struct stat *st,
		     struct hr_err *e)
{
	struct store_attr attr = { .mode = st->st_mode,
				   .uid = st->st_uid,
				   .gid = st->st_gid,
				   .mtime = st->st_mtim.tv_sec,
				   .mtime_ns = (uint32_t)st->st_mtim.tv_nsec };
	const char *other = other_name(w, st, name);
	char target[STORE_PATH_MAX + 1];
	ssize_t n;

	if (S_ISSOCK(st->st_mode)) {
		hr_warn("the socket '%s' is left out", path);
		return 0;
	}
	if (other)
		return tar_out_entry(&w->out, name, &attr, other, true, NULL, 0, e);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		attr.dev = major(st->st_rdev) << 20 | (minor(st->st_rdev) & 0xfffff);
	if (read_xattrs(w, path, e) < 0)
		return -1;
	if (S_ISREG(st->st_mode))
		return put_file(w, path, name, &attr, e);
	n = S_ISLNK(st->st_mode) ? readlink(path, target, STORE_PATH_MAX) : 0;
	if (n < 0)
		return cannot("read the link", path, e);
	target[n] = '\0';
	return tar_out_entry(&w->out, name, &attr, n > 0 ? target : NULL, false, w->xattrs,
			     w->n_xattrs, e);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int put_tree(struct walk *w, FTS *fts, size_t root_len, struct hr_err *e)
{
	FTSENT *f;

	while ((errno = 0, f = fts_read(fts))) {
		const char *name = f->fts_path + root_len;

		if (f->fts_info == FTS_DP)
			continue;
		errno = f->fts_errno;
		if (f->fts_info == FTS_DNR || f->fts_info == FTS_ERR || f->fts_info == FTS_NS)
			return cannot("read", f->fts_path, e);
		while (*name == '/')
			name++;
		if (put_entry(w, f->fts_path, *name ? name : ".", f->fts_statp, e) < 0)
			return -1;
	}
	return errno ? hr_fail(e, HR_SYS, errno, "cannot read the directory") : 0;
}

int store_tree_tar_dir(const char *path, fetch_sink *sink, void *arg, struct hr_err *e)
{
	HR_CLEANUP(walk_release) struct walk w = { .n_met = 0 };
	char *roots[] = { (char *)(uintptr_t)path, NULL };
	FTS *fts;
	int r;

	w.room = hr_xmalloc(READ_BYTES);
	if (tar_out_open(&w.out, sink, arg, e) < 0)
		return -1;
	/* a root that is a symlink is followed */
	fts = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
	if (!fts)
		return cannot("read", path, e);
	r = put_tree(&w, fts, strlen(path), e);
	fts_close(fts);
	return r < 0 ? -1 : tar_out_close(&w.out, e);
}
