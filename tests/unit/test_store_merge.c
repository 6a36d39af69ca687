/* SPDX-License-Identifier: BSD-3-Clause */
/* store: merging: small layers as text, and the tree that they make as text. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "store/index.h"
#include "store/merge.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define LAYERS 4

/*
 * A layer is entries separated by ", ":
 *   d PATH, f PATH, p PATH (a pipe), l PATH TARGET, h PATH TARGET (a hardlink), w PATH (a
 * whiteout), o PATH (opaque); "." is the root. The mode is 0700 and the number of the layer. A tree
 * is the paths in order, each with its type and the last digit of its mode; "f3=2" is a file of
 * layer 3 with 2 links.
 */
static const struct {
	const char *what;
	const char *layers[LAYERS];
	const char *tree; /* or the message, after "! " */
} rows[] = {
	{ "nothing", { "" }, "" },
	{ "one layer", { "d a, f a/b, l c a/b" }, "a/d0 a/b:f0 c:l0" },
	{ "the root", { "d ., f a", "d ." }, "a:f0" },
	{ "last wins", { "f a", "f a", "f b" }, "a:f1 b:f2" },
	{ "last wins in one layer", { "f a, p a" }, "a:p0" },
	{ "a directory keeps its content", { "d a, f a/x", "d a, f a/y" }, "a/d1 a/x:f0 a/y:f1" },
	{ "a file over a directory", { "d a, f a/x", "f a" }, "a:f1" },
	{ "a directory over a file", { "f a", "d a, f a/x" }, "a/d1 a/x:f1" },
	{ "a directory over a symlink",
	  { "d t, f t/x, l a t", "d a, f a/y" },
	  "a/d1 a/y:f1 t/d0 t/x:f0" },
	{ "a directory comes back empty", { "d a, f a/x", "f a", "d a" }, "a/d2" },
	{ "missing parents", { "f a/b/c" }, "a/d5 a/b/d5 a/b/c:f0" },
	{ "a parent that is a file", { "f a", "f a/b" }, "a/d5 a/b:f1" },
	{ "a parent that is a file of the same layer", { "f a, f a/b" }, "a/d5 a/b:f0" },
	{ "a parent that is a symlink", { "d t, l a t", "f a/x" }, "a:l0 t/d0 t/x:f1" },
	{ "an absolute symlink stays inside", { "d t, l a /t", "f a/x" }, "a:l0 t/d0 t/x:f1" },
	{ "a symlink cannot leave", { "l a ../../t", "f a/x" }, "a:l0 t/d5 t/x:f1" },
	{ "a symlink to nowhere", { "l a t/u", "f a/x" }, "a:l0 t/d5 t/u/d5 t/u/x:f1" },
	{ "a symlink to a file", { "f t, l a t", "f a/x" }, "a:l0 t/d5 t/x:f1" },
	{ "symlinks in symlinks",
	  { "d t/u, l s t, l a s/u", "f a/x" },
	  "a:l0 s:l0 t/d5 t/u/d0 t/u/x:f1" },
	{ "a loop of symlinks",
	  { "l a b, l b a", "f a/x" },
	  "! entry 'a/x': it follows more than 40 symlinks" },
	{ "a last part is not followed", { "f t, l a t", "f a" }, "a:f1 t:f0" },
	{ "a whiteout", { "f a, f b", "w a" }, "b:f0" },
	{ "a whiteout of a directory", { "d a, f a/x, f b", "w a" }, "b:f0" },
	{ "a whiteout of nothing", { "f a", "w b, w c/d, w a/x" }, "a:f0" },
	{ "a whiteout and the same name in one layer", { "f a", "w a, f a" }, "a:f1" },
	{ "a whiteout after the name", { "f a", "f a, w a" }, "a:f1" },
	{ "a whiteout after what is below", { "d a, f a/x", "f a/y, w a" }, "a/d5 a/y:f1" },
	{ "a name that comes back", { "d a, f a/x", "w a", "d a" }, "a/d2" },
	{ "a whiteout through a symlink", { "d t, f t/x, l a t", "w a/x" }, "a:l0 t/d0" },
	{ "an opaque directory", { "d a, f a/x, d a/s, f a/s/y", "o a, f a/z" }, "a/d0 a/z:f1" },
	{ "an opaque marker after its siblings",
	  { "d a, f a/x", "d a, f a/z, o a" },
	  "a/d1 a/z:f1" },
	{ "an opaque directory and the same name", { "d a, f a/x", "f a/x, o a" }, "a/d0 a/x:f1" },
	{ "opaque twice", { "d a, f a/x", "o a, f a/y", "o a, f a/x" }, "a/d0 a/x:f2" },
	{ "an opaque root", { "d a, f b", "o ., f c" }, "c:f1" },
	{ "opaque where nothing is", { "f a", "o x/y" }, "a:f0" },
	{ "a hardlink", { "f a, h b a" }, "a:f0=2 b:f0=2" },
	{ "a hardlink to a lower layer", { "f a", "h b a" }, "a:f0=2 b:f0=2" },
	{ "a hardlink outlives its target", { "f a", "h b a", "w a" }, "b:f0" },
	{ "a hardlink to a replaced target", { "f a, h b a", "f a" }, "a:f1 b:f0" },
	{ "a hardlink to what it was then", { "f a, h b a, f a" }, "a:f0 b:f0" },
	{ "a hardlink to a symlink is one", { "f t, l a t, h b a" }, "a:l0=2 b:l0=2 t:f0" },
	{ "a hardlink to itself", { "f a", "h a a" }, "a:f0" },
	{ "a hardlink over a directory", { "f a, d b, f b/x", "h b a" }, "a:f0=2 b:f0=2" },
	{ "a hardlink into what it replaces", { "d b, f b/x", "h b b/x" }, "b:f0" },
	{ "a hardlink through a symlink",
	  { "d t, f t/x, l s t", "h a s/x" },
	  "a:f0=2 s:l0 t/d0 t/x:f0=2" },
	{ "a hardlink to nothing",
	  { "h a b" },
	  "! entry 'a': a hardlink to 'b', which is not there" },
	{ "a hardlink to what comes later",
	  { "h a b, f b" },
	  "! entry 'a': a hardlink to 'b', which is not there" },
	{ "a hardlink to a directory",
	  { "d b, h a b" },
	  "! entry 'a': a hardlink to 'b', which is a directory" },
	{ "a hardlink to what the layer hides",
	  { "f b", "w b, h a b" },
	  "! entry 'a': a hardlink to 'b', which is not there" },
	{ "names sort as bytes", { "f b, f a, f a.b, f ab, f B" }, "B:f0 a:f0 a.b:f0 ab:f0 b:f0" },
};

static struct store_string str(const char *s)
{
	return (struct store_string) { s, (uint32_t)strlen(s) };
}

static void add_entry(struct store_layer_builder *b, char kind, const char *path,
		      const char *target, uint32_t layer)
{
	static const struct {
		char kind;
		enum store_entry_kind entry;
		uint32_t type;
	} kinds[] = {
		{ 'd', STORE_ENTRY_NODE, S_IFDIR }, { 'f', STORE_ENTRY_NODE, S_IFREG },
		{ 'p', STORE_ENTRY_NODE, S_IFIFO }, { 'l', STORE_ENTRY_NODE, S_IFLNK },
		{ 'h', STORE_ENTRY_HARDLINK, 0 },   { 'w', STORE_ENTRY_WHITEOUT, 0 },
		{ 'o', STORE_ENTRY_OPAQUE, 0 },
	};
	struct store_layer_entry n = { .path = str(strcmp(path, ".") == 0 ? "" : path) };
	struct hr_err e = { 0 };

	for (size_t i = 0; i < HR_COUNT(kinds); i++) {
		if (kinds[i].kind != kind)
			continue;
		n.kind = kinds[i].entry;
		n.attr.mode = kinds[i].type ? kinds[i].type | 0700 | layer : 0;
	}
	if (target)
		n.target = str(target);
	if (kind == 'l')
		n.attr.size = n.target.len;
	assert_int_equal(store_layer_build_entry(b, &n, &e), 0);
}

static void build_layer(const char *text, uint32_t number, struct hr_buf *out)
{
	hr_autofree char *copy = hr_xstrdup(text);
	struct store_layer_builder b = { .n_entries = 0 };
	struct fetch_digest diff_id = { { 0 } };
	hr_autofree uint32_t *order = NULL;
	uint32_t n;
	char *save = NULL;

	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		char kind, path[64], target[64];
		int words = sscanf(w, " %c %63s %63s", &kind, path, target);

		assert_in_range(words, 2, 3);
		add_entry(&b, kind, path, words == 3 ? target : NULL, number);
	}
	store_layer_build_finish(&b, NULL, NULL, 0, 0, &diff_id, out, &order, &n);
	store_layer_build_release(&b);
}

static void print_tree(const struct store_index *ix, uint32_t ino, const char *prefix,
		       struct hr_buf *out)
{
	struct store_inode dir;

	assert_true(store_index_inode(ix, ino, &dir));
	for (uint32_t i = 0; i < dir.count; i++) {
		struct store_entry n;
		struct store_inode child;
		hr_autofree char *path = NULL;
		char type;

		assert_true(store_index_entry(ix, &dir, i, &n));
		assert_true(store_index_inode(ix, n.ino, &child));
		path = hr_xasprintf("%s%s", prefix, n.name.p);
		type = S_ISDIR(child.mode)   ? 'd'
		       : S_ISREG(child.mode) ? 'f'
		       : S_ISLNK(child.mode) ? 'l'
					     : 'p';
		hr_buf_printf(out, "%s%s%s%c%o", out->len ? " " : "", path, type == 'd' ? "/" : ":",
			      type, child.mode & 7);
		if (type != 'd' && child.nlink > 1)
			hr_buf_printf(out, "=%u", child.nlink);
		if (type == 'd') {
			hr_autofree char *deeper = hr_xasprintf("%s/", path);

			assert_int_equal(child.parent, ino);
			print_tree(ix, n.ino, deeper, out);
		}
	}
}

static int merge(struct hr_buf *layers, size_t n, struct hr_buf *index, struct hr_err *e)
{
	struct fetch_digest zero = { { 0 } };
	struct store_merge_image image = { &zero, &zero, "{}", 2 };
	HR_CLEANUP(store_merge_freep) struct store_merge *m = store_merge_new();
	hr_autobuf struct hr_buf loc = { 0 };
	struct store_merge_sums sums;

	for (size_t i = 0; i < n; i++) {
		struct store_loc none = { .n_chunks = 0 };
		struct store_layer l;

		if (store_layer_parse(layers[i].p, layers[i].len, &l, e) < 0 ||
		    store_merge_layer(m, &l, &none, e) < 0)
			return -1;
	}
	return store_merge_finish(m, &image, index, &loc, &sums, e);
}

static void rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_buf layers[LAYERS] = { { 0 } };
		hr_autobuf struct hr_buf index = { 0 }, got = { 0 };
		struct hr_err e = { 0 };
		size_t n = 0;

		hr_buf_str(&got, "");
		for (; n < LAYERS && rows[i].layers[n]; n++)
			build_layer(rows[i].layers[n], (uint32_t)n, &layers[n]);
		if (merge(layers, n, &index, &e) < 0) {
			hr_buf_printf(&got, "! %s", e.text);
		} else {
			HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;

			assert_int_equal(store_index_parse(index.p, index.len, &ix, &e), 0);
			print_tree(ix, 0, "", &got);
		}
		for (size_t k = 0; k < n; k++)
			hr_buf_release(&layers[k]);
		if (strcmp((const char *)got.p, rows[i].tree) != 0)
			fail_msg("row '%s':\n got      %s\n expected %s", rows[i].what,
				 (const char *)got.p, rows[i].tree);
	}
}

static void the_same_layers_give_the_same_bytes(void **state)
{
	hr_autobuf struct hr_buf a = { 0 }, b = { 0 };
	struct hr_buf layers[2] = { { 0 }, { 0 } };
	struct hr_err e = { 0 };

	(void)state;
	build_layer("d a, f a/x, f a/y, l s a, h z a/x", 0, &layers[0]);
	build_layer("w a/y, f a/w, f new/one", 1, &layers[1]);
	assert_int_equal(merge(layers, 2, &a, &e), 0);
	assert_int_equal(merge(layers, 2, &b, &e), 0);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.p, b.p, a.len);
	hr_buf_release(&layers[0]);
	hr_buf_release(&layers[1]);
}

/* Layers that would be quadratic for whoever scans a directory at each marker or name. */
static void time_is_linear(void **state)
{
	static const unsigned int entries = 200000;
	hr_autobuf struct hr_buf index = { 0 };
	struct store_layer_builder b[2] = { { .n_entries = 0 }, { .n_entries = 0 } };
	struct hr_buf layers[2] = { { 0 }, { 0 } };
	struct fetch_digest diff_id = { { 0 } };
	struct hr_err e = { 0 };
	time_t start = time(NULL);

	(void)state;
	for (unsigned int i = 0; i < entries; i++) {
		char path[64];

		snprintf(path, sizeof(path), "d/%u", i);
		add_entry(&b[0], 'f', path, NULL, 0);
		add_entry(&b[1], i % 2 ? 'o' : 'w', i % 2 ? "d" : path, NULL, 1);
	}
	for (int i = 0; i < 2; i++) {
		hr_autofree uint32_t *order = NULL;
		uint32_t n;

		store_layer_build_finish(&b[i], NULL, NULL, 0, 0, &diff_id, &layers[i], &order, &n);
		store_layer_build_release(&b[i]);
	}
	assert_int_equal(merge(layers, 2, &index, &e), 0);
	hr_buf_release(&layers[0]);
	hr_buf_release(&layers[1]);
	assert_in_range(time(NULL) - start, 0, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules),
		cmocka_unit_test(the_same_layers_give_the_same_bytes),
		cmocka_unit_test(time_is_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
