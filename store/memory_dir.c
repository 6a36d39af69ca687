/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/memory_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/packet.h"
#include "util/poison.h"

/* linux/mount.h, which excludes sys/mount.h, and glibc's from 2.36 on; the values are the kernel's
 */
#define OPEN_CLOEXEC  1 /* FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC */
#define CONFIG_STRING 1 /* enum fsconfig_command */
#define CONFIG_CREATE 6
#define ATTR_NOSUID   0x00000002
#define ATTR_NODEV    0x00000004
#define ATTR_NOEXEC   0x00000008

static bool put(const char *path, const char *text)
{
	hr_autofd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* Become who may mount: the only user of a user namespace. UID, GID: lines of the maps. */
static bool enter(const char *uid, const char *gid)
{
	/* user_namespaces(7): without "deny" an unprivileged gid_map is refused */
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && put("/proc/self/uid_map", uid) &&
	       put("/proc/self/setgroups", "deny") && put("/proc/self/gid_map", gid);
}

static int mount_nowhere(void)
{
	hr_autofd int fs = (int)syscall(SYS_fsopen, "tmpfs", OPEN_CLOEXEC);

	if (fs < 0 || syscall(SYS_fsconfig, fs, CONFIG_STRING, "mode", "0700", 0) < 0 ||
	    syscall(SYS_fsconfig, fs, CONFIG_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return (int)syscall(SYS_fsmount, fs, OPEN_CLOEXEC, ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC);
}

/* The child: what it makes outlives its namespaces, for the descriptor holds it. */
static void child(int sock, const char *uid, const char *gid)
{
	int fd = -1, r = 0;

	if (enter(uid, gid))
		fd = mount_nowhere();
	if (fd < 0)
		r = errno;
	_exit(hr_packet_send(sock, &r, sizeof(r), &fd, fd >= 0) < 0);
}

int store_memory_dir(struct hr_err *e)
{
	static const char what[] = "cannot make a directory in memory";
	hr_autofd int ours = -1, theirs = -1;
	struct hr_packet got = { 0 };
	char uid[64], gid[64];
	int sock[2], fd = -1, r = EIO;
	pid_t pid;

	snprintf(uid, sizeof(uid), "%u %u 1", (unsigned int)geteuid(), (unsigned int)geteuid());
	snprintf(gid, sizeof(gid), "%u %u 1", (unsigned int)getegid(), (unsigned int)getegid());
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		return hr_fail(e, HR_SYS, errno, "%s", what);
	ours = sock[0];
	theirs = sock[1];
	pid = fork();
	if (pid < 0)
		return hr_fail(e, HR_SYS, errno, "%s", what);
	if (pid == 0)
		child(theirs, uid, gid);
	hr_fd_cleanup(&theirs);
	theirs = -1;
	if (hr_packet_recv(ours, &r, sizeof(r), &fd, 1, &got) < 0)
		r = errno;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (fd < 0)
		return hr_fail(e, HR_SYS, r, "%s", what);
	return fd;
}
