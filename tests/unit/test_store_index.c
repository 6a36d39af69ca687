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
#include "store/index_format.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define CONFIG "{\"os\":\"linux\"}"

static const struct fetch_digest manifest = { { 1, 2, 3 } }, config = { { 9, 8, 7 } };

/*
 * The image used below:
 *   0 /            4 entries
 *   1 /bin -> usr/bin
 *   2 /data        3 MiB: 1 MiB of chunk 0, 1 MiB of hole, 1 MiB of chunk 1; two xattrs
 *   3 /empty       no extents
 *   4 /usr         1 entry
 *   5 /usr/bin     2 entries: env (6) and data (2, a hardlink)
 *   6 /usr/bin/env 100 bytes in chunk 2 at 50
 */
static void add_files(struct store_index_builder *b)
{
	uint32_t c0 = store_index_builder_chunk(b, &(struct fetch_digest) { { 0xaa } }, 1, 1 << 20);
	uint32_t c1 = store_index_builder_chunk(b, &(struct fetch_digest) { { 0xbb } }, 2, 1 << 20);
	uint32_t x, x0;

	x = store_index_builder_extent(b, 0, c0, 0);
	store_index_builder_extent(b, 1 << 20, STORE_HOLE, 0);
	store_index_builder_extent(b, 2 << 20, c1, 0);
	x0 = store_index_builder_xattr(b, "user.a", 6, "one", 3);
	store_index_builder_xattr(b, "user.b", 6, "", 0);
	store_index_builder_inode(b, &(struct store_inode) { .mode = S_IFREG | 04755,
							     .nlink = 2,
							     .size = 3 << 20,
							     .mtime = -5,
							     .mtime_ns = 999999999,
							     .uid = 10,
							     .gid = 20,
							     .first = x,
							     .count = 3,
							     .first_xattr = x0,
							     .n_xattrs = 2 });
	store_index_builder_inode(
		b, &(struct store_inode) { .mode = S_IFREG | 0600, .nlink = 1, .first = 77 });
}

static void add_usr(struct store_index_builder *b)
{
	uint32_t c0 = store_index_builder_chunk(b, &(struct fetch_digest) { { 0xaa } }, 1, 1 << 20);
	uint32_t c2 = store_index_builder_chunk(b, &(struct fetch_digest) { { 0xcc } }, 3, 150);
	uint32_t first, x;

	assert_int_equal(c0, 0);
	assert_int_equal(c2, 2);
	first = store_index_builder_entry(b, "bin", 3, 5);
	store_index_builder_inode(
		b, &(struct store_inode) {
			   .mode = S_IFDIR | 0755, .nlink = 3, .first = first, .count = 1 });
	first = store_index_builder_entry(b, "data", 4, 2);
	store_index_builder_entry(b, "env", 3, 6);
	store_index_builder_inode(b, &(struct store_inode) { .mode = S_IFDIR | 0755,
							     .nlink = 2,
							     .first = first,
							     .count = 2,
							     .parent = 4 });
	x = store_index_builder_extent(b, 0, c2, 50);
	store_index_builder_inode(
		b,
		&(struct store_inode) {
			.mode = S_IFREG | 0755, .nlink = 1, .size = 100, .first = x, .count = 1 });
}

static void build(struct hr_buf *out)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	uint32_t first = store_index_builder_entry(b, "bin", 3, 1);
	struct hr_err e = { 0 };

	store_index_builder_entry(b, "data", 4, 2);
	store_index_builder_entry(b, "empty", 5, 3);
	store_index_builder_entry(b, "usr", 3, 4);
	store_index_builder_inode(
		b, &(struct store_inode) {
			   .mode = S_IFDIR | 0755, .nlink = 3, .first = first, .count = 4 });
	store_index_builder_inode(b, &(struct store_inode) {
					     .mode = S_IFLNK | 0777,
					     .nlink = 1,
					     .size = 7,
					     .first = store_index_builder_string(b, "usr/bin", 7),
				     });
	add_files(b);
	add_usr(b);
	assert_int_equal(store_index_builder_chunks(b), 3);
	assert_int_equal(store_index_builder_finish(b, &manifest, &config, CONFIG,
						    sizeof(CONFIG) - 1, out, &e),
			 0);
}

static struct store_index *parse(const struct hr_buf *b)
{
	struct store_index *ix = NULL;
	struct hr_err e = { 0 };

	if (store_index_parse(b->p, b->len, &ix, &e) < 0)
		fail_msg("%s", e.text);
	return ix;
}

static void test_roundtrip(void **state)
{
	hr_autobuf struct hr_buf bytes = { 0 };
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	struct fetch_digest d;
	struct store_inode i;
	struct store_chunk c;
	size_t len;

	(void)state;
	build(&bytes);
	ix = parse(&bytes);
	assert_int_equal(store_index_inodes(ix), 7);
	assert_int_equal(store_index_chunks(ix), 3);
	assert_int_equal(store_index_file_bytes(ix), (3 << 20) + 100);
	store_index_manifest(ix, &d);
	assert_memory_equal(&d, &manifest, sizeof(d));
	store_index_config_digest(ix, &d);
	assert_memory_equal(&d, &config, sizeof(d));
	assert_memory_equal(store_index_config(ix, &len), CONFIG, sizeof(CONFIG) - 1);
	assert_int_equal(len, sizeof(CONFIG) - 1);
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
	build(&a);
	build(&b);
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
	build(&bytes);
	ix = parse(&bytes);
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

static void add_link(struct store_index_builder *b, const char *target)
{
	size_t n = strlen(target);

	store_index_builder_inode(b, &(struct store_inode) {
					     .mode = S_IFLNK | 0777,
					     .nlink = 1,
					     .size = n,
					     .first = store_index_builder_string(b, target, n),
				     });
}

/* /above -> ../../data, /absolute -> /usr//bin, /loop -> ./loop, beside those of build(). */
static void build_links(struct hr_buf *out)
{
	static const char *const names[] = { "above", "absolute", "bin", "data", "loop", "usr" };
	static const uint32_t inodes[] = { 7, 8, 1, 2, 9, 4 };
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	struct hr_err e = { 0 };
	uint32_t first = 0;

	for (size_t i = 0; i < HR_COUNT(names); i++) {
		uint32_t at = store_index_builder_entry(b, names[i], strlen(names[i]), inodes[i]);

		first = i == 0 ? at : first;
	}
	store_index_builder_inode(b, &(struct store_inode) { .mode = S_IFDIR | 0755,
							     .nlink = 3,
							     .first = first,
							     .count = HR_COUNT(names) });
	add_link(b, "usr/bin");
	add_files(b);
	add_usr(b);
	add_link(b, "../../data");
	add_link(b, "/usr//bin");
	add_link(b, "./loop");
	if (store_index_builder_finish(b, &manifest, &config, CONFIG, sizeof(CONFIG) - 1, out, &e) <
	    0)
		fail_msg("%s", e.text);
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
		{ "loop/env", UINT64_MAX },
	};
	hr_autobuf struct hr_buf bytes = { 0 };
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;

	(void)state;
	build_links(&bytes);
	ix = parse(&bytes);
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
	build(&bytes);
	ix = parse(&bytes);
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
	build(&bytes);
	ix = parse(&bytes);
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
	build(&bytes);
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
	assert_int_equal(store_index_builder_finish(b, &manifest, &config, "", 0, &out, &e), -1);
	assert_int_equal(e.kind, HR_CORRUPT);
	hr_err_clear(&e);
	for (int i = 0; i < 2; i++)
		store_index_builder_inode(
			b, &(struct store_inode) { .mode = S_IFREG, .size = INT64_MAX });
	assert_int_equal(store_index_builder_finish(b, &manifest, &config, "", 0, &out, &e), -1);
	assert_int_equal(out.len, 0);
}

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
	build(&bytes);
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
	build(&bytes);
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
	build(&bytes);
	for (size_t i = 0; i < bytes.len; i++) {
		for (size_t m = 0; m < HR_COUNT(masks); m++) {
			bytes.p[i] ^= masks[m];
			(void)try_bytes(bytes.p, bytes.len);
			bytes.p[i] ^= masks[m];
		}
	}
	assert_true(try_bytes(bytes.p, bytes.len));
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
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_targets_and_xattrs),
		cmocka_unit_test(test_open_maps_a_file),
		cmocka_unit_test(test_builder_refuses_what_does_not_fit),
		cmocka_unit_test(test_other_sizes_are_refused),
		cmocka_unit_test(test_header_fields_off_by_one_are_refused),
		cmocka_unit_test(test_flipped_bytes_never_crash),
		cmocka_unit_test(test_heap_holds_each_string_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
