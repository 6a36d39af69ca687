/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/msg.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(RT_MSG_FDS_MAX * sizeof(int))];
};

static bool peer_gone(int err)
{
	return err == EPIPE || err == ECONNRESET || err == ENOTCONN;
}

int rt_msg_send(int sock, const void *p, size_t len, const int *fds, size_t n, struct hr_err *e)
{
	struct iovec iov = { (void *)(uintptr_t)p, len };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control = { 0 };
	ssize_t sent;

	HR_BUG_ON(n > RT_MSG_FDS_MAX);
	if (n > 0) {
		struct cmsghdr *c;

		h.msg_control = control.room;
		h.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	do {
		sent = sendmsg(sock, &h, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return hr_fail(e, peer_gone(errno) ? HR_NOTFOUND : HR_SYS, errno,
			       "cannot send a packet of %zu bytes", len);
	return 0;
}

/* All descriptors of the packet: the first N go to FDS, a surplus is closed and counted. */
static size_t take_fds(struct msghdr *h, int *fds, size_t n)
{
	size_t seen = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (seen < n)
				fds[seen] = fd;
			else
				close(fd);
			seen++;
		}
	}
	return seen;
}

int rt_msg_recv(int sock, void *p, size_t len, int *fds, size_t n, struct hr_err *e)
{
	struct iovec iov = { p, len };
	union control control = { 0 };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof(control.room) };
	size_t seen;
	ssize_t got;

	for (size_t i = 0; i < n; i++)
		fds[i] = -1;
	do {
		got = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return hr_fail(e, peer_gone(errno) ? HR_NOTFOUND : HR_SYS, errno,
			       "cannot receive a packet");
	seen = take_fds(&h, fds, n);
	if ((size_t)got == len && seen <= n && !(h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 0;
	for (size_t i = 0; i < n; i++) {
		hr_fd_cleanup(&fds[i]);
		fds[i] = -1;
	}
	if (got == 0)
		return hr_fail(e, HR_NOTFOUND, 0, "the other side closed the socket");
	return hr_fail(e, HR_CORRUPT, 0,
		       "a packet of %zd bytes with %zu descriptors; expected %zu and at most %zu",
		       got, seen, len, n);
}

int rt_msg_peer_uid(int sock, uid_t *uid, struct hr_err *e)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot tell who is behind the session's socket");
	*uid = cred.uid;
	return 0;
}

int rt_msg_memfd(const void *p, size_t n, struct hr_err *e)
{
	hr_autofd int fd = memfd_create("hpcrun-message", MFD_CLOEXEC);

	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a memory file");
	if (n > 0 && hr_write_all(fd, p, n, "a memory file", e) < 0)
		return -1;
	return hr_steal_fd(&fd);
}

int rt_msg_read_memfd(int fd, size_t limit, struct hr_buf *b, struct hr_err *e)
{
	if (fd < 0)
		return 0;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot read a memory file");
	return hr_fd_read(fd, limit, "a memory file", b, e);
}
