/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/serve_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

/*
 * The image, by inode number: what the targets below meet.
 *   0 /
 *   1 /abs -> /usr/lib      2 /dev -> /usr        3 /empty (file)    4 /etc
 *   5 /loop -> loop         6 /out -> ../../usr   7 /proc (file)     8 /usr
 *   9 /etc/dangling -> ../run/none   10 /etc/hosts (file)   11 /etc/link -> hosts
 *   12 /etc/todir -> ../usr          13 /usr/lib
 */
enum { ABS = 1, DEV, EMPTY, ETC, LOOP, OUT, PROC, USR, DANGLING, HOSTS, LINK, TODIR, LIB, INODES };

static const struct row {
	uint32_t dir;
	const char *name, *target; /* target NULL: not a symlink */
	uint32_t mode;
} rows[] = {
	{ 0, "abs", "/usr/lib", 0 },
	{ 0, "dev", "/usr", 0 },
	{ 0, "empty", NULL, S_IFREG | 0644 },
	{ 0, "etc", NULL, S_IFDIR | 0755 },
	{ 0, "loop", "loop", 0 },
	{ 0, "out", "../../usr", 0 },
	{ 0, "proc", NULL, S_IFREG | 0644 },
	{ 0, "usr", NULL, S_IFDIR | 0711 },
	{ ETC, "dangling", "../run/none", 0 },
	{ ETC, "hosts", NULL, S_IFREG | 0644 },
	{ ETC, "link", "hosts", 0 },
	{ ETC, "todir", "../usr", 0 },
	{ USR, "lib", NULL, S_IFDIR | 0755 },
};

struct fixture {
	struct hr_buf bytes;
	struct store_index *ix;
	struct serve_tree *tree;
};

static void add_inode(struct store_index_builder *b, uint32_t ino)
{
	const struct row *r = ino == 0 ? NULL : &rows[ino - 1];
	struct store_inode i = { .mode = r ? r->mode : S_IFDIR | 0755, .nlink = 1 };

	if (r && r->target) {
		i.mode = S_IFLNK | 0777;
		i.size = strlen(r->target);
		i.first = store_index_builder_string(b, r->target, i.size);
	}
	if (S_ISDIR(i.mode)) {
		i.nlink = 2;
		i.parent = r ? r->dir : 0;
		for (uint32_t k = 0; k < HR_COUNT(rows); k++) {
			uint32_t at;

			if (rows[k].dir != ino)
				continue;
			at = store_index_builder_entry(b, rows[k].name, strlen(rows[k].name),
						       k + 1);
			if (i.count++ == 0)
				i.first = at;
			i.nlink += S_ISDIR(rows[k].mode);
		}
	}
	store_index_builder_inode(b, &i);
}

static int setup(void **state)
{
	struct store_index_builder *b = store_index_builder_new();
	struct fixture *f = hr_xmalloc(sizeof(*f));
	struct fetch_digest none = { { 0 } };
	struct hr_err e = { 0 };

	for (uint32_t i = 0; i < INODES; i++)
		add_inode(b, i);
	assert_int_equal(store_index_builder_finish(b, &none, &none, "", 0, &f->bytes, &e), 0);
	assert_int_equal(store_index_parse(f->bytes.p, f->bytes.len, &f->ix, &e), 0);
	store_index_builder_free(b);
	f->tree = serve_tree_new(f->ix);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	serve_tree_free(f->tree);
	store_index_free(f->ix);
	hr_buf_release(&f->bytes);
	free(f);
	return 0;
}

/* The node at a path without symlinks, or -1. */
static int64_t at(const struct serve_tree *t, const char *path)
{
	uint32_t node = SERVE_TREE_ROOT;

	while (*(path += strspn(path, "/"))) {
		size_t n = strcspn(path, "/");
		struct store_inode dir;
		int there;

		assert_true(serve_tree_inode(t, node, &dir));
		there = serve_tree_lookup(t, node, &dir, path, n, &node);
		assert_true(there >= 0);
		if (there == 0)
			return -1;
		path += n;
	}
	return node;
}

static uint32_t mode_at(const struct serve_tree *t, const char *path)
{
	struct store_inode i;
	int64_t node = at(t, path);

	if (node < 0)
		return 0;
	assert_true(serve_tree_inode(t, (uint32_t)node, &i));
	return i.mode;
}

static void lay(struct fixture *f, const char *targets, size_t n)
{
	struct hr_err e = { 0 };

	if (serve_tree_targets(f->tree, (const uint8_t *)targets, n, &e) < 0)
		fail_msg("%s", e.text);
}

static void test_targets(void **state)
{
	static const struct {
		const char *what, *target;
		const char *path; /* looked at afterwards */
		int64_t node;	  /* expected there; -2: a new one */
		uint32_t mode;
	} cases[] = {
		{ "what is there stays", "d/usr", "usr", USR, S_IFDIR | 0711 },
		{ "so does a file", "f/etc/hosts", "etc/hosts", HOSTS, S_IFREG | 0644 },
		{ "the root", "d/", "", 0, S_IFDIR | 0755 },
		{ "a new directory", "d/data", "data", -2, S_IFDIR | 0755 },
		{ "a new file", "f/etc/passwd", "etc/passwd", -2, S_IFREG | 0644 },
		{ "parents are made", "f/a/b/c", "a/b/c", -2, S_IFREG | 0644 },
		{ "a file hidden by a directory", "d/empty", "empty", -2, S_IFDIR | 0755 },
		{ "a file in the way", "d/empty/x", "empty/x", -2, S_IFDIR | 0755 },
		{ "a directory hidden by a file", "f/usr", "usr", -2, S_IFREG | 0644 },
		{ "a link on the way", "d/abs/new", "usr/lib/new", -2, S_IFDIR | 0755 },
		{ "a link that leaves the root", "d/out/lib", "usr/lib", LIB, S_IFDIR | 0755 },
		{ "a last link of the right type", "f/etc/link", "etc/link", LINK, S_IFLNK | 0777 },
		{ "a last link to a directory", "d/etc/todir", "etc/todir", TODIR, S_IFLNK | 0777 },
		{ "a last link of the wrong type", "f/etc/todir", "etc/todir", -2, S_IFREG | 0644 },
		{ "a dangling last link", "f/etc/dangling", "etc/dangling", -2, S_IFREG | 0644 },
		{ "a dangling link on the way", "d/etc/dangling/x", "run/none/x", -2,
		  S_IFDIR | 0755 },
		{ "a loop at the end", "f/loop", "loop", -2, S_IFREG | 0644 },
		{ "a loop on the way", "d/loop/x", "loop/x", -2, S_IFDIR | 0755 },
		{ "dots and slashes", "d//./usr/../usr//lib/./x/", "usr/lib/x", -2,
		  S_IFDIR | 0755 },
	};

	for (size_t i = 0; i < HR_COUNT(cases); i++) {
		struct fixture *f;
		int64_t node;

		setup(state);
		f = *state;
		print_message("%s\n", cases[i].what);
		lay(f, cases[i].target, strlen(cases[i].target) + 1);
		node = at(f->tree, cases[i].path);
		if (cases[i].node == -2)
			assert_true(node >= INODES);
		else
			assert_int_equal(node, cases[i].node);
		assert_int_equal(mode_at(f->tree, cases[i].path), cases[i].mode);
		teardown(state);
	}
}

static void test_malformed_targets_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = {
		{ "d/x", 3 }, { "x/x", 4 }, { "dx", 3 },   { "d", 2 },
		{ "", 1 },    { "f/", 3 },  { "f/..", 5 }, { "d/ok\0f", 7 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < HR_COUNT(bad); i++) {
		struct hr_err e = { 0 };

		assert_int_equal(
			serve_tree_targets(f->tree, (const uint8_t *)bad[i].bytes, bad[i].n, &e),
			-1);
		assert_int_equal(e.kind, HR_CORRUPT);
	}
	/* no room is made for names that no file system has */
	hr_autofree char *longest = hr_xmalloc(300);
	struct hr_err e = { 0 };

	memset(longest, 'x', 299);
	longest[0] = 'd';
	longest[1] = '/';
	assert_int_equal(serve_tree_targets(f->tree, (uint8_t *)longest, 300, &e), -1);
}

static void test_forced_directories_hide_the_image(void **state)
{
	static const char targets[] = "f/dev/null\0d/dev/pts";
	struct fixture *f = *state;
	struct store_inode dir;
	struct hr_err e = { 0 };

	assert_int_equal(serve_tree_force(f->tree, "dev", 0755, &e), 0);
	assert_int_equal(serve_tree_force(f->tree, "proc", 0555, &e), 0);
	assert_int_equal(serve_tree_force(f->tree, "tmp", 01777, &e), 0);
	lay(f, targets, sizeof(targets));
	assert_int_equal(mode_at(f->tree, "proc"), S_IFDIR | 0555);
	assert_int_equal(mode_at(f->tree, "tmp"), S_IFDIR | 01777);
	assert_int_equal(mode_at(f->tree, "dev/null"), S_IFREG | 0644);
	assert_int_equal(at(f->tree, "dev/lib"), -1);
	assert_int_equal(mode_at(f->tree, "usr"), S_IFDIR | 0711);
	assert_true(serve_tree_inode(f->tree, (uint32_t)at(f->tree, "dev"), &dir));
	assert_int_equal(dir.nlink, 3);
	assert_int_equal(serve_tree_parent(f->tree, (uint32_t)at(f->tree, "dev/pts"), &dir), 0);
}

/* The names of a directory as reading it gives them, with a blank behind each. */
static void names_of(const struct serve_tree *t, const char *path, struct hr_buf *out)
{
	uint32_t node = (uint32_t)at(t, path);
	struct store_inode dir;

	assert_true(serve_tree_inode(t, node, &dir));
	for (uint64_t i = 0; i < serve_tree_entries(t, node, &dir); i++) {
		struct store_entry entry;
		uint32_t found;

		assert_true(serve_tree_entry(t, node, &dir, i, &entry));
		assert_int_equal(
			serve_tree_lookup(t, node, &dir, entry.name.p, entry.name.len, &found), 1);
		assert_int_equal(found, entry.ino);
		hr_buf_printf(out, "%s ", entry.name.p);
	}
}

static void test_listing_gives_each_name_once(void **state)
{
	static const char targets[] = "d/zz\0d/empty\0d/aa\0f/etc/dangling";
	struct fixture *f = *state;
	hr_autobuf struct hr_buf root = { 0 }, etc = { 0 };
	struct store_inode dir;

	lay(f, targets, sizeof(targets));
	names_of(f->tree, "", &root);
	names_of(f->tree, "etc", &etc);
	assert_string_equal(root.p, "abs dev empty etc loop out proc usr zz aa ");
	assert_string_equal(etc.p, "dangling hosts link todir ");
	assert_true(serve_tree_inode(f->tree, 0, &dir));
	assert_int_equal(dir.nlink, 2 + 2 + 3);
	assert_false(serve_tree_inode(f->tree, INODES + 4, &dir));
}

static void test_numbers_depend_on_the_order_alone(void **state)
{
	static const char targets[] = "d/zz/y\0f/aa\0d/etc/q";
	struct fixture *f = *state, *g;
	void *other = NULL;

	setup(&other);
	g = other;
	lay(f, targets, sizeof(targets));
	lay(g, targets, sizeof(targets));
	assert_int_equal(at(f->tree, "zz"), INODES);
	assert_int_equal(at(f->tree, "zz/y"), INODES + 1);
	assert_int_equal(at(f->tree, "aa"), INODES + 2);
	assert_int_equal(at(g->tree, "etc/q"), at(f->tree, "etc/q"));
	teardown(&other);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets),
		TEST(test_malformed_targets_are_refused),
		TEST(test_forced_directories_hide_the_image),
		TEST(test_listing_gives_each_name_once),
		TEST(test_numbers_depend_on_the_order_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
