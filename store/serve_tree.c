/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/serve_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define LINKS_MAX   40	  /* as in path_resolution(7) */
#define DEPTH_MAX   2048  /* directories between the root and a target */
#define TARGETS_MAX 65536 /* nodes laid over an image */
#define DIR_MODE    0755u
#define FILE_MODE   0644u

/* A node laid over the index: an entry of a directory, in front of the entry of the same name. */
struct extra {
	uint32_t dir; /* the node in which it lies */
	uint32_t mode;
	bool hides;	/* the index has an entry of this name there */
	bool hides_dir; /* and that is a directory */
	uint32_t len;
	char name[STORE_NAME_MAX + 1];
};

#define FILTER_BITS 4096

struct serve_tree {
	const struct store_index *ix;
	struct extra *extras;
	uint32_t n;
	size_t cap;
	/* a bit for each directory with extras, by its number modulo: most look-ups end here */
	uint64_t filter[FILTER_BITS / 64];
};

static uint64_t filter_bit(uint32_t node)
{
	return (uint64_t)1 << (node % 64);
}

static uint32_t filter_word(uint32_t node)
{
	return node % FILTER_BITS / 64;
}

struct serve_tree *serve_tree_new(const struct store_index *ix)
{
	struct serve_tree *t = hr_xmalloc(sizeof(*t));

	t->ix = ix;
	return t;
}

void serve_tree_free(struct serve_tree *t)
{
	if (!t)
		return;
	free(t->extras);
	free(t);
}

void serve_tree_freep(struct serve_tree **t)
{
	serve_tree_free(*t);
}

uint64_t serve_tree_nodes(const struct serve_tree *t)
{
	return (uint64_t)store_index_inodes(t->ix) + t->n;
}

/* The extra that a node number names, or NULL: one of the index. */
static const struct extra *extra_of(const struct serve_tree *t, uint32_t node)
{
	uint32_t first = store_index_inodes(t->ix);

	return node >= first && node - first < t->n ? &t->extras[node - first] : NULL;
}

/* The next extra in a directory at or behind I, or t->n. */
static uint32_t next_in(const struct serve_tree *t, uint32_t node, uint32_t i)
{
	if (!(t->filter[filter_word(node)] & filter_bit(node)))
		return t->n;
	while (i < t->n && t->extras[i].dir != node)
		i++;
	return i;
}

/* Links that its extras add to a directory. */
static int64_t extra_links(const struct serve_tree *t, uint32_t node)
{
	int64_t links = 0;

	for (uint32_t i = next_in(t, node, 0); i < t->n; i = next_in(t, node, i + 1))
		links += S_ISDIR(t->extras[i].mode) - t->extras[i].hides_dir;
	return links;
}

bool serve_tree_inode(const struct serve_tree *t, uint32_t node, struct store_inode *out)
{
	const struct extra *x = extra_of(t, node);

	if (x)
		*out = (struct store_inode) { .mode = x->mode,
					      .nlink = S_ISDIR(x->mode) ? 2 : 1,
					      .parent = x->dir };
	else if (!store_index_inode(t->ix, node, out))
		return false;
	if (S_ISDIR(out->mode))
		out->nlink = (uint32_t)(out->nlink + extra_links(t, node));
	return true;
}

static bool find_extra(const struct serve_tree *t, uint32_t node, const char *name, size_t len,
		       uint32_t *out)
{
	for (uint32_t i = next_in(t, node, 0); i < t->n; i = next_in(t, node, i + 1)) {
		const struct extra *x = &t->extras[i];

		if (x->len == len && memcmp(x->name, name, len) == 0) {
			*out = store_index_inodes(t->ix) + i;
			return true;
		}
	}
	return false;
}

int serve_tree_lookup(const struct serve_tree *t, uint32_t node, const struct store_inode *dir,
		      const char *name, size_t len, uint32_t *out)
{
	if (find_extra(t, node, name, len, out))
		return 1;
	return extra_of(t, node) ? 0 : store_index_lookup(t->ix, dir, name, len, out);
}

/* First the entries of the index, each in its place even when hidden, then the names that the
 * index does not have. */
uint64_t serve_tree_entries(const struct serve_tree *t, uint32_t node,
			    const struct store_inode *dir)
{
	uint64_t n = dir->count;

	for (uint32_t i = next_in(t, node, 0); i < t->n; i = next_in(t, node, i + 1))
		n += !t->extras[i].hides;
	return n;
}

bool serve_tree_entry(const struct serve_tree *t, uint32_t node, const struct store_inode *dir,
		      uint64_t i, struct store_entry *out)
{
	uint32_t k;

	if (i < dir->count) {
		if (!store_index_entry(t->ix, dir, (uint32_t)i, out))
			return false;
		(void)find_extra(t, node, out->name.p, out->name.len, &out->ino);
		return true;
	}
	i -= dir->count;
	for (k = next_in(t, node, 0); k < t->n; k = next_in(t, node, k + 1))
		if (!t->extras[k].hides && i-- == 0)
			break;
	if (k >= t->n)
		return false;
	*out = (struct store_entry) { { t->extras[k].name, t->extras[k].len },
				      store_index_inodes(t->ix) + k };
	return true;
}

uint32_t serve_tree_parent(const struct serve_tree *t, uint32_t node, const struct store_inode *dir)
{
	(void)t;
	return node == SERVE_TREE_ROOT ? SERVE_TREE_ROOT : dir->parent;
}

/* ---- laying targets over the index ---- */

static int damaged(struct hr_err *e)
{
	return hr_fail(e, HR_CORRUPT, 0, "the image index is damaged");
}

/* Add a node; what the index has under the name is hidden. An extra of that name is changed. */
static int put(struct serve_tree *t, uint32_t dir, const char *name, size_t len, uint32_t mode,
	       uint32_t *out, struct hr_err *e)
{
	struct store_inode parent, old;
	struct extra *x;
	uint32_t ino;
	int there;

	if (find_extra(t, dir, name, len, out)) {
		t->extras[*out - store_index_inodes(t->ix)].mode = mode;
		return 0;
	}
	if (!serve_tree_inode(t, dir, &parent))
		return damaged(e);
	there = serve_tree_lookup(t, dir, &parent, name, len, &ino);
	if (there < 0 || (there > 0 && !serve_tree_inode(t, ino, &old)))
		return damaged(e);
	if (t->n >= TARGETS_MAX || serve_tree_nodes(t) >= UINT32_MAX - 1)
		return hr_fail(e, HR_CORRUPT, 0, "more than %d targets", TARGETS_MAX);
	t->extras = hr_xgrow(t->extras, t->n, &t->cap, sizeof(*t->extras));
	x = &t->extras[t->n];
	*x = (struct extra) { .dir = dir,
			      .mode = mode,
			      .hides = there > 0,
			      .hides_dir = there > 0 && S_ISDIR(old.mode),
			      .len = (uint32_t)len };
	memcpy(x->name, name, len);
	t->filter[filter_word(dir)] |= filter_bit(dir);
	*out = store_index_inodes(t->ix) + t->n++;
	return 0;
}

int serve_tree_force(struct serve_tree *t, const char *name, uint32_t mode, struct hr_err *e)
{
	uint32_t node;

	return put(t, SERVE_TREE_ROOT, name, strlen(name), S_IFDIR | mode, &node, e);
}

/* A walk from the root: the directories above and with the current one, and what is left to go. */
struct walk {
	struct serve_tree *t;
	uint32_t up[DEPTH_MAX];
	size_t depth; /* up[depth - 1] is the current directory */
	char *rest;   /* allocated; at is a position in it */
	size_t at;
	unsigned int links;
};

static void walk_init(struct walk *w, struct serve_tree *t, const char *path)
{
	w->t = t;
	w->up[0] = SERVE_TREE_ROOT;
	w->depth = 1;
	w->rest = hr_xstrdup(path);
	w->at = 0;
	w->links = 0;
}

static uint32_t current(const struct walk *w)
{
	return w->up[w->depth - 1];
}

/* Cut the next part off the rest: "." and empty parts are passed over, ".." goes up. */
static bool next_part(struct walk *w, const char **name, size_t *len)
{
	for (;;) {
		const char *p = w->rest + w->at;

		p += strspn(p, "/");
		*name = p;
		*len = strcspn(p, "/");
		w->at = (size_t)(p - w->rest) + *len;
		if (*len == 0)
			return false;
		if (*len == 2 && memcmp(p, "..", 2) == 0) {
			w->depth -= w->depth > 1;
			continue;
		}
		if (!(*len == 1 && p[0] == '.'))
			return true;
	}
}

static bool is_last(const struct walk *w)
{
	const char *p = w->rest + w->at;

	return p[strspn(p, "/")] == '\0';
}

/* Go on with the target of a symlink, then with the rest. */
static void follow(struct walk *w, const struct store_string *target)
{
	char *rest = hr_xasprintf("%s/%s", target->p, w->rest + w->at);

	free(w->rest);
	w->rest = rest;
	w->at = 0;
	w->links++;
	if (rest[0] == '/')
		w->depth = 1;
}

static int enter(struct walk *w, uint32_t node, struct hr_err *e)
{
	if (w->depth == DEPTH_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "more than %d directories deep", DEPTH_MAX);
	w->up[w->depth++] = node;
	return 0;
}

/* The node NAME in the current directory: 1, 0 not there, -1. */
static int look(struct walk *w, const char *name, size_t len, uint32_t *node,
		struct store_inode *inode, struct hr_err *e)
{
	struct store_inode dir;
	int there;

	if (!serve_tree_inode(w->t, current(w), &dir))
		return damaged(e);
	there = serve_tree_lookup(w->t, current(w), &dir, name, len, node);
	if (there < 0 || (there > 0 && !serve_tree_inode(w->t, *node, inode)))
		return damaged(e);
	return there;
}

static bool can_follow(const struct walk *w, const struct store_inode *inode,
		       struct store_string *target)
{
	return S_ISLNK(inode->mode) && w->links < LINKS_MAX &&
	       store_index_target(w->t->ix, inode, target);
}

/*
 * Whether PATH leads to a node of TYPE, from the directory where W stands, without making
 * anything.
 */
static int leads_to(const struct walk *from, const struct store_string *target, uint32_t type,
		    struct hr_err *e)
{
	hr_autofree struct walk *w = malloc(sizeof(*w));
	struct store_inode inode = { .mode = S_IFDIR };
	struct store_string to;
	const char *name;
	uint32_t node;
	size_t len;
	int there = 1;

	if (!w)
		return hr_fail(e, HR_SYS, ENOMEM, "no memory for a target");
	*w = *from;
	w->rest = hr_xstrdup("");
	w->at = 0;
	follow(w, target);
	while (there > 0 && next_part(w, &name, &len)) {
		there = S_ISDIR(inode.mode) ? look(w, name, len, &node, &inode, e) : 0;
		if (there > 0 && can_follow(w, &inode, &to)) {
			follow(w, &to);
			inode.mode = S_IFDIR;
		} else if (there > 0 && S_ISDIR(inode.mode) && enter(w, node, e) < 0) {
			there = -1;
		}
	}
	free(w->rest);
	return there > 0 ? (inode.mode & S_IFMT) == type : there;
}

/* One part on the way: afterwards the walk stands in it, or in front of a symlink's target. */
static int step_into(struct walk *w, const char *name, size_t len, struct hr_err *e)
{
	struct store_string target;
	struct store_inode inode;
	uint32_t node;
	int there = look(w, name, len, &node, &inode, e);

	if (there < 0)
		return -1;
	if (there > 0 && can_follow(w, &inode, &target)) {
		follow(w, &target);
		return 0;
	}
	if ((there == 0 || !S_ISDIR(inode.mode)) &&
	    put(w->t, current(w), name, len, S_IFDIR | DIR_MODE, &node, e) < 0)
		return -1;
	return enter(w, node, e);
}

/* The last part: kept if it is of the type or leads there, else hidden. */
static int finish(struct walk *w, const char *name, size_t len, uint32_t type, struct hr_err *e)
{
	struct store_string target;
	struct store_inode inode;
	uint32_t node;
	int there = look(w, name, len, &node, &inode, e), fits = 0;

	if (there < 0)
		return -1;
	if (there > 0 && can_follow(w, &inode, &target))
		fits = leads_to(w, &target, type, e);
	else if (there > 0)
		fits = (inode.mode & S_IFMT) == type;
	if (fits != 0)
		return fits < 0 ? -1 : 0;
	return put(w->t, current(w), name, len, type | (type == S_IFDIR ? DIR_MODE : FILE_MODE),
		   &node, e);
}

static int lay(struct serve_tree *t, const char *path, uint32_t type, struct hr_err *e)
{
	hr_autofree struct walk *w = hr_xmalloc(sizeof(*w));
	bool made = type == S_IFDIR; /* a path without parts is the root */
	const char *name;
	size_t len;
	int r = 0;

	walk_init(w, t, path);
	while (r == 0 && next_part(w, &name, &len)) {
		if (len > STORE_NAME_MAX) {
			r = hr_fail(e, HR_CORRUPT, 0, "a name of %zu bytes", len);
		} else if (is_last(w)) {
			r = finish(w, name, len, type, e);
			made = true;
			break;
		} else {
			r = step_into(w, name, len, e);
		}
	}
	free(w->rest);
	if (r == 0 && !made)
		return hr_fail(e, HR_CORRUPT, 0, "it names a directory, not a file");
	return r;
}

int serve_tree_targets(struct serve_tree *t, const uint8_t *p, size_t n, struct hr_err *e)
{
	while (n > 0) {
		const uint8_t *end = memchr(p, '\0', n);
		const char *path = (const char *)p + 1;

		if (!end || (p[0] != 'd' && p[0] != 'f') || path[0] != '/' ||
		    (size_t)(end - p) > STORE_PATH_MAX + 1)
			return hr_fail(e, HR_CORRUPT, 0, "a malformed target");
		if (lay(t, path, p[0] == 'd' ? S_IFDIR : S_IFREG, e) < 0)
			return hr_wrap(e, "target '%s'", path);
		n -= (size_t)(end - p) + 1;
		p = end + 1;
	}
	return 0;
}
