/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/merge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/merge_tree.h"
#include "util/mem.h"
#include "util/poison.h"

#define SYMLINKS_MAX 40

/* ---- the tree ---- */

static uint32_t add_node(struct store_merge *m, uint32_t layer, uint32_t entry, uint32_t mode)
{
	m->nodes = hr_xgrow(m->nodes, m->n_nodes, &m->cap_nodes, sizeof(*m->nodes));
	m->nodes[m->n_nodes] = (struct merge_node) { layer, entry, mode, MERGE_ROOT, MERGE_NONE };
	return m->n_nodes++;
}

static bool is_dir(const struct store_merge *m, uint32_t node)
{
	return S_ISDIR(m->nodes[node].mode);
}

struct key {
	uint32_t parent;
	struct store_string name;
};

static bool same_name(const void *ctx, uint32_t id, const void *key, size_t n)
{
	const struct merge_name *have = &((const struct store_merge *)ctx)->names[id];
	const struct key *k = key;

	(void)n;
	return have->parent == k->parent && have->name.len == k->name.len &&
	       memcmp(have->name.p, k->name.p, k->name.len) == 0;
}

static uint64_t hash_key(struct store_merge *m, const struct key *k)
{
	uint64_t h = store_idmap_hash(&m->by_name, k->name.p, k->name.len);

	return (h ^ k->parent) * UINT64_C(0x9e3779b97f4a7c15);
}

/* The number of a name, or MERGE_NONE. */
static uint32_t find_name(struct store_merge *m, uint32_t dir, struct store_string name)
{
	struct key k = { dir, name };
	uint32_t id;

	return store_idmap_find(&m->by_name, hash_key(m, &k), same_name, m, &k, 0, &id)
		       ? id
		       : MERGE_NONE;
}

/* The node of a name, or MERGE_NONE. */
static uint32_t look_up(struct store_merge *m, uint32_t dir, struct store_string name)
{
	uint32_t id = find_name(m, dir, name);

	return id == MERGE_NONE ? MERGE_NONE : m->names[id].node;
}

/* Make a name mean NODE, whatever it meant before. */
static void set_name(struct store_merge *m, uint32_t dir, struct store_string name, uint32_t node)
{
	struct key k = { dir, name };
	uint32_t id = find_name(m, dir, name);

	if (id == MERGE_NONE) {
		m->names = hr_xgrow(m->names, m->n_names, &m->cap_names, sizeof(*m->names));
		id = m->n_names++;
		m->names[id] = (struct merge_name) { dir, MERGE_NONE, MERGE_NONE, false, name };
		store_idmap_add(&m->by_name, hash_key(m, &k), id);
	}
	m->names[id].node = node;
	if (!m->names[id].listed) {
		m->names[id].listed = true;
		m->names[id].next = m->nodes[dir].first_child;
		m->nodes[dir].first_child = id;
	}
	if (node != MERGE_NONE && is_dir(m, node))
		m->nodes[node].parent = dir;
}

static uint32_t make_dir(struct store_merge *m, uint32_t parent, struct store_string name)
{
	uint32_t node = add_node(m, MERGE_NONE, MERGE_NONE, S_IFDIR | 0755);

	set_name(m, parent, name, node);
	return node;
}

/* ---- paths ---- */

/* Split the first part off a path; false when there is none. Empty parts are passed over. */
static bool next_part(struct store_string *path, struct store_string *part)
{
	const char *p = path->p, *end = path->p + path->len, *slash;

	while (p < end && *p == '/')
		p++;
	if (p == end)
		return false;
	slash = memchr(p, '/', (size_t)(end - p));
	*part = (struct store_string) { p, (uint32_t)((slash ? slash : end) - p) };
	p += part->len;
	*path = (struct store_string) { p, (uint32_t)(end - p) };
	return true;
}

static bool part_is(struct store_string part, const char *s)
{
	return part.len == strlen(s) && memcmp(part.p, s, part.len) == 0;
}

static struct store_string target_of(const struct store_merge *m, uint32_t node)
{
	const struct merge_node *n = &m->nodes[node];

	return store_layer_entry(&m->layers[n->layer].l, n->entry).target;
}

/*
 * Walk PATH from *dir, following symlinks inside the root. With MAKE, what is missing is made and
 * what is no directory replaced; without, *dir becomes MERGE_NONE there. Recursion is bounded by
 * the count of symlinks.
 */
static int walk(struct store_merge *m, uint32_t *dir, struct store_string path, bool make,
		unsigned int *symlinks, struct hr_err *e)
{
	struct store_string part;

	while (*dir != MERGE_NONE && next_part(&path, &part)) {
		uint32_t node;

		if (part_is(part, "."))
			continue;
		if (part_is(part, "..")) {
			*dir = m->nodes[*dir].parent; /* the root's is the root */
			continue;
		}
		/* only a symlink's target can be so long, nothing can be there */
		if (part.len > STORE_NAME_MAX)
			return hr_fail(e, HR_CORRUPT, 0,
				       "it follows a symlink to a name of %u bytes", part.len);
		node = look_up(m, *dir, part);
		if (node != MERGE_NONE && S_ISLNK(m->nodes[node].mode)) {
			struct store_string target = target_of(m, node);

			if (++*symlinks > SYMLINKS_MAX)
				return hr_fail(e, HR_CORRUPT, 0, "it follows more than %d symlinks",
					       SYMLINKS_MAX);
			if (target.p[0] == '/')
				*dir = MERGE_ROOT;
			if (walk(m, dir, target, make, symlinks, e) < 0)
				return -1;
			continue;
		}
		if (node == MERGE_NONE || !is_dir(m, node))
			node = make ? make_dir(m, *dir, part) : MERGE_NONE;
		*dir = node;
	}
	return 0;
}

/* Find the directory that a path lies in, and its last part. */
static int find_parent(struct store_merge *m, struct store_string path, bool make, uint32_t *dir,
		       struct store_string *name, struct hr_err *e)
{
	const char *slash = memrchr(path.p, '/', path.len);
	uint32_t dir_len = slash ? (uint32_t)(slash - path.p) : 0;
	unsigned int symlinks = 0;

	*dir = MERGE_ROOT;
	*name = slash ? (struct store_string) { slash + 1, path.len - dir_len - 1 } : path;
	return walk(m, dir, (struct store_string) { path.p, dir_len }, make, &symlinks, e);
}

/* ---- entries ---- */

static int apply_whiteout(struct store_merge *m, const struct store_layer_entry *n,
			  struct hr_err *e)
{
	struct store_string name;
	uint32_t dir;

	if (find_parent(m, n->path, false, &dir, &name, e) < 0)
		return -1;
	if (dir != MERGE_NONE && find_name(m, dir, name) != MERGE_NONE)
		set_name(m, dir, name, MERGE_NONE);
	return 0;
}

static int apply_opaque(struct store_merge *m, const struct store_layer_entry *n, struct hr_err *e)
{
	unsigned int symlinks = 0;
	uint32_t dir = MERGE_ROOT;

	if (walk(m, &dir, n->path, false, &symlinks, e) < 0)
		return -1;
	if (dir == MERGE_NONE)
		return 0;
	for (uint32_t i = m->nodes[dir].first_child; i != MERGE_NONE; i = m->names[i].next) {
		m->names[i].node = MERGE_NONE;
		m->names[i].listed = false;
	}
	/* emptied, so that a thousand markers of one directory cost no more than one */
	m->nodes[dir].first_child = MERGE_NONE;
	return 0;
}

static int apply_node(struct store_merge *m, uint32_t entry, const struct store_layer_entry *n,
		      struct hr_err *e)
{
	uint32_t layer = m->n_layers - 1, dir, old = MERGE_ROOT;
	struct store_string name;

	if (n->path.len > 0) {
		if (find_parent(m, n->path, true, &dir, &name, e) < 0)
			return -1;
		old = look_up(m, dir, name);
		if (old == MERGE_NONE || !is_dir(m, old) || !S_ISDIR(n->attr.mode)) {
			set_name(m, dir, name, add_node(m, layer, entry, n->attr.mode));
			return 0;
		}
	}
	m->nodes[old].layer = layer;
	m->nodes[old].entry = entry;
	m->nodes[old].mode = n->attr.mode;
	return 0;
}

static int apply_hardlink(struct store_merge *m, const struct store_layer_entry *n,
			  struct hr_err *e)
{
	struct store_string name, target_name;
	uint32_t dir, target_dir, target = MERGE_NONE;

	if (find_parent(m, n->target, false, &target_dir, &target_name, e) < 0)
		return -1;
	if (target_dir != MERGE_NONE)
		target = look_up(m, target_dir, target_name);
	if (target == MERGE_NONE || is_dir(m, target)) {
		hr_autobuf struct hr_buf text = { 0 };

		hr_buf_untrusted(&text, n->target.p, n->target.len < 200 ? n->target.len : 200);
		return hr_fail(e, HR_CORRUPT, 0, "a hardlink to '%s', which is %s",
			       (const char *)text.p,
			       target == MERGE_NONE ? "not there" : "a directory");
	}
	/* making parents may replace what the target's path names: the link is to what it was */
	if (find_parent(m, n->path, true, &dir, &name, e) < 0)
		return -1;
	set_name(m, dir, name, target);
	return 0;
}

static int name_entry(const struct store_layer_entry *n, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };

	hr_buf_untrusted(&text, n->path.p, n->path.len < 200 ? n->path.len : 200);
	return hr_wrap(e, "entry '%s'", text.p ? (const char *)text.p : "");
}

int store_merge_layer(struct store_merge *m, const struct store_layer *layer,
		      const struct store_loc *loc, struct hr_err *e)
{
	m->layers = hr_xrealloc(m->layers, (m->n_layers + 1) * sizeof(*m->layers));
	m->layers[m->n_layers++] = (struct merge_layer) { *layer, *loc };
	/* what a layer hides is of lower layers, wherever it stands in the archive */
	for (uint32_t i = 0; i < layer->n_entries; i++) {
		struct store_layer_entry n = store_layer_entry(layer, i);

		if ((n.kind == STORE_ENTRY_WHITEOUT && apply_whiteout(m, &n, e) < 0) ||
		    (n.kind == STORE_ENTRY_OPAQUE && apply_opaque(m, &n, e) < 0))
			return name_entry(&n, e);
	}
	for (uint32_t i = 0; i < layer->n_entries; i++) {
		struct store_layer_entry n = store_layer_entry(layer, i);

		if ((n.kind == STORE_ENTRY_NODE && apply_node(m, i, &n, e) < 0) ||
		    (n.kind == STORE_ENTRY_HARDLINK && apply_hardlink(m, &n, e) < 0))
			return name_entry(&n, e);
	}
	return 0;
}

struct store_merge *store_merge_new(void)
{
	struct store_merge *m = hr_xmalloc(sizeof(*m));

	add_node(m, MERGE_NONE, MERGE_NONE, S_IFDIR | 0755);
	return m;
}

void store_merge_free(struct store_merge *m)
{
	if (!m)
		return;
	free(m->layers);
	free(m->nodes);
	free(m->names);
	store_idmap_release(&m->by_name);
	free(m);
}

void store_merge_freep(struct store_merge **m)
{
	store_merge_free(*m);
}
