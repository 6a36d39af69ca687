/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/heap.h"
#include "store/idmap.h"
#include "store/index_format.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

struct store_index_builder {
	struct hr_buf inodes, entries, extents, chunks, xattrs;
	struct store_heap *heap;
	struct store_idmap chunk_map;
	uint64_t file_bytes;
};

struct store_index_builder *store_index_builder_new(void)
{
	struct store_index_builder *b = hr_xmalloc(sizeof(*b));

	b->heap = store_heap_new();
	return b;
}

void store_index_builder_free(struct store_index_builder *b)
{
	if (!b)
		return;
	hr_buf_release(&b->inodes);
	hr_buf_release(&b->entries);
	hr_buf_release(&b->extents);
	hr_buf_release(&b->chunks);
	hr_buf_release(&b->xattrs);
	store_heap_free(b->heap);
	store_idmap_release(&b->chunk_map);
	free(b);
}

void store_index_builder_freep(struct store_index_builder **b)
{
	store_index_builder_free(*b);
}

/* Its number wraps in a table beyond the format; finish refuses that table. */
static uint32_t append(struct hr_buf *table, const void *record, size_t bytes)
{
	uint64_t n = table->len / bytes;

	hr_buf_add(table, record, bytes);
	return (uint32_t)n;
}

uint32_t store_index_builder_string(struct store_index_builder *b, const void *p, size_t n)
{
	return store_heap_add(b->heap, p, n);
}

static bool same_digest(const void *ctx, uint32_t id, const void *key, size_t n)
{
	const struct store_index_builder *b = ctx;

	return memcmp(b->chunks.p + (uint64_t)id * INDEX_CHUNK_BYTES + CHUNK_DIGEST, key, n) == 0;
}

uint32_t store_index_builder_chunk(struct store_index_builder *b, const struct fetch_digest *digest,
				   uint64_t crc, uint32_t bytes)
{
	uint64_t hash = store_idmap_hash(&b->chunk_map, digest->b, sizeof(digest->b));
	uint8_t r[INDEX_CHUNK_BYTES] = { 0 };
	uint32_t id;

	if (store_idmap_find(&b->chunk_map, hash, same_digest, b, digest->b, sizeof(digest->b),
			     &id))
		return id;
	memcpy(r + CHUNK_DIGEST, digest->b, sizeof(digest->b));
	hr_le64_put(r + CHUNK_CRC, crc);
	hr_le32_put(r + CHUNK_SIZE, bytes);
	id = append(&b->chunks, r, sizeof(r));
	store_idmap_add(&b->chunk_map, hash, id);
	return id;
}

uint32_t store_index_builder_chunks(const struct store_index_builder *b)
{
	return (uint32_t)(b->chunks.len / INDEX_CHUNK_BYTES);
}

uint32_t store_index_builder_entry(struct store_index_builder *b, const char *name, size_t len,
				   uint32_t ino)
{
	uint8_t r[INDEX_ENTRY_BYTES];

	hr_le32_put(r + ENTRY_NAME, store_heap_add(b->heap, name, len));
	hr_le32_put(r + ENTRY_INODE, ino);
	return append(&b->entries, r, sizeof(r));
}

uint32_t store_index_builder_extent(struct store_index_builder *b, uint64_t file_off,
				    uint32_t chunk, uint32_t chunk_off)
{
	uint8_t r[INDEX_EXTENT_BYTES];

	hr_le64_put(r + EXTENT_FILE_OFF, file_off);
	hr_le32_put(r + EXTENT_CHUNK, chunk);
	hr_le32_put(r + EXTENT_CHUNK_OFF, chunk_off);
	return append(&b->extents, r, sizeof(r));
}

uint32_t store_index_builder_xattr(struct store_index_builder *b, const char *name, size_t name_len,
				   const void *value, size_t value_len)
{
	uint8_t r[INDEX_XATTR_BYTES] = { 0 };

	hr_le32_put(r + XATTR_NAME, store_heap_add(b->heap, name, name_len));
	hr_le32_put(r + XATTR_VALUE, store_heap_add(b->heap, value, value_len));
	return append(&b->xattrs, r, sizeof(r));
}

uint32_t store_index_builder_inode(struct store_index_builder *b, const struct store_inode *inode)
{
	uint8_t r[INDEX_INODE_BYTES] = { 0 };
	bool has_first = inode->count > 0 || S_ISLNK(inode->mode);

	hr_le32_put(r + INODE_MODE, inode->mode);
	hr_le32_put(r + INODE_NLINK, inode->nlink);
	hr_le64_put(r + INODE_SIZE, inode->size);
	hr_le64_put(r + INODE_MTIME, (uint64_t)inode->mtime);
	hr_le32_put(r + INODE_MTIME_NS, inode->mtime_ns);
	hr_le32_put(r + INODE_UID, inode->uid);
	hr_le32_put(r + INODE_GID, inode->gid);
	hr_le32_put(r + INODE_FIRST, has_first ? inode->first : 0);
	hr_le32_put(r + INODE_COUNT, inode->count);
	hr_le32_put(r + INODE_PARENT, inode->parent);
	hr_le32_put(r + INODE_FIRST_XATTR, inode->n_xattrs > 0 ? inode->first_xattr : 0);
	hr_le32_put(r + INODE_N_XATTRS, inode->n_xattrs);
	hr_le32_put(r + INODE_DEV, inode->dev);
	if (S_ISREG(inode->mode) && !hr_add(b->file_bytes, inode->size, &b->file_bytes))
		b->file_bytes = UINT64_MAX;
	return append(&b->inodes, r, sizeof(r));
}

static int check_limits(const struct store_index_builder *b, size_t config_len, struct hr_err *e)
{
	const struct {
		const char *what;
		uint64_t n;
	} counts[] = {
		{ "inodes", b->inodes.len / INDEX_INODE_BYTES },
		{ "directory entries", b->entries.len / INDEX_ENTRY_BYTES },
		{ "extents", b->extents.len / INDEX_EXTENT_BYTES },
		{ "chunks", b->chunks.len / INDEX_CHUNK_BYTES },
		{ "xattrs", b->xattrs.len / INDEX_XATTR_BYTES },
		{ "bytes of config", config_len },
	};

	if (b->inodes.len == 0)
		return hr_fail(e, HR_CORRUPT, 0, "an image without a root directory");
	for (size_t i = 0; i < HR_COUNT(counts); i++)
		if (counts[i].n > STORE_CHUNKS_MAX)
			return hr_fail(e, HR_CORRUPT, 0,
				       "the image has %" PRIu64 " %s, more than an index can hold",
				       counts[i].n, counts[i].what);
	if (store_heap_full(b->heap))
		return hr_fail(e, HR_CORRUPT, 0,
			       "the names of the image need more than an index can hold, 4 GiB");
	if (b->file_bytes > INT64_MAX)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the files of the image claim more than 2^63 bytes");
	return 0;
}

static void put_header(const struct store_index_builder *b, const struct fetch_digest *manifest,
		       const struct fetch_digest *config, size_t config_len, struct hr_buf *out)
{
	uint8_t h[INDEX_HEADER_BYTES] = { 0 };

	memcpy(h, INDEX_MAGIC, 8);
	hr_le32_put(h + INDEX_H_INODES, (uint32_t)(b->inodes.len / INDEX_INODE_BYTES));
	hr_le32_put(h + INDEX_H_ENTRIES, (uint32_t)(b->entries.len / INDEX_ENTRY_BYTES));
	hr_le32_put(h + INDEX_H_EXTENTS, (uint32_t)(b->extents.len / INDEX_EXTENT_BYTES));
	hr_le32_put(h + INDEX_H_CHUNKS, (uint32_t)(b->chunks.len / INDEX_CHUNK_BYTES));
	hr_le32_put(h + INDEX_H_XATTRS, (uint32_t)(b->xattrs.len / INDEX_XATTR_BYTES));
	hr_le32_put(h + INDEX_H_CONFIG_BYTES, (uint32_t)config_len);
	hr_le64_put(h + INDEX_H_HEAP_BYTES, store_heap_bytes(b->heap));
	hr_le64_put(h + INDEX_H_FILE_BYTES, b->file_bytes);
	memcpy(h + INDEX_H_MANIFEST, manifest->b, sizeof(manifest->b));
	memcpy(h + INDEX_H_CONFIG, config->b, sizeof(config->b));
	hr_buf_add(out, h, sizeof(h));
}

int store_index_builder_finish(const struct store_index_builder *b,
			       const struct fetch_digest *manifest,
			       const struct fetch_digest *config, const void *config_bytes,
			       size_t config_len, struct hr_buf *out, struct hr_err *e)
{
	const struct hr_buf *tables[] = { &b->inodes, &b->entries, &b->extents, &b->chunks,
					  &b->xattrs };

	if (check_limits(b, config_len, e) < 0)
		return -1;
	put_header(b, manifest, config, config_len, out);
	for (size_t i = 0; i < HR_COUNT(tables); i++)
		hr_buf_add(out, tables[i]->p, tables[i]->len);
	store_heap_write(b->heap, out);
	hr_buf_add(out, config_bytes, config_len);
	return 0;
}
