/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "tests/unit/index_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "util/cleanup.h"
#include "util/poison.h"

const struct fetch_digest index_sample_manifest = { { 1, 2, 3 } };
const struct fetch_digest index_sample_config = { { 9, 8, 7 } };

void index_sample_finish(struct store_index_builder *b, struct hr_buf *out)
{
	const char *config = INDEX_SAMPLE_CONFIG;
	struct hr_err e = { 0 };

	if (store_index_builder_finish(b, &index_sample_manifest, &index_sample_config, config,
				       strlen(config), out, &e) < 0)
		fail_msg("%s", e.text);
}

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

void index_sample(struct hr_buf *out)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	uint32_t first = store_index_builder_entry(b, "bin", 3, 1);

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
	index_sample_finish(b, out);
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

void index_sample_links(struct hr_buf *out)
{
	static const char *const names[] = { "above", "absolute", "bin", "data", "loop", "usr" };
	static const uint32_t inodes[] = { 7, 8, 1, 2, 9, 4 };
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
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
	index_sample_finish(b, out);
}

struct store_index *index_sample_parse(const struct hr_buf *b)
{
	struct store_index *ix = NULL;
	struct hr_err e = { 0 };

	if (store_index_parse(b->p, b->len, &ix, &e) < 0)
		fail_msg("%s", e.text);
	return ix;
}
