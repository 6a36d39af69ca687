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
#include "util/packet.h"
#include "util/poison.h"

static bool peer_gone(int err)
{
	return err == EPIPE || err == ECONNRESET || err == ENOTCONN;
}

int rt_msg_send(int sock, const void *p, size_t len, const int *fds, size_t n, struct hr_err *e)
{
	if (hr_packet_send(sock, p, len, fds, n) < 0)
		return hr_fail(e, peer_gone(errno) ? HR_NOTFOUND : HR_SYS, errno,
			       "cannot send a packet of %zu bytes", len);
	return 0;
}

int rt_msg_recv(int sock, void *p, size_t len, int *fds, size_t n, struct hr_err *e)
{
	struct hr_packet got;

	if (hr_packet_recv(sock, p, len, fds, n, &got) < 0)
		return hr_fail(e, peer_gone(errno) ? HR_NOTFOUND : HR_SYS, errno,
			       "cannot receive a packet");
	if (got.whole)
		return 0;
	if (got.bytes == 0)
		return hr_fail(e, HR_NOTFOUND, 0, "the other side closed the socket");
	return hr_fail(e, HR_CORRUPT, 0,
		       "a packet of %zu bytes with %zu descriptors; expected %zu and at most %zu",
		       got.bytes, got.fds, len, n);
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
