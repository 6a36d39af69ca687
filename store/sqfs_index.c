/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/sqfs_index.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include <squashfuse/squashfuse.h>

#include "store/idmap.h"
#include "store/layer.h"
#include "store/merge.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/poison.h"

#define XATTRS_MAX 65536u /* of one inode */

/* A walk over a file system, and what it has found. */
struct walk {
	sqfs fs;
	struct store_sqfs_super super;
	uint64_t off; /* of the file system in the file */
	bool intact;  /* libsquashfuse has read all of it */
	struct store_layer_builder builder;
	struct hr_buf target, value;

	/* by inode number: directories met, and the entry that a hardlink refers to */
	uint8_t *seen;
	uint32_t *paths; /* offset of its path in the list and 1, or 0 */
	struct hr_buf path_list;

	struct store_sqfs_place *places; /* the chunks */
	uint32_t n, cap;
	struct store_idmap by_place;
	uint32_t *fragments; /* the chunk of each and 1, or 0 */
};

static void walk_release(struct walk *w)
{
	/* after a failed read a block of its cache may be one that was never filled (0.1.105) */
	if (w->intact)
		sqfs_destroy(&w->fs);
	store_layer_build_release(&w->builder);
	hr_buf_release(&w->target);
	hr_buf_release(&w->value);
	hr_buf_release(&w->path_list);
	store_idmap_release(&w->by_place);
	free(w->seen);
	free(w->paths);
	free(w->places);
	free(w->fragments);
}

/* What libsquashfuse says is little; what we were looking at is more. */
static int broken(const char *what, sqfs_err why, struct hr_err *e)
{
	return hr_fail(e, HR_CORRUPT, 0, "%s cannot be read%s", what,
		       why == SQFS_UNSUP ? " (not supported by libsquashfuse)" : "");
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
	if (w->n == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 1024;
		w->places = hr_xrealloc(w->places, (size_t)w->cap * sizeof(*w->places));
	}
	w->places[w->n] = *p;
	return w->n++;
}

/* SIZE as stored, at AT of the file system. */
static int check_block(const struct walk *w, uint64_t at, uint32_t size, struct hr_err *e)
{
	uint32_t bytes = size & ~STORE_SQFS_UNCOMPRESSED;

	if (bytes == 0 || bytes > w->super.block_bytes || at < STORE_SQFS_SUPER_BYTES ||
	    at > w->super.bytes || bytes > w->super.bytes - at)
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
	p.compressor = w->super.compressor;
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
	struct squashfs_fragment_entry f;
	sqfs_err why;

	if (number >= w->super.fragments || off + bytes > w->super.block_bytes)
		return hr_fail(e, HR_CORRUPT, 0,
			       "its end is %" PRIu64 " bytes at %" PRIu64 " of fragment %" PRIu32
			       " of %" PRIu32,
			       bytes, off, number, w->super.fragments);
	if (w->fragments[number] == 0) {
		struct store_sqfs_place p = { .compressor = w->super.compressor };

		why = sqfs_frag_entry(&w->fs, &f, number);
		if (why)
			return broken("its fragment", why, e);
		if (check_block(w, f.start_block, f.size, e) < 0)
			return -1;
		p.off = w->off + f.start_block;
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

static int add_blocks(struct walk *w, sqfs_inode *inode, uint64_t size, struct hr_err *e)
{
	uint32_t block = w->super.block_bytes;
	uint64_t off = 0;
	sqfs_blocklist bl;
	sqfs_err why;

	for (sqfs_blocklist_init(&w->fs, inode, &bl); bl.remain > 0; off += block) {
		struct store_extent x = { off, STORE_HOLE, 0 };
		uint64_t bytes = size - off < block ? size - off : block;

		why = sqfs_blocklist_next(&bl);
		if (why)
			return broken("its list of blocks", why, e);
		if (off >= size)
			return hr_fail(e, HR_CORRUPT, 0, "it has more blocks than bytes");
		if (bl.input_size > 0 &&
		    block_chunk(w, bl.block, bl.header, (uint32_t)bytes, &x.chunk, e) < 0)
			return -1;
		store_layer_build_extent(&w->builder, &x);
	}
	if (off < size && inode->xtra.reg.frag_idx != SQUASHFS_INVALID_FRAG) {
		struct store_extent x = { off, STORE_HOLE, inode->xtra.reg.frag_off };

		if (fragment_chunk(w, inode->xtra.reg.frag_idx, x.chunk_off, size - off, &x.chunk,
				   e) < 0)
			return -1;
		store_layer_build_extent(&w->builder, &x);
		off = size;
	}
	return off >= size ? 0 : hr_fail(e, HR_CORRUPT, 0, "it has fewer blocks than bytes");
}

static int add_xattrs(struct walk *w, sqfs_inode *inode, struct hr_err *e)
{
	char name[STORE_NAME_MAX + 1];
	sqfs_xattr x;
	sqfs_err why;
	size_t n, len;

	if (inode->xattr == SQUASHFS_INVALID_XATTR)
		return 0;
	why = sqfs_xattr_open(&w->fs, inode, &x);
	for (n = 0; !why && x.remain > 0 && n < XATTRS_MAX; n++) {
		struct store_xattr out;

		why = sqfs_xattr_read(&x);
		if (why || (x.type & SQUASHFS_XATTR_PREFIX_MASK) != SQUASHFS_XATTR_USER)
			continue;
		len = sqfs_xattr_name_size(&x);
		if (len > STORE_NAME_MAX)
			return hr_fail(e, HR_CORRUPT, 0, "an xattr has a name of %zu bytes", len);
		out.name = (struct store_string) { name, (uint32_t)len };
		why = sqfs_xattr_name(&x, name, true);
		if (!why)
			why = sqfs_xattr_value_size(&x, &len);
		if (why)
			continue;
		if (len > STORE_XATTR_MAX)
			return hr_fail(e, HR_CORRUPT, 0, "an xattr has %zu bytes", len);
		w->value.len = 0;
		hr_buf_reserve(&w->value, len);
		why = sqfs_xattr_value(&x, w->value.p);
		out.value = (struct store_string) { (const char *)w->value.p, (uint32_t)len };
		if (!why)
			store_layer_build_xattr(&w->builder, &out);
	}
	return why ? broken("its xattrs", why, e) : 0;
}

static int add_attr(struct walk *w, sqfs_inode *inode, struct store_attr *a, struct hr_err *e)
{
	sqfs_id_t uid, gid;

	/* libsquashfuse 0.1.105 reads behind the end of the table */
	if (inode->base.uid >= w->fs.sb.no_ids || inode->base.guid >= w->fs.sb.no_ids ||
	    sqfs_id_get(&w->fs, inode->base.uid, &uid) ||
	    sqfs_id_get(&w->fs, inode->base.guid, &gid))
		return hr_fail(e, HR_CORRUPT, 0, "its owner is none of the table");
	*a = (struct store_attr) { .mode = inode->base.mode, /* with the type, by libsquashfuse */
				   .uid = uid,
				   .gid = gid,
				   .mtime = inode->base.mtime };
	if (S_ISBLK(a->mode) || S_ISCHR(a->mode))
		a->dev = (uint32_t)inode->xtra.dev.major << 20 |
			 ((uint32_t)inode->xtra.dev.minor & 0xfffff);
	return 0;
}

static int add_symlink(struct walk *w, sqfs_inode *inode, struct store_layer_entry *row,
		       struct hr_err *e)
{
	size_t n = inode->xtra.symlink_size + 1;
	sqfs_err why;

	if (n < 2 || n > STORE_PATH_MAX + 1)
		return hr_fail(e, HR_CORRUPT, 0, "its target has %zu bytes, at most %u", n - 1,
			       STORE_PATH_MAX);
	w->target.len = 0;
	hr_buf_reserve(&w->target, n);
	why = sqfs_readlink(&w->fs, inode, (char *)w->target.p, &n);
	if (why)
		return broken("its target", why, e);
	n = strlen((char *)w->target.p);
	if (n != inode->xtra.symlink_size)
		return hr_fail(e, HR_CORRUPT, 0, "its target holds a NUL");
	row->target = (struct store_string) { (const char *)w->target.p, (uint32_t)n };
	row->attr.size = n;
	return 0;
}

/*
 * Whether an inode of several names was met before: then ROW becomes a hardlink to it. A directory
 * has one name, or the tree has no end.
 */
static int meet(struct walk *w, sqfs_inode *inode, struct store_layer_entry *row, bool *again,
		struct hr_err *e)
{
	uint32_t number = inode->base.inode_number;

	*again = false;
	if (number == 0 || number > w->super.inodes)
		return hr_fail(e, HR_CORRUPT, 0, "it is inode %" PRIu32 " of %" PRIu32, number,
			       w->super.inodes);
	if (S_ISDIR(inode->base.mode)) {
		if (w->seen[number])
			return hr_fail(e, HR_CORRUPT, 0, "the directory is there twice");
		w->seen[number] = 1;
	} else if (w->paths[number] != 0) {
		const char *path = (const char *)w->path_list.p + w->paths[number] - 1;

		*again = true;
		row->kind = STORE_ENTRY_HARDLINK;
		row->target = (struct store_string) { path, (uint32_t)strlen(path) };
	} else if (inode->nlink > 1) {
		if (w->path_list.len > UINT32_MAX - (STORE_PATH_MAX + 2))
			return hr_fail(e, HR_CORRUPT, 0, "too many hardlinks");
		w->paths[number] = (uint32_t)w->path_list.len + 1;
		hr_buf_add(&w->path_list, row->path.p, row->path.len);
		hr_buf_add(&w->path_list, "", 1);
	}
	return 0;
}

static int add_inode(struct walk *w, sqfs_inode *inode, struct store_string path, struct hr_err *e)
{
	struct store_layer_entry row = { .kind = STORE_ENTRY_NODE, .path = path };
	bool again;

	if (meet(w, inode, &row, &again, e) < 0)
		return -1;
	if (again)
		return store_layer_build_entry(&w->builder, &row, e);
	if (add_attr(w, inode, &row.attr, e) < 0 || add_xattrs(w, inode, e) < 0)
		return -1;
	if (S_ISREG(row.attr.mode)) {
		row.attr.size = inode->xtra.reg.file_size;
		if (row.attr.size > INT64_MAX)
			return hr_fail(e, HR_CORRUPT, 0, "it has %" PRIu64 " bytes", row.attr.size);
		if (add_blocks(w, inode, row.attr.size, e) < 0)
			return -1;
	} else if (S_ISLNK(row.attr.mode) && add_symlink(w, inode, &row, e) < 0) {
		return -1;
	}
	return store_layer_build_entry(&w->builder, &row, e);
}

/* What can be no name is refused here, in the words of the image; the index knows no such names. */
static int check_name(const char *name, size_t n, struct hr_err *e)
{
	if (n == 0 || n > STORE_NAME_MAX || memchr(name, '/', n) || memchr(name, '\0', n) ||
	    strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return hr_fail(e, HR_CORRUPT, 0, "that is no name of a file");
	return 0;
}

static int name_entry(const char *path, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };
	size_t n = strlen(path);

	hr_buf_untrusted(&text, path, n < 200 ? n : 200);
	return hr_wrap(e, "'%s'", text.p ? (const char *)text.p : "");
}

static int add_entry(struct walk *w, sqfs_traverse *t, struct hr_err *e)
{
	struct store_string path = { t->path, (uint32_t)strlen(t->path) };
	sqfs_inode inode;
	sqfs_err why;

	if (check_name(sqfs_dentry_name(&t->entry), sqfs_dentry_name_size(&t->entry), e) < 0)
		return -1;
	if (path.len > STORE_PATH_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "its path has %" PRIu32 " bytes, at most %u",
			       path.len, STORE_PATH_MAX);
	why = sqfs_inode_get(&w->fs, &inode, sqfs_dentry_inode(&t->entry));
	if (why)
		return broken("its inode", why, e);
	return add_inode(w, &inode, path, e);
}

static int walk_tree(struct walk *w, struct hr_err *e)
{
	sqfs_traverse t;
	sqfs_inode root;
	sqfs_err why = sqfs_inode_get(&w->fs, &root, sqfs_inode_root(&w->fs));
	int r = 0;

	if (why)
		return broken("the root directory", why, e);
	if (!S_ISDIR(root.base.mode))
		return hr_fail(e, HR_CORRUPT, 0, "the root is no directory");
	if (add_inode(w, &root, (struct store_string) { "", 0 }, e) < 0)
		return hr_wrap(e, "the root directory");
	why = sqfs_traverse_open_inode(&t, &w->fs, &root);
	if (why)
		return broken("the root directory", why, e);
	while (r == 0 && sqfs_traverse_next(&t, &why)) {
		if (t.dir_end)
			continue;
		r = add_entry(w, &t, e);
		if (r < 0)
			name_entry(t.path, e);
	}
	if (r == 0 && why)
		r = broken("a directory", why, e);
	sqfs_traverse_close(&t);
	return r;
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

static bool has_runscript(struct walk *w)
{
	sqfs_inode inode;
	bool found = false;

	return sqfs_inode_get(&w->fs, &inode, sqfs_inode_root(&w->fs)) == 0 &&
	       sqfs_lookup_path(&w->fs, &inode, ".singularity.d/runscript", &found) == 0 && found;
}

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
	const char *json = has_runscript(w) ? config_sif : config;
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

static int open_fs(struct walk *w, int fd, uint64_t space, struct hr_err *e)
{
	uint8_t super[STORE_SQFS_SUPER_BYTES];
	sqfs_err why;

	if (hr_pread_all(fd, super, sizeof(super), w->off, "the squashfs", e) < 0 ||
	    store_sqfs_super_parse(super, sizeof(super), space, &w->super, e) < 0)
		return -1;
	why = sqfs_init(&w->fs, fd, (size_t)w->off);
	if (why == SQFS_BADCOMP)
		return hr_fail(e, HR_USAGE, 0, "libsquashfuse was built without its compressor");
	return why ? broken("its superblock or a table", why, e) : 0;
}

int store_sqfs_index(int fd, uint64_t off, uint64_t space, const struct fetch_digest *name,
		     struct hr_buf *index, struct hr_buf *loc, struct hr_err *e)
{
	HR_CLEANUP(walk_release) struct walk w = { .off = off };

	if (open_fs(&w, fd, space, e) < 0)
		return -1;
	/* the superblock was checked: 16 Mi of each at most */
	w.seen = hr_xmalloc((size_t)w.super.inodes + 1);
	w.paths = hr_xmalloc(((size_t)w.super.inodes + 1) * sizeof(*w.paths));
	w.fragments = hr_xmalloc(((size_t)w.super.fragments + 1) * sizeof(*w.fragments));
	if (walk_tree(&w, e) < 0)
		return -1;
	w.intact = true;
	return finish(&w, name, index, loc, e);
}
