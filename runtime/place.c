/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/rundir.h"
#include "util/poison.h"

/* File systems on which a lock would concern other nodes; from linux/magic.h and the file systems'
 * own headers. */
static const unsigned long network_magics[] = {
	0x6969,	    /* NFS */
	0xff534d42, /* CIFS */
	0xfe534d42, /* SMB2 */
	0x0bd00bd0, /* Lustre */
	0x47504653, /* GPFS */
	0x19830326, /* BeeGFS */
	0x00c36400, /* Ceph */
	0x65735546, /* FUSE */
};

static bool on_network(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return true;
	for (size_t i = 0; i < HR_COUNT(network_magics); i++)
		if ((unsigned long)fs.f_type == network_magics[i])
			return true;
	return false;
}

/* Once the directory is there, it alone counts: nobody else could have put one of ours in its
 * place.
 */
static int open_runtime_dir(void)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	hr_autofree char *path = hr_rundir_path(0);
	hr_autofd int parent = -1, fd = -1;

	if (!path)
		return -1;
	fd = hr_rundir_open(AT_FDCWD, path);
	if (fd < 0 && errno == ENOENT) {
		parent = hr_rundir_open(AT_FDCWD, xdg);
		if (parent >= 0)
			fd = hr_rundir_make(parent, "hpcrun");
	}
	return fd >= 0 && !on_network(fd) ? hr_steal_fd(&fd) : -1;
}

int rt_place_open(struct hr_err *e)
{
	unsigned long uid = getauxval(AT_EUID);
	int fd = open_runtime_dir();

	for (unsigned int i = 1; fd < 0 && i < HR_RUNDIRS; i++) {
		hr_autofree char *name = hr_rundir_path(i);

		fd = hr_rundir_make(AT_FDCWD, name);
		if (fd < 0 && errno != EPERM && errno != ENOTDIR && errno != ELOOP)
			return hr_fail(e, HR_SYS, errno, "cannot make the directory '%s'", name);
	}
	if (fd >= 0)
		return fd;
	hr_fail(e, HR_DENIED, 0,
		"none of /tmp/hpcrun-%lu to /tmp/hpcrun-%lu.%d is a directory of yours with mode "
		"0700",
		uid, uid, HR_RUNDIRS - 2);
	hr_hint(e, "remove them, or set XDG_RUNTIME_DIR to a directory of yours on this node, mode "
		   "0700");
	return -1;
}
