/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/index.h"
#include "store/merge.h"
#include "store/merge_tree.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

/* Numbering the inodes breadth first and writing them. */
struct finish {
	struct store_merge *m;
	struct store_index_builder *b;
	uint32_t *ino;	 /* of each node, or MERGE_NONE */
	uint32_t *links; /* of each node: names that reach it; of a directory: its subdirectories */
	uint32_t *order; /* node of each inode */
	uint32_t n;	 /* inodes numbered so far */
	uint32_t *sorted; /* names of the directory under work */
	size_t cap_sorted;

	uint32_t **chunk_ids;	       /* for each layer and chunk: its number in the image */
	struct store_loc_chunk *where; /* of each chunk of the image */
	uint32_t n_chunks;
	size_t cap_chunks;
	struct store_loc_pack *packs;
	uint32_t n_packs;
	size_t cap_packs;
	struct store_idmap by_pack;
	struct store_merge_sums sums;
};

/* ---- chunks ---- */

static bool same_pack(const void *ctx, uint32_t id, const void *key, size_t n)
{
	const struct finish *f = ctx;

	return memcmp(f->packs[id].name.b, key, n) == 0;
}

static uint32_t pack_id(struct finish *f, const struct store_loc_pack *p)
{
	uint64_t hash = store_idmap_hash(&f->by_pack, p->name.b, sizeof(p->name.b));
	uint32_t id;

	if (store_idmap_find(&f->by_pack, hash, same_pack, f, p->name.b, sizeof(p->name.b), &id))
		return id;
	f->packs = hr_xgrow(f->packs, f->n_packs, &f->cap_packs, sizeof(*f->packs));
	f->packs[f->n_packs] = *p;
	store_idmap_add(&f->by_pack, hash, f->n_packs);
	return f->n_packs++;
}

/* The image's number of chunk I of a layer; its location is noted when it is new. */
static uint32_t chunk_id(struct finish *f, uint32_t layer, uint32_t i)
{
	const struct merge_layer *l = &f->m->layers[layer];
	struct store_chunk c;
	struct store_loc_pack p;

	if (!f->chunk_ids[layer]) {
		f->chunk_ids[layer] = hr_xmalloc((size_t)l->l.n_chunks * sizeof(uint32_t));
		memset(f->chunk_ids[layer], 0xff, (size_t)l->l.n_chunks * sizeof(uint32_t));
	}
	if (f->chunk_ids[layer][i] != MERGE_NONE)
		return f->chunk_ids[layer][i];
	c = store_layer_chunk(&l->l, i);
	f->chunk_ids[layer][i] = store_index_builder_chunk(f->b, &c.digest, c.crc, c.bytes);
	if (f->chunk_ids[layer][i] < f->n_chunks)
		return f->chunk_ids[layer][i];
	f->where = hr_xgrow(f->where, f->n_chunks, &f->cap_chunks, sizeof(*f->where));
	f->where[f->n_chunks] = store_loc_chunk(&l->loc, i);
	p = store_loc_pack(&l->loc, f->where[f->n_chunks].pack);
	f->sums.frames += f->where[f->n_chunks].frame_len;
	f->where[f->n_chunks++].pack = pack_id(f, &p);
	return f->chunk_ids[layer][i];
}

/* ---- inodes ---- */

static void number(struct finish *f, uint32_t node)
{
	f->ino[node] = f->n;
	f->order[f->n++] = node;
}

static int by_name(const void *a, const void *b, void *arg)
{
	const struct merge_name *names = arg;
	const struct store_string *x = &names[*(const uint32_t *)a].name;
	const struct store_string *y = &names[*(const uint32_t *)b].name;

	return store_index_name_cmp(x->p, x->len, y->p, y->len);
}

/* The names of a directory that mean something, sorted, into f->sorted. */
static uint32_t sort_names(struct finish *f, uint32_t dir)
{
	uint32_t n = 0;

	for (uint32_t i = f->m->nodes[dir].first_child; i != MERGE_NONE; i = f->m->names[i].next) {
		if (f->m->names[i].node == MERGE_NONE)
			continue;
		f->sorted = hr_xgrow(f->sorted, n, &f->cap_sorted, sizeof(*f->sorted));
		f->sorted[n++] = i;
	}
	if (n > 0)
		qsort_r(f->sorted, n, sizeof(*f->sorted), by_name, f->m->names);
	return n;
}

static void put_dir(struct finish *f, uint32_t dir, struct store_inode *out)
{
	out->count = sort_names(f, dir);
	out->nlink = 2;
	out->parent = f->ino[f->m->nodes[dir].parent];
	for (uint32_t i = 0; i < out->count; i++) {
		const struct merge_name *n = &f->m->names[f->sorted[i]];
		uint32_t at;

		if (f->ino[n->node] == MERGE_NONE)
			number(f, n->node);
		out->nlink += S_ISDIR(f->m->nodes[n->node].mode);
		at = store_index_builder_entry(f->b, n->name.p, n->name.len, f->ino[n->node]);
		if (i == 0)
			out->first = at;
	}
}

static void put_file(struct finish *f, const struct merge_node *node,
		     const struct store_layer_entry *n, struct store_inode *out)
{
	for (uint32_t i = 0; i < n->n_extents; i++) {
		struct store_extent x =
			store_layer_extent(&f->m->layers[node->layer].l, n->first_extent + i);
		uint32_t at;

		if (x.chunk != STORE_HOLE)
			x.chunk = chunk_id(f, node->layer, x.chunk);
		at = store_index_builder_extent(f->b, x.off, x.chunk, x.chunk_off);
		if (i == 0)
			out->first = at;
	}
	out->count = n->n_extents;
	f->sums.size += n->attr.size;
}

static void put_xattrs(struct finish *f, const struct merge_node *node,
		       const struct store_layer_entry *n, struct store_inode *out)
{
	for (uint32_t i = 0; i < n->n_xattrs; i++) {
		struct store_xattr x =
			store_layer_xattr(&f->m->layers[node->layer].l, n->first_xattr + i);
		uint32_t at = store_index_builder_xattr(f->b, x.name.p, x.name.len, x.value.p,
							x.value.len);

		if (i == 0)
			out->first_xattr = at;
	}
	out->n_xattrs = n->n_xattrs;
}

static void put_inode(struct finish *f, uint32_t ino)
{
	const struct merge_node *node = &f->m->nodes[f->order[ino]];
	struct store_layer_entry n = { 0 };
	struct store_inode out = { .mode = node->mode, .nlink = f->links[f->order[ino]] };

	if (node->layer != MERGE_NONE)
		n = store_layer_entry(&f->m->layers[node->layer].l, node->entry);
	out.size = n.attr.size;
	out.mtime = n.attr.mtime;
	out.mtime_ns = n.attr.mtime_ns;
	out.uid = n.attr.uid;
	out.gid = n.attr.gid;
	out.dev = n.attr.dev;
	if (S_ISDIR(out.mode))
		put_dir(f, f->order[ino], &out);
	else if (S_ISREG(out.mode))
		put_file(f, node, &n, &out);
	else if (S_ISLNK(out.mode))
		out.first = store_index_builder_string(f->b, n.target.p, n.target.len);
	put_xattrs(f, node, &n, &out);
	store_index_builder_inode(f->b, &out);
}

/*
 * Count the names of each node that can be reached: an inode is written once, and must know its
 * links before the directories that hold the others are looked at.
 */
static void count_links(struct finish *f)
{
	uint32_t n = 0, done = 0;

	f->order[n++] = MERGE_ROOT;
	while (done < n) {
		uint32_t dir = f->order[done++];

		for (uint32_t i = f->m->nodes[dir].first_child; i != MERGE_NONE;
		     i = f->m->names[i].next) {
			uint32_t node = f->m->names[i].node;

			if (node == MERGE_NONE)
				continue;
			f->links[node]++;
			if (S_ISDIR(f->m->nodes[node].mode))
				f->order[n++] = node;
		}
	}
}

static void release(struct finish *f)
{
	for (uint32_t i = 0; i < f->m->n_layers; i++)
		free(f->chunk_ids[i]);
	free(f->chunk_ids);
	free(f->ino);
	free(f->links);
	free(f->order);
	free(f->sorted);
	free(f->where);
	free(f->packs);
	store_idmap_release(&f->by_pack);
	store_index_builder_free(f->b);
}

/*
 * The tree has been written into the builder: give it back before the whole index is put together,
 * which is the moment when a million files need most memory.
 */
static void release_tree(struct finish *f)
{
	free(f->ino);
	free(f->links);
	free(f->order);
	f->ino = f->links = f->order = NULL;
	free(f->m->nodes);
	free(f->m->names);
	f->m->nodes = NULL;
	f->m->names = NULL;
	f->m->n_nodes = f->m->n_names = 0;
	store_idmap_release(&f->m->by_name);
}

int store_merge_finish(struct store_merge *m, const struct store_merge_image *image,
		       struct hr_buf *index, struct hr_buf *loc, struct store_merge_sums *sums,
		       struct hr_err *e)
{
	struct finish f = { .m = m, .b = store_index_builder_new() };
	int r;

	f.ino = hr_xmalloc((size_t)m->n_nodes * sizeof(*f.ino));
	f.links = hr_xmalloc((size_t)m->n_nodes * sizeof(*f.links));
	f.order = hr_xmalloc((size_t)m->n_nodes * sizeof(*f.order));
	f.chunk_ids = hr_xmalloc(m->n_layers * sizeof(*f.chunk_ids) + 1);
	count_links(&f);
	memset(f.ino, 0xff, (size_t)m->n_nodes * sizeof(*f.ino));
	number(&f, MERGE_ROOT);
	for (uint32_t ino = 0; ino < f.n; ino++)
		put_inode(&f, ino);
	release_tree(&f);
	r = store_index_builder_finish(f.b, image->manifest, image->config, image->config_bytes,
				       image->config_len, index, e);
	if (r == 0) {
		store_loc_write(f.packs, f.n_packs, f.where, f.n_chunks, loc);
		*sums = f.sums;
	}
	release(&f);
	return r;
}
