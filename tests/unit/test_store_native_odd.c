/* SPDX-License-Identifier: BSD-3-Clause */
/* Large files in the node cache that somebody else makes, changed or has left. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/native_rig.h"
#include "tests/unit/tree_remove.h"
#include "util/cleanup.h"
#include "util/poison.h"

static void test_one_maker(void **state)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *other = NULL;
	struct store_cache_file_want want = rig_big_want();
	enum store_cache_file_state s;
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(store_cache_file_open(rig.cache, &want, true, &other, &e), 0);
	assert_int_equal(store_cache_file_claim(other, &s, &e), 0);
	assert_int_equal(s, STORE_CACHE_FILE_NONE);
	assert_int_equal(rig_make_big(&f, &e), STORE_NATIVE_LATER);
	assert_int_equal(rig.asked, 0);
	store_cache_file_close(hr_steal(&other)); /* as a process that dies does */
	rig_make_it();
}

/* What somebody does to the file, and how it is found. */
static void change_content(const char *path, off_t at)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	const struct timespec old[2] = { { 1000000000, 123456789 }, { 1000000000, 123456789 } };

	assert_int_equal(pwrite(fd, "x", 1, at), 1);
	assert_int_equal(futimens(fd, old), 0); /* as a bad disk does it: no other time */
	close(fd);
}

static void change_time(const char *path)
{
	assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
}

static void change_size(const char *path)
{
	assert_int_equal(truncate(path, MIB), 0);
	change_content(path, 0); /* and the time is as it was */
}

static void change_type(const char *path)
{
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0751), 0);
}

static void change_owner(const char *path) /* nobody but root can */
{
	if (geteuid() != 0)
		change_type(path);
	else if (chown(path, 12345, (gid_t)-1) < 0 || chmod(path, 0751) < 0)
		fail();
}

static void change_mode(const char *path)
{
	assert_int_equal(chmod(path, 0777), 0);
}

static void add_link(const char *path)
{
	char other[300];

	snprintf(other, sizeof(other), "%s.other", path);
	assert_int_equal(link(path, other), 0);
}

static void test_changed(void **state)
{
	static const struct {
		const char *what;
		void (*change)(const char *path);
	} rows[] = {
		{ "time", change_time },   { "size", change_size }, { "type", change_type },
		{ "owner", change_owner }, { "mode", change_mode }, { "links", add_link },
	};
	char path[256];

	(void)state;
	rig_path("", path);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		rig_make_it();
		assert_int_equal(rig_state(), STORE_CACHE_FILE_WHOLE);
		rows[i].change(path);
		if (rig_state() != STORE_CACHE_FILE_NONE || access(path, F_OK) == 0)
			fail_msg("%s", rows[i].what);
	}
}

/* An access control list that files of a directory get, "user 1: rwx", as the file system keeps it.
 */
static bool give_acl(const char *dir)
{
	static const char acl[] =
		"\2\0\0\0\1\0\7\0\377\377\377\377\2\0\7\0\1\0\0\0\4\0\0\0\377\377\377\377"
		"\20\0\7\0\377\377\377\377\40\0\0\0\377\377\377\377";

	return setxattr(dir, "system.posix_acl_default", acl, sizeof(acl) - 1, 0) == 0;
}

/* A group that is not ours, which files of a directory get. */
static bool give_group(const char *dir)
{
	return geteuid() == 0 && chown(dir, (uid_t)-1, 12345) == 0 && chmod(dir, 02700) == 0;
}

/* What a directory gives to its files would be seen in the container: no such file is made. */
static void test_inherited(void **state)
{
	static const struct {
		const char *what;
		bool (*give)(const char *dir);
	} rows[] = { { "another set of extended attributes", give_acl },
		     { "another group", give_group } };
	char dir[80];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/files", rig.top);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct store_cache_file *f = NULL;
		struct hr_err e = { 0 };

		assert_int_equal(mkdir(dir, 0700), 0);
		if (rows[i].give(dir) && (rig_make_big(&f, &e) != STORE_NATIVE_NOT ||
					  e.kind != HR_DENIED || !strstr(e.text, rows[i].what)))
			fail_msg("%s: '%s'", rows[i].what, e.text);
		assert_int_equal(tree_remove(dir), 0);
	}
}

/* A file that was given to another group since is left where it is, unused. */
static void test_regrouped(void **state)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	struct store_cache_file_want want = rig_big_want();
	struct hr_err e = { 0 };
	char path[256];

	(void)state;
	if (geteuid() != 0) /* nobody else can */
		return;
	rig_make_it();
	rig_path("", path);
	assert_int_equal(chown(path, (uid_t)-1, 12345), 0);
	assert_int_equal(chmod(path, 0751), 0);
	assert_int_equal(store_cache_file_open(rig.cache, &want, true, &f, &e), -1);
	assert_int_equal(e.kind, HR_DENIED);
}

/* A seal of another boot: the node may have lost power since. */
static void other_boot(void)
{
	char path[256];
	int fd;

	rig_path(".seal", path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "00000000", 8, 8), 8);
	close(fd);
}

static void test_old(void **state)
{
	/* first byte, first and last of the hole, last byte */
	static const off_t places[] = { 0, MIB, 2 * MIB - 1, 2 * MIB + 4 };
	unsigned int before;
	char path[256];

	(void)state;
	rig_make_it();
	before = rig.asked;
	other_boot();
	assert_int_equal(rig_state(), STORE_CACHE_FILE_OLD);
	rig_make_it(); /* compares */
	assert_int_equal(rig.asked, before);
	assert_int_equal(rig_state(), STORE_CACHE_FILE_WHOLE);
	rig_path("", path);
	for (size_t i = 0; i < HR_COUNT(places); i++) {
		before = rig.asked;
		other_boot();
		change_content(path, places[i]);
		rig_make_it(); /* makes it again */
		assert_true(rig.asked > before);
		assert_int_equal(rig_state(), STORE_CACHE_FILE_WHOLE);
	}
}

static void test_old_part(void **state)
{
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };

	(void)state;
	rig.allowed = 1;
	assert_int_equal(rig_make_big(&f, &e), STORE_NATIVE_LATER);
	other_boot();
	rig.allowed = 10;
	rig.asked = 0;
	rig_make_it();
	assert_int_equal(rig.asked, 2); /* from the beginning */
}

static void test_evicted(void **state)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	struct store_cache_usage left;
	struct hr_err e = { 0 };
	char path[256];

	(void)state;
	rig_path("", path);
	assert_int_equal(rig_make_big(&f, &e), STORE_NATIVE_WHOLE);
	assert_int_equal(store_cache_evict(rig.cache, 0, &left, &e), 0);
	assert_int_equal(left.files, 1); /* in use */
	assert_int_equal(access(path, F_OK), 0);
	store_cache_file_close(hr_steal(&f));
	assert_int_equal(store_cache_evict(rig.cache, 0, &left, &e), 0);
	assert_int_equal(left.files, 0);
	assert_int_equal(left.bytes, 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(errno, ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_maker, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_changed, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_inherited, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_regrouped, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_old, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_old_part, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_evicted, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, rig_setup_all, rig_teardown_all);
}
