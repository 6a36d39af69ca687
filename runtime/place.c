/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/rundir.h"
#include "util/poison.h"

#define SWEEP_MAX  1000
#define KEY_DIGITS 32

/* File systems on which a lock or a socket would concern other nodes; from linux/magic.h and the
 * file systems' own headers. */
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

void rt_place_sock_name(const char *key, char name[RT_PLACE_NAME_SIZE])
{
	snprintf(name, RT_PLACE_NAME_SIZE, "%s.sock", key);
}

void rt_place_lock_name(const char *key, char name[RT_PLACE_NAME_SIZE])
{
	snprintf(name, RT_PLACE_NAME_SIZE, "%s.lock", key);
}

void rt_place_address(int fd, const char *key, struct sockaddr_un *address)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s.sock", fd, key);
}

int rt_place_lock(int dirfd, const char *key, struct hr_err *e)
{
	char name[RT_PLACE_NAME_SIZE];
	hr_autofd int fd = -1;
	struct stat st;
	mode_t old;

	rt_place_lock_name(key, name);
	old = umask(077);
	fd = openat(dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		hr_fail(e, HR_SYS, errno, "cannot make the lock of the session");
	(void)umask(old);
	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return -1;
		return hr_fail(e, HR_SYS, errno, "cannot lock the session");
	}
	/* its former holder may have removed the name just before it let go */
	if (fstat(fd, &st) < 0 || st.st_nlink == 0)
		return -1;
	return hr_steal_fd(&fd);
}

static bool is_lock_name(const char *name, char key[KEY_DIGITS + 1])
{
	if (strlen(name) != KEY_DIGITS + 5 || strcmp(name + KEY_DIGITS, ".lock") != 0)
		return false;
	memcpy(key, name, KEY_DIGITS);
	key[KEY_DIGITS] = '\0';
	return true;
}

void rt_place_sweep(int dirfd)
{
	hr_autofd int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	hr_autodir DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!d)
		return;
	fd = -1; /* closedir closes it */
	for (int i = 0; i < SWEEP_MAX && (entry = readdir(d)); i++) {
		char key[KEY_DIGITS + 1], name[RT_PLACE_NAME_SIZE];
		struct hr_err ignored = { 0 }; /* the next sweep tries again */
		hr_autofd int lock = -1;

		if (!is_lock_name(entry->d_name, key))
			continue;
		lock = rt_place_lock(dirfd, key, &ignored);
		if (lock < 0)
			continue;
		hr_debug("removing what session %s left behind", key);
		rt_place_sock_name(key, name);
		(void)unlinkat(dirfd, name, 0); /* housekeeping */
		(void)unlinkat(dirfd, entry->d_name, 0);
	}
}
