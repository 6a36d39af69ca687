/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/sqfs_index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/idmap.h"
#include "store/layer.h"
#include "store/merge.h"
#include "store/sqfs_meta.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

/*
 * What a squashfs can ask of us is bounded by its own size, but xattrs: files share them. They are
 * copied for each.
 */
#define XATTR_BYTES_MAX (UINT64_C(4) << 30)

/* A directory that is being listed. */
struct level {
	struct store_sqfs_dir dir;
	size_t path_len; /* of its own path */
};

/* A walk over a file system, and what it has found. */
struct walk {
	const struct store_sqfs_super *super;
	uint64_t off; /* of the file system in the file */
	struct store_sqfs_meta *meta;
	struct store_layer_builder builder;
	struct hr_buf path;
	struct level *levels; /* from the root down */
	size_t depth, levels_cap;
	bool runscript; /* of Singularity and Apptainer; it is there */
	uint64_t inode_bytes, xattr_bytes;

	/* by inode number: where it was met, and the path that a hardlink refers to */
	uint64_t *met;	 /* as directories name it, and 1; or 0 */
	uint32_t *paths; /* offset in the list */
	struct hr_buf path_list;

	struct store_sqfs_place *places; /* the chunks */
	uint32_t n;
	size_t cap;
	struct store_idmap by_place;
	uint32_t *fragments; /* the chunk of each and 1, or 0 */
};

static void walk_release(struct walk *w)
{
	store_sqfs_meta_close(w->meta);
	store_layer_build_release(&w->builder);
	hr_buf_release(&w->path);
	hr_buf_release(&w->path_list);
	store_idmap_release(&w->by_place);
	free(w->levels);
	free(w->met);
	free(w->paths);
	free(w->places);
	free(w->fragments);
}

/* ---- chunks ---- */

static bool same_place(const void *ctx, uint32_t id, const void *key, size_t n)
{
	const struct walk *w = ctx;

	(void)n;
	return memcmp(&w->places[id], key, sizeof(w->places[id])) == 0;
}

static uint32_t add_place(struct walk *w, const struct store_sqfs_place *p)
{
	w->places = hr_xgrow(w->places, w->n, &w->cap, sizeof(*w->places));
	w->places[w->n] = *p;
	return w->n++;
}

/* SIZE as stored, at AT of the file system. */
static int check_block(const struct walk *w, uint64_t at, uint32_t size, struct hr_err *e)
{
	uint32_t bytes = size & ~STORE_SQFS_UNCOMPRESSED;

	if (bytes == 0 || bytes > w->super->block_bytes || at < STORE_SQFS_SUPER_BYTES ||
	    at > w->super->bytes || bytes > w->super->bytes - at)
		return hr_fail(e, HR_CORRUPT, 0,
			       "its block of %" PRIu32 " bytes at %" PRIu64 " is out of range",
			       bytes, at);
	return 0;
}

/* The chunk of a whole block; files that are equal share their blocks. */
static int block_chunk(struct walk *w, uint64_t at, uint32_t size, uint32_t bytes, uint32_t *id,
		       struct hr_err *e)
{
	struct store_sqfs_place p;
	uint64_t hash;

	if (check_block(w, at, size, e) < 0)
		return -1;
	memset(&p, 0, sizeof(p)); /* it is compared as bytes */
	p.off = w->off + at;
	p.size = size;
	p.bytes = bytes;
	p.compressor = w->super->compressor;
	hash = store_idmap_hash(&w->by_place, &p, sizeof(p));
	if (store_idmap_find(&w->by_place, hash, same_place, w, &p, sizeof(p), id))
		return 0;
	*id = add_place(w, &p);
	store_idmap_add(&w->by_place, hash, *id);
	return 0;
}

/* The chunk that holds the end of a file, BYTES at OFF of it. */
static int fragment_chunk(struct walk *w, uint32_t number, uint64_t off, uint64_t bytes,
			  uint32_t *id, struct hr_err *e)
{
	struct store_sqfs_fragment f;

	if (number >= w->super->fragments || off + bytes > w->super->block_bytes)
		return hr_fail(e, HR_CORRUPT, 0,
			       "its end is %" PRIu64 " bytes at %" PRIu64 " of fragment %" PRIu32
			       " of %" PRIu32,
			       bytes, off, number, w->super->fragments);
	if (w->fragments[number] == 0) {
		struct store_sqfs_place p = { .compressor = w->super->compressor };

		f = store_sqfs_fragment_get(w->meta, number);
		if (check_block(w, f.off, f.size, e) < 0)
			return -1;
		p.off = w->off + f.off;
		p.size = f.size;
		w->fragments[number] = add_place(w, &p) + 1;
	}
	*id = w->fragments[number] - 1;
	/* how much it holds is written nowhere; what files say they have there must be */
	if (w->places[*id].bytes < off + bytes)
		w->places[*id].bytes = (uint32_t)(off + bytes);
	return 0;
}

/* ---- entries ---- */

static int add_blocks(struct walk *w, const struct store_sqfs_inode *i, struct hr_err *e)
{
	uint64_t at = i->file.start, off = 0;

	for (uint32_t k = 0; k < i->file.n; k++, off += w->super->block_bytes) {
		struct store_extent x = { off, STORE_HOLE, 0 };
		uint64_t left = i->size - off;
		uint32_t size = hr_le32(i->file.sizes + (size_t)k * 4),
			 block = w->super->block_bytes;

		if (size != 0 && block_chunk(w, at, size, left < block ? (uint32_t)left : block,
					     &x.chunk, e) < 0)
			return -1;
		store_layer_build_extent(&w->builder, &x);
		at += size & ~STORE_SQFS_UNCOMPRESSED;
	}
	if (off < i->size) { /* then it has a fragment: the parser has counted */
		struct store_extent x = { off, STORE_HOLE, i->file.off };

		if (fragment_chunk(w, i->file.fragment, x.chunk_off, i->size - off, &x.chunk, e) <
		    0)
			return -1;
		store_layer_build_extent(&w->builder, &x);
	}
	return 0;
}

static int add_xattrs(struct walk *w, uint32_t number, struct hr_err *e)
{
	struct store_sqfs_xattrs set;
	struct store_sqfs_xattr x;
	int r;

	if (store_sqfs_xattrs_open(w->meta, number, &set, e) < 0)
		return -1;
	while ((r = store_sqfs_xattrs_next(&set, &x, e)) > 0) {
		hr_autobuf struct hr_buf name = { 0 };
		struct store_xattr out = { .value = x.value };

		w->xattr_bytes += 8 + (uint64_t)x.name.len + x.value.len;
		if (w->xattr_bytes > XATTR_BYTES_MAX)
			return hr_fail(e, HR_CORRUPT, 0,
				       "the files have xattrs of more than 4 GiB");
		if (x.prefix != STORE_SQFS_XATTR_USER)
			continue;
		hr_buf_str(&name, "user.");
		hr_buf_add(&name, x.name.p, x.name.len);
		if (name.len > STORE_NAME_MAX || x.value.len > STORE_XATTR_MAX)
			return hr_fail(e, HR_CORRUPT, 0,
				       "an xattr has a name of %zu bytes and %" PRIu32
				       ", at most %u and %u",
				       name.len, x.value.len, STORE_NAME_MAX, STORE_XATTR_MAX);
		out.name = (struct store_string) { (const char *)name.p, (uint32_t)name.len };
		store_layer_build_xattr(&w->builder, &out);
	}
	return r;
}

static int add_symlink(const struct store_sqfs_inode *i, struct store_layer_entry *row,
		       struct hr_err *e)
{
	if (i->size == 0 || i->size > STORE_PATH_MAX)
		return hr_fail(e, HR_CORRUPT, 0,
			       "its target has %" PRIu64 " bytes, expected 1 to %u", i->size,
			       STORE_PATH_MAX);
	if (memchr(i->target, '\0', i->size))
		return hr_fail(e, HR_CORRUPT, 0, "its target holds a NUL");
	row->target = (struct store_string) { (const char *)i->target, (uint32_t)i->size };
	return 0;
}

/*
 * Whether the inode AT was met before: then ROW becomes a hardlink to it. A directory has one name,
 * or the tree has no end; and inodes that lie within others would let a small file ask for much.
 */
static int meet(struct walk *w, uint64_t at, const struct store_sqfs_inode *i,
		struct store_layer_entry *row, bool *again, struct hr_err *e)
{
	const uint64_t met = w->met[i->number];
	const char *path;

	*again = met != 0;
	if (met != 0 && met != at + 1)
		return hr_fail(e, HR_CORRUPT, 0, "another file is inode %" PRIu32 ", too",
			       i->number);
	if (met != 0 && S_ISDIR(i->mode))
		return hr_fail(e, HR_CORRUPT, 0, "the directory is there twice");
	if (met != 0) {
		path = (const char *)w->path_list.p + w->paths[i->number];
		row->kind = STORE_ENTRY_HARDLINK;
		row->target = (struct store_string) { path, (uint32_t)strlen(path) };
		return 0;
	}
	w->met[i->number] = at + 1;
	w->inode_bytes += i->bytes;
	if (w->inode_bytes > store_sqfs_meta_inode_bytes(w->meta))
		return hr_fail(e, HR_CORRUPT, 0, "the inodes of the files lie one in the other");
	if (w->path_list.len > UINT32_MAX - (STORE_PATH_MAX + 2))
		return hr_fail(e, HR_CORRUPT, 0, "the paths have more than 4 GiB");
	w->paths[i->number] = (uint32_t)w->path_list.len;
	hr_buf_add(&w->path_list, row->path.p, row->path.len);
	hr_buf_add(&w->path_list, "", 1);
	return 0;
}

/* Add the inode AT by the path of the walk; *i receives it. */
static int add_inode(struct walk *w, uint64_t at, struct store_sqfs_inode *i, struct hr_err *e)
{
	struct store_layer_entry row = {
		.kind = STORE_ENTRY_NODE,
		.path = { (const char *)w->path.p, (uint32_t)w->path.len },
	};
	bool again;
	int r = 0;

	if (store_sqfs_inode_get(w->meta, at, i, e) < 0 || meet(w, at, i, &row, &again, e) < 0)
		return -1;
	if (again)
		return store_layer_build_entry(&w->builder, &row, e);
	row.attr = (struct store_attr) {
		.mode = i->mode, .uid = i->uid, .gid = i->gid, .dev = i->dev, .mtime = i->mtime
	};
	if (!S_ISDIR(i->mode))
		row.attr.size = i->size;
	if (S_ISREG(i->mode))
		r = add_blocks(w, i, e);
	else if (S_ISLNK(i->mode))
		r = add_symlink(i, &row, e);
	if (r < 0 || add_xattrs(w, i->xattr, e) < 0)
		return -1;
	return store_layer_build_entry(&w->builder, &row, e);
}

/* What can be no name is refused here, in the words of the image; the index knows no such names. */
static int check_name(struct store_string name, struct hr_err *e)
{
	if (name.len > STORE_NAME_MAX || memchr(name.p, '/', name.len) ||
	    memchr(name.p, '\0', name.len) || (name.len == 1 && name.p[0] == '.') ||
	    (name.len == 2 && name.p[0] == '.' && name.p[1] == '.'))
		return hr_fail(e, HR_CORRUPT, 0, "that is no name of a file");
	return 0;
}

static int name_path(const struct walk *w, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };

	if (w->path.len == 0)
		return hr_wrap(e, "the root directory");
	hr_buf_untrusted(&text, (const char *)w->path.p, w->path.len < 200 ? w->path.len : 200);
	return hr_wrap(e, "'%s'", (const char *)text.p);
}

/* Begin to list the directory I, which the path of the walk names. */
static int enter(struct walk *w, const struct store_sqfs_inode *i, struct hr_err *e)
{
	/* at most one for two bytes of a path */
	w->levels = hr_xgrow(w->levels, w->depth, &w->levels_cap, sizeof(*w->levels));
	w->levels[w->depth].path_len = w->path.len;
	if (store_sqfs_dir_open(w->meta, i, &w->levels[w->depth].dir, e) < 0)
		return -1;
	w->depth++;
	return 0;
}

static int add_entry(struct walk *w, const struct store_sqfs_entry *entry, struct hr_err *e)
{
	static const char runscript[] = ".singularity.d/runscript";
	struct store_sqfs_inode i;

	if (w->path.len > 0)
		hr_buf_str(&w->path, "/");
	hr_buf_add(&w->path, entry->name.p, entry->name.len);
	if (check_name(entry->name, e) < 0)
		return -1;
	if (w->path.len > STORE_PATH_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "its path has %zu bytes, at most %u", w->path.len,
			       STORE_PATH_MAX);
	if (add_inode(w, entry->inode, &i, e) < 0)
		return -1;
	if (strcmp((const char *)w->path.p, runscript) == 0)
		w->runscript = true;
	return S_ISDIR(i.mode) ? enter(w, &i, e) : 0;
}

static int walk_tree(struct walk *w, struct hr_err *e)
{
	struct store_sqfs_inode root;
	int r = 0;

	hr_buf_str(&w->path, "");
	if (add_inode(w, w->super->root, &root, e) < 0)
		return name_path(w, e);
	if (!S_ISDIR(root.mode))
		return hr_fail(e, HR_CORRUPT, 0, "the root is no directory");
	r = enter(w, &root, e);
	while (r >= 0 && w->depth > 0) {
		struct level *l = &w->levels[w->depth - 1];
		struct store_sqfs_entry entry;

		w->path.len = l->path_len;
		w->path.p[w->path.len] = '\0';
		r = store_sqfs_dir_next(&l->dir, &entry, e);
		if (r == 0)
			w->depth--;
		else if (r > 0)
			r = add_entry(w, &entry, e);
	}
	return r < 0 ? name_path(w, e) : 0;
}

/* ---- the index ---- */

/* What a file system in place says of how to run it: nothing, but where programs are. */
static const char config[] =
	"{\"os\":\"linux\",\"config\":{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
	"/usr/bin:/sbin:/bin\"]}}";
/* The start script that Singularity and Apptainer put into each image. */
static const char config_sif[] =
	"{\"os\":\"linux\",\"config\":{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
	"/usr/bin:/sbin:/bin\"],\"Entrypoint\":[\"/.singularity.d/runscript\"]}}";

/* The places as chunks, and where they lie in the one pack that there is. */
static void make_chunks(const struct walk *w, struct store_chunk *chunks,
			struct store_loc_chunk *where)
{
	uint64_t plain = 0;

	for (uint32_t i = 0; i < w->n; i++) {
		const struct store_sqfs_place *p = &w->places[i];

		chunks[i].crc = 0; /* not known yet */
		chunks[i].bytes = p->bytes;
		store_sqfs_place_put(p, &chunks[i].digest);
		where[i] = (struct store_loc_chunk) { p->off, plain,
						      p->size & ~STORE_SQFS_UNCOMPRESSED, 0, i };
		plain += p->bytes;
	}
}

/* One layer, merged: that sorts, numbers and counts as for every image. */
static int finish(struct walk *w, const struct fetch_digest *name, struct hr_buf *index,
		  struct hr_buf *loc, struct hr_err *e)
{
	hr_autofree struct store_chunk *chunks = hr_xmalloc((size_t)w->n * sizeof(*chunks) + 1);
	hr_autofree struct store_loc_chunk *where = hr_xmalloc((size_t)w->n * sizeof(*where) + 1);
	hr_autofree struct store_loc_chunk *used = hr_xmalloc((size_t)w->n * sizeof(*used) + 1);
	hr_autofree uint32_t *same = hr_xmalloc((size_t)w->n * sizeof(*same) + 1), *order = NULL;
	HR_CLEANUP(store_merge_freep) struct store_merge *m = store_merge_new();
	hr_autobuf struct hr_buf layer_bytes = { 0 }, loc_bytes = { 0 };
	const char *json = w->runscript ? config_sif : config;
	struct fetch_digest none = { { 0 } };
	struct store_merge_image image = { name, &none, json, strlen(json) };
	struct store_loc_pack pack = { *name, w->n };
	struct store_merge_sums sums;
	struct store_layer layer;
	struct store_loc l;
	uint32_t n;

	make_chunks(w, chunks, where);
	for (uint32_t i = 0; i < w->n; i++)
		same[i] = i;
	store_layer_build_finish(&w->builder, same, chunks, w->n, 0, name, &layer_bytes, &order,
				 &n);
	for (uint32_t i = 0; i < n; i++)
		used[i] = where[order[i]];
	store_loc_write(&pack, 1, used, n, &loc_bytes);
	if (store_layer_parse(layer_bytes.p, layer_bytes.len, &layer, e) < 0 ||
	    store_loc_parse(loc_bytes.p, loc_bytes.len, n, &l, e) < 0 ||
	    store_merge_layer(m, &layer, &l, e) < 0)
		return -1;
	return store_merge_finish(m, &image, index, loc, &sums, e);
}

int store_sqfs_index(const struct store_sqfs_super *s, uint64_t off, const uint8_t *p,
		     const struct fetch_digest *name, struct hr_buf *index, struct hr_buf *loc,
		     struct hr_err *e)
{
	HR_CLEANUP(walk_release) struct walk w = { .super = s, .off = off };

	if (store_sqfs_meta_open(s, p, &w.meta, e) < 0)
		return -1;
	/* the counts were compared with the tables */
	w.met = hr_xmalloc(((size_t)s->inodes + 1) * sizeof(*w.met));
	w.paths = hr_xmalloc(((size_t)s->inodes + 1) * sizeof(*w.paths));
	w.fragments = hr_xmalloc(((size_t)s->fragments + 1) * sizeof(*w.fragments));
	if (walk_tree(&w, e) < 0)
		return -1;
	return finish(&w, name, index, loc, e);
}
