/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/serve_proto.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"
#include "util/le.h"
#include "util/packet.h"
#include "util/poison.h"

#define NATIVE_HEAD 24 /* node, dev, ino; the paths follow */

int hr_serve_send(int sock, const struct serve_msg *m, const int fds[2], struct hr_err *e)
{
	size_t n = fds ? (size_t)((fds[0] >= 0) + (fds[1] >= 0)) : 0;

	HR_BUG_ON(n == 1 && fds[0] < 0);
	if (hr_packet_send(sock, m, sizeof(*m), fds, n) < 0)
		return hr_fail(e, HR_SYS, errno,
			       "cannot send to the other side of the control socket");
	return 0;
}

void hr_serve_offer(int sock, const struct serve_msg *m)
{
	(void)send(sock, m, sizeof(*m), MSG_NOSIGNAL | MSG_DONTWAIT); /* nobody waits for it */
}

int hr_serve_recv(int sock, struct serve_msg *m, int fds[2], struct hr_err *e)
{
	hr_autofd int first = -1, second = -1;
	struct hr_packet packet;
	int got[2];

	if (hr_packet_recv(sock, m, sizeof(*m), got, 2, &packet) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot receive from the control socket");
	first = got[0];
	second = got[1];
	if (packet.bytes == 0)
		return hr_fail(e, HR_NOTFOUND, 0, "the other side closed the control socket");
	if (!packet.whole || m->magic != SERVE_MAGIC || m->flags != 0 ||
	    m->data_len > SERVE_DATA_MAX)
		return hr_fail(e, HR_CORRUPT, 0,
			       "a control packet of %zu bytes is not of this version (%zu bytes)",
			       packet.bytes, sizeof(*m));
	m->text[sizeof(m->text) - 1] = '\0';
	m->err.text[sizeof(m->err.text) - 1] = '\0';
	m->err.hint[sizeof(m->err.hint) - 1] = '\0';
	fds[0] = hr_steal_fd(&first);
	fds[1] = hr_steal_fd(&second);
	return 0;
}

void hr_native_add(struct hr_buf *b, const struct hr_native *n)
{
	hr_buf_le(b, n->node, 8);
	hr_buf_le(b, n->dev, 8);
	hr_buf_le(b, n->ino, 8);
	hr_buf_add(b, n->source, strlen(n->source) + 1);
	hr_buf_add(b, n->target, strlen(n->target) + 1);
}

/* The absolute path at P, or NULL; *LEN: the bytes it takes. */
static const char *path_at(const uint8_t *p, size_t n, size_t *len)
{
	const uint8_t *end = n > 0 && p[0] == '/' ? memchr(p, '\0', n) : NULL;

	if (!end)
		return NULL;
	*len = (size_t)(end - p) + 1;
	return (const char *)p;
}

int hr_native_next(const uint8_t **p, size_t *len, struct hr_native *out, struct hr_err *e)
{
	const uint8_t *at = *p;
	size_t n = *len, source, target;

	if (n == 0)
		return 0;
	if (n < NATIVE_HEAD)
		return hr_fail(e, HR_CORRUPT, 0, "a list of files ends within a record");
	out->node = hr_le64(at);
	out->dev = hr_le64(at + 8);
	out->ino = hr_le64(at + 16);
	at += NATIVE_HEAD;
	n -= NATIVE_HEAD;
	out->source = path_at(at, n, &source);
	if (!out->source)
		return hr_fail(e, HR_CORRUPT, 0, "a list of files has no source path");
	out->target = path_at(at + source, n - source, &target);
	if (!out->target)
		return hr_fail(e, HR_CORRUPT, 0, "a list of files has no target path");
	*p = at + source + target;
	*len = n - source - target;
	return 1;
}
