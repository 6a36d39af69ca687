/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime/ldcache: caches that ldconfig makes here, in all its formats, and damaged ones. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/ldcache.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

/* The bytes of a cache of the directories that this machine's loader has, and of DIR. */
static void make_cache(const char *format, const char *dir, struct hr_buf *out)
{
	hr_autofree char *conf = hr_xasprintf("%s/conf", dir);
	hr_autofree char *cache = hr_xasprintf("%s/cache", dir);
	struct hr_err e = { 0 };
	int status = -1;
	pid_t pid;

	assert_int_equal(hr_file_replace(AT_FDCWD, conf, dir, strlen(dir), 0644, &e), 0);
	pid = fork();
	if (pid == 0) {
		/* -X: no links are made; it warns about an auxiliary cache that is root's */
		hr_autofd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(null, STDERR_FILENO);
		execl("/sbin/ldconfig", "ldconfig", "-X", "-c", format, "-C", cache, "-f", conf,
		      (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(hr_file_read(AT_FDCWD, cache, RT_LDCACHE_MAX, out, &e), 0);
	unlink(conf);
	unlink(cache);
}

/* The path of an entry for all processors, as libtree.c looks for it. */
static const char *path_of(const struct rt_ldcache *c, const char *soname)
{
	for (uint32_t i = 0; i < c->count; i++) {
		struct rt_ldcache_entry entry;

		rt_ldcache_get(c, i, &entry);
		if (entry.hwcap == 0 && strcmp(entry.soname, soname) == 0)
			return entry.path;
	}
	return NULL;
}

static void what_ldconfig_makes(void **state)
{
	static const struct {
		const char *format, *message;
	} rows[] = { { "new", NULL }, { "compat", NULL }, { "old", "glibc 2.1" } };
	char dir[] = "/tmp/hpcrun-ldcache.XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autobuf struct hr_buf b = { 0 };
		struct rt_ldcache c;
		struct hr_err e = { 0 };
		const char *path;

		make_cache(rows[i].format, dir, &b);
		if (rows[i].message) {
			assert_int_equal(rt_ldcache_parse(b.p, b.len, &c, &e), -1);
			assert_non_null(strstr(e.text, rows[i].message));
			continue;
		}
		assert_int_equal(rt_ldcache_parse(b.p, b.len, &c, &e), 0);
		path = path_of(&c, "libc.so.6");
		assert_non_null(path);
		assert_int_equal(access(path, R_OK), 0);
		assert_null(path_of(&c, "libc.so."));
	}
	rmdir(dir);
}

/* One entry: header, entry, strings. */
static void small_cache(struct hr_buf *b)
{
	static const char name[] = "libx.so.1", path[] = "/l/libx.so.1";

	hr_buf_str(b, "glibc-ld.so.cache1.1");
	hr_buf_le(b, 1, 4);
	hr_buf_le(b, sizeof(name) + sizeof(path), 4);
	hr_buf_le(b, 2, 4); /* little endian */
	hr_buf_le(b, 0, 4);
	hr_buf_le(b, 0, 8);
	hr_buf_le(b, 0, 4);
	hr_buf_le(b, 0x0303, 4); /* x86-64, libc 6 */
	hr_buf_le(b, 72, 4);
	hr_buf_le(b, 72 + sizeof(name), 4);
	hr_buf_le(b, 0, 4);
	hr_buf_le(b, 0, 8);
	hr_buf_add(b, name, sizeof(name));
	hr_buf_add(b, path, sizeof(path));
}

static void damaged_caches(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		uint32_t value;
		const char *message; /* NULL: still good */
	} rows[] = {
		{ "as it is", 20, 1, NULL },
		{ "no entries", 20, 0, NULL },
		{ "one more than bytes", 20, 2, "cannot have 2 entries" },
		{ "too many", 20, 0xffffffff, "cannot have" },
		{ "byte order not said", 28, 0, NULL },
		{ "big-endian", 28, 3, "byte order (3)" },
		{ "invalid byte order", 28, 1, "byte order (1)" },
		{ "another version", 16, 0x32312e65, "not glibc's" },
		{ "name at the end", 52, 94, NULL },
		{ "name behind the end", 52, 95, "string without an end" },
		{ "name far behind", 52, 0xffffffff, "string without an end" },
		{ "relative path", 56, 72, "no absolute path" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autobuf struct hr_buf b = { 0 };
		struct rt_ldcache c;
		struct hr_err e = { 0 };
		int r;

		small_cache(&b);
		assert_int_equal(b.len, 95);
		hr_le32_put(b.p + rows[i].at, rows[i].value);
		r = rt_ldcache_parse(b.p, b.len, &c, &e);
		if (r != (rows[i].message ? -1 : 0) ||
		    (rows[i].message && !strstr(e.text, rows[i].message)))
			fail_msg("%s: %d, %s", rows[i].what, r, e.text);
	}
}

static void entries_for_some_processors_are_passed_over(void **state)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct rt_ldcache c;
	struct hr_err e = { 0 };

	(void)state;
	small_cache(&b);
	assert_int_equal(rt_ldcache_parse(b.p, b.len, &c, &e), 0);
	assert_string_equal(path_of(&c, "libx.so.1"), "/l/libx.so.1");
	b.p[64 + 7] = 0x40; /* DL_CACHE_HWCAP_EXTENSION */
	assert_null(path_of(&c, "libx.so.1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_ldconfig_makes),
		cmocka_unit_test(damaged_caches),
		cmocka_unit_test(entries_for_some_processors_are_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
