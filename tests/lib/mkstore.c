/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mkstore STORE REFERENCE DIR [LEVEL [wrong]]: make a store that holds one image, the tree at DIR.
 *
 * For tests and measurements of the reading half alone: no registry, no archive, no layers. It
 * follows hpcrun-store(5), with zstd level LEVEL (1), one pack, and the walk of DIR as its order.
 * "wrong": the digests of all chunks are, and nothing else.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <zstd.h>

#include "store/meta.h"
#include "store/index.h"
#include "store/layout.h"
#include "store/loc.h"
#include "store/record.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define LAYER "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define CONFIG                                                                                     \
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Env\":[\"PATH=/usr/bin:/"      \
	"bin\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" LAYER "\"]}}"
#define LARGE	   (256u << 10)
#define GROUP_FULL (512u << 10)
#define GROUP_MIN  (128u << 10)
#define PACK_MAGIC 0x184D2A5Au
#define LINK_SLOTS (1u << 20)
#define MUST(call) do_must((call) < 0, #call)

struct node {
	char *path;
	struct stat st;
	uint32_t parent;
};

struct file { /* where the content of an inode lies, while its group is open */
	uint64_t ticket;
};

struct maker {
	struct store *store;
	struct store_index_builder *b;
	struct node *nodes; /* by inode number */
	uint32_t n;
	size_t cap;
	struct hr_buf group;
	uint32_t *group_files; /* inodes in the group, with their offsets */
	uint32_t *group_offs;
	size_t n_group;
	struct hr_buf *extents; /* of each inode: 16-byte records off, chunk, chunk_off */
	struct store_tmp pack;
	uint64_t pack_at, plain_at;
	struct hr_buf table, locs;
	uint32_t n_frames;
	ZSTD_CCtx *zstd;
	int level;
	bool wrong;
};

static struct hr_err err;

static void do_must(int failed, const char *what)
{
	if (!failed)
		return;
	fprintf(stderr, "mkstore: %s: %s\n", what, err.text[0] ? err.text : strerror(errno));
	exit(1);
}

/* ---- chunks ---- */

static uint32_t add_chunk(struct maker *m, const uint8_t *p, uint32_t n)
{
	uint32_t before = store_index_builder_chunks(m->b), id;
	hr_autofree uint8_t *frame = hr_xmalloc(ZSTD_compressBound(n));
	struct fetch_digest d, of_frame;
	size_t bytes;

	fetch_digest_of(p, n, &d);
	d.b[0] ^= m->wrong;
	id = store_index_builder_chunk(m->b, &d, store_crc64(p, n), n);
	if (id < before)
		return id;
	bytes = ZSTD_compressCCtx(m->zstd, frame, ZSTD_compressBound(n), p, n, m->level);
	do_must(ZSTD_isError(bytes), "compress");
	MUST(hr_write_all(m->pack.fd, frame, bytes, "pack", &err));
	hr_buf_add(&m->table, d.b, sizeof(d.b));
	hr_buf_le(&m->table, m->pack_at, 8);
	hr_buf_le(&m->table, bytes, 4);
	hr_buf_le(&m->table, n, 4);
	fetch_digest_of(frame, bytes, &of_frame);
	hr_buf_add(&m->table, of_frame.b, sizeof(of_frame.b));
	hr_buf_add(&m->locs,
		   &(struct store_loc_chunk) { .frame_off = m->pack_at,
					       .plain_off = m->plain_at,
					       .frame_len = (uint32_t)bytes,
					       .frame = m->n_frames++ },
		   sizeof(struct store_loc_chunk));
	m->pack_at += bytes;
	m->plain_at += n;
	return id;
}

static void note_extent(struct maker *m, uint32_t ino, uint64_t off, uint32_t chunk,
			uint32_t chunk_off)
{
	struct hr_buf *x = &m->extents[ino];

	if (chunk == STORE_HOLE && x->len > 0 && hr_le32(x->p + x->len - 8) == STORE_HOLE)
		return;
	hr_buf_le(x, off, 8);
	hr_buf_le(x, chunk, 4);
	hr_buf_le(x, chunk_off, 4);
}

static void end_group(struct maker *m)
{
	uint32_t chunk;

	if (m->group.len == 0)
		return;
	chunk = add_chunk(m, m->group.p, (uint32_t)m->group.len);
	for (size_t i = 0; i < m->n_group; i++)
		note_extent(m, m->group_files[i], 0, chunk, m->group_offs[i]);
	m->group.len = 0;
	m->n_group = 0;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static void add_small(struct maker *m, uint32_t ino, const uint8_t *p, size_t n)
{
	if (m->group.len + n > GROUP_FULL)
		end_group(m);
	m->group_files = hr_xrealloc(m->group_files, (m->n_group + 1) * sizeof(uint32_t));
	m->group_offs = hr_xrealloc(m->group_offs, (m->n_group + 1) * sizeof(uint32_t));
	m->group_files[m->n_group] = ino;
	m->group_offs[m->n_group++] = (uint32_t)m->group.len;
	hr_buf_add(&m->group, p, n);
	if (m->group.len >= GROUP_MIN && (store_crc64(p, n) & 15) == 0)
		end_group(m);
}

static void add_content(struct maker *m, uint32_t ino)
{
	hr_autofd int fd = open(m->nodes[ino].path, O_RDONLY | O_CLOEXEC);
	uint64_t size = (uint64_t)m->nodes[ino].st.st_size;
	hr_autofree uint8_t *buf = hr_xmalloc(STORE_CHUNK_MAX);

	do_must(fd < 0, m->nodes[ino].path);
	for (uint64_t off = 0; off < size; off += STORE_CHUNK_MAX) {
		size_t n = size - off < STORE_CHUNK_MAX ? size - off : STORE_CHUNK_MAX;

		MUST(hr_pread_all(fd, buf, n, off, m->nodes[ino].path, &err));
		if (is_zero(buf, n))
			note_extent(m, ino, off, STORE_HOLE, 0);
		else if (size > LARGE)
			note_extent(m, ino, off, add_chunk(m, buf, (uint32_t)n), 0);
		else
			add_small(m, ino, buf, n);
	}
}

/* ---- the tree ---- */

static uint32_t add_node(struct maker *m, const char *path, uint32_t parent)
{
	struct stat st;

	MUST(lstat(path, &st));
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1)
		for (uint32_t i = 0; i < m->n; i++)
			if (m->nodes[i].st.st_ino == st.st_ino &&
			    m->nodes[i].st.st_dev == st.st_dev)
				return i;
	m->nodes = hr_xgrow(m->nodes, m->n, &m->cap, sizeof(*m->nodes));
	m->nodes[m->n] = (struct node) { hr_xstrdup(path), st, parent };
	return m->n++;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Number the children of a directory and write its entries. */
static void list_dir(struct maker *m, uint32_t ino, struct store_inode *i)
{
	struct dirent **names = NULL;
	hr_autofree char *dir = hr_xstrdup(m->nodes[ino].path);
	int n = scandir(dir, &names, NULL, by_name);

	MUST(n);
	i->nlink = 2;
	for (int k = 0; k < n; k++) {
		const char *name = names[k]->d_name;

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			hr_autofree char *path = hr_xasprintf("%s/%s", dir, name);
			uint32_t child = add_node(m, path, ino);
			uint32_t at = store_index_builder_entry(m->b, name, strlen(name), child);

			if (i->count++ == 0)
				i->first = at;
			i->nlink += S_ISDIR(m->nodes[child].st.st_mode);
		}
		free(names[k]);
	}
	free(names);
}

static void add_xattrs(struct maker *m, uint32_t ino, struct store_inode *i)
{
	char names[4096], value[65536];
	ssize_t n = llistxattr(m->nodes[ino].path, names, sizeof(names));

	for (const char *p = names; n > 0 && p < names + n; p += strlen(p) + 1) {
		ssize_t len = lgetxattr(m->nodes[ino].path, p, value, sizeof(value));
		uint32_t at;

		if (strncmp(p, "user.", 5) != 0 || len < 0)
			continue;
		at = store_index_builder_xattr(m->b, p, strlen(p), value, (size_t)len);
		if (i->n_xattrs++ == 0)
			i->first_xattr = at;
	}
}

static void put_extents(struct maker *m, uint32_t ino, struct store_inode *i)
{
	const struct hr_buf *x = &m->extents[ino];

	for (size_t at = 0; at < x->len; at += 16) {
		uint32_t k = store_index_builder_extent(
			m->b, hr_le64(x->p + at), hr_le32(x->p + at + 8), hr_le32(x->p + at + 12));
		if (i->count++ == 0)
			i->first = k;
	}
}

static void put_inode(struct maker *m, uint32_t ino)
{
	const struct stat *st = &m->nodes[ino].st;
	struct store_inode i = { .mode = st->st_mode,
				 .nlink = (uint32_t)st->st_nlink,
				 .mtime = st->st_mtim.tv_sec,
				 .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
				 .uid = st->st_uid,
				 .gid = st->st_gid };

	if (S_ISDIR(st->st_mode)) {
		i.parent = m->nodes[ino].parent;
		list_dir(m, ino, &i);
	} else if (S_ISREG(st->st_mode)) {
		i.size = (uint64_t)st->st_size;
		put_extents(m, ino, &i);
	} else if (S_ISLNK(st->st_mode)) {
		char target[PATH_MAX];
		ssize_t n = readlink(m->nodes[ino].path, target, sizeof(target));

		MUST(n);
		i.size = (uint64_t)n;
		i.first = store_index_builder_string(m->b, target, (size_t)n);
	} else {
		i.dev = major(st->st_rdev) << 20 | minor(st->st_rdev);
	}
	add_xattrs(m, ino, &i);
	store_index_builder_inode(m->b, &i);
}

/* Content first, breadth first, for the extents must be known when an inode is written. */
static void add_all_content(struct maker *m, const char *root)
{
	struct store_index_builder *dry = store_index_builder_new();
	struct store_index_builder *real = m->b;

	add_node(m, root, 0);
	m->b = dry;
	for (uint32_t i = 0; i < m->n; i++) {
		struct store_inode ignored = { 0 };

		if (S_ISDIR(m->nodes[i].st.st_mode))
			list_dir(m, i, &ignored);
	}
	store_index_builder_free(dry);
	m->b = real;
	m->extents = hr_xmalloc(m->n * sizeof(*m->extents));
	for (uint32_t i = 0; i < m->n; i++)
		if (S_ISREG(m->nodes[i].st.st_mode))
			add_content(m, i);
	end_group(m);
}

static void add_all_inodes(struct maker *m, const char *root)
{
	uint32_t n = m->n;

	for (uint32_t i = 0; i < n; i++)
		free(m->nodes[i].path);
	m->n = 0;
	add_node(m, root, 0);
	for (uint32_t i = 0; i < m->n; i++)
		put_inode(m, i);
	do_must(m->n != n, "the tree changed");
}

/* ---- the objects ---- */

static void end_pack(struct maker *m, struct fetch_digest *name)
{
	hr_autobuf struct hr_buf content = { 0 }, head = { 0 };

	hr_buf_str(&content, "hpcrPAK2");
	hr_buf_le(&content, m->n_frames, 4);
	hr_buf_le(&content, 0, 4);
	hr_buf_add(&content, m->table.p, m->table.len);
	hr_buf_le(&content, m->pack_at, 8);
	hr_buf_str(&content, "hpcrPAKE");
	fetch_digest_of(content.p, content.len, name);
	hr_buf_le(&head, PACK_MAGIC, 4);
	hr_buf_le(&head, content.len, 4);
	MUST(hr_write_all(m->pack.fd, head.p, head.len, "pack", &err));
	MUST(hr_write_all(m->pack.fd, content.p, content.len, "pack", &err));
	MUST(store_tmp_sync(&m->pack, &err));
	MUST(store_tmp_publish(&m->pack, STORE_PACK, name, &err));
}

static void write_objects(struct maker *m, const char *reference)
{
	hr_autobuf struct hr_buf index = { 0 }, loc = { 0 }, record = { 0 }, meta = { 0 };
	struct store_loc_pack pack = { .frames = m->n_frames };
	struct store_image_record image = { .created = hr_xstrdup("-") };
	struct store_ref_record tag = { .server = hr_xstrdup("-") };
	struct store_index *ix = NULL;
	struct fetch_ref ref = { 0 };

	end_pack(m, &pack.name);
	fetch_digest_of(CONFIG, strlen(CONFIG), &image.config);
	fetch_digest_of(pack.name.b, sizeof(pack.name.b), &tag.manifest); /* any would do */
	tag.document = tag.manifest;
	MUST(store_index_builder_finish(m->b, &tag.manifest, &image.config, CONFIG, strlen(CONFIG),
					&index, &err));
	MUST(store_index_parse(index.p, index.len, &ix, &err));
	image.size = store_index_file_bytes(ix);
	image.compressed = m->pack_at;
	image.occupies = m->pack_at;
	image.layers = hr_xmalloc(sizeof(*image.layers));
	image.n_layers = 1;
	fetch_digest_of(index.p, index.len, &image.index);
	store_loc_write(&pack, 1, (const struct store_loc_chunk *)(const void *)m->locs.p,
			store_index_chunks(ix), &loc);
	store_image_record_write(&image, &record);
	MUST(store_object_write(m->store, STORE_INDEX, &image.index, index.p, index.len, &err));
	MUST(store_object_write(m->store, STORE_INDEX_LOC, &image.index, loc.p, loc.len, &err));
	MUST(store_meta_write(&(struct store_meta) { record, index, loc }, &meta, &err));
	MUST(store_object_write(m->store, STORE_META, &tag.manifest, meta.p, meta.len, &err));
	MUST(store_object_write(m->store, STORE_IMAGE, &tag.manifest, record.p, record.len, &err));
	MUST(fetch_ref_parse(reference, &ref, &err));
	MUST(store_ref_write(m->store, &ref, &tag, &err));
	printf("%u inodes, %u chunks, %llu bytes of files, %llu compressed\n",
	       store_index_inodes(ix), store_index_chunks(ix), (unsigned long long)image.size,
	       (unsigned long long)image.compressed);
	store_index_free(ix);
	fetch_ref_release(&ref);
	store_ref_record_release(&tag);
	store_image_record_release(&image);
}

int main(int argc, char **argv)
{
	struct maker m = { .b = store_index_builder_new(), .pack = STORE_TMP_EMPTY };

	if (argc < 4) {
		fprintf(stderr, "usage: mkstore STORE REFERENCE DIR [LEVEL]\n");
		return 2;
	}
	m.level = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 1;
	m.wrong = argc > 5 && strcmp(argv[5], "wrong") == 0;
	m.zstd = ZSTD_createCCtx();
	MUST(store_open(argv[1], STORE_WRITE, NULL, &m.store, &err));
	MUST(store_tmp_open(m.store, &m.pack, &err));
	add_all_content(&m, argv[3]);
	add_all_inodes(&m, argv[3]);
	write_objects(&m, argv[2]);
	/* the process ends: what it holds is not freed one by one, but in reach of a leak checker
	 */
	store_close(m.store);
	return 0;
}
