/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/index.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "store/heap.h"
#include "store/index_format.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define LINKS_MAX 40 /* as in path_resolution(7) */

struct store_index {
	const uint8_t *p; /* the whole index */
	size_t len;
	void *map; /* to be unmapped, or NULL: borrowed */
	uint32_t n_inodes, n_entries, n_extents, n_chunks, n_xattrs;
	uint32_t config_bytes;
	uint64_t heap_bytes, file_bytes;
	const uint8_t *inodes, *entries, *extents, *chunks, *xattrs, *heap, *config;
};

static int read_header(struct store_index *ix, struct hr_err *e)
{
	const uint8_t *h = ix->p;

	if (ix->len < INDEX_HEADER_BYTES || memcmp(h, INDEX_MAGIC, 8) != 0)
		return hr_fail(e, HR_CORRUPT, 0, "this is not an image index (%zu bytes)", ix->len);
	ix->n_inodes = hr_le32(h + INDEX_H_INODES);
	ix->n_entries = hr_le32(h + INDEX_H_ENTRIES);
	ix->n_extents = hr_le32(h + INDEX_H_EXTENTS);
	ix->n_chunks = hr_le32(h + INDEX_H_CHUNKS);
	ix->n_xattrs = hr_le32(h + INDEX_H_XATTRS);
	ix->config_bytes = hr_le32(h + INDEX_H_CONFIG_BYTES);
	ix->heap_bytes = hr_le64(h + INDEX_H_HEAP_BYTES);
	ix->file_bytes = hr_le64(h + INDEX_H_FILE_BYTES);
	if (ix->n_inodes == 0)
		return hr_fail(e, HR_CORRUPT, 0, "the image index holds no inode");
	if (ix->n_chunks > STORE_CHUNKS_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "the image index counts %" PRIu32 " chunks",
			       ix->n_chunks);
	if (ix->heap_bytes % 8 != 0 || ix->heap_bytes > UINT32_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "the image index has a heap of %" PRIu64 " bytes",
			       ix->heap_bytes);
	if (ix->file_bytes > INT64_MAX)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the image index counts %" PRIu64 " bytes of files", ix->file_bytes);
	if (!hr_is_zero(h + INDEX_H_ZERO, INDEX_HEADER_BYTES - INDEX_H_ZERO))
		return hr_fail(e, HR_CORRUPT, 0, "the image index uses reserved header bytes");
	return 0;
}

/* No product or sum overflows: six counts below 2^32, times at most 64. */
static int place_sections(struct store_index *ix, struct hr_err *e)
{
	uint64_t at = INDEX_HEADER_BYTES;
	const struct {
		const uint8_t **start;
		uint64_t bytes;
	} sections[] = {
		{ &ix->inodes, (uint64_t)ix->n_inodes * INDEX_INODE_BYTES },
		{ &ix->entries, (uint64_t)ix->n_entries * INDEX_ENTRY_BYTES },
		{ &ix->extents, (uint64_t)ix->n_extents * INDEX_EXTENT_BYTES },
		{ &ix->chunks, (uint64_t)ix->n_chunks * INDEX_CHUNK_BYTES },
		{ &ix->xattrs, (uint64_t)ix->n_xattrs * INDEX_XATTR_BYTES },
		{ &ix->heap, ix->heap_bytes },
		{ &ix->config, ix->config_bytes },
	};

	for (size_t i = 0; i < HR_COUNT(sections); i++)
		at += sections[i].bytes;
	if (at != ix->len)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the image index has %zu bytes, its header says %" PRIu64, ix->len,
			       at);
	at = INDEX_HEADER_BYTES;
	for (size_t i = 0; i < HR_COUNT(sections); i++) {
		*sections[i].start = ix->p + at;
		at += sections[i].bytes;
	}
	return 0;
}

int store_index_parse(const uint8_t *p, size_t n, struct store_index **out, struct hr_err *e)
{
	HR_CLEANUP(store_index_freep) struct store_index *ix = hr_xmalloc(sizeof(*ix));

	ix->p = p;
	ix->len = n;
	if (read_header(ix, e) < 0 || place_sections(ix, e) < 0)
		return -1;
	*out = hr_steal(&ix);
	return 0;
}

int store_index_open(int fd, struct store_index **out, struct hr_err *e)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot look at the image index");
	if (!S_ISREG(st.st_mode) || st.st_size < INDEX_HEADER_BYTES)
		return hr_fail(e, HR_CORRUPT, 0, "this is not an image index (%jd bytes)",
			       (intmax_t)st.st_size);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return hr_fail(e, HR_SYS, errno, "cannot map the image index");
	if (store_index_parse(map, (size_t)st.st_size, out, e) < 0) {
		munmap(map, (size_t)st.st_size);
		return -1;
	}
	(*out)->map = map;
	return 0;
}

void store_index_free(struct store_index *ix)
{
	if (!ix)
		return;
	if (ix->map)
		munmap(ix->map, ix->len);
	free(ix);
}

void store_index_freep(struct store_index **ix)
{
	store_index_free(*ix);
}

const uint8_t *store_index_bytes(const struct store_index *ix, size_t *len)
{
	*len = ix->len;
	return ix->p;
}

uint32_t store_index_inodes(const struct store_index *ix)
{
	return ix->n_inodes;
}

uint32_t store_index_chunks(const struct store_index *ix)
{
	return ix->n_chunks;
}

uint32_t store_index_xattrs(const struct store_index *ix)
{
	return ix->n_xattrs;
}

uint64_t store_index_file_bytes(const struct store_index *ix)
{
	return ix->file_bytes;
}

void store_index_manifest(const struct store_index *ix, struct fetch_digest *out)
{
	memcpy(out->b, ix->p + INDEX_H_MANIFEST, sizeof(out->b));
}

void store_index_config_digest(const struct store_index *ix, struct fetch_digest *out)
{
	memcpy(out->b, ix->p + INDEX_H_CONFIG, sizeof(out->b));
}

const uint8_t *store_index_config(const struct store_index *ix, size_t *len)
{
	*len = ix->config_bytes;
	return ix->config;
}

/* Whether N elements from FIRST on lie in a table of TOTAL. */
static bool inside(uint32_t first, uint32_t n, uint32_t total)
{
	return (uint64_t)first + n <= total;
}

static bool sound(const struct store_index *ix, const struct store_inode *i)
{
	if (i->size > INT64_MAX || i->mtime_ns > 999999999 || i->parent >= ix->n_inodes ||
	    !inside(i->first_xattr, i->n_xattrs, ix->n_xattrs))
		return false;
	switch (i->mode & ~07777u) {
	case S_IFDIR:
		return inside(i->first, i->count, ix->n_entries);
	case S_IFREG:
		return inside(i->first, i->count, ix->n_extents);
	case S_IFLNK:
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		return i->count == 0;
	default:
		return false;
	}
}

bool store_index_inode(const struct store_index *ix, uint32_t ino, struct store_inode *out)
{
	const uint8_t *p;

	if (ino >= ix->n_inodes)
		return false;
	p = ix->inodes + (uint64_t)ino * INDEX_INODE_BYTES;
	*out = (struct store_inode) {
		.mode = hr_le32(p + INODE_MODE),
		.nlink = hr_le32(p + INODE_NLINK),
		.size = hr_le64(p + INODE_SIZE),
		.mtime = (int64_t)hr_le64(p + INODE_MTIME),
		.mtime_ns = hr_le32(p + INODE_MTIME_NS),
		.uid = hr_le32(p + INODE_UID),
		.gid = hr_le32(p + INODE_GID),
		.first = hr_le32(p + INODE_FIRST),
		.count = hr_le32(p + INODE_COUNT),
		.parent = hr_le32(p + INODE_PARENT),
		.first_xattr = hr_le32(p + INODE_FIRST_XATTR),
		.n_xattrs = hr_le32(p + INODE_N_XATTRS),
		.dev = hr_le32(p + INODE_DEV),
	};
	return hr_le32(p + INODE_ZERO) == 0 && sound(ix, out);
}

static bool name_ok(const struct store_string *s)
{
	if (s->len == 0 || s->len > STORE_NAME_MAX || memchr(s->p, '/', s->len) ||
	    memchr(s->p, '\0', s->len))
		return false;
	return !(s->p[0] == '.' && (s->len == 1 || (s->len == 2 && s->p[1] == '.')));
}

bool store_index_entry(const struct store_index *ix, const struct store_inode *dir, uint32_t i,
		       struct store_entry *out)
{
	const uint8_t *p;
	uint64_t at = (uint64_t)dir->first + i;

	if (!S_ISDIR(dir->mode) || i >= dir->count || at >= ix->n_entries)
		return false;
	p = ix->entries + at * INDEX_ENTRY_BYTES;
	out->ino = hr_le32(p + ENTRY_INODE);
	return out->ino < ix->n_inodes &&
	       store_heap_get(ix->heap, ix->heap_bytes, hr_le32(p + ENTRY_NAME), &out->name) &&
	       name_ok(&out->name);
}

int store_index_name_cmp(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

	if (c != 0)
		return c;
	return (a_len > b_len) - (a_len < b_len);
}

int store_index_lookup(const struct store_index *ix, const struct store_inode *dir,
		       const char *name, size_t len, uint32_t *ino)
{
	uint32_t lo = 0, hi = dir->count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		struct store_entry entry;
		int c;

		if (!store_index_entry(ix, dir, mid, &entry))
			return -1;
		c = store_index_name_cmp(name, len, entry.name.p, entry.name.len);
		if (c == 0) {
			*ino = entry.ino;
			return 1;
		}
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return 0;
}

/* From the directory *AT, number *INO, by its entry NAME, of LEN bytes: they become what that is.
 */
static bool find_step(const struct store_index *ix, const char *name, size_t len, uint32_t *ino,
		      struct store_inode *at)
{
	if (!S_ISDIR(at->mode))
		return false;
	if (len == 1 && name[0] == '.')
		return true;
	if (len == 2 && memcmp(name, "..", 2) == 0)
		*ino = at->parent;
	else if (store_index_lookup(ix, at, name, len, ino) != 1)
		return false;
	return store_index_inode(ix, *ino, at);
}

bool store_index_find_in(const struct store_index *ix, uint32_t dir, const char *path,
			 uint32_t *ino, struct store_inode *out)
{
	hr_autofree char *rest = NULL; /* of the path, behind a symlink */
	unsigned int links = 0;

	*ino = path[0] == '/' ? 0 : dir;
	if (!store_index_inode(ix, *ino, out))
		return false;
	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		struct store_inode from = *out;
		uint32_t from_ino = *ino;
		size_t n = strcspn(path, "/");
		struct store_string target;
		char *more;

		if (!find_step(ix, path, n, ino, out))
			return false;
		path += n;
		if (!S_ISLNK(out->mode))
			continue;
		if (++links > LINKS_MAX || !store_index_target(ix, out, &target))
			return false;
		more = hr_xasprintf("%.*s%s", (int)target.len, target.p, path);
		free(rest);
		path = rest = more;
		*out = from;
		*ino = path[0] == '/' ? 0 : from_ino;
		if (*ino != from_ino && !store_index_inode(ix, *ino, out))
			return false;
	}
	return true;
}

bool store_index_find(const struct store_index *ix, const char *path, struct store_inode *out)
{
	uint32_t ino;

	return store_index_find_in(ix, 0, path, &ino, out);
}

bool store_index_find_program(const struct store_index *ix, const char *name, uint32_t *ino,
			      struct store_inode *out)
{
	static const char *const dirs[] = { "usr/local/bin", "usr/bin", "bin" };

	for (size_t i = 0; i < HR_COUNT(dirs); i++)
		if (store_index_find_in(ix, 0, dirs[i], ino, out) &&
		    store_index_find_in(ix, *ino, name, ino, out) && S_ISREG(out->mode))
			return true;
	return false;
}

static uint64_t extent_off(const struct store_index *ix, uint64_t i)
{
	return hr_le64(ix->extents + i * INDEX_EXTENT_BYTES + EXTENT_FILE_OFF);
}

bool store_index_piece(const struct store_index *ix, const struct store_inode *file, uint64_t off,
		       struct store_piece *out)
{
	uint64_t lo = file->first, hi = lo + file->count, start, end;
	struct store_chunk chunk;
	const uint8_t *p;

	if (!S_ISREG(file->mode) || off >= file->size || hi > ix->n_extents)
		return false;
	/* lo is the last extent known to begin at or before OFF; nothing is assumed of the order */
	if (lo == hi || extent_off(ix, lo) != 0)
		return false;
	while (hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (extent_off(ix, mid) <= off)
			lo = mid;
		else
			hi = mid;
	}
	p = ix->extents + lo * INDEX_EXTENT_BYTES;
	start = hr_le64(p + EXTENT_FILE_OFF);
	end = hi < (uint64_t)file->first + file->count ? extent_off(ix, hi) : file->size;
	if (end > file->size)
		return false;
	out->chunk = hr_le32(p + EXTENT_CHUNK);
	out->len = end - off;
	out->off = 0;
	if (out->chunk == STORE_HOLE)
		return true;
	/* start <= off < end, whatever the order: nothing wraps */
	if (!store_index_chunk(ix, out->chunk, &chunk) ||
	    hr_le32(p + EXTENT_CHUNK_OFF) + (end - start) > chunk.bytes)
		return false;
	out->off = hr_le32(p + EXTENT_CHUNK_OFF) + (uint32_t)(off - start);
	return true;
}

bool store_index_target(const struct store_index *ix, const struct store_inode *symlink,
			struct store_string *out)
{
	return S_ISLNK(symlink->mode) &&
	       store_heap_get(ix->heap, ix->heap_bytes, symlink->first, out) && out->len > 0 &&
	       out->len <= STORE_PATH_MAX && out->len == symlink->size &&
	       !memchr(out->p, '\0', out->len);
}

bool store_index_xattr(const struct store_index *ix, const struct store_inode *inode, uint32_t i,
		       struct store_string *name, struct store_string *value)
{
	const uint8_t *p;
	uint64_t at = (uint64_t)inode->first_xattr + i;

	if (i >= inode->n_xattrs || at >= ix->n_xattrs)
		return false;
	p = ix->xattrs + at * INDEX_XATTR_BYTES;
	return hr_le64(p + XATTR_ZERO) == 0 &&
	       store_heap_get(ix->heap, ix->heap_bytes, hr_le32(p + XATTR_NAME), name) &&
	       store_heap_get(ix->heap, ix->heap_bytes, hr_le32(p + XATTR_VALUE), value) &&
	       name->len > 0 && name->len <= STORE_NAME_MAX && !memchr(name->p, '\0', name->len) &&
	       value->len <= STORE_XATTR_MAX;
}

uint64_t store_index_crc_at(const struct store_index *ix, uint32_t i)
{
	HR_BUG_ON(i >= ix->n_chunks);
	return (uint64_t)(ix->chunks - ix->p) + (uint64_t)i * INDEX_CHUNK_BYTES + CHUNK_CRC;
}

bool store_index_chunk(const struct store_index *ix, uint32_t i, struct store_chunk *out)
{
	const uint8_t *p;

	if (i >= ix->n_chunks)
		return false;
	p = ix->chunks + (uint64_t)i * INDEX_CHUNK_BYTES;
	memcpy(out->digest.b, p + CHUNK_DIGEST, sizeof(out->digest.b));
	out->crc = hr_le64(p + CHUNK_CRC);
	out->bytes = hr_le32(p + CHUNK_SIZE);
	return hr_le32(p + CHUNK_ZERO) == 0 && out->bytes > 0 && out->bytes <= STORE_CHUNK_MAX;
}
