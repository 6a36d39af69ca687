/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime: the options that shape a container, and how they are handed on. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/shape.h"
#include "util/poison.h"

static void file_systems_in_memory(void **state)
{
	static const struct {
		const char *spec, *dst, *options, *message;
	} rows[] = {
		{ "/a", "/a", "mode=1777", NULL },
		{ "//a/./b/:", "/a/b", "mode=1777", NULL },
		{ "/a:size=4K", "/a", "mode=1777,size=4096", NULL },
		{ "/a:mode=0700,rw,nosuid,size=1", "/a", "mode=700,size=1", NULL },
		{ "/a:,mode=7777,", "/a", "mode=7777", NULL },
		{ "a", NULL, NULL, "--tmpfs 'a': 'a' is not an absolute path" },
		{ "/", NULL, NULL, "not an absolute path" },
		{ "/a/../b", NULL, NULL, "not an absolute path" },
		{ "", NULL, NULL, "not an absolute path" },
		{ "/a:mode=10000", NULL, NULL, "--tmpfs '/a:mode=10000': mode: '10000' is not" },
		{ "/a:mode=8", NULL, NULL, "mode: '8' is not an octal number up to 7777" },
		{ "/a:size=0", NULL, NULL, "size: '0' is not a number" },
		{ "/a:noexec", NULL, NULL, "'noexec' is neither size=SIZE nor mode=MODE" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_binds l = { 0 };
		struct hr_err e = { 0 };
		int r = rt_shape_tmpfs(rows[i].spec, &l, &e);

		if (rows[i].message ? r == 0 || !strstr(e.text, rows[i].message)
				    : r < 0 || l.n != 1 || strcmp(l.v[0].dst, rows[i].dst) != 0 ||
					      strcmp(l.v[0].src, rows[i].options) != 0)
			fail_msg("row '%s': %d '%s'", rows[i].spec, r, e.text);
		rt_binds_release(&l);
	}
}

static void devices(void **state)
{
	static const struct {
		const char *spec, *src, *dst, *message;
		bool cdi;
	} rows[] = {
		{ "/dev/fuse", "/dev/fuse", "/dev/fuse", NULL, false },
		{ "/dev/fuse:/dev/x:rwm", "/dev/fuse", "/dev/x", NULL, false },
		{ "/dev/null:/dev/x:mwr", "/dev/null", "/dev/x", NULL, false },
		{ "./null", NULL, NULL, "is neither an absolute path nor VENDOR/CLASS=NAME",
		  false },
		{ "/dev/fuse:/dev/x:r", NULL, NULL, "'r' is not 'rw' or 'rwm'", false },
		{ "/dev/fuse:/dev/x:", NULL, NULL, "'' is not 'rw' or 'rwm'", false },
		{ "/dev/fuse:/dev/x:ro", NULL, NULL, "'ro' is not 'rw' or 'rwm'", false },
		{ "/dev/fuse:x", NULL, NULL, "--device: bind '/dev/fuse:x': target", false },
		{ "nvidia.com/gpu=0", NULL, NULL, NULL, true },
		{ "/dev/by-id/a=b", "/dev/by-id/a=b", "/dev/by-id/a=b", NULL, false },
		{ "./vendor/a=b", NULL, NULL, "is neither an absolute path", false },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_binds l = { 0 };
		struct hr_err e = { 0 };
		int r;

		if (rt_shape_is_cdi(rows[i].spec) != rows[i].cdi)
			fail_msg("row '%s': a name of CDI or not", rows[i].spec);
		if (rows[i].cdi)
			continue;
		r = rt_shape_device(rows[i].spec, &l, &e);
		if (rows[i].message ? r == 0 || !strstr(e.text, rows[i].message)
				    : r < 0 || l.n != 1 || strcmp(l.v[0].dst, rows[i].dst) != 0 ||
					      strcmp(l.v[0].src, rows[i].src) != 0)
			fail_msg("row '%s': %d '%s'", rows[i].spec, r, e.text);
		rt_binds_release(&l);
	}
}

static void what_is_left_out(void **state)
{
	static const struct {
		const char *word;
		bool out;
	} rows[] = { { "home", true }, { "tmp", true },	  { "/etc/hosts", true }, { "dev", false },
		     { "hom", false }, { "/etc", false }, { "/etc/host", false }, { "", false },
		     { NULL, false },  { "cwd", true } };
	struct rt_shape s = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	hr_strv_add(&s.no_mounts, "home,/etc//hosts/");
	hr_strv_add(&s.no_mounts, ",cwd,,tmp,");
	assert_int_equal(rt_shape_check(&s, &e), 0);
	for (size_t i = 0; i < HR_COUNT(rows); i++)
		if (rt_shape_left_out(&s, rows[i].word) != rows[i].out)
			fail_msg("row '%s'", rows[i].word);
	hr_strv_add(&s.no_mounts, "tmp,tpm");
	assert_int_equal(rt_shape_check(&s, &e), -1);
	assert_non_null(strstr(e.text, "--no-mount 'tpm' is neither a path nor one of: home"));
	assert_non_null(strstr(e.hint, "'tmp'"));
	hr_strv_release(&s.no_mounts);
}

static void ids_and_names(void **state)
{
#define NAME_63 "abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	static const struct {
		struct rt_shape s;
		const char *message;
	} rows[] = {
		{ { .uid = "4294967294", .gid = "0" }, NULL },
		{ { .uid = "4294967295" }, "--uid: '4294967295' is not a number" },
		{ { .gid = "4294967295" }, "--gid: '4294967295' is not a number" },
		{ { .gid = "-1" }, "--gid: '-1' is not a number" },
		{ { .hostname = "n-1.x" }, NULL },
		{ { .hostname = NAME_63 "x" }, NULL },
		{ { .hostname = NAME_63 "xx" }, "is not a name of 1 to 64" },
		{ { .hostname = "" }, "is not a name" },
		{ { .hostname = "-n" }, "is not a name" },
		{ { .hostname = ".n" }, "is not a name" },
		{ { .hostname = "n_1" }, "is not a name" },
	};
#undef NAME_63

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		int r = rt_shape_check(&rows[i].s, &e);

		if ((r < 0) != (rows[i].message != NULL) ||
		    (r < 0 && !strstr(e.text, rows[i].message)))
			fail_msg("row %zu: %d '%s'", i, r, e.text);
	}
}

static void an_overlay_keeps_changes_unless_it_is_ro(void **state)
{
	static const struct {
		const char *overlay;
		bool keeps;
	} rows[] = { { NULL, false }, { "", false },	  { "/a", true },
		     { ":ro", true }, { "/a:ro", false }, { "/a:ro/b", true } };

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		const struct rt_shape s = { .overlay = rows[i].overlay };

		if (rt_shape_keeps_changes(&s) != rows[i].keeps)
			fail_msg("row %zu", i);
	}
}

/* The session parses the same table: what is written is what was read. */
static void words_parse_to_the_same(void **state)
{
	static char *words[] = {
		(char *)(uintptr_t) "--contain=yes", (char *)(uintptr_t) "--tmpfs=/a:size=1",
		(char *)(uintptr_t) "--tmpfs=-b",    (char *)(uintptr_t) "--label=a==",
		(char *)(uintptr_t) "--label=b=",    NULL
	};
	const struct hr_cmd cmd = { .name = "verb",
				    .opts = rt_shape_opts,
				    .args_size = sizeof(struct rt_shape) };
	struct rt_shape s = { 0 }, again = { 0 };
	struct hr_strv out = { 0 };
	struct hr_err e = { 0 };
	int n, count = (int)HR_COUNT(words) - 1;

	(void)state;
	hr_opt_unparse(rt_shape_opts, &s, &out);
	assert_int_equal(out.n, 0);
	assert_int_equal(hr_opt_words("hpcrun", &cmd, &s, count, words, &n, &e), 0);
	hr_opt_unparse(rt_shape_opts, &s, &out);
	assert_int_equal(out.n, count);
	for (int i = 0; i < count; i++)
		assert_string_equal(out.v[i], words[i]);
	assert_int_equal(hr_opt_words("hpcrun", &cmd, &again, count, out.v, &n, &e), 0);
	assert_string_equal(again.tmpfs.v[1], "-b");
	hr_strv_release(&out);
	hr_opt_release(&cmd, &s);
	hr_opt_release(&cmd, &again);
}

static void what_a_bind_lies_in(void **state)
{
	struct rt_binds l = { 0 };

	(void)state;
	rt_binds_add_made(&l, RT_BIND_TMPFS, "", "/a");
	rt_binds_add(&l, "/x", "/a/b", false, false);
	rt_binds_add(&l, "/x", "/a/b/c", false, false);
	rt_binds_add(&l, "/x", "/ab", false, false);
	rt_binds_add_made(&l, RT_BIND_FILE, "passwd", "/etc/passwd");
	rt_binds_order(&l);
	assert_int_equal(l.n, 5);
	for (size_t i = 0; i < l.n; i++) {
		int below = rt_binds_below(&l, i);

		if (strcmp(l.v[i].dst, "/a/b/c") == 0)
			assert_string_equal(l.v[below].dst, "/a/b");
		else if (strcmp(l.v[i].dst, "/a/b") == 0)
			assert_string_equal(l.v[below].dst, "/a");
		else
			assert_int_equal(below, -1);
	}
	rt_binds_release(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_systems_in_memory),
		cmocka_unit_test(devices),
		cmocka_unit_test(what_is_left_out),
		cmocka_unit_test(words_parse_to_the_same),
		cmocka_unit_test(what_a_bind_lies_in),
		cmocka_unit_test(ids_and_names),
		cmocka_unit_test(an_overlay_keeps_changes_unless_it_is_ro),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
