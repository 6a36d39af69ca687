/* SPDX-License-Identifier: BSD-3-Clause */
/* util: a file gets its name without taking that from another, on file systems of all kinds. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define TMP  "unfinished"
#define NAME "name"

static int link_errno; /* of a file system; 0: it has links */

/* In place of the C library's. */
int linkat(int from, const char *old, int to, const char *name, int flags)
{
	errno = link_errno;
	return link_errno ? -1 : (int)syscall(SYS_linkat, from, old, to, name, flags);
}

static int dir = -1;
static char path[64];

static void put(const char *name)
{
	struct hr_err e = { 0 };

	assert_int_equal(hr_file_replace(dir, name, name, strlen(name), 0600, &e), 0);
}

/* What the file NAME has, or "": it is not there. */
static const char *content(void)
{
	static char text[32];
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };

	text[0] = '\0';
	if (hr_file_read(dir, NAME, sizeof(text) - 1, &b, &e) == 0)
		memcpy(text, b.p, b.len + 1);
	return text;
}

static void who_is_first_keeps_the_name(void **state)
{
	static const struct {
		int links, got; /* errno of linkat(), of the whole if there is no such name yet */
	} rows[] = { { 0, 0 },	   { EPERM, 0 },       { EOPNOTSUPP, 0 },  { ENOSYS, 0 },
		     { EIO, EIO }, { ENOSPC, ENOSPC }, { EACCES, EACCES }, { EEXIST, EEXIST } };

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		int r, first = rows[i].got ? rows[i].got : EEXIST;

		unlinkat(dir, NAME, 0);
		put(TMP);
		link_errno = rows[i].links;
		r = hr_file_publish(dir, TMP, NAME);
		if ((r < 0 ? errno : 0) != rows[i].got ||
		    strcmp(content(), rows[i].got ? "" : TMP) != 0)
			fail_msg("errno %d of linkat(): '%s'", rows[i].links, content());
		put(NAME);
		put(TMP);
		r = hr_file_publish(dir, TMP, NAME);
		if (r == 0 || errno != first || strcmp(content(), NAME) != 0)
			fail_msg("errno %d of linkat(), and the name is taken: '%s'", rows[i].links,
				 content());
	}
}

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/test_util_io.XXXXXX");
	if (!mkdtemp(path))
		return -1;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0;
}

static int teardown(void **state)
{
	(void)state;
	unlinkat(dir, NAME, 0);
	unlinkat(dir, TMP, 0);
	close(dir);
	return rmdir(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_is_first_keeps_the_name, setup, teardown),
	};

	return cmocka_run_group_tests_name("util io", tests, NULL, NULL);
}
