/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/layer.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "store/heap.h"
#include "store/layer_format.h"
#include "util/le.h"
#include "util/poison.h"

static struct store_string string_at(const struct store_layer *l, uint32_t off)
{
	return (struct store_string) { (const char *)l->heap + off + 4, hr_le32(l->heap + off) };
}

struct store_layer_entry store_layer_entry(const struct store_layer *l, uint32_t i)
{
	const uint8_t *p = l->entries + (size_t)i * LAYER_ENTRY_BYTES;
	struct store_layer_entry n = {
		.kind = (enum store_entry_kind)hr_le32(p),
		.attr = { .mode = hr_le32(p + 4),
			  .size = hr_le64(p + 8),
			  .mtime = (int64_t)hr_le64(p + 16),
			  .mtime_ns = hr_le32(p + 24),
			  .uid = hr_le32(p + 28),
			  .gid = hr_le32(p + 32),
			  .dev = hr_le32(p + 36) },
		.path = string_at(l, hr_le32(p + 40)),
		.first_extent = hr_le32(p + 48),
		.n_extents = hr_le32(p + 52),
		.first_xattr = hr_le32(p + 56),
		.n_xattrs = hr_le32(p + 60),
	};

	if (n.kind == STORE_ENTRY_HARDLINK || S_ISLNK(n.attr.mode))
		n.target = string_at(l, hr_le32(p + 44));
	return n;
}

struct store_extent store_layer_extent(const struct store_layer *l, uint32_t i)
{
	const uint8_t *p = l->extents + (size_t)i * LAYER_EXTENT_BYTES;

	return (struct store_extent) { hr_le64(p), hr_le32(p + 8), hr_le32(p + 12) };
}

struct store_chunk store_layer_chunk(const struct store_layer *l, uint32_t i)
{
	const uint8_t *p = l->chunks + (size_t)i * LAYER_CHUNK_BYTES;
	struct store_chunk c;

	memcpy(c.digest.b, p, FETCH_DIGEST_LEN);
	c.crc = hr_le64(p + 32);
	c.bytes = hr_le32(p + 40);
	return c;
}

struct store_xattr store_layer_xattr(const struct store_layer *l, uint32_t i)
{
	const uint8_t *p = l->xattrs + (size_t)i * LAYER_XATTR_BYTES;

	return (struct store_xattr) { string_at(l, hr_le32(p)), string_at(l, hr_le32(p + 4)) };
}

/* Does a string begin at OFF of the heap, end with its NUL inside, and pass MAX bytes? */
static int check_string(const struct store_layer *l, uint32_t off, uint32_t max, bool text,
			const char *what, struct hr_err *e)
{
	struct store_string s;

	if (!store_heap_get(l->heap, l->heap_bytes, off, &s))
		return hr_fail(e, HR_CORRUPT, 0, "%s at %u of a heap of %" PRIu64 " bytes", what,
			       off, l->heap_bytes);
	if (s.len > max)
		return hr_fail(e, HR_CORRUPT, 0, "%s of %u bytes, at most %u", what, s.len, max);
	if (text && memchr(s.p, '\0', s.len))
		return hr_fail(e, HR_CORRUPT, 0, "%s with a NUL", what);
	return 0;
}

/* A path of the archive: parts of 1 to 255 bytes, none "." or "..", or nothing (the root). */
static bool path_is_clean(struct store_string s)
{
	const char *p = s.p, *end = s.p + s.len;

	if (s.len == 0)
		return true;
	for (;;) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		size_t n = (size_t)((slash ? slash : end) - p);

		if (n == 0 || n > STORE_NAME_MAX || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		if (!slash)
			return true;
		p = slash + 1;
	}
}

static int check_path(const struct store_layer *l, uint32_t off, const char *what, struct hr_err *e)
{
	if (check_string(l, off, STORE_PATH_MAX, true, what, e) < 0)
		return -1;
	if (!path_is_clean(string_at(l, off)))
		return hr_fail(e, HR_CORRUPT, 0, "%s with an empty, long or dotted part", what);
	return 0;
}

/* The extents of a regular file: ascending from 0, within the file and within their chunks. */
static int check_extents(const struct store_layer *l, const struct store_layer_entry *n,
			 struct hr_err *e)
{
	for (uint32_t i = 0; i < n->n_extents; i++) {
		struct store_extent x = store_layer_extent(l, n->first_extent + i);
		uint64_t end = n->attr.size;

		if (i + 1 < n->n_extents)
			end = store_layer_extent(l, n->first_extent + i + 1).off;
		if ((i == 0 && x.off != 0) || x.off >= end || end > n->attr.size)
			return hr_fail(e, HR_CORRUPT, 0, "extent %u from %" PRIu64 " to %" PRIu64,
				       i, x.off, end);
		if (x.chunk == STORE_HOLE) {
			if (x.chunk_off != 0)
				return hr_fail(e, HR_CORRUPT, 0, "extent %u: a hole with an offset",
					       i);
			continue;
		}
		if (x.chunk >= l->n_chunks)
			return hr_fail(e, HR_CORRUPT, 0, "extent %u in chunk %u of %u", i, x.chunk,
				       l->n_chunks);
		if (x.chunk_off + (end - x.off) > store_layer_chunk(l, x.chunk).bytes)
			return hr_fail(e, HR_CORRUPT, 0, "extent %u passes the end of chunk %u", i,
				       x.chunk);
	}
	return 0;
}

static bool mode_is_known(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return (mode & ~(uint32_t)(S_IFMT | 07777)) == 0;
	default:
		return false;
	}
}

/* What a node may and must have, by its type. */
static int check_node(const struct store_layer *l, const struct store_layer_entry *n,
		      struct hr_err *e)
{
	bool reg = S_ISREG(n->attr.mode), lnk = S_ISLNK(n->attr.mode);
	bool dev = S_ISCHR(n->attr.mode) || S_ISBLK(n->attr.mode);

	if (!mode_is_known(n->attr.mode))
		return hr_fail(e, HR_CORRUPT, 0, "mode 0%o", n->attr.mode);
	if (n->path.len == 0 && !S_ISDIR(n->attr.mode))
		return hr_fail(e, HR_CORRUPT, 0, "a root that is no directory");
	if (lnk && (n->target.len == 0 || n->attr.size != n->target.len))
		return hr_fail(e, HR_CORRUPT, 0, "size %" PRIu64 ", target of %u bytes",
			       n->attr.size, n->target.len);
	if (!reg && !lnk && n->attr.size != 0)
		return hr_fail(e, HR_CORRUPT, 0, "size %" PRIu64 " of no file", n->attr.size);
	if (n->attr.size > INT64_MAX || n->attr.mtime_ns > 999999999 || (!dev && n->attr.dev != 0))
		return hr_fail(e, HR_CORRUPT, 0, "size, time or device out of range");
	if (reg ? (n->n_extents == 0) != (n->attr.size == 0) : n->n_extents != 0)
		return hr_fail(e, HR_CORRUPT, 0, "%u extents for %" PRIu64 " bytes", n->n_extents,
			       n->attr.size);
	return check_extents(l, n, e);
}

static int check_entry(const struct store_layer *l, uint32_t i, uint32_t *extents, uint32_t *xattrs,
		       struct hr_err *e)
{
	const uint8_t *p = l->entries + (size_t)i * LAYER_ENTRY_BYTES;
	bool has_target = hr_le32(p) == STORE_ENTRY_HARDLINK || S_ISLNK(hr_le32(p + 4));
	struct store_layer_entry n;

	if (hr_le32(p) > STORE_ENTRY_OPAQUE)
		return hr_fail(e, HR_CORRUPT, 0, "kind %u", hr_le32(p));
	if (check_path(l, hr_le32(p + 40), "path", e) < 0)
		return -1;
	if (!has_target && hr_le32(p + 44) != 0)
		return hr_fail(e, HR_CORRUPT, 0, "a target where none belongs");
	if (hr_le32(p) == STORE_ENTRY_HARDLINK
		    ? check_path(l, hr_le32(p + 44), "target", e) < 0
		    : has_target && check_string(l, hr_le32(p + 44), STORE_PATH_MAX, true, "target",
						 e) < 0)
		return -1;
	n = store_layer_entry(l, i);
	/* rows belong to entries one after the other: no gap, none shared */
	if (n.first_extent != *extents || n.n_extents > l->n_extents - *extents ||
	    n.first_xattr != *xattrs || n.n_xattrs > l->n_xattrs - *xattrs)
		return hr_fail(e, HR_CORRUPT, 0, "extents or xattrs out of order");
	*extents += n.n_extents;
	*xattrs += n.n_xattrs;
	if (n.kind == STORE_ENTRY_NODE)
		return check_node(l, &n, e);
	if (!hr_is_zero(p + 4, 36) || n.n_extents || n.n_xattrs)
		return hr_fail(e, HR_CORRUPT, 0, "attributes of no node");
	return 0;
}

static int check_rows(const struct store_layer *l, struct hr_err *e)
{
	uint32_t extents = 0, xattrs = 0;

	for (uint32_t i = 0; i < l->n_chunks; i++) {
		const uint8_t *p = l->chunks + (size_t)i * LAYER_CHUNK_BYTES;
		uint32_t bytes = hr_le32(p + 40);

		if (bytes == 0 || bytes > STORE_CHUNK_MAX || hr_le32(p + 44) != 0)
			return hr_fail(e, HR_CORRUPT, 0, "chunk %u of %u bytes", i, bytes);
	}
	for (uint32_t i = 0; i < l->n_xattrs; i++) {
		const uint8_t *p = l->xattrs + (size_t)i * LAYER_XATTR_BYTES;

		if (check_string(l, hr_le32(p), STORE_NAME_MAX, true, "name of an xattr", e) < 0 ||
		    check_string(l, hr_le32(p + 4), STORE_XATTR_MAX, false, "xattr", e) < 0)
			return -1;
		if (!hr_is_zero(p + 8, 8) || memcmp(string_at(l, hr_le32(p)).p, "user.", 5) != 0)
			return hr_fail(e, HR_CORRUPT, 0, "xattr %u is none of the user's", i);
	}
	for (uint32_t i = 0; i < l->n_entries; i++)
		if (check_entry(l, i, &extents, &xattrs, e) < 0)
			return hr_wrap(e, "entry %u", i);
	if (extents != l->n_extents || xattrs != l->n_xattrs)
		return hr_fail(e, HR_CORRUPT, 0, "extents or xattrs of no entry");
	return 0;
}

uint64_t store_layer_crc(const uint8_t *p, size_t n)
{
	static const uint8_t zeros[8];
	uint64_t crc = store_crc64_add(0, p, LAYER_CRC_AT);

	crc = store_crc64_add(crc, zeros, sizeof(zeros));
	return store_crc64_add(crc, p + LAYER_CRC_AT + 8, n - LAYER_CRC_AT - 8);
}

/* 0: it was written when there was none yet. */
static int check_crc(const uint8_t *p, size_t n, struct hr_err *e)
{
	uint64_t want = hr_le64(p + LAYER_CRC_AT), got;

	if (want == 0)
		return 0;
	got = store_layer_crc(p, n);
	if (got == want)
		return 0;
	return hr_fail(e, HR_CORRUPT, 0, "check sum is %016" PRIx64 ", expected %016" PRIx64, got,
		       want);
}

int store_layer_parse(const uint8_t *p, size_t n, struct store_layer *out, struct hr_err *e)
{
	struct store_layer l;
	uint64_t expected;

	if (n < LAYER_HEADER || memcmp(p, LAYER_MAGIC, 8) != 0)
		return hr_fail(e, HR_CORRUPT, 0,
			       "no layer index: it does not begin with " LAYER_MAGIC);
	l.n_entries = hr_le32(p + 8);
	l.n_extents = hr_le32(p + 12);
	l.n_chunks = hr_le32(p + 16);
	l.n_xattrs = hr_le32(p + 20);
	l.heap_bytes = hr_le64(p + 24);
	l.plain_bytes = hr_le64(p + 32);
	memcpy(l.diff_id.b, p + 40, FETCH_DIGEST_LEN);
	if (l.heap_bytes > STORE_HEAP_MAX || l.heap_bytes % 8 != 0 || !hr_is_zero(p + 80, 48))
		return hr_fail(e, HR_CORRUPT, 0, "header of another version");
	/* four products of 32 and less than 7 bits, and a sum of 32: no overflow */
	expected = LAYER_HEADER + (uint64_t)l.n_entries * LAYER_ENTRY_BYTES +
		   (uint64_t)l.n_extents * LAYER_EXTENT_BYTES +
		   (uint64_t)l.n_chunks * LAYER_CHUNK_BYTES +
		   (uint64_t)l.n_xattrs * LAYER_XATTR_BYTES + l.heap_bytes;
	if (n != expected)
		return hr_fail(e, HR_CORRUPT, 0, "layer index of %zu bytes, expected %" PRIu64, n,
			       expected);
	l.entries = p + LAYER_HEADER;
	l.extents = l.entries + (size_t)l.n_entries * LAYER_ENTRY_BYTES;
	l.chunks = l.extents + (size_t)l.n_extents * LAYER_EXTENT_BYTES;
	l.xattrs = l.chunks + (size_t)l.n_chunks * LAYER_CHUNK_BYTES;
	l.heap = l.xattrs + (size_t)l.n_xattrs * LAYER_XATTR_BYTES;
	if (check_crc(p, n, e) < 0 || check_rows(&l, e) < 0)
		return -1;
	*out = l;
	return 0;
}
