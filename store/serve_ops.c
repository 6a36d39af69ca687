/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The FUSE requests about the tree. Nothing is kept between requests: a node id is a position in
 * the tree, forgotten ids need no look-up count, a directory is read by position.
 */
#include "config.h"

#include "store/serve.h"

#include <errno.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "store/foresee.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define FOREVER	      DBL_MAX
#define BLOCK_BYTES   4096
#define READDIR_MAX   (1u << 20)
#define BACKGROUND    64 /* read-ahead requests in flight; the kernel's default is 12 */
#define XATTR_PREFIX  "user."
#define XATTR_OVERLAY "user.overlay." /* means something to an overlay on top of us */

static struct serve *serve_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static bool node_get(struct serve *s, fuse_ino_t ino, struct store_inode *out)
{
	return serve_tree_inode(s->tree, serve_node_of(ino), out);
}

static void fill_stat(const struct serve *s, uint32_t node, const struct store_inode *i,
		      struct stat *st)
{
	*st = (struct stat) {
		.st_ino = serve_ino_of(node),
		.st_mode = i->mode & ~(mode_t)(S_ISUID | S_ISGID),
		.st_nlink = i->nlink,
		.st_uid = s->uid,
		.st_gid = s->gid,
		.st_rdev = makedev(STORE_DEV_MAJOR(i->dev), STORE_DEV_MINOR(i->dev)),
		.st_size = (off_t)i->size,
		.st_blocks = S_ISREG(i->mode) ? (blkcnt_t)((i->size + 511) / 512) : 0,
		.st_blksize = BLOCK_BYTES,
		.st_mtim = { i->mtime, i->mtime_ns },
		.st_atim = { i->mtime, i->mtime_ns },
		.st_ctim = { i->mtime, i->mtime_ns },
	};
}

static void fill_entry(const struct serve *s, uint32_t node, const struct store_inode *i,
		       struct fuse_entry_param *out)
{
	*out = (struct fuse_entry_param) {
		.ino = serve_ino_of(node),
		.attr_timeout = FOREVER,
		.entry_timeout = FOREVER,
	};
	fill_stat(s, node, i, &out->attr);
}

/* ---- connection ---- */

static const struct {
	unsigned int flag;
	bool on;
} caps[] = {
	{ FUSE_CAP_ASYNC_READ, true },
	{ FUSE_CAP_PARALLEL_DIROPS, true },
	{ FUSE_CAP_READDIRPLUS, true },
	{ FUSE_CAP_NO_OPEN_SUPPORT, true },
#if HAVE_DECL_FUSE_CAP_NO_OPENDIR_SUPPORT
	{ FUSE_CAP_NO_OPENDIR_SUPPORT, true },
#endif
#if HAVE_DECL_FUSE_CAP_CACHE_SYMLINKS
	{ FUSE_CAP_CACHE_SYMLINKS, true },
#endif
	/* a walk reads a whole directory before it looks at its entries */
	{ FUSE_CAP_READDIRPLUS_AUTO, false },
	{ FUSE_CAP_AUTO_INVAL_DATA, false }, /* nothing ever changes */
	/* no splicing: plain writev is faster for data in memory, and CVE-2026-53388 */
	{ FUSE_CAP_SPLICE_READ, false },
	{ FUSE_CAP_SPLICE_WRITE, false },
	{ FUSE_CAP_SPLICE_MOVE, false },
};

static void op_init(void *arg, struct fuse_conn_info *conn)
{
	struct serve *s = arg;

	for (size_t i = 0; i < HR_COUNT(caps); i++) {
		if (caps[i].on)
			conn->want |= conn->capable & caps[i].flag;
		else
			conn->want &= ~caps[i].flag;
	}
	s->no_open = conn->capable & FUSE_CAP_NO_OPEN_SUPPORT;
#if HAVE_DECL_FUSE_CAP_NO_OPENDIR_SUPPORT
	s->no_opendir = conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT;
#endif
	conn->max_background = BACKGROUND;
	conn->congestion_threshold = BACKGROUND * 3 / 4;
}

/* ENOSYS is "never ask again" to a kernel that said so; an older one gets an answer each time. */
static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	if (serve_of(req)->no_open) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	if (serve_of(req)->no_opendir) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fi->cache_readdir = 1;
	fuse_reply_open(req, fi);
}

/* ---- names and attributes ---- */

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct serve *s = serve_of(req);
	struct store_inode dir, inode;
	struct fuse_entry_param entry = { .entry_timeout = FOREVER }; /* of a name not there */
	uint32_t node;
	int there;

	if (!node_get(s, parent, &dir)) {
		fuse_reply_err(req, EIO);
		return;
	}
	if (!S_ISDIR(dir.mode)) {
		fuse_reply_err(req, ENOTDIR);
		return;
	}
	there = serve_tree_lookup(s->tree, serve_node_of(parent), &dir, name, strlen(name), &node);
	if (there < 0 || (there > 0 && !serve_tree_inode(s->tree, node, &inode))) {
		fuse_reply_err(req, EIO);
		return;
	}
	if (there > 0) {
		fill_entry(s, node, &inode, &entry);
		store_foresee_found(s->foresee, serve_node_of(parent), name);
	}
	fuse_reply_entry(req, &entry);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct serve *s = serve_of(req);
	struct store_inode inode;
	struct stat st;

	(void)fi;
	if (!node_get(s, ino, &inode)) {
		fuse_reply_err(req, EIO);
		return;
	}
	fill_stat(s, serve_node_of(ino), &inode, &st);
	fuse_reply_attr(req, &st, FOREVER);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct serve *s = serve_of(req);
	struct store_inode inode;
	struct store_string target;

	if (!node_get(s, ino, &inode) || !store_index_target(s->ix, &inode, &target)) {
		fuse_reply_err(req, EIO);
		return;
	}
	fuse_reply_readlink(req, target.p);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct serve *s = serve_of(req);
	struct statvfs st = {
		.f_bsize = BLOCK_BYTES,
		.f_frsize = BLOCK_BYTES,
		.f_blocks = (store_index_file_bytes(s->ix) + BLOCK_BYTES - 1) / BLOCK_BYTES,
		.f_files = serve_tree_nodes(s->tree),
		.f_namemax = STORE_NAME_MAX,
	};

	(void)ino;
	fuse_reply_statfs(req, &st);
}

/* ---- directories ---- */

struct listing {
	struct serve *s;
	fuse_req_t req;
	uint32_t dir;
	struct store_inode inode; /* of dir */
	char *buf;
	size_t cap, len;
	bool plus;
};

/* Add one entry; false when the buffer is full. An entry without look-up ("." and "..") has ino 0
 * in the reply, so that the kernel counts no reference. */
static bool add(struct listing *l, const char *name, uint32_t node, const struct store_inode *i,
		off_t next, bool look_up)
{
	struct fuse_entry_param entry;
	size_t room = l->cap - l->len, n;

	fill_entry(l->s, node, i, &entry);
	if (!look_up)
		entry.ino = 0;
	if (l->plus)
		n = fuse_add_direntry_plus(l->req, l->buf + l->len, room, name, &entry, next);
	else
		n = fuse_add_direntry(l->req, l->buf + l->len, room, name, &entry.attr, next);
	if (n > room)
		return false;
	l->len += n;
	return true;
}

/* Fill the buffer from position POS: 0 is ".", 1 is "..", then the entries. */
static int list_from(struct listing *l, uint64_t pos)
{
	const struct serve_tree *t = l->s->tree;
	uint64_t end = serve_tree_entries(t, l->dir, &l->inode) + 2;

	for (; pos < end; pos++) {
		struct store_entry entry = { { ".", 1 }, l->dir };
		struct store_inode inode;

		if (pos == 1)
			entry = (struct store_entry) { { "..", 2 },
						       serve_tree_parent(t, l->dir, &l->inode) };
		else if (pos > 1 && !serve_tree_entry(t, l->dir, &l->inode, pos - 2, &entry))
			return -1;
		if (!serve_tree_inode(t, entry.ino, &inode))
			return -1;
		if (!add(l, entry.name.p, entry.ino, &inode, (off_t)pos + 1, pos > 1))
			return 0;
	}
	return 0;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct listing l = { .s = serve_of(req),
			     .req = req,
			     .dir = serve_node_of(ino),
			     .cap = size < READDIR_MAX ? size : READDIR_MAX,
			     .plus = plus };
	struct serve_extent next;
	hr_autofree char *buf = malloc(l.cap ? l.cap : 1);
	int err = 0;

	l.buf = buf;
	if (!buf)
		err = ENOMEM;
	else if (!node_get(l.s, ino, &l.inode))
		err = EIO;
	else if (!S_ISDIR(l.inode.mode))
		err = ENOTDIR;
	else if (off < 0)
		err = EINVAL;
	else if (list_from(&l, (uint64_t)off) < 0)
		err = EIO;
	if (err != 0)
		fuse_reply_err(req, err);
	else
		fuse_reply_buf(req, buf, l.len);
	if (err == 0 && plus && off == 0 && serve_ahead_listed(l.s->ahead, l.dir, &l.inode, &next))
		serve_push(l.s->push, &next);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, true);
}

/* ---- extended attributes ---- */

static bool visible(const struct store_string *name)
{
	return strncmp(name->p, XATTR_PREFIX, strlen(XATTR_PREFIX)) == 0 &&
	       strncmp(name->p, XATTR_OVERLAY, strlen(XATTR_OVERLAY)) != 0;
}

/* SIZE 0 asks how many bytes there are. */
static void reply_xattr(fuse_req_t req, const char *p, size_t n, size_t size)
{
	if (size == 0)
		fuse_reply_xattr(req, n);
	else if (n > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, p, n);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct serve *s = serve_of(req);
	struct store_string n, value;
	struct store_inode inode;

	/* never asked again then; programs such as ls ask for each file */
	if (store_index_xattrs(s->ix) == 0) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	if (!node_get(s, ino, &inode)) {
		fuse_reply_err(req, EIO);
		return;
	}
	for (uint32_t i = 0; i < inode.n_xattrs; i++) {
		if (!store_index_xattr(s->ix, &inode, i, &n, &value)) {
			fuse_reply_err(req, EIO);
			return;
		}
		if (visible(&n) && strcmp(n.p, name) == 0) {
			reply_xattr(req, value.p, value.len, size);
			return;
		}
	}
	fuse_reply_err(req, ENODATA);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct serve *s = serve_of(req);
	hr_autobuf struct hr_buf names = { 0 };
	struct store_string n, value;
	struct store_inode inode;

	if (store_index_xattrs(s->ix) == 0) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	if (!node_get(s, ino, &inode)) {
		fuse_reply_err(req, EIO);
		return;
	}
	for (uint32_t i = 0; i < inode.n_xattrs && names.len <= STORE_XATTR_MAX; i++) {
		if (!store_index_xattr(s->ix, &inode, i, &n, &value)) {
			fuse_reply_err(req, EIO);
			return;
		}
		if (visible(&n))
			hr_buf_add(&names, n.p, n.len + 1);
	}
	reply_xattr(req, (const char *)names.p, names.len, size);
}

/* ---- holes ---- */

/* The first byte at or behind OFF that is of the kind; the end of the file is a hole. */
static int seek(const struct serve *s, const struct store_inode *file, uint64_t off, bool hole,
		uint64_t *out)
{
	while (off < file->size) {
		struct store_piece p;

		if (!store_index_piece(s->ix, file, off, &p))
			return EIO;
		if ((p.chunk == STORE_HOLE) == hole)
			break;
		off += p.len;
	}
	*out = off;
	return off < file->size || hole ? 0 : ENXIO;
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	struct serve *s = serve_of(req);
	struct store_inode inode;
	uint64_t out = 0;
	int err;

	(void)fi;
	if (!node_get(s, ino, &inode))
		err = EIO;
	else if (whence != SEEK_DATA && whence != SEEK_HOLE)
		err = EINVAL;
	else if (off < 0 || (uint64_t)off >= inode.size)
		err = ENXIO;
	else
		err = seek(s, &inode, (uint64_t)off, whence == SEEK_HOLE, &out);
	if (err != 0)
		fuse_reply_err(req, err);
	else
		fuse_reply_lseek(req, (off_t)out);
}

/*
 * What would change the tree has no callback: the mount is read-only, and the kernel answers EROFS
 * itself. access is the kernel's, too (default_permissions), and flush and locks are local.
 */
const struct fuse_lowlevel_ops serve_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.open = op_open,
	.read = serve_read,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.statfs = op_statfs,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.lseek = op_lseek,
};
