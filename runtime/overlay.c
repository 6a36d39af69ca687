/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define FD_HIGH 64 /* out of the way of those that are placed by number for the server */
#define TRIES	150
#define TRY_US	20000

int rt_overlay_parse(const char *spec, char **dir, bool *ro, struct hr_err *e)
{
	const char *colon = strchr(spec, ':');

	*ro = colon && strcmp(colon, ":ro") == 0;
	if (colon && !*ro && strcmp(colon, ":rw") != 0)
		return hr_fail(e, HR_USAGE, 0, "--overlay '%s': '%s' is neither ro nor rw", spec,
			       colon + 1);
	if (spec[0] == '\0' || colon == spec)
		return hr_fail(e, HR_USAGE, 0, "--overlay '%s' names no directory", spec);
	*dir = colon ? hr_xstrndup(spec, (size_t)(colon - spec)) : hr_xstrdup(spec);
	return 0;
}

/*
 * Those that cannot: ovl_dentry_remote(), and what overlayfs asks of an upper layer (whiteouts,
 * renames over them, extended attributes of users), overlayfs.rst of the kernel. Numbers are those
 * of statfs(2), and of the Lustre, GPFS and BeeGFS sources.
 */
static const struct unfit {
	unsigned long magic;
	const char *name;
} unfit[] = {
	{ 0x6969, "NFS" },	  { 0x0bd00bd0, "Lustre" }, { 0x47504653, "GPFS" },
	{ 0x19830326, "BeeGFS" }, { 0x00c36400, "CephFS" }, { 0x5346414f, "AFS" },
	{ 0xff534d42, "CIFS" },	  { 0xfe534d42, "SMB2" },   { 0x794c7630, "overlayfs" },
	{ 0x65735546, "FUSE" },	  { 0x01021997, "9P" },
};

static int check_type(int fd, const char *dir, struct hr_err *e)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot look at the file system of '%s'", dir);
	for (size_t i = 0; i < HR_COUNT(unfit); i++) {
		if ((unsigned long)fs.f_type != unfit[i].magic)
			continue;
		hr_fail(e, HR_USAGE, 0,
			"--overlay '%s' is on %s, which cannot hold what programs change", dir,
			unfit[i].name);
		hr_hint(e, "it takes a file system of the node's own, such as ext4 or xfs, often "
			   "where TMPDIR or /tmp is");
		return -1;
	}
	return 0;
}

/* A session that has let go of its container may need a moment until its server has ended. */
static int lock(int fd, bool ro, const char *dir, struct hr_err *e)
{
	for (int i = 0; i < TRIES; i++) {
		if (flock(fd, (ro ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return hr_fail(e, HR_SYS, errno, "cannot lock '%s'", dir);
		usleep(TRY_US);
	}
	hr_fail(e, HR_DENIED, 0, "--overlay '%s' is in use by another session", dir);
	hr_hint(e, "runs with the same image and options share one; else wait for the other to "
		   "end, take another directory, or ':ro' for all of them");
	return -1;
}

static int make_parts(int fd, const char *dir, struct hr_err *e)
{
	static const char *const parts[] = { "upper", "work" };

	for (size_t i = 0; i < HR_COUNT(parts); i++)
		if (mkdirat(fd, parts[i], 0755) < 0 && errno != EEXIST)
			return hr_fail(e, HR_SYS, errno, "cannot make '%s/%s' for --overlay", dir,
				       parts[i]);
	return 0;
}

int rt_overlay_open(const char *dir, bool ro, struct hr_err *e)
{
	hr_autofd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int high;

	if (fd < 0) {
		hr_fail(e, errno == ENOENT ? HR_NOTFOUND : HR_SYS, errno,
			"cannot open '%s' for --overlay", dir);
		if (errno == ENOENT)
			hr_hint(e, "make it first: 'mkdir %s'", dir);
		return -1;
	}
	if ((!ro && check_type(fd, dir, e) < 0) || lock(fd, ro, dir, e) < 0)
		return -1;
	if (ro && faccessat(fd, "upper", F_OK, 0) < 0)
		return hr_fail(e, HR_NOTFOUND, errno, "--overlay '%s' has no 'upper'", dir);
	if (!ro && make_parts(fd, dir, e) < 0)
		return -1;
	high = fcntl(fd, F_DUPFD_CLOEXEC, FD_HIGH);
	return high >= 0 ? high : hr_fail(e, HR_SYS, errno, "cannot keep '%s' open", dir);
}
