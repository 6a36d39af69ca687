/* SPDX-License-Identifier: BSD-3-Clause */
/* The metadata of a small squashfs, and what it looks like when one number in it lies. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/index.h"
#include "store/sqfs_index.h"
#include "store/sqfs_meta.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define BLOCK  4096u
#define DATA   96u /* where the only block lies, 100 bytes, and behind it the fragment, as many */
#define TABLES 296u

/*
 * /d/x, /f (the same file), /h, /l and /c. All tables are one block that is stored as it is.
 */
enum { ROOT = 0, DIR_D = 32, FILE_F = 64, FILE_H = 100, LINK_L = 156, CHAR_C = 181 };
enum { LIST_ROOT = 0, LIST_D = 57 };

/* The parts that rows name; each begins behind the length of its block. */
enum part { SUPER, INODES, DIRS, FRAGMENTS, IDS, XATTRS, XATTR_IDS, XATTR_LIST, PARTS };

struct image {
	struct hr_buf b;
	size_t at[PARTS];
};

static size_t begin(struct image *m)
{
	hr_buf_le(&m->b, 0, 2);
	return m->b.len;
}

static void end(struct image *m, size_t start)
{
	hr_le16_put(m->b.p + start - 2, (uint16_t)((m->b.len - start) | 0x8000));
}

/* Numbers of so many bytes each, until 0 bytes. */
static void put(struct image *m, ...)
{
	va_list ap;
	unsigned int bytes;

	va_start(ap, m);
	while ((bytes = va_arg(ap, unsigned int)) != 0)
		hr_buf_le(&m->b, va_arg(ap, uint64_t), bytes);
	va_end(ap);
}

#define U16(v) 2u, (uint64_t)(v)
#define U32(v) 4u, (uint64_t)(v)
#define U64(v) 8u, (uint64_t)(v)
#define END    0u

static void inode(struct image *m, unsigned int type, uint32_t number)
{
	put(m, U16(type), U16(0755), U16(0), U16(0), U32(1000), U32(number), END);
}

static void entry(struct image *m, unsigned int off, unsigned int type, const char *name)
{
	put(m, U16(off), U16(0), U16(type), U16(strlen(name) - 1), END);
	hr_buf_str(&m->b, name);
}

static void put_inodes(struct image *m)
{
	size_t start = m->at[INODES] = begin(m);

	inode(m, 1, 1);
	put(m, U32(0), U32(3), U16(LIST_D + 3), U16(LIST_ROOT), U32(7), END);
	inode(m, 1, 2);
	put(m, U32(0), U32(2), U16(21 + 3), U16(LIST_D), U32(1), END);
	inode(m, 2, 3);
	put(m, U32(DATA), U32(0), U32(0), U32(BLOCK + 50), U32(100 | STORE_SQFS_UNCOMPRESSED), END);
	inode(m, 9, 4);
	put(m, U64(0), U64(10), U64(0), U32(1), U32(0), U32(50), U32(0), END);
	inode(m, 3, 5);
	put(m, U32(1), U32(1), END);
	hr_buf_str(&m->b, "f");
	inode(m, 12, 6);
	put(m, U32(1), U32(0x501), U32(STORE_SQFS_NONE), END);
	end(m, start);
}

static void put_dirs(struct image *m)
{
	size_t start = m->at[DIRS] = begin(m);

	put(m, U32(4), U32(0), U32(1), END);
	entry(m, CHAR_C, 5, "c");
	entry(m, DIR_D, 1, "d");
	entry(m, FILE_F, 2, "f");
	entry(m, FILE_H, 2, "h");
	entry(m, LINK_L, 3, "l");
	put(m, U32(0), U32(0), U32(1), END);
	entry(m, FILE_F, 2, "x");
	end(m, start);
}

/* A table of one block, and the list that names it; returns where the list is. */
static uint64_t put_listed(struct image *m, enum part part, void (*content)(struct image *m))
{
	size_t start = m->at[part] = begin(m);

	content(m);
	end(m, start);
	hr_buf_le(&m->b, start - 2, 8);
	return m->b.len - 8;
}

static void fragments(struct image *m)
{
	put(m, U64(DATA + 100), U32(100), U32(0), END);
}

static void ids(struct image *m)
{
	put(m, U32(1234), END);
}

/* One xattr, its value out of line, behind it. */
static void put_xattrs(struct image *m)
{
	size_t start = m->at[XATTRS] = begin(m);

	put(m, U16(0x100), U16(1), END);
	hr_buf_str(&m->b, "a");
	put(m, U32(8), U64(17), U32(2), END);
	hr_buf_str(&m->b, "vv");
	end(m, start);
}

static void xattr_ids(struct image *m)
{
	put(m, U64(0), U32(1), U32(9), END);
}

static uint64_t put_xattr_ids(struct image *m)
{
	size_t start = m->at[XATTR_IDS] = begin(m);

	xattr_ids(m);
	end(m, start);
	m->at[XATTR_LIST] = m->b.len;
	put(m, U64(m->at[XATTRS] - 2), U32(1), U32(0), U64(start - 2), END);
	return m->at[XATTR_LIST];
}

static void make(struct image *m)
{
	uint64_t at[3], inodes, dirs;
	uint8_t *p;

	hr_buf_reserve(&m->b, TABLES);
	memset(m->b.p, 0, TABLES);
	m->b.len = inodes = TABLES;
	put_inodes(m);
	dirs = m->b.len;
	put_dirs(m);
	at[0] = put_listed(m, FRAGMENTS, fragments);
	at[1] = put_listed(m, IDS, ids);
	put_xattrs(m);
	at[2] = put_xattr_ids(m);
	p = m->b.p;
	memcpy(p, "hsqs", 4);
	hr_le32_put(p + 4, 6);
	hr_le32_put(p + 12, BLOCK);
	hr_le32_put(p + 16, 1);
	hr_le16_put(p + 20, STORE_SQFS_GZIP);
	hr_le16_put(p + 22, 12);
	hr_le16_put(p + 26, 1);
	hr_le16_put(p + 28, 4);
	hr_le64_put(p + 32, ROOT);
	hr_le64_put(p + 40, m->b.len);
	hr_le64_put(p + 48, at[1]);
	hr_le64_put(p + 56, at[2]);
	hr_le64_put(p + 64, inodes);
	hr_le64_put(p + 72, dirs);
	hr_le64_put(p + 80, at[0]);
	hr_le64_put(p + 88, UINT64_MAX);
}

static int index_it(const struct image *m, struct hr_buf *index, struct hr_err *e)
{
	/* of its exact size: a sanitizer sees one byte too many */
	hr_autofree uint8_t *p = NULL;
	hr_autobuf struct hr_buf loc = { 0 };
	const struct fetch_digest name = { { 7 } };
	struct store_sqfs_super s;

	if (store_sqfs_super_parse(m->b.p, m->b.len, m->b.len, &s, e) < 0)
		return -1;
	p = hr_xmalloc(m->b.len - s.metadata);
	memcpy(p, m->b.p + s.metadata, m->b.len - s.metadata);
	return store_sqfs_index(&s, 0, p, &name, index, &loc, e);
}

static const struct {
	const char *what;
	enum part part;
	int at;
	size_t bytes;
	uint64_t value;
	const char *text; /* NULL: it is taken */
} rows[] = {
	{ "nothing", SUPER, 26, 2, 1, NULL },
	{ "root nowhere", SUPER, 32, 8, 0x10000,
	  "root directory: the table of inodes has no place" },
	{ "root behind the block", SUPER, 32, 8, 209, "no place 209" },
	{ "root is a file", SUPER, 32, 8, FILE_F, "the root is no directory" },
	{ "more inodes than bytes", SUPER, 4, 4, 11, "counts 11 inodes" },
	{ "fewer inodes", SUPER, 4, 4, 5, "'c': it is inode 6 of 5" },
	{ "more fragments than bytes", SUPER, 16, 4, 2, "table of fragments has 16 bytes" },
	{ "more fragments than the list", SUPER, 16, 4, 1u << 24, "table of fragments is listed" },
	{ "no owners", SUPER, 26, 2, 0, "its owners are numbers 0 and 0 of 0" },
	{ "more owners than bytes", SUPER, 26, 2, 2, "table of owners has 4 bytes" },
	{ "owners in the data", SUPER, 48, 8, 96, "table of owners is listed at 96" },
	{ "xattrs in the data", SUPER, 56, 8, 96, "table of xattrs is at 96" },
	{ "no xattrs", SUPER, 56, 8, UINT64_MAX, NULL },
	{ "fragments nowhere", SUPER, 80, 8, UINT64_MAX, "table of fragments is listed" },
	{ "an empty block", INODES, -2, 2, 0x8000, "has a block of 0 bytes" },
	{ "a large block", INODES, -2, 2, 0xa001, "has a block of 8193 bytes" },
	{ "a block behind its table", INODES, -2, 2, 0x80d2, "has a block of 210 bytes" },
	{ "a damaged block", INODES, -2, 2, 209, "of the table of inodes is damaged" },
	{ "type 0", INODES, FILE_F, 2, 0, "'d/x': its inode has the unknown type 0" },
	{ "type 15", INODES, FILE_F, 2, 15, "unknown type 15" },
	{ "number 0", INODES, FILE_F + 12, 4, 0, "it is inode 0 of 6" },
	{ "number 7", INODES, FILE_F + 12, 4, 7, "it is inode 7 of 6" },
	{ "number twice", INODES, FILE_F + 12, 4, 4, "'h': another file is inode 4, too" },
	{ "uid 1", INODES, FILE_F + 4, 2, 1, "its owners are numbers 1 and 0 of 1" },
	{ "gid 65535", INODES, FILE_F + 6, 2, 65535, "its owners are numbers 0 and 65535 of 1" },
	{ "longer list of blocks", INODES, FILE_F + 28, 4, 0x7fffffff,
	  "list of blocks of inode 3" },
	{ "more bytes than there are", INODES, FILE_H + 24, 8, INT64_MAX,
	  "list of blocks of inode 4" },
	{ "negative bytes", INODES, FILE_H + 24, 8, UINT64_MAX, "it has 18446744073709551615" },
	{ "block in the superblock", INODES, FILE_F + 16, 4, 95, "its block of 100 bytes at 95" },
	{ "block behind the end", INODES, FILE_F + 16, 4, UINT32_MAX, "is out of range" },
	{ "block too large", INODES, FILE_F + 32, 4, BLOCK + 1, "its block of 4097 bytes" },
	{ "a hole", INODES, FILE_F + 32, 4, 0, NULL },
	{ "fragment 1 of 1", INODES, FILE_F + 20, 4, 1, "fragment 1 of 1" },
	{ "end behind its fragment", INODES, FILE_F + 24, 4, BLOCK - 49, "50 bytes at 4047" },
	{ "end at the end of its fragment", INODES, FILE_F + 24, 4, BLOCK - 50, NULL },
	{ "end far away", INODES, FILE_F + 24, 4, UINT32_MAX, "50 bytes at 4294967295" },
	{ "a target of no bytes", INODES, LINK_L + 20, 4, 0, "'l': its target has 0 bytes" },
	{ "a target behind the table", INODES, LINK_L + 20, 4, 30,
	  "target of inode 5 ends behind" },
	{ "a target of 4 GiB", INODES, LINK_L + 20, 4, UINT32_MAX,
	  "target of inode 5 ends behind" },
	{ "a target with a NUL", INODES, LINK_L + 24, 1, 0, "'l': its target holds a NUL" },
	{ "xattrs 1 of 1", INODES, FILE_H + 52, 4, 1, "'h': its xattrs are number 1 of 1" },
	{ "the last inode is cut", INODES, CHAR_C, 2, 1, "the end of inode 6 ends behind" },
	{ "listing behind the table", INODES, DIR_D + 24, 2, 25, "'d': its listing of 22 bytes" },
	{ "listing of 64 KiB", INODES, DIR_D + 24, 2, UINT16_MAX, "'d': its listing of 65532" },
	{ "listing nowhere", INODES, DIR_D + 16, 4, 1,
	  "'d': the table of directories has no place" },
	{ "listing cut in a name", INODES, DIR_D + 24, 2, 23, "within an entry with a name of 1" },
	{ "listing cut in an entry", INODES, DIR_D + 24, 2, 22, "within an entry" },
	{ "listing cut in a header", INODES, DIR_D + 24, 2, 14, "header of 0 entries" },
	{ "empty listing", INODES, DIR_D + 24, 2, 3, NULL },
	{ "shorter than empty", INODES, DIR_D + 24, 2, 0, NULL },
	{ "257 entries", DIRS, LIST_D, 4, 256, "'d': its listing has a header of 257 entries" },
	{ "4 Gi entries", DIRS, LIST_D, 4, UINT32_MAX, "header of 4294967296 entries" },
	{ "one entry too many", DIRS, LIST_D, 4, 1, "'d': its listing ends within an entry" },
	{ "inode in no block", DIRS, LIST_D + 4, 4, 5, "'d/x': the table of inodes has no place" },
	{ "inode behind the block", DIRS, LIST_D + 12, 2, 209,
	  "'d/x': the table of inodes has no" },
	{ "inode cut", DIRS, LIST_D + 12, 2, 200, "its inode ends behind the table" },
	{ "a loop to itself", DIRS, LIST_D + 12, 2, DIR_D, "'d/x': the directory is there twice" },
	{ "a loop to the root", DIRS, LIST_D + 12, 2, ROOT, "'d/x': the directory is there twice" },
	{ "a name of 64 KiB", DIRS, LIST_D + 18, 2, 65535, "with a name of 65536 bytes" },
	{ "the name of a dot", DIRS, LIST_D + 20, 1, '.', "'d/.': that is no name" },
	{ "a slash", DIRS, LIST_D + 20, 1, '/', "'d//': that is no name" },
	{ "a NUL", DIRS, LIST_D + 20, 1, 0, "that is no name" },
	{ "fragment in the superblock", FRAGMENTS, 0, 8, 95, "its block of 100 bytes at 95" },
	{ "fragment behind the end", FRAGMENTS, 0, 8, UINT64_MAX - 10, "is out of range" },
	{ "fragment too large", FRAGMENTS, 8, 4, BLOCK + 1, "its block of 4097 bytes" },
	{ "no fragment", FRAGMENTS, 8, 4, 0, "its block of 0 bytes" },
	{ "fragments in the data", FRAGMENTS, 16, 8, 96, "table of fragments has a block at 96" },
	{ "fragments at the end", FRAGMENTS, 16, 8, UINT64_MAX, "table of fragments has a block" },
	{ "a long name of an xattr", XATTRS, 2, 2, 65535, "an xattr ends behind the table" },
	{ "a long place", XATTRS, 5, 4, 9, "place of an xattr's value has 9 bytes" },
	{ "a place of 4 GiB", XATTRS, 5, 4, UINT32_MAX, "4294967295 bytes, ends behind" },
	{ "a place nowhere", XATTRS, 9, 8, 0x10000, "table of xattrs has no place" },
	{ "a value behind the table", XATTRS, 17, 4, 3, "3 bytes, ends behind" },
	{ "another name space", XATTRS, 0, 1, 2, NULL },
	{ "more xattrs than there are", XATTR_IDS, 8, 4, UINT32_MAX, "ends behind the table" },
	{ "xattrs nowhere", XATTR_IDS, 0, 8, UINT64_MAX, "table of xattrs has no place" },
	{ "xattrs behind their list", XATTR_LIST, 0, 8, UINT64_MAX, "the xattrs begin at" },
	{ "4 Gi sets of xattrs", XATTR_LIST, 8, 4, UINT32_MAX, "list of xattrs is listed" },
	{ "sets nowhere", XATTR_LIST, 16, 8, 0, "list of xattrs has a block at 0" },
};

static void test_lies_are_refused_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct image m = { 0 };
		hr_autobuf struct hr_buf index = { 0 };
		struct hr_err e = { 0 };
		uint8_t value[8];
		int r;

		make(&m);
		hr_le64_put(value, rows[i].value);
		memcpy(m.b.p + ((ptrdiff_t)m.at[rows[i].part] + rows[i].at), value, rows[i].bytes);
		r = index_it(&m, &index, &e);
		hr_buf_release(&m.b);
		if (r != (rows[i].text ? -1 : 0) || (rows[i].text && !strstr(e.text, rows[i].text)))
			fail_msg("%s: %d, '%s'", rows[i].what, r, e.text);
		if (r < 0)
			assert_int_equal(e.kind, HR_CORRUPT);
	}
}

static struct store_inode look(const struct store_index *ix, uint32_t dir, const char *name)
{
	struct store_inode inode;
	uint32_t ino;

	assert_true(store_index_inode(ix, dir, &inode));
	assert_int_equal(store_index_lookup(ix, &inode, name, strlen(name), &ino), 1);
	assert_true(store_index_inode(ix, ino, &inode));
	return inode;
}

static void test_what_is_there_is_found(void **state)
{
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	hr_autobuf struct hr_buf index = { 0 };
	struct store_string name, value;
	struct image m = { 0 };
	struct hr_err e = { 0 };
	struct store_inode i;
	struct store_piece piece;

	(void)state;
	make(&m);
	assert_int_equal(index_it(&m, &index, &e), 0);
	hr_buf_release(&m.b);
	assert_int_equal(store_index_parse(index.p, index.len, &ix, &e), 0);
	assert_int_equal(store_index_inodes(ix), 6);
	i = look(ix, 0, "c");
	assert_int_equal(i.mode, S_IFCHR | 0755);
	assert_int_equal(i.dev, 5u << 20 | 1);
	i = look(ix, 0, "f");
	assert_int_equal(i.nlink, 2); /* and d/x */
	assert_int_equal(i.size, BLOCK + 50);
	assert_int_equal(i.uid, 1234);
	assert_int_equal(i.mtime, 1000);
	assert_true(store_index_piece(ix, &i, BLOCK, &piece));
	assert_int_equal(piece.off, 0);
	i = look(ix, 0, "h");
	assert_true(store_index_piece(ix, &i, 0, &piece));
	assert_int_equal(piece.off, 50);
	assert_int_equal(i.n_xattrs, 1);
	assert_true(store_index_xattr(ix, &i, 0, &name, &value));
	assert_string_equal(name.p, "user.a");
	assert_int_equal(value.len, 2);
	assert_memory_equal(value.p, "vv", 2);
	i = look(ix, 0, "l");
	assert_true(store_index_target(ix, &i, &value));
	assert_string_equal(value.p, "f");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lies_are_refused_by_name),
		cmocka_unit_test(test_what_is_there_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
