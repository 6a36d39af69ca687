/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime/trust: which files of the site's directories are taken. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/trust.h"
#include "tests/unit/tree_remove.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define HANG_S 60 /* an open that waits for another process ends the test */

static char dir[] = "/tmp/test_runtime_trust.XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return tree_remove(dir);
}

static void put(const char *name, mode_t mode)
{
	hr_autofree char *path = hr_xasprintf("%s/%s", dir, name);
	struct hr_err e = { 0 };

	assert_int_equal(hr_file_replace(AT_FDCWD, path, "x", 1, 0644, &e), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* Reading NAME of the directory says MESSAGE; NULL: it is read. */
static void assert_read(const char *name, const char *message)
{
	hr_autofd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };
	int r;

	(void)alarm(HANG_S);
	r = rt_trust_read(fd, dir, name, 10, &b, &e);
	(void)alarm(0);
	if ((r < 0) != (message != NULL) || (message && !strstr(e.text, message)))
		fail_msg("%s: %d '%s'", name, r, e.text);
}

static void assert_program(const char *name, const char *message)
{
	hr_autofree char *path = hr_xasprintf("%s/%s", dir, name);
	struct hr_err e = { 0 };
	int r = rt_trust_program(path, &e);

	if ((r < 0) != (message != NULL) || (message && !strstr(e.text, message)))
		fail_msg("%s: %d '%s'", name, r, e.text);
}

static void files_of_others_and_what_is_no_file(void **state)
{
	static const struct {
		const char *name;
		mode_t mode;
		const char *message;
	} rows[] = { { "a", 0644, NULL },
		     { "b", 0600, NULL },
		     { "c", 0664, "may be written by others" },
		     { "d", 0646, "may be written by others" } };
	hr_autofree char *fifo = hr_xasprintf("%s/fifo", dir);

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		put(rows[i].name, rows[i].mode);
		assert_read(rows[i].name, rows[i].message);
		assert_program(rows[i].name, rows[i].message);
	}
	if (geteuid() == 0) {
		hr_autofree char *path = hr_xasprintf("%s/a", dir);

		assert_int_equal(chown(path, 4242, (gid_t)-1), 0);
		assert_read("a", "belongs to user 4242, neither to root nor to you");
		assert_program("a", "belongs to user 4242, neither to root nor to you");
	} else {
		assert_program("../../bin/sh", NULL); /* root's */
	}
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_read("fifo", "is not a regular file");
	assert_program("fifo", "is not a regular file");
	assert_program(".", "is not a regular file");
}

static void names_are_sorted_and_not_too_many(void **state)
{
	static const char *const suffixes[] = { ".json", ".x", NULL };
	static const char *const wanted[] = { "10.json", "9.json", "a.x", "b.json" };
	HR_CLEANUP(hr_strv_release) struct hr_strv names = { 0 }, all = { 0 };
	struct hr_err e = { 0 };
	hr_autofd int fd = -1, many = -1;

	(void)state;
	put("b.json", 0644);
	put("9.json", 0644);
	put("a.x", 0644);
	put("10.json", 0644);
	put(".hidden.json", 0644);
	put(".json", 0644);
	put("y.json~", 0644);
	fd = rt_trust_list(dir, suffixes, &names, &e);
	assert_true(fd >= 0);
	assert_int_equal(names.n, HR_COUNT(wanted));
	for (size_t i = 0; i < names.n; i++)
		assert_string_equal(names.v[i], wanted[i]);
	for (unsigned int i = 0; i <= RT_TRUST_FILES_MAX; i++) {
		hr_autofree char *name = hr_xasprintf("%s/%u.x", dir, i);
		hr_autofd int file = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

		assert_true(file >= 0);
	}
	many = rt_trust_list(dir, suffixes, &all, &e);
	assert_int_equal(many, -1);
	assert_non_null(strstr(e.text, "has more than 256 files"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_others_and_what_is_no_file),
		cmocka_unit_test(names_are_sorted_and_not_too_many),
	};

	return cmocka_run_group_tests_name("runtime trust", tests, setup, teardown);
}
