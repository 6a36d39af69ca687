/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime: what was found out about libraries is recalled as long as nothing has changed, and only
 * then. */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/memo.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

/* Files that have not changed for long: what has is not trusted to show its next change. */
#define OLD	  "/usr/bin/env"
#define OTHER_OLD "/usr/bin/cat"

static char dir[] = "/tmp/test_runtime_memo.XXXXXX";
static char linked[64], absent[64];
static int fd = -1;

static int make_dir(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(mkdirat(fd, "host", 0755), 0);
	snprintf(linked, sizeof(linked), "%s/host/linked", dir);
	snprintf(absent, sizeof(absent), "%s/host/absent", dir);
	return 0;
}

/* All entries; and the host as it was. */
static void clear(void)
{
	hr_autofd int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	hr_autodir DIR *d = fdopendir(again);
	struct dirent *entry;

	again = -1;
	assert_non_null(d);
	while ((entry = readdir(d)))
		if (strncmp(entry->d_name, "libs.", 5) == 0 && unlinkat(fd, entry->d_name, 0) < 0)
			assert_int_equal(unlinkat(fd, entry->d_name, AT_REMOVEDIR), 0);
	unlink(absent);
	unlink(linked);
	assert_int_equal(symlink(OLD, linked), 0);
}

static int remove_dir(void **state)
{
	(void)state;
	clear();
	unlink(linked);
	unlinkat(fd, "host", AT_REMOVEDIR);
	close(fd);
	return rmdir(dir);
}

/* A question, and what a session found out about it. */
static void ask(struct rt_memo *m)
{
	rt_memo_begin(m, "test");
	rt_memo_key(m, "image", "sha256:1");
	rt_memo_key(m, "path", "");
}
static void find_out(struct rt_memo *m)
{
	ask(m);
	rt_memo_saw(m, linked);
	rt_memo_saw(m, absent);
	rt_memo_saw(m, linked);
	rt_memo_answer(m, 'f', "/usr/lib/libcuda.so.1");
	rt_memo_answer(m, 'n', "libcuda.so.1");
}
static void keep(void)
{
	struct rt_memo m = { 0 };

	clear();
	find_out(&m);
	rt_memo_keep(&m, fd);
	rt_memo_release(&m);
}
static bool is_known(void)
{
	struct rt_memo m = { 0 };
	bool known;

	ask(&m);
	known = rt_memo_recall(&m, fd);
	if (known) {
		assert_int_equal(m.answer.n, 2);
		assert_string_equal(m.answer.v[0], "f/usr/lib/libcuda.so.1");
		assert_string_equal(m.answer.v[1], "nlibcuda.so.1");
	} else {
		assert_int_equal(m.answer.n, 0);
	}
	rt_memo_release(&m);
	return known;
}
/* The name of the one entry. */
static char *entry_name(void)
{
	hr_autofd int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	hr_autodir DIR *d = fdopendir(again);

	again = -1;
	assert_non_null(d);
	for (struct dirent *entry; (entry = readdir(d));)
		if (strncmp(entry->d_name, "libs.", 5) == 0)
			return hr_xstrdup(entry->d_name);
	fail_msg("there is no entry");
	return NULL;
}

static void test_recalls(void **state)
{
	hr_autofree char *name = NULL;
	struct stat st;

	(void)state;
	clear();
	assert_false(is_known());
	keep();
	assert_true(is_known());
	assert_true(is_known());
	name = entry_name();
	assert_int_equal(fstatat(fd, name, &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
}

static void test_each_part_of_the_key(void **state)
{
	size_t parts = 1;

	(void)state;
	for (size_t i = 0; i < parts; i++) {
		hr_autofree char *name = NULL, *theirs = NULL;
		struct rt_memo other = { 0 };

		keep();
		name = entry_name();
		clear();
		find_out(&other);
		parts = other.key.n;
		other.key.v[i][strlen(other.key.v[i]) - 1]++; /* of another boot, build, image */
		rt_memo_keep(&other, fd);
		assert_false(is_known());
		/* also where ours would be */
		theirs = entry_name();
		assert_int_equal(renameat(fd, theirs, fd, name), 0);
		assert_false(is_known());
		rt_memo_release(&other);
	}
	assert_in_range(parts, 6, 6);
}

static void test_a_file_that_changed(void **state)
{
	(void)state;
	keep();
	assert_int_equal(unlink(linked), 0);
	assert_false(is_known());
	assert_int_equal(symlink(OTHER_OLD, linked), 0); /* as an update of the driver does */
	assert_false(is_known());
	assert_int_equal(unlink(linked), 0);
	assert_int_equal(symlink(OLD, linked), 0);
	assert_true(is_known());
	assert_int_equal(symlink(OLD, absent), 0); /* it would be found before what was */
	assert_false(is_known());
}

/* Device, inode, size, both times and the mode: any digit of them. */
static void test_each_part_of_a_file(void **state)
{
	struct rt_memo m = { 0 };
	size_t n;

	(void)state;
	clear();
	rt_memo_saw(&m, linked);
	n = strcspn(m.seen.v[0], " ");
	rt_memo_release(&m);
	for (size_t i = 0; i < n; i++) {
		find_out(&m);
		if (m.seen.v[0][i] >= '0' && m.seen.v[0][i] <= '9') {
			m.seen.v[0][i] = m.seen.v[0][i] == '9' ? '8' : (char)(m.seen.v[0][i] + 1);
			rt_memo_keep(&m, fd);
			assert_false(is_known());
		}
		rt_memo_release(&m);
	}
}

static void test_a_file_written_just_now(void **state)
{
	struct rt_memo m = { 0 };
	hr_autofd int made = -1;

	(void)state;
	clear();
	made = open(absent, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(made >= 0);
	find_out(&m);
	assert_true(m.unsure);
	rt_memo_keep(&m, fd);
	assert_false(is_known());
	rt_memo_release(&m);
}

static void test_torn(void **state)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct rt_memo m = { 0 }, got = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	clear();
	find_out(&m);
	rt_memo_write(&m, &b);
	assert_int_equal(rt_memo_parse(b.p, b.len, &got, &e), 0);
	assert_int_equal(got.key.n, m.key.n);
	assert_int_equal(got.seen.n, 2); /* one was looked at twice */
	assert_int_equal(got.answer.n, 2);
	rt_memo_release(&got);
	for (size_t i = 0; i < 2 * b.len; i++) {
		hr_autofree uint8_t *copy = hr_xmalloc(b.len);
		size_t n = i < b.len ? i : b.len;

		memcpy(copy, b.p, n);
		if (i >= b.len)
			copy[i - b.len] ^= 1;
		hr_err_clear(&e);
		assert_int_equal(rt_memo_parse(copy, n, &got, &e), -1);
		assert_int_equal(e.kind, HR_CORRUPT);
		rt_memo_release(&got);
	}
	rt_memo_release(&m);
}

static void test_files_of_others(void **state)
{
	enum { READABLE, GARBAGE, EMPTY, LINK, FIFO, DIRECTORY, KINDS };

	(void)state;
	for (int kind = 0; kind < KINDS; kind++) {
		hr_autofree char *name = NULL;
		struct hr_err e = { 0 };

		keep();
		name = entry_name();
		if (kind != READABLE)
			assert_int_equal(renameat(fd, name, fd, "libs.moved"), 0);
		switch (kind) {
		case READABLE:
			assert_int_equal(fchmodat(fd, name, 0644, 0), 0);
			break;
		case GARBAGE:
			assert_int_equal(hr_file_replace(fd, name, "garbage", 7, 0600, &e), 0);
			break;
		case EMPTY:
			assert_int_equal(hr_file_replace(fd, name, "", 0, 0600, &e), 0);
			break;
		case LINK:
			assert_int_equal(symlinkat("libs.moved", fd, name), 0);
			break;
		case FIFO:
			assert_int_equal(mkfifoat(fd, name, 0600), 0);
			break;
		case DIRECTORY:
			assert_int_equal(mkdirat(fd, name, 0700), 0);
			break;
		}
		assert_false(is_known());
	}
}

static void keep_of(int image)
{
	hr_autofree char *digest = hr_xasprintf("sha256:%d", image);
	struct rt_memo m = { 0 };

	rt_memo_begin(&m, "test");
	rt_memo_key(&m, "image", digest);
	rt_memo_answer(&m, 'f', "/x");
	rt_memo_keep(&m, fd);
	rt_memo_release(&m);
}
static bool is_known_of(int image)
{
	hr_autofree char *digest = hr_xasprintf("sha256:%d", image);
	struct rt_memo m = { 0 };
	bool known;

	rt_memo_begin(&m, "test");
	rt_memo_key(&m, "image", digest);
	known = rt_memo_recall(&m, fd);
	rt_memo_release(&m);
	return known;
}

static void test_none_replaces_another(void **state)
{
	(void)state;
	clear();
	for (int i = 0; i < 64; i++)
		keep_of(i);
	for (int i = 0; i < 64; i++)
		assert_true(is_known_of(i));
}

static void test_oldest_makes_room(void **state)
{
	const struct timespec later[2] = { { .tv_nsec = UTIME_OMIT }, { time(NULL) + 3600, 0 } };
	hr_autofree char *newest = NULL;
	hr_autofd int again = -1;
	hr_autodir DIR *d = NULL;
	size_t n = 0;

	(void)state;
	clear();
	keep_of(0);
	newest = entry_name();
	assert_int_equal(utimensat(fd, newest, later, 0), 0);
	for (int i = 1; i < 500; i++)
		keep_of(i);
	assert_true(is_known_of(0));
	again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fdopendir(again);
	again = -1;
	assert_non_null(d);
	for (struct dirent *entry; (entry = readdir(d));)
		n += strncmp(entry->d_name, "libs.", 5) == 0;
	assert_int_equal(n, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recalls),
		cmocka_unit_test(test_each_part_of_the_key),
		cmocka_unit_test(test_a_file_that_changed),
		cmocka_unit_test(test_each_part_of_a_file),
		cmocka_unit_test(test_a_file_written_just_now),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_files_of_others),
		cmocka_unit_test(test_none_replaces_another),
		cmocka_unit_test(test_oldest_makes_room),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
