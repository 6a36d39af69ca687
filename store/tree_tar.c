/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/tree_tar.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/tar_out.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define DEPTH_MAX  2048 /* a path has 4095 bytes at most */
#define XATTRS_MAX 1024

/* A walk through an image. */
struct walk {
	const struct store_index *ix;
	struct store_chunks *chunks;
	struct tar_out out;
	struct hr_buf path; /* of the entry under work */
	struct hr_buf paths;
	uint64_t *first; /* of each inode with several names: its path in paths and 1, or 0 */
};

static void walk_release(struct walk *w)
{
	tar_out_release(&w->out);
	hr_buf_release(&w->path);
	hr_buf_release(&w->paths);
	free(w->first);
}

static int damaged(const struct walk *w, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };

	hr_buf_untrusted(&text, (const char *)w->path.p, w->path.len);
	return hr_fail(e, HR_CORRUPT, 0, "the image index is damaged at '%.300s'",
		       text.p ? (const char *)text.p : "");
}

static int put_content(struct walk *w, const struct store_inode *file, struct hr_err *e)
{
	struct store_piece piece;

	for (uint64_t off = 0; off < file->size; off += piece.len) {
		struct store_chunk_ref ref;
		int r;

		if (!store_index_piece(w->ix, file, off, &piece))
			return damaged(w, e);
		if (piece.chunk == STORE_HOLE) {
			if (tar_out_zeros(&w->out, piece.len, e) < 0)
				return -1;
			continue;
		}
		if (!store_chunks_get_alone(w->chunks, piece.chunk, &ref))
			return hr_fail(e, HR_CORRUPT, 0, "'%.300s' cannot be read",
				       (const char *)w->path.p);
		r = tar_out_data(&w->out, ref.p + piece.off, piece.len, e);
		store_chunks_put(w->chunks, &ref, (uint32_t)piece.len);
		if (r < 0)
			return -1;
	}
	return 0;
}

static struct store_attr attr_of(const struct store_inode *i)
{
	return (struct store_attr) { .mode = i->mode,
				     .uid = i->uid,
				     .gid = i->gid,
				     .dev = i->dev,
				     .size = i->size,
				     .mtime = i->mtime,
				     .mtime_ns = i->mtime_ns };
}

/* Whether an inode was written already under another name, which it gives. */
static const char *other_name(struct walk *w, uint32_t ino, const struct store_inode *i)
{
	if (S_ISDIR(i->mode) || i->nlink < 2)
		return NULL;
	if (w->first[ino])
		return (const char *)w->paths.p + w->first[ino] - 1;
	w->first[ino] = w->paths.len + 1;
	hr_buf_add(&w->paths, w->path.p, w->path.len + 1); /* with its NUL */
	return NULL;
}

static int put_inode(struct walk *w, uint32_t ino, const struct store_inode *i, struct hr_err *e)
{
	struct store_xattr xattrs[XATTRS_MAX];
	struct store_attr attr = attr_of(i);
	struct store_string target = { NULL, 0 };
	const char *path = w->path.len > 0 ? (const char *)w->path.p : ".";
	const char *other = other_name(w, ino, i);

	if (other)
		return tar_out_entry(&w->out, path, &attr, other, true, NULL, 0, e);
	if (i->n_xattrs > XATTRS_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "'%.300s' has %" PRIu32 " xattrs", path,
			       i->n_xattrs);
	for (uint32_t k = 0; k < i->n_xattrs; k++)
		if (!store_index_xattr(w->ix, i, k, &xattrs[k].name, &xattrs[k].value))
			return damaged(w, e);
	if (S_ISLNK(i->mode) && !store_index_target(w->ix, i, &target))
		return damaged(w, e);
	if (tar_out_entry(&w->out, path, &attr, target.p, false, xattrs, i->n_xattrs, e) < 0)
		return -1;
	return S_ISREG(i->mode) ? put_content(w, i, e) : 0;
}

/* Where a walk is in a directory. */
struct level {
	struct store_inode dir;
	uint32_t next;
	size_t path_len;
};

/* The next entry of the innermost directory; a directory is entered. */
static int step(struct walk *w, struct level *levels, size_t *depth, struct hr_err *e)
{
	struct level *l = &levels[*depth - 1];
	struct store_entry entry;
	struct store_inode i;

	w->path.len = l->path_len;
	if (l->next == l->dir.count) {
		(*depth)--;
		return 0;
	}
	if (!store_index_entry(w->ix, &l->dir, l->next++, &entry) ||
	    !store_index_inode(w->ix, entry.ino, &i))
		return damaged(w, e);
	hr_buf_str(&w->path, w->path.len > 0 ? "/" : "");
	hr_buf_add(&w->path, entry.name.p, entry.name.len);
	if (put_inode(w, entry.ino, &i, e) < 0)
		return -1;
	if (!S_ISDIR(i.mode))
		return 0;
	if (*depth == DEPTH_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "directories %d deep", DEPTH_MAX);
	levels[(*depth)++] = (struct level) { i, 0, w->path.len };
	return 0;
}

int store_tree_tar_image(const struct store_index *ix, struct store_chunks *chunks,
			 fetch_sink *sink, void *arg, struct hr_err *e)
{
	HR_CLEANUP(walk_release) struct walk w = { .ix = ix, .chunks = chunks };
	hr_autofree struct level *levels = hr_xmalloc(DEPTH_MAX * sizeof(*levels));
	size_t depth = 1;

	w.first = hr_xmalloc((size_t)store_index_inodes(ix) * sizeof(*w.first) + 1);
	if (tar_out_open(&w.out, sink, arg, e) < 0)
		return -1;
	if (!store_index_inode(ix, 0, &levels[0].dir))
		return damaged(&w, e);
	if (put_inode(&w, 0, &levels[0].dir, e) < 0)
		return -1;
	while (depth > 0)
		if (step(&w, levels, &depth, e) < 0)
			return -1;
	return tar_out_close(&w.out, e);
}
