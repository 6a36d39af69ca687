/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/native.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define NAME_MAGIC "hpcrFIL1" /* in front of what the name of a file is the digest of */
#define LIST_MAGIC "hpcrNAT1"
#define CACHE_PART 4  /* no file takes more than this part, 1/4, of the cache */
#define LIST_HEAD  48 /* magic, number, zero, manifest */

bool store_native_fits(const struct store_inode *file)
{
	return S_ISREG(file->mode) && (file->mode & S_IRUSR) && file->nlink == 1 &&
	       file->n_xattrs == 0 && file->size >= STORE_NATIVE_MIN && file->size <= INT64_MAX;
}

bool store_native_suits(const struct store_inode *file, uint64_t cache_bytes)
{
	return store_native_fits(file) && file->size <= cache_bytes / CACHE_PART;
}

void store_native_want_named(const struct store_inode *file, const struct fetch_digest *name,
			     struct store_cache_file_want *out)
{
	*out = (struct store_cache_file_want) { .name = *name,
						.size = file->size,
						.mtime = file->mtime,
						.mtime_ns = file->mtime_ns,
						/* as hpcrun-serve shows it */
						.mode = file->mode & 01777 };
}

bool store_native_want(const struct store_index *ix, const struct store_inode *file,
		       store_chunk_sha256 *sha256, struct store_cache_file_want *out)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct fetch_digest name = { { 0 } };
	struct store_piece piece;
	struct store_chunk chunk;

	store_native_want_named(file, &name, out);
	hr_buf_str(&b, NAME_MAGIC);
	hr_buf_le(&b, file->size, 8);
	hr_buf_le(&b, (uint64_t)file->mtime, 8);
	hr_buf_le(&b, file->mtime_ns, 4);
	hr_buf_le(&b, out->mode, 4);
	for (uint64_t off = 0; off < file->size; off += piece.len) {
		if (!store_index_piece(ix, file, off, &piece))
			return false;
		if (piece.chunk == STORE_HOLE)
			continue;
		if (!store_index_chunk(ix, piece.chunk, &chunk) || piece.off != 0 ||
		    piece.len != chunk.bytes)
			return false;
		hr_buf_le(&b, off, 8);
		hr_buf_add(&b, chunk.digest.b, FETCH_DIGEST_LEN);
	}
	sha256(b.p, b.len, &out->name);
	return true;
}

/* ---- lists ---- */

void store_native_list_add(struct store_native_list *l, const char *path,
			   const struct fetch_digest *name)
{
	size_t len = strlen(path);
	uint64_t sum = store_crc64(path, len);

	if (l->n == STORE_NATIVE_MAX || len > STORE_PATH_MAX)
		return;
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].sum == sum && strcmp(l->v[i].path, path) == 0)
			return;
	l->v = hr_xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
	l->v[l->n++] = (struct store_native) { *name, hr_xstrdup(path), sum };
}

void store_native_list_release(struct store_native_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].path);
	free(l->v);
	*l = (struct store_native_list) { 0 };
}

void store_native_list_write(const struct store_native_list *l, const struct fetch_digest *manifest,
			     struct hr_buf *out)
{
	hr_buf_str(out, LIST_MAGIC);
	hr_buf_le(out, l->n, 4);
	hr_buf_le(out, 0, 4);
	hr_buf_add(out, manifest->b, FETCH_DIGEST_LEN);
	for (size_t i = 0; i < l->n; i++) {
		hr_buf_add(out, l->v[i].name.b, FETCH_DIGEST_LEN);
		hr_buf_add(out, l->v[i].path, strlen(l->v[i].path) + 1);
	}
}

/* One entry at *P, of which N bytes are left: how many it takes, or 0. */
static size_t list_entry(const uint8_t *p, size_t n, struct fetch_digest *name, const char **path)
{
	const uint8_t *end;

	if (n <= FETCH_DIGEST_LEN)
		return 0;
	memcpy(name->b, p, FETCH_DIGEST_LEN);
	*path = (const char *)p + FETCH_DIGEST_LEN;
	end = memchr(*path, '\0', n - FETCH_DIGEST_LEN);
	if (!end || **path == '\0' || **path == '/' ||
	    end - (const uint8_t *)*path > STORE_PATH_MAX)
		return 0;
	return (size_t)(end - p) + 1;
}

int store_native_list_parse(const uint8_t *p, size_t n, const struct fetch_digest *manifest,
			    struct store_native_list *out, struct hr_err *e)
{
	HR_CLEANUP(store_native_list_release) struct store_native_list l = { 0 };
	uint32_t count;

	if (n < LIST_HEAD || memcmp(p, LIST_MAGIC, 8) != 0 || hr_le32(p + 12) != 0)
		return hr_fail(e, HR_CORRUPT, 0, "not a list of files of this version");
	if (memcmp(p + 16, manifest->b, FETCH_DIGEST_LEN) != 0)
		return hr_fail(e, HR_CORRUPT, 0, "the list of files is of another image");
	count = hr_le32(p + 8);
	if (count > STORE_NATIVE_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "a list of %" PRIu32 " files, more than %d", count,
			       STORE_NATIVE_MAX);
	p += LIST_HEAD;
	n -= LIST_HEAD;
	for (uint32_t i = 0; i < count; i++) {
		struct fetch_digest name;
		const char *path;
		size_t len = list_entry(p, n, &name, &path);

		if (len == 0)
			return hr_fail(e, HR_CORRUPT, 0, "entry %" PRIu32 " of the list of files",
				       i);
		store_native_list_add(&l, path, &name);
		p += len;
		n -= len;
	}
	if (n != 0)
		return hr_fail(e, HR_CORRUPT, 0, "%zu bytes behind the list of files", n);
	*out = l;
	l = (struct store_native_list) { 0 };
	return 0;
}

void store_native_list_path(const struct fetch_digest *manifest, const char *program,
			    char path[STORE_NATIVE_LIST_PATH])
{
	char hex[FETCH_DIGEST_HEX];

	fetch_digest_hex(manifest, hex);
	snprintf(path, STORE_NATIVE_LIST_PATH, "native/%s.%016" PRIx64, hex,
		 store_crc64(program, strlen(program)));
}

/* ---- paths of an image ---- */

bool store_native_lookup(const struct store_index *ix, const char *path, uint32_t *ino,
			 struct store_inode *out)
{
	*ino = 0;
	if (!store_index_inode(ix, 0, out))
		return false;
	for (;;) {
		size_t len = strcspn(path, "/");

		if (!S_ISDIR(out->mode) || store_index_lookup(ix, out, path, len, ino) != 1 ||
		    !store_index_inode(ix, *ino, out))
			return false;
		if (path[len] == '\0')
			return true;
		path += len + 1;
	}
}

struct walk {
	const struct store_index *ix;
	const struct store_native_walk *w;
	uint64_t left; /* entries: in a damaged index directories can hold each other */
	char path[STORE_PATH_MAX + 1];
};

/* Directory INO, whose path has LEN bytes. */
static void walk_dir(struct walk *k, uint32_t ino, const struct store_inode *dir, size_t len)
{
	struct store_inode inode;
	struct store_entry entry;

	for (uint32_t i = 0; i < dir->count; i++) {
		size_t end;

		if (k->left == 0 || !store_index_entry(k->ix, dir, i, &entry) ||
		    !store_index_inode(k->ix, entry.ino, &inode))
			return;
		k->left--;
		end = len + (len > 0) + entry.name.len;
		if (end > STORE_PATH_MAX)
			continue;
		k->path[len] = '/';
		memcpy(k->path + end - entry.name.len, entry.name.p, entry.name.len);
		k->path[end] = '\0';
		if (S_ISDIR(inode.mode) && inode.parent == ino && entry.ino != ino)
			walk_dir(k, entry.ino, &inode, end);
		else if (S_ISREG(inode.mode) &&
			 (!k->w->wanted || k->w->wanted(k->w->arg, entry.ino)))
			k->w->found(k->w->arg, entry.ino, &inode, k->path);
	}
}

void store_native_walk(const struct store_index *ix, const struct store_native_walk *w)
{
	hr_autofree struct walk *k = hr_xmalloc(sizeof(*k));
	struct store_inode root;

	k->ix = ix;
	k->w = w;
	k->left = STORE_ENTRIES_MAX;
	if (store_index_inode(ix, 0, &root) && S_ISDIR(root.mode))
		walk_dir(k, 0, &root, 0);
}
