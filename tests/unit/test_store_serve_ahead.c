/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/serve_ahead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

/*
 * The image, by inode number: 0 /, 1 /large (64 MiB), then directories d2 to d11, then the files of
 * each directory, FILES of SMALL bytes; the third is a symlink.
 */
#define LARGE_BYTES (64u << 20)
#define SMALL	    10000
#define DIRS	    10
#define FILES	    20
#define FIRST(dir)  (2 + DIRS + ((dir)-2) * FILES)

struct fixture {
	struct hr_buf bytes;
	struct store_index *ix;
	struct serve_tree *tree;
	struct serve_ahead *ahead;
};

static void add_files(struct store_index_builder *b)
{
	for (uint32_t i = 0; i < DIRS * FILES; i++) {
		bool link = i % FILES == 2;
		struct store_inode file = { .mode = (link ? S_IFLNK : S_IFREG) | 0644,
					    .nlink = 1,
					    .size = link ? 1 : SMALL };

		if (link)
			file.first = store_index_builder_string(b, "x", 1);
		store_index_builder_inode(b, &file);
	}
}

static void build(struct store_index_builder *b)
{
	struct store_inode root = { .mode = S_IFDIR | 0755, .nlink = 2, .count = 1 + DIRS };
	struct store_inode large = { .mode = S_IFREG | 0644, .nlink = 1, .size = LARGE_BYTES };
	struct store_inode dirs[DIRS];
	char name[32];

	root.first = store_index_builder_entry(b, "a-large", 7, 1);
	for (uint32_t d = 0; d < DIRS; d++)
		store_index_builder_entry(b, name, (size_t)snprintf(name, sizeof(name), "d%02u", d),
					  2 + d);
	for (uint32_t d = 0; d < DIRS; d++) {
		dirs[d] =
			(struct store_inode) { .mode = S_IFDIR | 0755, .nlink = 2, .count = FILES };
		for (uint32_t f = 0; f < FILES; f++) {
			uint32_t at = store_index_builder_entry(
				b, name, (size_t)snprintf(name, sizeof(name), "f%02u", f),
				FIRST(2 + d) + f);

			if (f == 0)
				dirs[d].first = at;
		}
	}
	store_index_builder_inode(b, &root);
	store_index_builder_inode(b, &large);
	for (uint32_t d = 0; d < DIRS; d++)
		store_index_builder_inode(b, &dirs[d]);
	add_files(b);
}

static int setup(void **state)
{
	struct fixture *f = hr_xmalloc(sizeof(*f));
	struct store_index_builder *b = store_index_builder_new();
	struct fetch_digest none = { 0 };
	struct hr_err e = { 0 };

	build(b);
	*f = (struct fixture) { 0 };
	assert_int_equal(store_index_builder_finish(b, &none, &none, "{}", 2, &f->bytes, &e), 0);
	assert_int_equal(store_index_parse(f->bytes.p, f->bytes.len, &f->ix, &e), 0);
	store_index_builder_free(b);
	f->tree = serve_tree_new(f->ix);
	f->ahead = serve_ahead_new(f->tree);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	serve_ahead_free(f->ahead);
	serve_tree_free(f->tree);
	store_index_free(f->ix);
	hr_buf_release(&f->bytes);
	free(f);
	return 0;
}

static bool seen(struct fixture *f, uint32_t node, uint64_t off, uint64_t len,
		 struct serve_extent *x)
{
	struct store_inode file;

	assert_true(serve_tree_inode(f->tree, node, &file));
	return serve_ahead_seen(f->ahead, node, &file, off, len, x);
}

static bool listed(struct fixture *f, uint32_t dir, struct serve_extent *x)
{
	struct store_inode inode;

	assert_true(serve_tree_inode(f->tree, dir, &inode));
	return serve_ahead_listed(f->ahead, dir, &inode, x);
}

static void one_read_of_a_large_file_asks_for_nothing(void **state)
{
	struct serve_extent x;

	assert_false(seen(*state, 1, 0, 131072, &x));
	/* nor do two that do not follow each other */
	assert_false(seen(*state, 1, 1 << 20, 131072, &x));
	assert_false(seen(*state, 1, 5 << 20, 131072, &x));
}

/* As the kernel would: what was pushed is not asked for, but for the trip. */
static void a_large_file_read_in_order_is_asked_for_once_and_whole(void **state)
{
	uint64_t end = 262144, requests = 2, extents = 1;
	struct serve_extent x, next;

	assert_false(seen(*state, 1, 0, 131072, &x));
	assert_true(seen(*state, 1, 131072, 131072, &x));
	while (end < LARGE_BYTES) {
		assert_int_equal(x.node, 1);
		assert_int_equal(x.n, 1);
		assert_int_equal(x.off, end);
		assert_in_range(x.trip, x.off, x.off + x.len - 1);
		assert_int_equal(x.trip % 4096, 0);
		assert_in_range(x.len, 1, 4u << 20);
		end = x.off + x.len;
		requests++;
		if (!seen(*state, 1, x.trip, 4096, &next))
			break;
		x = next;
		extents++;
	}
	assert_int_equal(end, LARGE_BYTES);
	assert_in_range(extents, 16, 24);
	assert_int_equal(requests, extents + 2);
}

static void two_files_in_order_bring_the_rest_of_the_directory(void **state)
{
	struct serve_extent x;

	assert_false(listed(*state, 2, &x));
	assert_false(seen(*state, FIRST(2), 0, SMALL, &x));
	assert_true(seen(*state, FIRST(2) + 1, 0, SMALL, &x));
	assert_int_equal(x.node, FIRST(2) + 2);
	assert_int_equal(x.node + x.n, FIRST(3));
	assert_int_equal(x.len, 0);
	assert_in_range(x.trip, x.node, FIRST(3) - 1);
	/* and nothing of the next one, which the kernel has not heard of */
	assert_false(seen(*state, (uint32_t)x.trip, 0, SMALL, &x));
}

static void a_directory_that_was_not_listed_brings_nothing(void **state)
{
	struct serve_extent x;

	for (uint32_t i = 0; i < FILES; i++)
		if (i != 2)
			assert_false(seen(*state, FIRST(4) + i, 0, SMALL, &x));
}

static void who_reads_directory_after_directory_gets_them_when_listed(void **state)
{
	struct serve_extent x;
	unsigned int early = 0;

	for (uint32_t d = 2; d < 2 + DIRS; d++) {
		early += listed(*state, d, &x);
		for (uint32_t i = 0; i < 4; i++)
			(void)seen(*state, FIRST(d) + (i < 2 ? i : i + 1), 0, SMALL, &x);
	}
	assert_in_range(early, DIRS - 2, DIRS - 1);
	/* and loses that when he only lists */
	early = 0;
	for (uint32_t i = 0; i < 3; i++)
		for (uint32_t d = 2; d < 2 + DIRS; d++)
			early += listed(*state, d, &x);
	assert_in_range(early, 1, 16);
}

/* Steps of 37 come near an earlier file only after more reads than are remembered. */
static void files_in_no_order_ask_for_nothing(void **state)
{
	struct serve_extent x;

	for (uint32_t d = 2; d < 2 + DIRS; d++)
		assert_false(listed(*state, d, &x));
	for (uint32_t i = 0; i < 200; i++)
		if (i * 37 % (DIRS * FILES) % FILES != 2)
			assert_false(
				seen(*state, FIRST(2) + i * 37 % (DIRS * FILES), 0, SMALL, &x));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(one_read_of_a_large_file_asks_for_nothing),
		T(a_large_file_read_in_order_is_asked_for_once_and_whole),
		T(two_files_in_order_bring_the_rest_of_the_directory),
		T(a_directory_that_was_not_listed_brings_nothing),
		T(who_reads_directory_after_directory_gets_them_when_listed),
		T(files_in_no_order_ask_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
