/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/sqfs.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <isa-l.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

enum { /* the superblock */
       SB_INODES = 4,
       SB_BLOCK_BYTES = 12,
       SB_FRAGMENTS = 16,
       SB_COMPRESSOR = 20,
       SB_BLOCK_LOG = 22,
       SB_IDS = 26,
       SB_MAJOR = 28,
       SB_MINOR = 30,
       SB_ROOT = 32,
       SB_BYTES = 40,
       SB_ID_TABLE = 48,
       SB_XATTR_TABLE = 56,
       SB_INODE_TABLE = 64,
       SB_DIRECTORY_TABLE = 72,
       SB_FRAGMENT_TABLE = 80,
       SB_EXPORT_TABLE = 88,
};
#define BLOCK_MIN 4096u

static const char *const names[] = { "?", "gzip", "lzma", "lzo", "xz", "lz4", "zstd" };

const char *store_sqfs_compressor_name(enum store_sqfs_compressor compressor)
{
	return names[compressor];
}

bool store_sqfs_is(const uint8_t *p, size_t n)
{
	return n >= 4 && memcmp(p, "hsqs", 4) == 0;
}

static int check_layout(const struct store_sqfs_super *s, unsigned int log, uint64_t space,
			struct hr_err *e)
{
	if (s->block_bytes < BLOCK_MIN || s->block_bytes > STORE_CHUNK_MAX || log > 31 ||
	    s->block_bytes != 1u << log)
		return hr_fail(e, HR_CORRUPT, 0, "squashfs blocks of %" PRIu32 " bytes, 2^%u",
			       s->block_bytes, log);
	if (s->inodes == 0 || s->inodes > STORE_ENTRIES_MAX || s->fragments > STORE_ENTRIES_MAX)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the squashfs counts %" PRIu32 " inodes and %" PRIu32
			       " fragments, at most %u",
			       s->inodes, s->fragments, STORE_ENTRIES_MAX);
	if (s->bytes > space)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the squashfs says it has %" PRIu64 " bytes, there are %" PRIu64,
			       s->bytes, space);
	if (s->metadata < STORE_SQFS_SUPER_BYTES || s->metadata >= s->bytes ||
	    s->directory_table < s->metadata || s->directory_table >= s->bytes)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the squashfs puts its tables at %" PRIu64 " and %" PRIu64
			       " of %" PRIu64 " bytes",
			       s->metadata, s->directory_table, s->bytes);
	return 0;
}

int store_sqfs_super_parse(const uint8_t *p, size_t n, uint64_t space, struct store_sqfs_super *out,
			   struct hr_err *e)
{
	struct store_sqfs_super s;
	unsigned int compressor;

	if (n < STORE_SQFS_SUPER_BYTES || !store_sqfs_is(p, n))
		return hr_fail(e, HR_CORRUPT, 0, "no squashfs: it does not begin with 'hsqs'");
	if (hr_le16(p + SB_MAJOR) != 4 || hr_le16(p + SB_MINOR) != 0)
		return hr_fail(e, HR_USAGE, 0, "squashfs version %u.%u, expected 4.0",
			       hr_le16(p + SB_MAJOR), hr_le16(p + SB_MINOR));
	compressor = hr_le16(p + SB_COMPRESSOR);
	if (compressor == 0 || compressor >= STORE_SQFS_COMPRESSORS)
		return hr_fail(e, HR_USAGE, 0, "the squashfs has the unknown compressor %u",
			       compressor);
	s = (struct store_sqfs_super) {
		.block_bytes = hr_le32(p + SB_BLOCK_BYTES),
		.inodes = hr_le32(p + SB_INODES),
		.fragments = hr_le32(p + SB_FRAGMENTS),
		.compressor = (enum store_sqfs_compressor)compressor,
		.bytes = hr_le64(p + SB_BYTES),
		.metadata = hr_le64(p + SB_INODE_TABLE),
		.ids = hr_le16(p + SB_IDS),
		.directory_table = hr_le64(p + SB_DIRECTORY_TABLE),
		.fragment_table = hr_le64(p + SB_FRAGMENT_TABLE),
		.export_table = hr_le64(p + SB_EXPORT_TABLE),
		.id_table = hr_le64(p + SB_ID_TABLE),
		.xattr_table = hr_le64(p + SB_XATTR_TABLE),
		.root = hr_le64(p + SB_ROOT),
	};
	if (check_layout(&s, hr_le16(p + SB_BLOCK_LOG), space, e) < 0)
		return -1;
	*out = s;
	return 0;
}

/* ---- places ---- */

enum { PLACE_OFF = 0, PLACE_SIZE = 8, PLACE_BYTES = 12, PLACE_COMPRESSOR = 16, PLACE_ZERO = 20 };

void store_sqfs_place_put(const struct store_sqfs_place *p, struct fetch_digest *out)
{
	memset(out->b, 0, sizeof(out->b));
	hr_le64_put(out->b + PLACE_OFF, p->off);
	hr_le32_put(out->b + PLACE_SIZE, p->size);
	hr_le32_put(out->b + PLACE_BYTES, p->bytes);
	hr_le32_put(out->b + PLACE_COMPRESSOR, (uint32_t)p->compressor);
}

int store_sqfs_place_get(const struct fetch_digest *d, struct store_sqfs_place *out,
			 struct hr_err *e)
{
	uint32_t compressor = hr_le32(d->b + PLACE_COMPRESSOR), stored;
	struct store_sqfs_place p = { .off = hr_le64(d->b + PLACE_OFF),
				      .size = hr_le32(d->b + PLACE_SIZE),
				      .bytes = hr_le32(d->b + PLACE_BYTES) };

	stored = p.size & ~STORE_SQFS_UNCOMPRESSED;
	if (p.off > INT64_MAX - (uint64_t)STORE_CHUNK_MAX || stored == 0 ||
	    stored > STORE_CHUNK_MAX || p.bytes == 0 || p.bytes > STORE_CHUNK_MAX ||
	    compressor == 0 || compressor >= STORE_SQFS_COMPRESSORS)
		return hr_fail(e, HR_CORRUPT, 0,
			       "a squashfs block of %" PRIu32 " bytes at %" PRIu64 " for %" PRIu32
			       " bytes cannot be",
			       stored, p.off, p.bytes);
	p.compressor = (enum store_sqfs_compressor)compressor;
	*out = p;
	return 0;
}

/* ---- decompressing ---- */

/* sqfs_decompressor of squashfuse/decompress.h; 0 is success. */
typedef int other_fn(void *in, size_t in_len, void *out, size_t *out_len);

static other_fn *others[STORE_SQFS_COMPRESSORS]; /* set before any thread */

/*
 * gzip is done by ISA-L, which is thrice as fast as zlib, and zstd with a context that is used
 * again; the others by libsquashfuse, loaded when they are wanted: it brings four libraries.
 */
int store_sqfs_load(enum store_sqfs_compressor compressor, struct hr_err *e)
{
	typedef other_fn *get_fn(int type);
	get_fn *get = NULL;
	void *lib, *symbol;

	if (compressor == STORE_SQFS_GZIP || compressor == STORE_SQFS_ZSTD || others[compressor])
		return 0;
	lib = dlopen("libsquashfuse.so.0", RTLD_NOW | RTLD_LOCAL);
	symbol = lib ? dlsym(lib, "sqfs_decompressor_get") : NULL;
	if (!symbol)
		return hr_fail(e, HR_SYS, 0, "cannot load libsquashfuse, which decompresses %s: %s",
			       names[compressor], dlerror());
	memcpy(&get, &symbol, sizeof(get)); /* a cast is not ISO C, dlopen(3) */
	others[compressor] = get((int)compressor);
	if (!others[compressor])
		return hr_fail(e, HR_USAGE, 0, "libsquashfuse was built without %s",
			       names[compressor]);
	return 0;
}

static bool gunzip(const uint8_t *in, size_t n, uint8_t *out, size_t *len)
{
	struct inflate_state s;

	isal_inflate_init(&s);
	s.crc_flag = ISAL_ZLIB;
	s.next_in = (uint8_t *)(uintptr_t)in;
	s.avail_in = (uint32_t)n;
	s.next_out = out;
	s.avail_out = (uint32_t)*len;
	if (isal_inflate(&s) != ISAL_DECOMP_OK)
		return false;
	*len = s.total_out;
	return true;
}

bool store_sqfs_decompress(ZSTD_DCtx *zstd, enum store_sqfs_compressor compressor,
			   const uint8_t *in, size_t n, uint8_t *out, size_t *len)
{
	size_t got;

	switch (compressor) {
	case STORE_SQFS_GZIP:
		return gunzip(in, n, out, len);
	case STORE_SQFS_ZSTD:
		got = ZSTD_decompressDCtx(zstd, out, *len, in, n);
		if (ZSTD_isError(got))
			return false;
		*len = got;
		return true;
	default:
		return others[compressor]((void *)(uintptr_t)in, n, out, len) == 0;
	}
}

static int stored(const struct store_sqfs_place *at, const uint8_t *in, size_t n, uint8_t *out,
		  struct hr_err *e)
{
	if (n < at->bytes)
		return hr_fail(e, HR_CORRUPT, 0, "a block of %zu bytes, expected %" PRIu32, n,
			       at->bytes);
	memcpy(out, in, at->bytes);
	return 0;
}

int store_sqfs_open(ZSTD_DCtx *zstd, const struct store_sqfs_place *at, const uint8_t *in,
		    uint8_t *out, struct hr_err *e)
{
	size_t n = at->size & ~STORE_SQFS_UNCOMPRESSED, len = at->bytes;
	hr_autofree uint8_t *whole = NULL;

	if (at->size & STORE_SQFS_UNCOMPRESSED)
		return stored(at, in, n, out, e);
	if (store_sqfs_decompress(zstd, at->compressor, in, n, out, &len) && len == at->bytes)
		return 0;
	/* the ends of files that nobody uses any more may follow */
	whole = hr_alloc_bounded(1, STORE_CHUNK_MAX, STORE_CHUNK_MAX, e);
	len = STORE_CHUNK_MAX;
	if (!whole)
		return -1;
	if (!store_sqfs_decompress(zstd, at->compressor, in, n, whole, &len))
		return hr_fail(e, HR_CORRUPT, 0, "a %s block of %zu bytes is damaged",
			       names[at->compressor], n);
	return stored(at, whole, len, out, e);
}
