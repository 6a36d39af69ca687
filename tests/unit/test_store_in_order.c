/* SPDX-License-Identifier: BSD-3-Clause */
/* Who reads an image in the order of its tree is seen, and what comes next is told. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/in_order.h"
#include "tests/unit/index_sample.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define EACH   8 /* chunks of a file */
#define CHUNKS (4 * EACH)
#define LEN    (1u << 20)
#define FRAME  (4u << 20)
#define ANY    UINT64_MAX

static struct hr_buf ix_bytes, loc_bytes;
static struct store_index *ix;
static struct store_loc loc;

static void add_file(struct store_index_builder *b, uint32_t chunk)
{
	uint32_t first = 0;

	for (uint32_t i = 0; i < EACH; i++) {
		const struct fetch_digest d = { { (uint8_t)(chunk + i + 1) } };
		uint32_t c = store_index_builder_chunk(b, &d, 1, LEN);
		uint32_t x = store_index_builder_extent(b, (uint64_t)i * LEN, c, 0);

		assert_int_equal(c, chunk + i);
		if (i == 0)
			first = x;
	}
	store_index_builder_inode(b, &(struct store_inode) { .mode = S_IFREG | 0644,
							     .nlink = 1,
							     .size = (uint64_t)EACH * LEN,
							     .first = first,
							     .count = EACH });
}

static void add_dir(struct store_index_builder *b, uint32_t first, uint32_t count, uint32_t links)
{
	store_index_builder_inode(b, &(struct store_inode) { .mode = S_IFDIR | 0755,
							     .nlink = links,
							     .first = first,
							     .count = count });
}

/* The tree has /a/x, /a/y, /b, /c/z; chunks are numbered as inodes are: b, x, y, z. */
static int setup(void **state)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	const struct store_loc_pack pack = { { { 1 } }, CHUNKS };
	struct store_loc_chunk at[CHUNKS];
	struct hr_err e = { 0 };
	uint32_t first = store_index_builder_entry(b, "a", 1, 1);

	(void)state;
	store_index_builder_entry(b, "b", 1, 2);
	store_index_builder_entry(b, "c", 1, 3);
	add_dir(b, first, 3, 4);
	first = store_index_builder_entry(b, "x", 1, 4);
	store_index_builder_entry(b, "y", 1, 5);
	add_dir(b, first, 2, 2);
	add_file(b, 0);
	add_dir(b, store_index_builder_entry(b, "z", 1, 6), 1, 2);
	for (uint32_t i = 1; i < 4; i++)
		add_file(b, i * EACH);
	index_sample_finish(b, &ix_bytes);
	ix = index_sample_parse(&ix_bytes);
	for (uint32_t i = 0; i < CHUNKS; i++)
		at[i] = (struct store_loc_chunk) { .frame_off = (uint64_t)FRAME * i,
						   .plain_off = (uint64_t)LEN * i,
						   .frame_len = FRAME,
						   .frame = i };
	store_loc_write(&pack, 1, at, CHUNKS, &loc_bytes);
	return store_loc_parse(loc_bytes.p, loc_bytes.len, CHUNKS, &loc, &e);
}

static int teardown(void **state)
{
	(void)state;
	store_index_free(ix);
	hr_buf_release(&ix_bytes);
	hr_buf_release(&loc_bytes);
	return 0;
}

static void touch(struct store_in_order *o, uint32_t from, uint32_t end)
{
	for (; from < end; from++)
		store_in_order_touched(o, &from, 1);
}

static void expect(struct store_in_order *o, uint64_t most, const uint32_t *want, size_t n)
{
	const uint32_t *next = NULL;

	assert_int_equal(store_in_order_next(o, most, &next), n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(next[i], want[i]);
}

static void what_follows_in_the_tree_comes_next(void **state)
{
	static const uint32_t behind_y[] = { 0, 1, 2, 3 };
	struct store_in_order *o = store_in_order_new(ix, &loc);

	(void)state;
	expect(o, ANY, NULL, 0);
	touch(o, EACH, 3 * EACH); /* x and y, 64 MiB: 3 tenths are 19.2 */
	expect(o, ANY, behind_y, 4);
	expect(o, 2 * FRAME, behind_y, 2);
	expect(o, 2 * FRAME - 1, behind_y, 1);
	touch(o, 1, 2);
	expect(o, ANY, NULL, 0); /* from there back, one of two is missing */
	touch(o, 0, 1);
	expect(o, ANY, (const uint32_t[]) { 2, 3, 4, 5 }, 4);
	store_in_order_free(o);
}

static void who_has_read_little_or_here_and_there_gets_nothing(void **state)
{
	struct store_in_order *o = store_in_order_new(ix, &loc);

	(void)state;
	touch(o, EACH, EACH + 3);
	expect(o, ANY, NULL, 0); /* 12 MiB */
	touch(o, EACH + 3, EACH + 4);
	expect(o, ANY, (const uint32_t[]) { EACH + 4 }, 1);
	for (uint32_t i = EACH + 5; i < CHUNKS; i += 2) {
		store_in_order_touched(o, &i, 1);
		expect(o, ANY, NULL, 0);
	}
	store_in_order_free(o);
}

static void the_end_of_the_image_and_bad_numbers_are_borne(void **state)
{
	struct store_in_order *o = store_in_order_new(ix, &loc);

	(void)state;
	touch(o, 3 * EACH, CHUNKS); /* z, the last */
	expect(o, ANY, NULL, 0);
	touch(o, CHUNKS, CHUNKS + 3);
	expect(o, ANY, NULL, 0);
	store_in_order_free(o);
}

static void all_begins_behind_the_last_and_ends_before_it(void **state)
{
	struct store_in_order *o = store_in_order_new(ix, &loc);
	const uint32_t *next = NULL;

	(void)state;
	assert_int_equal(store_in_order_all(o, &next), 0);
	touch(o, 2 * EACH, 3 * EACH); /* y */
	assert_int_equal(store_in_order_all(o, &next), CHUNKS - EACH);
	for (uint32_t i = 0; i < EACH; i++) {
		assert_int_equal(next[i], i);			/* b */
		assert_int_equal(next[EACH + i], 3 * EACH + i); /* z */
		assert_int_equal(next[2 * EACH + i], EACH + i); /* x */
	}
	store_in_order_free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_follows_in_the_tree_comes_next),
		cmocka_unit_test(who_has_read_little_or_here_and_there_gets_nothing),
		cmocka_unit_test(the_end_of_the_image_and_bad_numbers_are_borne),
		cmocka_unit_test(all_begins_behind_the_last_and_ends_before_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
