/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime: which of the candidates becomes the user's directory on this node, and what is no
 * reason to try the next one. */
#include "config.h"

#include "runtime/place.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include <cmocka.h>

#include "util/mem.h"
#include "util/rundir.h"
#include "util/poison.h"

#define XDG	"/run/user/1"
#define TMPFS	0x01021994
#define NFS	0x6969
#define FUSE	0x65735546
#define NOTHING (-1) /* candidates are not named, or made */

/* ---- in place of util/rundir.c and the kernel ---- */

static struct {
	int open_errno,
		parent_errno;	    /* of $XDG_RUNTIME_DIR/hpcrun and what is above it; 0: there */
	int make_errno[HR_RUNDIRS]; /* of the candidates, in order; 0: made */
	long fs;		    /* of the first one */
	bool no_xdg, fs_unknown;
	int made; /* the last that was made or tried */
} node;

char *hr_rundir_path(unsigned int i)
{
	return i == 0 && node.no_xdg ? NULL : hr_xasprintf("%u", i);
}

static int answer(int failure)
{
	errno = failure;
	return failure ? -1 : open("/", O_PATH | O_CLOEXEC);
}

int hr_rundir_open(int dirfd, const char *name)
{
	assert_int_equal(dirfd, AT_FDCWD);
	return answer(strcmp(name, XDG) == 0 ? node.parent_errno : node.open_errno);
}

int hr_rundir_make(int dirfd, const char *name)
{
	node.made = dirfd == AT_FDCWD ? (int)strtol(name, NULL, 10) : 0;
	assert_true(dirfd == AT_FDCWD || strcmp(name, "hpcrun") == 0);
	return answer(node.make_errno[node.made]);
}

int fstatfs(int fd, struct statfs *fs)
{
	(void)fd;
	fs->f_type = node.fs;
	return answer(node.fs_unknown ? EIO : 0) < 0 ? -1 : 0;
}

/* ---- */

static const struct {
	const char *what;
	int open_errno, parent_errno, make_errno[HR_RUNDIRS];
	long fs;
	bool no_xdg, fs_unknown;
	int made;	   /* the last candidate that is tried, or NOTHING */
	enum hr_kind kind; /* HR_OK: it is the one */
	int sys;
} rows[] = {
	{ "it is there", .made = NOTHING },
	{ "not named", .no_xdg = true, .made = 1 },
	{ "not there", .open_errno = ENOENT, .made = 0 },
	{ "not there, nor what is above it", .open_errno = ENOENT, .parent_errno = ENOENT,
	  .made = 1 },
	{ "not there, and cannot be made", .open_errno = ENOENT, .make_errno = { EROFS },
	  .made = 1 },
	{ "another's", .open_errno = EPERM, .made = 1 },
	{ "on NFS", .fs = NFS, .made = 1 },
	{ "on FUSE", .fs = FUSE, .made = 1 },
	{ "on who knows what", .fs_unknown = true, .made = 1 },
	{ "made on NFS", .open_errno = ENOENT, .fs = NFS, .made = 1 },
	{ "names of others", .no_xdg = true, .make_errno = { 0, EPERM, ENOTDIR, ELOOP },
	  .made = 4 },
	{ "no room", .no_xdg = true, .make_errno = { 0, ENOSPC }, .made = 1, HR_SYS, ENOSPC },
	{ "read-only", .no_xdg = true, .make_errno = { 0, EROFS }, .made = 1, HR_SYS, EROFS },
	{ "forbidden", .no_xdg = true, .make_errno = { 0, EACCES }, .made = 1, HR_SYS, EACCES },
	{ "no room for the second", .no_xdg = true, .make_errno = { 0, EPERM, EDQUOT }, .made = 2,
	  HR_SYS, EDQUOT },
	{ "all are others'", .no_xdg = true,
	  .make_errno = { 0, EPERM, EPERM, EPERM, ELOOP, EPERM, ENOTDIR, EPERM, EPERM },
	  .made = HR_RUNDIRS - 1, HR_DENIED },
	{ "all but the last", .no_xdg = true,
	  .make_errno = { 0, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM },
	  .made = HR_RUNDIRS - 1 },
};

static void one_of_the_candidates(void **state)
{
	(void)state;
	assert_int_equal(setenv("XDG_RUNTIME_DIR", XDG, 1), 0);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		int fd;

		node.open_errno = rows[i].open_errno;
		node.parent_errno = rows[i].parent_errno;
		memcpy(node.make_errno, rows[i].make_errno, sizeof(node.make_errno));
		node.fs = rows[i].fs ? rows[i].fs : TMPFS;
		node.no_xdg = rows[i].no_xdg;
		node.fs_unknown = rows[i].fs_unknown;
		node.made = NOTHING;
		fd = rt_place_open(&e);
		if ((fd >= 0) != (rows[i].kind == HR_OK) || node.made != rows[i].made ||
		    e.kind != rows[i].kind || e.sys != rows[i].sys)
			fail_msg("%s: candidate %d, kind %d, '%s'", rows[i].what, node.made,
				 (int)e.kind, e.text);
		if (rows[i].kind == HR_DENIED)
			assert_non_null(strstr(e.hint, "XDG_RUNTIME_DIR"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_of_the_candidates),
	};

	return cmocka_run_group_tests_name("runtime place", tests, NULL, NULL);
}
