/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/packet.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/poison.h"

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(HR_PACKET_FDS_MAX * sizeof(int))];
};

int hr_packet_send(int sock, const void *p, size_t len, const int *fds, size_t n)
{
	struct iovec iov = { (void *)(uintptr_t)p, len };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control = { 0 };
	ssize_t sent;

	HR_BUG_ON(n > HR_PACKET_FDS_MAX);
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
	return sent < 0 ? -1 : 0;
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

int hr_packet_recv(int sock, void *p, size_t len, int *fds, size_t n, struct hr_packet *got)
{
	struct iovec iov = { p, len };
	union control control = { 0 };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof(control.room) };
	bool exhausted;
	ssize_t bytes;

	for (size_t i = 0; i < n; i++)
		fds[i] = -1;
	do {
		bytes = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);
	} while (bytes < 0 && errno == EINTR);
	if (bytes < 0)
		return -1;
	got->bytes = (size_t)bytes;
	got->fds = take_fds(&h, fds, n);
	/* cut although there was room: the kernel could not give us more of them, unix(7) */
	exhausted = (h.msg_flags & MSG_CTRUNC) && got->fds < n;
	got->whole =
		got->bytes == len && got->fds <= n && !(h.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
	for (size_t i = 0; !got->whole && i < n; i++) {
		hr_fd_cleanup(&fds[i]);
		fds[i] = -1;
	}
	if (!exhausted)
		return 0;
	errno = EMFILE;
	return -1;
}
