/* SPDX-License-Identifier: BSD-3-Clause */
/* Image indexes that break a rule of hpcrun-store(5), and any other bytes: refused, or not read. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/index_format.h"
#include "tests/unit/index_sample.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

/* ---- hostile bytes: nothing may be read outside, whatever the answer ---- */

static void touch(struct store_index *ix, uint32_t n)
{
	struct store_inode i;
	struct store_string s, t;
	struct store_chunk c;
	volatile char sum = 0; /* volatile: the bytes must really be read */

	if (!store_index_inode(ix, n, &i))
		return;
	for (uint32_t k = 0; k < i.count && k < 64; k++) {
		struct store_entry entry;

		if (store_index_entry(ix, &i, k, &entry)) {
			assert_true(entry.ino < store_index_inodes(ix));
			sum ^= entry.name.p[entry.name.len];
		}
	}
	for (uint64_t off = 0; off < i.size && off < 4 << 20; off += 4099) {
		struct store_piece p;

		if (store_index_piece(ix, &i, off, &p) && p.chunk != STORE_HOLE) {
			assert_true(store_index_chunk(ix, p.chunk, &c));
			assert_true(p.len > 0 && p.off + p.len <= c.bytes);
		}
	}
	if (store_index_target(ix, &i, &s))
		sum ^= s.p[s.len];
	for (uint32_t k = 0; k < i.n_xattrs && k < 64; k++)
		if (store_index_xattr(ix, &i, k, &s, &t))
			sum ^= s.p[s.len] ^ t.p[t.len];
	if (store_index_lookup(ix, &i, "data", 4, &n) == 1)
		assert_true(n < store_index_inodes(ix));
	(void)sum;
}

/* The bytes are copied to a place of their exact size, where a sanitizer sees one byte too many. */
static bool try_bytes(const uint8_t *p, size_t n)
{
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	hr_autofree uint8_t *exact = malloc(n ? n : 1);
	struct hr_err e = { 0 };

	assert_non_null(exact);
	memcpy(exact, p, n);
	if (store_index_parse(exact, n, &ix, &e) < 0) {
		assert_int_equal(e.kind, HR_CORRUPT);
		assert_true(e.text[0] != '\0');
		return false;
	}
	for (uint32_t i = 0; i < 8; i++)
		touch(ix, i);
	return true;
}

static void test_other_sizes_are_refused(void **state)
{
	hr_autobuf struct hr_buf bytes = { 0 };

	(void)state;
	index_sample(&bytes);
	for (size_t n = 0; n < bytes.len; n++)
		assert_false(try_bytes(bytes.p, n));
	hr_buf_le(&bytes, 0, 1);
	assert_false(try_bytes(bytes.p, bytes.len));
}

static void test_header_fields_off_by_one_are_refused(void **state)
{
	static const struct {
		const char *what;
		size_t off, bytes;
	} rows[] = {
		{ "inodes", INDEX_H_INODES, 4 },   { "entries", INDEX_H_ENTRIES, 4 },
		{ "extents", INDEX_H_EXTENTS, 4 }, { "chunks", INDEX_H_CHUNKS, 4 },
		{ "xattrs", INDEX_H_XATTRS, 4 },   { "config", INDEX_H_CONFIG_BYTES, 4 },
		{ "heap", INDEX_H_HEAP_BYTES, 8 }, { "zero", INDEX_H_ZERO, 8 },
		{ "zero", INDEX_H_ZERO + 8, 8 },
	};
	static const int64_t deltas[] = { -8, -1, 1, 8, INT64_MAX };
	hr_autobuf struct hr_buf bytes = { 0 };

	(void)state;
	index_sample(&bytes);
	for (size_t r = 0; r < HR_COUNT(rows); r++) {
		uint8_t saved[8];

		memcpy(saved, bytes.p + rows[r].off, 8);
		for (size_t d = 0; d < HR_COUNT(deltas); d++) {
			uint64_t v = hr_le64(saved) + (uint64_t)deltas[d];

			hr_le64_put(bytes.p + rows[r].off, v);
			if (rows[r].bytes == 4)
				memcpy(bytes.p + rows[r].off + 4, saved + 4, 4);
			if (try_bytes(bytes.p, bytes.len))
				fail_msg("%s %+lld was taken", rows[r].what, (long long)deltas[d]);
		}
		memcpy(bytes.p + rows[r].off, saved, 8);
	}
}

static void test_flipped_bytes_never_crash(void **state)
{
	static const uint8_t masks[] = { 0x01, 0x80, 0xff };
	hr_autobuf struct hr_buf bytes = { 0 };

	(void)state;
	index_sample(&bytes);
	for (size_t i = 0; i < bytes.len; i++) {
		for (size_t m = 0; m < HR_COUNT(masks); m++) {
			bytes.p[i] ^= masks[m];
			(void)try_bytes(bytes.p, bytes.len);
			bytes.p[i] ^= masks[m];
		}
	}
	assert_true(try_bytes(bytes.p, bytes.len));
}

/* ---- each rule of what an index may hold ---- */

/* Where the sections of the image of index_sample() stand. */
enum {
	INODES_AT = INDEX_HEADER_BYTES,
	ENTRIES_AT = INODES_AT + 7 * INDEX_INODE_BYTES,
	EXTENTS_AT = ENTRIES_AT + 7 * INDEX_ENTRY_BYTES,
	CHUNKS_AT = EXTENTS_AT + 4 * INDEX_EXTENT_BYTES,
	XATTRS_AT = CHUNKS_AT + 3 * INDEX_CHUNK_BYTES,
};

static void test_headers_that_cannot_be_are_refused_by_name(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		uint32_t value;
		const char *message;
	} rows[] = {
		{ "magic", 4, 0, "this is not an image index" },
		{ "no inode", INDEX_H_INODES, 0, "holds no inode" },
		{ "too many chunks", INDEX_H_CHUNKS, STORE_CHUNKS_MAX + 1,
		  "counts 4294967281 chunks" },
		{ "odd heap", INDEX_H_HEAP_BYTES, 4, "a heap of 4 bytes" },
		{ "heap of 4 GiB", INDEX_H_HEAP_BYTES + 4, 1, "a heap of 4" },
		{ "size that wraps", INDEX_H_FILE_BYTES + 4, 0x80000000, "bytes of files" },
		{ "reserved", INDEX_HEADER_BYTES - 4, 1, "reserved header bytes" },
		{ "an entry more", INDEX_H_ENTRIES, 8, "its header says" },
	};

	(void)state;
	for (size_t r = 0; r < HR_COUNT(rows); r++) {
		HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
		hr_autobuf struct hr_buf bytes = { 0 };
		struct hr_err e = { 0 };

		index_sample(&bytes);
		hr_le32_put(bytes.p + rows[r].at, rows[r].value);
		if (store_index_parse(bytes.p, bytes.len, &ix, &e) == 0 ||
		    !strstr(e.text, rows[r].message))
			fail_msg("row '%s': '%s'", rows[r].what, e.text);
	}
}

static bool read_inode_0(const struct store_index *ix)
{
	return store_index_inode(ix, 0, &(struct store_inode) { 0 });
}

static bool read_inode_1(const struct store_index *ix)
{
	return store_index_inode(ix, 1, &(struct store_inode) { 0 });
}

static bool read_inode_2(const struct store_index *ix)
{
	return store_index_inode(ix, 2, &(struct store_inode) { 0 });
}

static bool read_entry(const struct store_index *ix)
{
	struct store_inode root;

	return store_index_inode(ix, 0, &root) &&
	       store_index_entry(ix, &root, 0, &(struct store_entry) { 0 });
}

/* In the second MiB of /data, the hole. */
static bool read_hole(const struct store_index *ix)
{
	struct store_inode data;

	return store_index_inode(ix, 2, &data) &&
	       store_index_piece(ix, &data, 1 << 20, &(struct store_piece) { 0 });
}

static bool read_env(const struct store_index *ix)
{
	struct store_inode env;

	return store_index_inode(ix, 6, &env) &&
	       store_index_piece(ix, &env, 0, &(struct store_piece) { 0 });
}

static bool read_chunk(const struct store_index *ix)
{
	return store_index_chunk(ix, 0, &(struct store_chunk) { 0 });
}

static bool read_xattr(const struct store_index *ix)
{
	struct store_string name, value;
	struct store_inode data;

	return store_index_inode(ix, 2, &data) && store_index_xattr(ix, &data, 0, &name, &value);
}

static bool read_target(const struct store_index *ix)
{
	struct store_string target;
	struct store_inode link;

	return store_index_inode(ix, 1, &link) && store_index_target(ix, &link, &target);
}

#define INODE(n) (INODES_AT + (n)*INDEX_INODE_BYTES)

static const struct {
	const char *what;
	bool (*read)(const struct store_index *ix);
	size_t at;
	uint32_t value;
} rules[] = {
	{ "size that wraps", read_inode_2, INODE(2) + INODE_SIZE + 4, 0x80000000 },
	{ "nanoseconds", read_inode_2, INODE(2) + INODE_MTIME_NS, 1000000000 },
	{ "parent", read_inode_2, INODE(2) + INODE_PARENT, 7 },
	{ "attributes past their table", read_inode_2, INODE(2) + INODE_FIRST_XATTR, 1 },
	{ "attributes that wrap", read_inode_2, INODE(2) + INODE_FIRST_XATTR, UINT32_MAX },
	{ "reserved field of an inode", read_inode_2, INODE(2) + INODE_ZERO, 1 },
	{ "extents past their table", read_inode_2, INODE(2) + INODE_COUNT, 5 },
	{ "extents that wrap", read_inode_2, INODE(2) + INODE_FIRST, UINT32_MAX },
	{ "type", read_inode_2, INODE(2) + INODE_MODE, 0644 },
	{ "bits above the type", read_inode_2, INODE(2) + INODE_MODE, 0x10000 | S_IFREG },
	{ "entries past their table", read_inode_0, INODE(0) + INODE_COUNT, 8 },
	{ "entries that wrap", read_inode_0, INODE(0) + INODE_FIRST, UINT32_MAX },
	{ "symlink with a count", read_inode_1, INODE(1) + INODE_COUNT, 1 },
	{ "inode of an entry", read_entry, ENTRIES_AT + ENTRY_INODE, 7 },
	{ "name of an entry", read_entry, ENTRIES_AT + ENTRY_NAME, UINT32_MAX },
	{ "first extent behind the beginning", read_hole, EXTENTS_AT + EXTENT_FILE_OFF, 1 },
	{ "extent behind the end", read_hole, EXTENTS_AT + 2 * INDEX_EXTENT_BYTES + EXTENT_FILE_OFF,
	  (3 << 20) + 1 },
	{ "chunk of an extent", read_env, EXTENTS_AT + 3 * INDEX_EXTENT_BYTES + EXTENT_CHUNK, 3 },
	{ "extent past its chunk", read_env, EXTENTS_AT + 3 * INDEX_EXTENT_BYTES + EXTENT_CHUNK_OFF,
	  51 },
	{ "extent that wraps", read_env, EXTENTS_AT + 3 * INDEX_EXTENT_BYTES + EXTENT_CHUNK_OFF,
	  UINT32_MAX - 50 },
	{ "larger than any chunk", read_env, INODE(6) + INODE_SIZE, STORE_CHUNK_MAX + 1 },
	{ "empty chunk", read_chunk, CHUNKS_AT + CHUNK_SIZE, 0 },
	{ "chunk too large", read_chunk, CHUNKS_AT + CHUNK_SIZE, STORE_CHUNK_MAX + 1 },
	{ "reserved field of a chunk", read_chunk, CHUNKS_AT + CHUNK_ZERO, 1 },
	{ "reserved field of an attribute", read_xattr, XATTRS_AT + XATTR_ZERO, 1 },
	{ "name of an attribute", read_xattr, XATTRS_AT + XATTR_NAME, UINT32_MAX },
	{ "value of an attribute", read_xattr, XATTRS_AT + XATTR_VALUE, UINT32_MAX },
	{ "length of a target", read_target, INODE(1) + INODE_SIZE, 6 },
	{ "target", read_target, INODE(1) + INODE_FIRST, UINT32_MAX },
};

static void test_rows_that_break_a_rule_are_not_read(void **state)
{
	(void)state;
	for (size_t r = 0; r < HR_COUNT(rules); r++) {
		HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
		hr_autobuf struct hr_buf bytes = { 0 };

		index_sample(&bytes);
		ix = index_sample_parse(&bytes);
		if (!rules[r].read(ix))
			fail_msg("row '%s' is not read as it should be", rules[r].what);
		hr_le32_put(bytes.p + rules[r].at, rules[r].value);
		if (rules[r].read(ix))
			fail_msg("row '%s' is read", rules[r].what);
	}
}

/* An image with one entry, one symlink and one attribute of these N bytes. */
static void build_with(const char *s, size_t n, struct hr_buf *out)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	uint32_t entry = store_index_builder_entry(b, s, n, 1);
	uint32_t target = store_index_builder_string(b, s, n);
	uint32_t x = store_index_builder_xattr(b, s, n, "", 0);

	store_index_builder_xattr(b, "user.a", 6, s, n);
	store_index_builder_inode(b, &(struct store_inode) { .mode = S_IFDIR | 0755,
							     .nlink = 2,
							     .first = entry,
							     .count = 1,
							     .first_xattr = x,
							     .n_xattrs = 2 });
	store_index_builder_inode(
		b, &(struct store_inode) {
			   .mode = S_IFLNK | 0777, .nlink = 1, .size = n, .first = target });
	index_sample_finish(b, out);
}

static void test_strings(void **state)
{
	static const struct {
		const char *s;
		size_t n;
		bool name, target, attribute, value;
	} rows[] = {
		{ "x", 1, true, true, true, true },
		{ ".", 1, false, true, true, true },
		{ "..", 2, false, true, true, true },
		{ ".x", 2, true, true, true, true },
		{ "...", 3, true, true, true, true },
		{ "", 0, false, false, false, true },
		{ "a/b", 3, false, true, true, true },
		{ "a\0b", 3, false, false, false, true },
		{ NULL, STORE_NAME_MAX, true, true, true, true },
		{ NULL, STORE_NAME_MAX + 1, false, true, false, true },
		{ NULL, STORE_PATH_MAX, false, true, false, true },
		{ NULL, STORE_PATH_MAX + 1, false, false, false, true },
		{ NULL, STORE_XATTR_MAX, false, false, false, true },
		{ NULL, STORE_XATTR_MAX + 1, false, false, false, false },
	};
	hr_autofree char *many = malloc(STORE_XATTR_MAX + 1);

	(void)state;
	assert_non_null(many);
	memset(many, 'x', STORE_XATTR_MAX + 1);
	for (size_t r = 0; r < HR_COUNT(rows); r++) {
		HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
		hr_autobuf struct hr_buf bytes = { 0 };
		struct store_string name, value;
		struct store_inode root, link;

		build_with(rows[r].s ? rows[r].s : many, rows[r].n, &bytes);
		ix = index_sample_parse(&bytes);
		assert_true(store_index_inode(ix, 0, &root) && store_index_inode(ix, 1, &link));
		if (store_index_entry(ix, &root, 0, &(struct store_entry) { 0 }) != rows[r].name ||
		    store_index_target(ix, &link, &value) != rows[r].target ||
		    store_index_xattr(ix, &root, 0, &name, &value) != rows[r].attribute ||
		    store_index_xattr(ix, &root, 1, &name, &value) != rows[r].value)
			fail_msg("a string of %zu bytes, row %zu", rows[r].n, r);
	}
}

/* Inodes as no index has them: nothing of another table is taken for theirs. */
static void test_inodes_that_are_not_of_the_index_have_nothing(void **state)
{
	hr_autobuf struct hr_buf bytes = { 0 };
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	struct store_inode file, root, other;
	struct store_string name, value;
	struct store_piece piece;
	struct store_entry entry;

	(void)state;
	index_sample(&bytes);
	ix = index_sample_parse(&bytes);
	assert_true(store_index_inode(ix, 2, &file));
	assert_true(store_index_inode(ix, 0, &root));
	assert_false(store_index_entry(ix, &file, 0, &entry));
	assert_false(store_index_xattr(ix, &root, 0, &name, &value));
	other = root;
	other.first = 7;
	assert_false(store_index_entry(ix, &other, 0, &entry));
	other = file;
	other.first_xattr = 2;
	assert_false(store_index_xattr(ix, &other, 0, &name, &value));
	other = file;
	other.mode = root.mode;
	assert_false(store_index_piece(ix, &other, 0, &piece));
	other = file;
	other.count = 0;
	assert_false(store_index_piece(ix, &other, 0, &piece));
	other.count = 5;
	assert_false(store_index_piece(ix, &other, 0, &piece));
	/* a target is a symlink's alone */
	assert_true(store_index_inode(ix, 1, &other) && store_index_target(ix, &other, &value));
	other.mode = file.mode;
	assert_false(store_index_target(ix, &other, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_sizes_are_refused),
		cmocka_unit_test(test_header_fields_off_by_one_are_refused),
		cmocka_unit_test(test_flipped_bytes_never_crash),
		cmocka_unit_test(test_headers_that_cannot_be_are_refused_by_name),
		cmocka_unit_test(test_rows_that_break_a_rule_are_not_read),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_inodes_that_are_not_of_the_index_have_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
