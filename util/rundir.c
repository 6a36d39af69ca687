/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

char *hr_rundir_path(unsigned int i)
{
	unsigned long uid = getauxval(AT_EUID);
	const char *xdg = getenv("XDG_RUNTIME_DIR");

	if (i == 0)
		return xdg && xdg[0] == '/' ? hr_xasprintf("%s/hpcrun", xdg) : NULL;
	if (i == 1)
		return hr_xasprintf("/tmp/hpcrun-%lu", uid);
	return hr_xasprintf("/tmp/hpcrun-%lu.%u", uid, i - 1);
}

int hr_rundir_open(int dirfd, const char *name)
{
	hr_autofd int fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (st.st_uid != getauxval(AT_EUID) || (st.st_mode & 07777) != 0700) {
		errno = EPERM;
		return -1;
	}
	return hr_steal_fd(&fd);
}

int hr_rundir_make(int dirfd, const char *name)
{
	int fd = hr_rundir_open(dirfd, name), r, err;
	mode_t old;

	if (fd >= 0 || errno != ENOENT)
		return fd;
	old = umask(077); /* the caller's may be 0777 */
	r = mkdirat(dirfd, name, 0700);
	err = errno;
	(void)umask(old);
	errno = err;
	if (r < 0 && err != EEXIST)
		return -1;
	return hr_rundir_open(dirfd, name);
}
