/* SPDX-License-Identifier: BSD-3-Clause */
/* Superblocks of squashfs, places of blocks, and blocks themselves. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/sqfs.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define SPACE 100000u

static void make_super(uint8_t p[STORE_SQFS_SUPER_BYTES])
{
	memset(p, 0, STORE_SQFS_SUPER_BYTES);
	memcpy(p, "hsqs", 4);
	hr_le32_put(p + 4, 10);	     /* inodes */
	hr_le32_put(p + 12, 131072); /* block size */
	hr_le16_put(p + 20, 6);	     /* zstd */
	hr_le16_put(p + 22, 17);     /* block log */
	hr_le16_put(p + 28, 4);	     /* version */
	hr_le64_put(p + 40, SPACE);  /* bytes */
	hr_le64_put(p + 64, 90000);  /* inode table */
	hr_le64_put(p + 72, 95000);  /* directory table */
}

static const struct {
	const char *what;
	size_t at, bytes;
	uint64_t value;
	const char *text; /* NULL: it is taken */
} rows[] = {
	{ "as it should be", 4, 4, 10, NULL },
	{ "magic", 0, 1, 'x', "hsqs" },
	{ "big-endian", 0, 4, 0x68737173, "hsqs" },
	{ "version 3", 28, 2, 3, "version 3.0" },
	{ "version 4.1", 30, 2, 1, "version 4.1" },
	{ "compressor 0", 20, 2, 0, "unknown compressor 0" },
	{ "compressor 7", 20, 2, 7, "unknown compressor 7" },
	{ "compressor lz4", 20, 2, 5, NULL },
	{ "block log", 22, 2, 18, "2^18" },
	{ "block size", 12, 4, 131073, "131073" },
	{ "small blocks", 12, 4, 2048, "2048" },
	{ "no inodes", 4, 4, 0, "counts 0 inodes" },
	{ "too many inodes", 4, 4, (16u << 20) + 1, "inodes and" },
	{ "most inodes", 4, 4, 16u << 20, NULL },
	{ "too many fragments", 16, 4, (16u << 20) + 1, "fragments, at most" },
	{ "one byte too many", 40, 8, SPACE + 1, "there are" },
	{ "most bytes", 40, 8, UINT64_MAX, "there are" },
	{ "inodes in the superblock", 64, 8, 95, "tables" },
	{ "inodes at the end", 64, 8, SPACE, "tables" },
	{ "directories before inodes", 72, 8, 89999, "tables" },
	{ "no directories", 72, 8, UINT64_MAX, "tables" },
};

static void test_superblock_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		uint8_t p[STORE_SQFS_SUPER_BYTES], value[8];
		struct store_sqfs_super s;
		struct hr_err e = { 0 };
		int r;

		make_super(p);
		hr_le64_put(value, rows[i].value);
		memcpy(p + rows[i].at, value, rows[i].bytes);
		r = store_sqfs_super_parse(p, sizeof(p), SPACE, &s, &e);
		if (r != (rows[i].text ? -1 : 0) || (rows[i].text && !strstr(e.text, rows[i].text)))
			fail_msg("%s: %d, '%s'", rows[i].what, r, e.text);
	}
}

static void test_places_come_back_and_lies_do_not(void **state)
{
	const struct store_sqfs_place p = { 12345678901, STORE_SQFS_UNCOMPRESSED | 4096, 4096,
					    STORE_SQFS_XZ };
	struct store_sqfs_place got;
	struct fetch_digest d;
	struct hr_err e = { 0 };

	(void)state;
	store_sqfs_place_put(&p, &d);
	assert_int_equal(store_sqfs_place_get(&d, &got, &e), 0);
	assert_int_equal(got.off, p.off);
	assert_int_equal(got.size, p.size);
	assert_int_equal(got.bytes, p.bytes);
	assert_int_equal(got.compressor, p.compressor);
	hr_le32_put(d.b + 12, STORE_CHUNK_MAX + 1);
	assert_int_equal(store_sqfs_place_get(&d, &got, &e), -1);
	memset(d.b, 0xff, sizeof(d.b));
	hr_err_clear(&e);
	assert_int_equal(store_sqfs_place_get(&d, &got, &e), -1);
}

/* A gathered block may hold more than we want of it; never less. */
static void test_blocks_are_cut_not_stretched(void **state)
{
	uint8_t plain[300], frame[600], out[301];
	ZSTD_DCtx *zstd = ZSTD_createDCtx();
	struct store_sqfs_place at = { .compressor = STORE_SQFS_ZSTD };
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)i;
	n = ZSTD_compress(frame, sizeof(frame), plain, sizeof(plain), 1);
	assert_false(ZSTD_isError(n));
	for (uint32_t want = 299; want <= 301; want++) {
		struct hr_err e = { 0 };
		int r;

		at.size = (uint32_t)n;
		at.bytes = want;
		r = store_sqfs_open(zstd, &at, frame, out, &e);
		assert_int_equal(r, want <= 300 ? 0 : -1);
		if (r == 0)
			assert_memory_equal(out, plain, want);
		else
			assert_int_equal(e.kind, HR_CORRUPT);
	}
	ZSTD_freeDCtx(zstd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_superblock_is_checked),
		cmocka_unit_test(test_places_come_back_and_lies_do_not),
		cmocka_unit_test(test_blocks_are_cut_not_stretched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
