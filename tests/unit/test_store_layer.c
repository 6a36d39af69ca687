/* SPDX-License-Identifier: BSD-3-Clause */
/* store: layer indexes: built and parsed again; every changed byte is refused or harmless. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/layer.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

static struct store_string str(const char *s)
{
	return (struct store_string) { s, (uint32_t)strlen(s) };
}

static void add(struct store_layer_builder *b, enum store_entry_kind kind, const char *path,
		uint32_t mode, uint64_t size, const char *target)
{
	struct store_layer_entry n = { .kind = kind,
				       .attr = { .mode = mode, .size = size, .mtime = -1 },
				       .path = str(path) };
	struct hr_err e = { 0 };

	if (kind != STORE_ENTRY_NODE)
		n.attr.mtime = 0;
	if (target)
		n.target = str(target);
	assert_int_equal(store_layer_build_entry(b, &n, &e), 0);
}

/* A directory, a file in two chunks and a hole, a small file, a symlink, a hardlink, a whiteout. */
static void build(struct hr_buf *out, uint32_t *order_first)
{
	/* ticket 0: the big file's, cut first; ticket 1: the group's; ticket 2: equal to ticket 0
	 */
	static const uint32_t chunk_of[] = { 0, 1, 0 };
	struct store_chunk chunks[2] = { { { { 1 } }, 11, STORE_CHUNK_MAX },
					 { { { 2 } }, 22, 300 } };
	struct store_layer_builder b = { 0 };
	struct fetch_digest diff_id = { { 3 } };
	hr_autofree uint32_t *order = NULL;
	uint32_t n;

	add(&b, STORE_ENTRY_NODE, "d", S_IFDIR | 0755, 0, NULL);
	store_layer_build_extent(&b, &(struct store_extent) { 0, 1, 200 });
	store_layer_build_xattr(&b, &(struct store_xattr) { str("user.a"), { "x\0y", 3 } });
	add(&b, STORE_ENTRY_NODE, "d/small", S_IFREG | 0644, 100, NULL);
	store_layer_build_extent(&b, &(struct store_extent) { 0, 0, 0 });
	store_layer_build_extent(&b, &(struct store_extent) { 1u << 20, STORE_HOLE, 0 });
	store_layer_build_extent(&b, &(struct store_extent) { 2u << 20, STORE_HOLE, 0 });
	store_layer_build_extent(&b, &(struct store_extent) { 3u << 20, 2, 0 });
	add(&b, STORE_ENTRY_NODE, "d/big", S_IFREG | 0600, 4u << 20, NULL);
	add(&b, STORE_ENTRY_NODE, "l", S_IFLNK | 0777, 2, "/x");
	add(&b, STORE_ENTRY_HARDLINK, "h", 0, 0, "d/big");
	add(&b, STORE_ENTRY_WHITEOUT, "gone", 0, 0, NULL);
	store_layer_build_finish(&b, chunk_of, chunks, 2, 12345, &diff_id, out, &order, &n);
	assert_int_equal(n, 2);
	*order_first = order[0];
	store_layer_build_release(&b);
}

static void round_trip(void **state)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };
	struct store_layer_entry n;
	struct store_layer l;
	uint32_t first;

	(void)state;
	build(&b, &first);
	if (store_layer_parse(b.p, b.len, &l, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(first, 1); /* the small file's chunk is used first though cut second */
	assert_int_equal(l.n_entries, 6);
	assert_int_equal(l.n_extents, 4); /* of two holes one is left */
	assert_int_equal(store_layer_chunk(&l, 0).bytes, 300);
	n = store_layer_entry(&l, 1);
	assert_string_equal(n.path.p, "d/small");
	assert_int_equal(n.attr.mtime, -1);
	assert_int_equal(store_layer_extent(&l, n.first_extent).chunk, 0);
	assert_int_equal(store_layer_extent(&l, n.first_extent).chunk_off, 200);
	assert_int_equal(store_layer_xattr(&l, n.first_xattr).value.len, 3);
	n = store_layer_entry(&l, 2);
	assert_int_equal(n.n_extents, 3);
	assert_int_equal(store_layer_extent(&l, n.first_extent + 2).chunk, 1);
	assert_string_equal(store_layer_entry(&l, 4).target.p, "d/big");
	assert_null(store_layer_entry(&l, 5).target.p);
}

#define ENTRY(i)  (128 + 64 * (i))
#define EXTENT(i) (ENTRY(6) + 16 * (i))
#define CHUNK(i)  (EXTENT(4) + 48 * (i))
#define XATTR(i)  (CHUNK(2) + 16 * (i))

static const struct {
	const char *what;
	size_t at;
	uint32_t value;
	const char *message; /* NULL: still an index */
} rows[] = {
	{ "magic", 4, 0, "does not begin with hpcrLAY1" },
	{ "entries", 8, 7, "bytes, expected" },
	{ "entries without end", 8, UINT32_MAX, "bytes, expected" },
	{ "heap of 2^32", 28, 1, "header of another version" },
	{ "check sum", 72, 1, "check sum is " },
	{ "reserved", 80, 1, "header of another version" },
	{ "kind", ENTRY(0), 4, "entry 0: kind 4" },
	{ "type", ENTRY(0) + 4, 0755, "entry 0: mode 0755" },
	{ "mode bits", ENTRY(0) + 4, S_IFDIR | 010000, "entry 0: " },
	{ "setuid stays", ENTRY(1) + 4, S_IFREG | 04755, NULL },
	{ "size of a directory", ENTRY(0) + 8, 1, "size 1 of no file" },
	{ "size of 2^63", ENTRY(1) + 12, 0x80000000, "out of range" },
	{ "nanoseconds", ENTRY(1) + 24, 1000000000, "out of range" },
	{ "device of a file", ENTRY(1) + 36, 1, "out of range" },
	{ "path outside the heap", ENTRY(0) + 40, 0xfffffff0, "path at 4294967280" },
	{ "target of a file", ENTRY(1) + 44, 5, "a target where none belongs" },
	{ "extents of another", ENTRY(1) + 48, 1, "out of order" },
	{ "extents past the end", ENTRY(2) + 52, 4, "out of order" },
	{ "extents left over", ENTRY(2) + 52, 2, "out of order" },
	{ "extents without end", ENTRY(2) + 52, UINT32_MAX, "out of order" },
	{ "first extent not at 0", EXTENT(0), 1, "extent 0 from 1 to 100" },
	{ "extent at the last byte of its chunk", EXTENT(0) + 12, 200, NULL },
	{ "extent one past its chunk", EXTENT(0) + 12, 201, "passes the end of chunk 0" },
	{ "chunk number", EXTENT(0) + 8, 2, "in chunk 2 of 2" },
	{ "hole with an offset", EXTENT(2) + 12, 1, "a hole with an offset" },
	{ "descending extents", EXTENT(2), 0, "extent 0 from 0 to 0" },
	{ "chunk of 0 bytes", CHUNK(0) + 40, 0, "chunk 0 of 0 bytes" },
	{ "chunk of 1 MiB + 1", CHUNK(1) + 40, STORE_CHUNK_MAX + 1, "chunk 1 of 1048577 bytes" },
	{ "zero of a chunk", CHUNK(0) + 44, 1, "chunk 0" },
	{ "name of an xattr", XATTR(0), 0, "xattr 0 is none of the user's" },
	{ "zero of an xattr", XATTR(0) + 8, 1, "xattr 0" },
	{ "attributes of a hardlink", ENTRY(4) + 28, 1, "attributes of no node" },
	{ "a root that is a file", ENTRY(1) + 40, 0, "a root that is no directory" },
	{ "a symlink to nothing", ENTRY(3) + 44, 0, "target of 0 bytes" },
};

static void hostile_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autobuf struct hr_buf b = { 0 };
		struct hr_err e = { 0 };
		struct store_layer l;
		uint32_t first;
		int r;

		build(&b, &first);
		assert_int_not_equal(hr_le64(b.p + 72), 0);
		hr_le64_put(b.p + 72, 0); /* or the check sum would find each of them */
		hr_le32_put(b.p + rows[i].at, rows[i].value);
		r = store_layer_parse(b.p, b.len, &l, &e);
		if ((r == 0) != !rows[i].message ||
		    (r < 0 && (e.kind != HR_CORRUPT || !strstr(e.text, rows[i].message))))
			fail_msg("row '%s': %d '%s'", rows[i].what, r, e.text);
	}
}

static void every_length_but_one_is_refused(void **state)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct store_layer l;
	uint32_t first;

	(void)state;
	build(&b, &first);
	for (size_t n = 0; n < b.len; n++) {
		struct hr_err e = { 0 };
		hr_autofree uint8_t *copy = hr_xmalloc(n); /* for the address sanitizer */

		memcpy(copy, b.p, n);
		assert_int_equal(store_layer_parse(copy, n, &l, &e), -1);
	}
}

static void one_wrong_byte_is_found_and_none_leads_outside(void **state)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct store_layer l;
	uint32_t first;
	uint64_t crc;

	(void)state;
	build(&b, &first);
	crc = hr_le64(b.p + 72);
	srand(1);
	for (unsigned int round = 0; round < 20000; round++) {
		size_t at = (size_t)rand() % b.len;
		uint8_t was = b.p[at];
		struct hr_err e = { 0 };

		b.p[at] = (uint8_t)rand();
		assert_int_equal(store_layer_parse(b.p, b.len, &l, &e) == 0, b.p[at] == was);
		e = (struct hr_err) { 0 };
		hr_le64_put(b.p + 72, 0);
		/* with the check sum out of the way, as whoever makes an index would have it */
		if (store_layer_parse(b.p, b.len, &l, &e) == 0)
			for (uint32_t i = 0; i < l.n_entries; i++)
				assert_true(strlen(store_layer_entry(&l, i).path.p) <=
					    STORE_PATH_MAX);
		b.p[at] = was;
		hr_le64_put(b.p + 72, crc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(hostile_rows),
		cmocka_unit_test(every_length_but_one_is_refused),
		cmocka_unit_test(one_wrong_byte_is_found_and_none_leads_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
