/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of large files, and the walk that finds them in an image: there and back, and what is
 * neither. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/native.h"
#include "tests/unit/index_sample.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

static const struct fetch_digest manifest = { { 1, 2, 3 } }, name = { { 5 } };

static void test_list_round_trip(void **state)
{
	HR_CLEANUP(store_native_list_release) struct store_native_list l = { 0 }, back = { 0 };
	const struct fetch_digest other = { { 6 } };
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	store_native_list_add(&l, "usr/lib/a", &name);
	store_native_list_add(&l, "b", &name);
	store_native_list_add(&l, "b", &name);
	assert_int_equal(l.n, 2);
	store_native_list_write(&l, &manifest, &b);
	assert_int_equal(store_native_list_parse(b.p, b.len, &manifest, &back, &e), 0);
	assert_int_equal(back.n, 2);
	assert_string_equal(back.v[0].path, "usr/lib/a");
	assert_int_equal(store_native_list_parse(b.p, b.len, &other, &l, &e), -1);
	assert_string_equal(e.text, "the list of files is of another image");
	for (size_t cut = 0; cut < b.len; cut++) {
		hr_err_clear(&e);
		assert_int_equal(store_native_list_parse(b.p, cut, &manifest, &l, &e), -1);
		assert_int_equal(e.kind, HR_CORRUPT);
	}
	hr_buf_add(&b, "", 1);
	hr_err_clear(&e);
	assert_int_equal(store_native_list_parse(b.p, b.len, &manifest, &l, &e), -1);
	assert_string_equal(e.text, "1 bytes behind the list of files");
}

/* Bytes of a list of one file: magic, number, zero, manifest, name, path. */
enum { AT_MAGIC = 0, AT_COUNT = 8, AT_ZERO = 12 };

/* A list of one path of N bytes, with VALUE at AT, or as it is when AT is negative: what is wrong
 * with it. */
static void parse_one(const char *path, size_t n, int at, uint32_t value, struct hr_err *e)
{
	HR_CLEANUP(store_native_list_release) struct store_native_list l = { 0 };
	hr_autobuf struct hr_buf b = { 0 };

	hr_buf_str(&b, "hpcrNAT1");
	hr_buf_le(&b, 1, 4);
	hr_buf_le(&b, 0, 4);
	hr_buf_add(&b, manifest.b, FETCH_DIGEST_LEN);
	hr_buf_add(&b, name.b, FETCH_DIGEST_LEN);
	hr_buf_add(&b, path, n);
	hr_buf_le(&b, 0, 1);
	if (at >= 0)
		hr_le32_put(b.p + at, value);
	if (store_native_list_parse(b.p, b.len, &manifest, &l, e) == 0)
		assert_int_equal(l.n, 1);
}

static void test_what_is_no_list_is_refused(void **state)
{
	static const struct {
		const char *what;
		int at;
		uint32_t value;
		const char *path; /* NULL: x, again and again */
		size_t n;
		const char *message;
	} rows[] = {
		{ "as it should be", -1, 0, "usr/a", 5, "" },
		{ "magic", AT_MAGIC, 0, "usr/a", 5, "not a list of files of this version" },
		{ "version", AT_MAGIC + 4, 0, "usr/a", 5, "not a list of files of this version" },
		{ "reserved", AT_ZERO, 1, "usr/a", 5, "not a list of files of this version" },
		{ "too many", AT_COUNT, STORE_NATIVE_MAX + 1, "usr/a", 5, "files, more than" },
		{ "one more", AT_COUNT, 2, "usr/a", 5, "entry 1 of the list of files" },
		{ "from the root", -1, 0, "/usr/a", 6, "entry 0 of the list of files" },
		{ "no path", -1, 0, "", 0, "entry 0 of the list of files" },
		{ "the longest", -1, 0, NULL, STORE_PATH_MAX, "" },
		{ "too long", -1, 0, NULL, STORE_PATH_MAX + 1, "entry 0 of the list of files" },
	};
	char xs[STORE_PATH_MAX + 1];

	(void)state;
	memset(xs, 'x', sizeof(xs));
	for (size_t r = 0; r < HR_COUNT(rows); r++) {
		struct hr_err e = { 0 };

		parse_one(rows[r].path ? rows[r].path : xs, rows[r].n, rows[r].at, rows[r].value,
			  &e);
		if (rows[r].message[0] ? !strstr(e.text, rows[r].message) : e.kind != HR_OK)
			fail_msg("row '%s': '%s'", rows[r].what, e.text);
	}
}

static void test_a_list_has_an_end(void **state)
{
	HR_CLEANUP(store_native_list_release) struct store_native_list l = { 0 };
	char path[16];

	(void)state;
	for (unsigned int i = 0; i <= STORE_NATIVE_MAX; i++) {
		snprintf(path, sizeof(path), "%u", i);
		store_native_list_add(&l, path, &name);
	}
	assert_int_equal(l.n, STORE_NATIVE_MAX);
}

/* ---- the walk ---- */

struct seen {
	unsigned int n;
	size_t longest;
	char last[STORE_PATH_MAX + 1];
};

static void found(void *arg, uint32_t ino, const struct store_inode *file, const char *path)
{
	struct seen *s = arg;

	(void)ino;
	assert_true(S_ISREG(file->mode));
	assert_true(strlen(path) <= STORE_PATH_MAX);
	s->n++;
	if (strlen(path) > s->longest)
		s->longest = strlen(path);
	memcpy(s->last, path, strlen(path) + 1);
}

static void walk(struct store_index_builder *b, struct seen *s)
{
	const struct store_native_walk w = { NULL, found, s };
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	hr_autobuf struct hr_buf bytes = { 0 };

	index_sample_finish(b, &bytes);
	ix = index_sample_parse(&bytes);
	store_native_walk(ix, &w);
}

static void add_dir(struct store_index_builder *b, uint32_t first, uint32_t count, uint32_t parent)
{
	store_index_builder_inode(b, &(struct store_inode) { .mode = S_IFDIR | 0755,
							     .nlink = 2,
							     .first = first,
							     .count = count,
							     .parent = parent });
}

static void add_file(struct store_index_builder *b)
{
	store_index_builder_inode(b, &(struct store_inode) { .mode = S_IFREG | 0644, .nlink = 1 });
}

/* 0 / with d (1), f (2), p (3) a pipe, s (0); 1 /d with f (2), r (0). */
static void test_directories_that_hold_each_other_are_walked_once(void **state)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	struct seen *s = hr_xmalloc(sizeof(*s));
	uint32_t first = store_index_builder_entry(b, "d", 1, 1);

	(void)state;
	store_index_builder_entry(b, "f", 1, 2);
	store_index_builder_entry(b, "p", 1, 3);
	store_index_builder_entry(b, "s", 1, 0);
	add_dir(b, first, 4, 0);
	first = store_index_builder_entry(b, "f", 1, 2);
	store_index_builder_entry(b, "r", 1, 0);
	add_dir(b, first, 2, 0);
	add_file(b);
	store_index_builder_inode(b, &(struct store_inode) { .mode = S_IFIFO | 0644, .nlink = 1 });
	walk(b, s);
	assert_int_equal(s->n, 2);
	assert_string_equal(s->last, "f");
	assert_int_equal(s->longest, 3);
	free(s);
}

/* 20 directories in each other, each with a file, all with names of 255 bytes. */
static void test_paths_that_are_too_long_are_left_out(void **state)
{
	enum { DEEP = 20 };
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	struct seen *s = hr_xmalloc(sizeof(*s));
	char dir[STORE_NAME_MAX], file[STORE_NAME_MAX];

	(void)state;
	memset(dir, 'd', sizeof(dir));
	memset(file, 'f', sizeof(file));
	for (uint32_t i = 0; i < DEEP; i++) {
		uint32_t first = store_index_builder_entry(b, dir, sizeof(dir), i + 1);

		store_index_builder_entry(b, file, sizeof(file), DEEP + 1);
		add_dir(b, first, 2, i == 0 ? 0 : i - 1);
	}
	add_dir(b, 0, 0, DEEP - 1);
	add_file(b);
	walk(b, s);
	assert_int_equal(s->n, 16); /* 16 names and 15 slashes */
	assert_int_equal(s->longest, STORE_PATH_MAX);
	free(s);
}

static void test_an_image_that_is_one_file_has_none(void **state)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	struct seen *s = hr_xmalloc(sizeof(*s));

	(void)state;
	add_file(b);
	walk(b, s);
	assert_int_equal(s->n, 0);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list_round_trip),
		cmocka_unit_test(test_what_is_no_list_is_refused),
		cmocka_unit_test(test_a_list_has_an_end),
		cmocka_unit_test(test_directories_that_hold_each_other_are_walked_once),
		cmocka_unit_test(test_paths_that_are_too_long_are_left_out),
		cmocka_unit_test(test_an_image_that_is_one_file_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
