/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/index.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/heap.h"
#include "tests/unit/index_sample.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

static void test_roundtrip(void **state)
{
	hr_autobuf struct hr_buf bytes = { 0 };
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	struct fetch_digest d;
	struct store_inode i;
	struct store_chunk c;
	size_t len;

	(void)state;
	index_sample(&bytes);
	ix = index_sample_parse(&bytes);
	assert_int_equal(store_index_inodes(ix), 7);
	assert_int_equal(store_index_chunks(ix), 3);
	assert_int_equal(store_index_file_bytes(ix), (3 << 20) + 100);
	store_index_manifest(ix, &d);
	assert_memory_equal(&d, &index_sample_manifest, sizeof(d));
	store_index_config_digest(ix, &d);
	assert_memory_equal(&d, &index_sample_config, sizeof(d));
	assert_memory_equal(store_index_config(ix, &len), INDEX_SAMPLE_CONFIG,
			    sizeof(INDEX_SAMPLE_CONFIG) - 1);
	assert_int_equal(len, sizeof(INDEX_SAMPLE_CONFIG) - 1);
	assert_true(store_index_inode(ix, 2, &i));
	assert_int_equal(i.mode, S_IFREG | 04755);
	assert_int_equal(i.mtime, -5);
	assert_int_equal(i.mtime_ns, 999999999);
	assert_int_equal(i.uid, 10);
	assert_int_equal(i.gid, 20);
	assert_true(store_index_inode(ix, 3, &i));
	assert_int_equal(i.first, 0);
	assert_false(store_index_inode(ix, 7, &i));
	assert_true(store_index_chunk(ix, 2, &c));
	assert_int_equal(c.bytes, 150);
	assert_int_equal(c.crc, 3);
	assert_int_equal(c.digest.b[0], 0xcc);
	assert_false(store_index_chunk(ix, 3, &c));
}

static void test_same_input_gives_the_same_bytes(void **state)
{
	hr_autobuf struct hr_buf a = { 0 }, b = { 0 };

	(void)state;
	index_sample(&a);
	index_sample(&b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.p, b.p, a.len);
}

static void test_lookup(void **state)
{
	static const struct {
		uint32_t dir;
		const char *name;
		int found;
		uint32_t ino;
	} rows[] = {
		{ 0, "bin", 1, 1 },  { 0, "data", 1, 2 }, { 0, "empty", 1, 3 }, { 0, "usr", 1, 4 },
		{ 0, "", 0, 0 },     { 0, "bi", 0, 0 },	  { 0, "binn", 0, 0 },	{ 0, "zzz", 0, 0 },
		{ 0, "Data", 0, 0 }, { 5, "data", 1, 2 }, { 5, "env", 1, 6 },	{ 4, "bin", 1, 5 },
	};
	hr_autobuf struct hr_buf bytes = { 0 };
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;

	(void)state;
	index_sample(&bytes);
	ix = index_sample_parse(&bytes);
	for (size_t r = 0; r < HR_COUNT(rows); r++) {
		struct store_inode dir;
		uint32_t ino = 0;

		assert_true(store_index_inode(ix, rows[r].dir, &dir));
		assert_int_equal(
			store_index_lookup(ix, &dir, rows[r].name, strlen(rows[r].name), &ino),
			rows[r].found);
		assert_int_equal(ino, rows[r].ino);
	}
}

/* /f of 5 bytes; /bin with the directory sh and the link l -> /f; /usr/bin with sh, 7 bytes. */
static void build_programs(struct hr_buf *out)
{
	static const struct {
		const char *name;
		uint32_t ino;
	} entries[] = { { "bin", 1 }, { "f", 2 },  { "usr", 3 }, /* of the root */
			{ "l", 4 },   { "sh", 5 },		 /* of /bin */
			{ "bin", 6 },				 /* of /usr */
			{ "sh", 7 } };				 /* of /usr/bin */
	static const struct {
		mode_t mode;
		uint32_t first, count;
		uint64_t size;
	} inodes[] = { { S_IFDIR, 0, 3, 0 }, { S_IFDIR, 3, 2, 0 }, { S_IFREG, 0, 0, 5 },
		       { S_IFDIR, 5, 1, 0 }, { S_IFLNK, 0, 0, 2 }, { S_IFDIR, 0, 0, 0 },
		       { S_IFDIR, 6, 1, 0 }, { S_IFREG, 0, 0, 7 } };
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();

	for (size_t i = 0; i < HR_COUNT(entries); i++)
		store_index_builder_entry(b, entries[i].name, strlen(entries[i].name),
					  entries[i].ino);
	for (size_t i = 0; i < HR_COUNT(inodes); i++) {
		struct store_inode inode = { .mode = inodes[i].mode | 0755,
					     .nlink = 1,
					     .first = inodes[i].first,
					     .count = inodes[i].count,
					     .size = inodes[i].size };

		if (S_ISLNK(inode.mode))
			inode.first = store_index_builder_string(b, "/f", 2);
		store_index_builder_inode(b, &inode);
	}
	index_sample_finish(b, out);
}

static void test_find_from_below(void **state)
{
	hr_autobuf struct hr_buf bytes = { 0 };
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	struct store_inode i;
	uint32_t ino;

	(void)state;
	build_programs(&bytes);
	ix = index_sample_parse(&bytes);
	/* a name of one byte is no dot, an absolute link begins at the root */
	assert_true(store_index_find(ix, "bin/l", &i));
	assert_int_equal(i.size, 5);
	assert_true(store_index_find_in(ix, 1, "l", &ino, &i));
	assert_int_equal(ino, 2);
	assert_false(store_index_find(ix, "x", &i));
	assert_false(store_index_find(ix, "xy", &i));
	/* not a directory of that name, though it comes first */
	assert_true(store_index_find_program(ix, "sh", &ino, &i));
	assert_int_equal(ino, 7);
	assert_false(store_index_find_program(ix, "f", &ino, &i));
}

static void test_find(void **state)
{
	static const struct {
		const char *path;
		uint64_t size; /* of what is found; UINT64_MAX: nothing is */
	} rows[] = {
		{ "data", 3 << 20 },
		{ "//data/", 3 << 20 },
		{ "bin/env", 100 },
		{ "bin//./env", 100 },
		{ "bin/../bin/env", 100 }, /* of /usr, where the link has led */
		{ "absolute/env", 100 },
		{ "usr/bin/../../../bin/env", 100 },
		{ "above", 3 << 20 },
		{ "absolute/../../above", 3 << 20 },
		{ "", 0 },
		{ "usr", 0 },
		{ "bin", 0 },
		{ "..", 0 },
		{ "nothing", UINT64_MAX },
		{ "bin/nothing", UINT64_MAX },
		{ "data/env", UINT64_MAX },
		{ "data/..", UINT64_MAX },
		{ "above/.", UINT64_MAX },
		{ "loop", UINT64_MAX },
		{ "x", UINT64_MAX },
		{ "loop/env", UINT64_MAX },
	};
	hr_autobuf struct hr_buf bytes = { 0 };
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;

	(void)state;
	index_sample_links(&bytes);
	ix = index_sample_parse(&bytes);
	for (size_t r = 0; r < HR_COUNT(rows); r++) {
		struct store_inode i;
		bool found = store_index_find(ix, rows[r].path, &i);

		if (found != (rows[r].size != UINT64_MAX))
			fail_msg("'%s' is %sfound", rows[r].path, found ? "" : "not ");
		if (found && i.size != rows[r].size)
			fail_msg("'%s' has %" PRIu64 " bytes", rows[r].path, i.size);
	}
}

static void test_pieces(void **state)
{
	static const struct {
		uint32_t ino;
		uint64_t off;
		bool ok;
		struct store_piece piece;
	} rows[] = {
		{ 2, 0, true, { 1 << 20, 0, 0 } },
		{ 2, 5, true, { (1 << 20) - 5, 0, 5 } },
		{ 2, (1 << 20) - 1, true, { 1, 0, (1 << 20) - 1 } },
		{ 2, 1 << 20, true, { 1 << 20, STORE_HOLE, 0 } },
		{ 2, (2 << 20) - 1, true, { 1, STORE_HOLE, 0 } },
		{ 2, 2 << 20, true, { 1 << 20, 1, 0 } },
		{ 2, (3 << 20) - 1, true, { 1, 1, (1 << 20) - 1 } },
		{ 2, 3 << 20, false, { 0, 0, 0 } },
		{ 2, UINT64_MAX, false, { 0, 0, 0 } },
		{ 3, 0, false, { 0, 0, 0 } },
		{ 6, 0, true, { 100, 2, 50 } },
		{ 6, 99, true, { 1, 2, 149 } },
		{ 6, 100, false, { 0, 0, 0 } },
		{ 0, 0, false, { 0, 0, 0 } },
	};
	hr_autobuf struct hr_buf bytes = { 0 };
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;

	(void)state;
	index_sample(&bytes);
	ix = index_sample_parse(&bytes);
	for (size_t r = 0; r < HR_COUNT(rows); r++) {
		struct store_inode i;
		struct store_piece p;

		assert_true(store_index_inode(ix, rows[r].ino, &i));
		assert_int_equal(store_index_piece(ix, &i, rows[r].off, &p), rows[r].ok);
		if (!rows[r].ok)
			continue;
		assert_int_equal(p.len, rows[r].piece.len);
		assert_int_equal(p.chunk, rows[r].piece.chunk);
		assert_int_equal(p.off, rows[r].piece.off);
	}
}

static void test_targets_and_xattrs(void **state)
{
	hr_autobuf struct hr_buf bytes = { 0 };
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	struct store_string name, value;
	struct store_inode i;

	(void)state;
	index_sample(&bytes);
	ix = index_sample_parse(&bytes);
	assert_true(store_index_inode(ix, 1, &i));
	assert_true(store_index_target(ix, &i, &value));
	assert_string_equal(value.p, "usr/bin");
	assert_true(store_index_inode(ix, 2, &i));
	assert_false(store_index_target(ix, &i, &value));
	assert_true(store_index_xattr(ix, &i, 0, &name, &value));
	assert_string_equal(name.p, "user.a");
	assert_string_equal(value.p, "one");
	assert_true(store_index_xattr(ix, &i, 1, &name, &value));
	assert_int_equal(value.len, 0);
	assert_false(store_index_xattr(ix, &i, 2, &name, &value));
}

static void test_open_maps_a_file(void **state)
{
	hr_autobuf struct hr_buf bytes = { 0 };
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	hr_autofd int fd = memfd_create("index", MFD_CLOEXEC);
	struct hr_err e = { 0 };

	(void)state;
	index_sample(&bytes);
	assert_int_equal(write(fd, bytes.p, bytes.len), bytes.len);
	assert_int_equal(store_index_open(fd, &ix, &e), 0);
	assert_int_equal(store_index_inodes(ix), 7);
	assert_int_equal(ftruncate(fd, 127), 0);
	store_index_free(hr_steal(&ix));
	assert_int_equal(store_index_open(fd, &ix, &e), -1);
	assert_int_equal(e.kind, HR_CORRUPT);
}

static void test_builder_refuses_what_does_not_fit(void **state)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	hr_autobuf struct hr_buf out = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(store_index_builder_finish(b, &index_sample_manifest, &index_sample_config,
						    "", 0, &out, &e),
			 -1);
	assert_int_equal(e.kind, HR_CORRUPT);
	hr_err_clear(&e);
	for (int i = 0; i < 2; i++)
		store_index_builder_inode(
			b, &(struct store_inode) { .mode = S_IFREG, .size = INT64_MAX });
	assert_int_equal(store_index_builder_finish(b, &index_sample_manifest, &index_sample_config,
						    "", 0, &out, &e),
			 -1);
	assert_int_equal(out.len, 0);
}

static void test_heap_holds_each_string_once(void **state)
{
	HR_CLEANUP(store_heap_freep) struct store_heap *h = store_heap_new();
	hr_autobuf struct hr_buf out = { 0 };
	uint32_t offs[300];
	struct store_string s;
	char name[16];

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 300; i++) {
			int n = snprintf(name, sizeof(name), "name %d", i);
			uint32_t off = store_heap_add(h, name, (size_t)n);

			if (round == 0)
				offs[i] = off;
			assert_int_equal(off, offs[i]);
		}
	}
	store_heap_write(h, &out);
	assert_int_equal(out.len, store_heap_bytes(h));
	assert_int_equal(out.len % 8, 0);
	assert_true(store_heap_get(out.p, out.len, offs[299], &s));
	assert_string_equal(s.p, "name 299");
	assert_false(store_heap_get(out.p, out.len, (uint32_t)out.len - 4, &s));
	assert_false(store_heap_get(out.p, out.len, UINT32_MAX, &s));
	assert_false(store_heap_get(out.p, 0, 0, &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roundtrip),
		cmocka_unit_test(test_same_input_gives_the_same_bytes),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_find_from_below),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_targets_and_xattrs),
		cmocka_unit_test(test_open_maps_a_file),
		cmocka_unit_test(test_builder_refuses_what_does_not_fit),
		cmocka_unit_test(test_heap_holds_each_string_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
