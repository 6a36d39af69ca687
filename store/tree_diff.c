/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/tree_diff.h"

#include <string.h>
#include <sys/stat.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define DEPTH_MAX 2048 /* a path has 4095 bytes at most */
#define SIDES	  2

/* A pair of directories, or one that has no partner. */
struct level {
	struct store_inode dir[SIDES];
	bool there[SIDES];
	uint32_t next[SIDES];
	size_t path_len;
};

struct walk {
	const struct store_diff_side *side[SIDES];
	store_diff_fn *fn;
	void *arg;
	struct hr_buf path; /* of the entry under work */
	struct level *levels;
	size_t depth;
};

/* The entry under work: the same name on both sides, or on one. */
struct pair {
	struct store_inode inode[SIDES];
	bool there[SIDES];
};

static int damaged(const struct walk *w, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };

	hr_buf_str(&text, "");
	hr_buf_untrusted(&text, (const char *)w->path.p, w->path.len);
	return hr_fail(e, HR_CORRUPT, 0, "an image index is damaged at '%.300s'",
		       (const char *)text.p);
}

/* ---- content ---- */

/* The pieces of two files that begin at the same offset, cut to the same length. */
struct pieces {
	struct store_piece at[SIDES];
	uint64_t len;
};

/* Whether the digests alone say that two pieces are equal. */
static bool same_chunk(const struct walk *w, const struct pieces *p)
{
	struct store_chunk c[SIDES];

	if (p->at[0].chunk == STORE_HOLE || p->at[1].chunk == STORE_HOLE)
		return p->at[0].chunk == p->at[1].chunk;
	if (!w->side[0]->by_digest || !w->side[1]->by_digest || p->at[0].off != p->at[1].off)
		return false;
	for (size_t i = 0; i < SIDES; i++)
		if (!store_index_chunk(w->side[i]->ix, p->at[i].chunk, &c[i]))
			return false; /* reading it will fail, and say so */
	return fetch_digest_equal(&c[0].digest, &c[1].digest);
}

/* 1 when the bytes are equal, 0 when not, -1 after an error. */
static int same_bytes(const struct walk *w, const struct pieces *p, struct hr_err *e)
{
	struct store_chunk_ref ref[SIDES];
	bool held[SIDES] = { false, false };
	int r = -1;

	for (size_t i = 0; i < SIDES; i++) {
		if (p->at[i].chunk == STORE_HOLE)
			continue;
		held[i] = store_chunks_get_alone(w->side[i]->chunks, p->at[i].chunk, &ref[i]);
		if (!held[i]) {
			hr_fail(e, HR_CORRUPT, 0, "'%.300s' cannot be read",
				(const char *)w->path.p);
			goto out;
		}
	}
	if (held[0] && held[1])
		r = memcmp(ref[0].p + p->at[0].off, ref[1].p + p->at[1].off, p->len) == 0;
	else
		r = hr_is_zero(held[0] ? ref[0].p + p->at[0].off : ref[1].p + p->at[1].off, p->len);
out:
	for (size_t i = 0; i < SIDES; i++)
		if (held[i])
			store_chunks_put(w->side[i]->chunks, &ref[i], (uint32_t)p->len);
	return r;
}

/* The same for two files of the same size. */
static int same_content(const struct walk *w, const struct pair *n, struct hr_err *e)
{
	struct pieces p;

	for (uint64_t off = 0; off < n->inode[0].size; off += p.len) {
		int r = 1;

		for (size_t i = 0; i < SIDES; i++)
			if (!store_index_piece(w->side[i]->ix, &n->inode[i], off, &p.at[i]))
				return damaged(w, e);
		p.len = p.at[0].len < p.at[1].len ? p.at[0].len : p.at[1].len;
		if (!same_chunk(w, &p))
			r = same_bytes(w, &p, e);
		if (r != 1)
			return r;
	}
	return 1;
}

static int same_target(const struct walk *w, const struct pair *n, struct hr_err *e)
{
	struct store_string s[SIDES];

	for (size_t i = 0; i < SIDES; i++)
		if (!store_index_target(w->side[i]->ix, &n->inode[i], &s[i]))
			return damaged(w, e);
	return s[0].len == s[1].len && memcmp(s[0].p, s[1].p, s[0].len) == 0;
}

/* ---- what differs ---- */

/* 1 when side 0 has the attribute (NAME, VALUE) of side 1. */
static int has_xattr(const struct walk *w, const struct pair *n, const struct store_string *name,
		     const struct store_string *value, struct hr_err *e)
{
	for (uint32_t k = 0; k < n->inode[0].n_xattrs; k++) {
		struct store_string a, v;

		if (!store_index_xattr(w->side[0]->ix, &n->inode[0], k, &a, &v))
			return damaged(w, e);
		if (a.len == name->len && memcmp(a.p, name->p, a.len) == 0)
			return v.len == value->len && memcmp(v.p, value->p, v.len) == 0;
	}
	return 0;
}

static int same_xattrs(const struct walk *w, const struct pair *n, struct hr_err *e)
{
	if (n->inode[0].n_xattrs != n->inode[1].n_xattrs)
		return 0;
	for (uint32_t k = 0; k < n->inode[1].n_xattrs; k++) {
		struct store_string name, value;
		int r;

		if (!store_index_xattr(w->side[1]->ix, &n->inode[1], k, &name, &value))
			return damaged(w, e);
		r = has_xattr(w, n, &name, &value, e);
		if (r != 1)
			return r;
	}
	return 1;
}

static int compare(const struct walk *w, const struct pair *n, unsigned int *what, struct hr_err *e)
{
	const struct store_inode *a = &n->inode[0], *b = &n->inode[1];
	int same = 1, xattrs = same_xattrs(w, n, e);

	if (xattrs < 0)
		return -1;
	if ((a->mode & S_IFMT) != (b->mode & S_IFMT)) {
		*what = STORE_DIFF_TYPE;
		return 0;
	}
	if (S_ISREG(a->mode))
		same = a->size == b->size ? same_content(w, n, e) : 0;
	else if (S_ISLNK(a->mode))
		same = same_target(w, n, e);
	else
		same = a->dev == b->dev;
	if (same < 0)
		return -1;
	*what = (same ? 0 : STORE_DIFF_CONTENT) | (a->mode == b->mode ? 0 : STORE_DIFF_MODE) |
		(a->uid == b->uid && a->gid == b->gid ? 0 : STORE_DIFF_OWNER) |
		(xattrs ? 0 : STORE_DIFF_XATTRS) |
		(a->mtime == b->mtime && a->mtime_ns == b->mtime_ns ? 0 : STORE_DIFF_TIME);
	return 0;
}

static int tell(struct walk *w, const struct pair *n, struct hr_err *e)
{
	struct store_difference d = { .path = (const char *)w->path.p, .path_len = w->path.len };

	d.before = n->there[0] ? &n->inode[0] : NULL;
	d.after = n->there[1] ? &n->inode[1] : NULL;
	d.kind = !d.before ? STORE_DIFF_ADDED : !d.after ? STORE_DIFF_REMOVED : STORE_DIFF_CHANGED;
	if (d.kind == STORE_DIFF_CHANGED) {
		if (compare(w, n, &d.what, e) < 0)
			return -1;
		if (d.what == 0)
			return 0;
	}
	return w->fn(w->arg, &d, e);
}

/* ---- the walk ---- */

/* The next name in a pair of directories; false when there is none, or -1 in *r. */
static bool next_pair(struct walk *w, struct level *l, struct pair *n, int *r, struct hr_err *e)
{
	struct store_entry entry[SIDES];
	const struct store_entry *first;
	int order = 0;

	for (size_t i = 0; i < SIDES; i++) {
		n->there[i] = l->there[i] && l->next[i] < l->dir[i].count;
		if (n->there[i] &&
		    !store_index_entry(w->side[i]->ix, &l->dir[i], l->next[i], &entry[i])) {
			*r = damaged(w, e);
			return false;
		}
	}
	if (!n->there[0] && !n->there[1])
		return false;
	if (n->there[0] && n->there[1])
		order = store_index_name_cmp(entry[0].name.p, entry[0].name.len, entry[1].name.p,
					     entry[1].name.len);
	n->there[0] = n->there[0] && order <= 0;
	n->there[1] = n->there[1] && order >= 0;
	first = n->there[0] ? &entry[0] : &entry[1];
	hr_buf_str(&w->path, "/");
	hr_buf_add(&w->path, first->name.p, first->name.len);
	for (size_t i = 0; i < SIDES; i++) {
		l->next[i] += n->there[i];
		if (n->there[i] && !store_index_inode(w->side[i]->ix, entry[i].ino, &n->inode[i])) {
			*r = damaged(w, e);
			return false;
		}
	}
	return true;
}

static int enter(struct walk *w, const struct pair *n, struct hr_err *e)
{
	struct level *l = &w->levels[w->depth];

	if (w->depth == DEPTH_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "directories %d deep", DEPTH_MAX);
	*l = (struct level) { .path_len = w->path.len };
	for (size_t i = 0; i < SIDES; i++) {
		l->there[i] = n->there[i] && S_ISDIR(n->inode[i].mode);
		l->dir[i] = n->inode[i];
	}
	if (l->there[0] || l->there[1])
		w->depth++;
	return 0;
}

static int step(struct walk *w, struct hr_err *e)
{
	struct level *l = &w->levels[w->depth - 1];
	struct pair n = { .there = { false, false } };
	int r = 0;

	w->path.len = l->path_len;
	if (!next_pair(w, l, &n, &r, e)) {
		w->depth--;
		return r;
	}
	return tell(w, &n, e) < 0 ? -1 : enter(w, &n, e);
}

static int walk(struct walk *w, struct hr_err *e)
{
	struct pair root = { .there = { true, true } };

	hr_buf_str(&w->path, "/");
	for (size_t i = 0; i < SIDES; i++)
		if (!store_index_inode(w->side[i]->ix, 0, &root.inode[i]))
			return damaged(w, e);
	if (tell(w, &root, e) < 0)
		return -1;
	w->path.len = 0;
	if (enter(w, &root, e) < 0)
		return -1;
	while (w->depth > 0)
		if (step(w, e) < 0)
			return -1;
	return 0;
}

int store_tree_diff(const struct store_diff_side *before, const struct store_diff_side *after,
		    store_diff_fn *fn, void *arg, struct hr_err *e)
{
	hr_autofree struct level *levels = hr_xmalloc(DEPTH_MAX * sizeof(*levels));
	struct walk w = { .side = { before, after }, .fn = fn, .arg = arg, .levels = levels };
	int r = walk(&w, e);

	hr_buf_release(&w.path);
	return r;
}
