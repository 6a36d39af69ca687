/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packets between hpcrun and hpcrun-session, and how any packet with descriptors is sent.
 *
 * A rank connects to the session's SOCK_SEQPACKET socket and sends one struct rt_ask, with its
 * standard error, which the session may write lines to until the rank ends. The session
 * answers with any number of RT_TEXT packets (mostly to the rank that started it) and one RT_JOIN
 * (descriptors: user namespace, mount namespace, parameters, those of spaces.h) or RT_FAILED.
 * Before that it may send one rank RT_DO_PULL: no store has the image; the rank pulls it, and says
 * how that went in another struct rt_ask, with RT_ASK_PULLED or RT_ASK_PULL_FAILED. The rank keeps
 * the socket open as long as its program runs; its end tells the session that the rank has gone.
 *
 * Both sides are of one version: the version is part of the session's name, and of each packet.
 */
#ifndef RT_MSG_H
#define RT_MSG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/spaces.h"
#include "util/buf.h"
#include "util/err.h"

#define RT_MSG_MAGIC   0x31747268u /* "hrt1" */
#define RT_MSG_FDS_MAX (3 + RT_SPACES_MAX)

enum rt_ask_flag {
	RT_ASK_STARTER = 1, /* this rank started the session: it hears what the start had to say */
	RT_ASK_VERBOSE = 2, /* with the times of the steps */
	RT_ASK_PULLED = 4,  /* after RT_DO_PULL: done, go on */
	RT_ASK_PULL_FAILED = 8, /* the rank has told its user why; it leaves */
	RT_ASK_SUMMARY = 16,	/* one line of figures when this rank is the last to end */
	RT_ASK_AGAIN = 32,	/* the rank has met a session that died before it was ready */
};

struct rt_ask {
	uint32_t magic;
	uint32_t flags;
	char version[24];
};

enum rt_answer_type { RT_TEXT = 1, RT_JOIN, RT_FAILED, RT_DO_PULL };

struct rt_answer {
	uint32_t magic;
	uint32_t type;
	uint32_t params_bytes; /* JOIN: size of the memfd with the parameters (params.h) */
	uint32_t level;	       /* TEXT: an enum hr_level */
	uint32_t print;	       /* FAILED: 0 when another rank of the step prints the same failure */
	char text[256];	       /* TEXT */
	struct hr_err err;     /* FAILED */
};

/*
 * Send LEN bytes as one packet with N descriptors, which stay the caller's.
 *
 * Errors:  HR_SYS; a peer that has gone is HR_NOTFOUND. SIGPIPE is not raised.
 */
int rt_msg_send(int sock, const void *p, size_t len, const int *fds, size_t n,
		struct hr_err *e) HR_MUST_USE;

/*
 * Receive one packet of exactly LEN bytes with at most N descriptors into FDS; those not sent are
 * -1.
 *
 * Owns:    received descriptors are the caller's, close-on-exec.
 * Errors:  HR_NOTFOUND when the peer has gone; HR_CORRUPT for a packet of another shape, all of its
 *          descriptors closed; HR_SYS, with sys EAGAIN when the socket does not block.
 */
int rt_msg_recv(int sock, void *p, size_t len, int *fds, size_t n, struct hr_err *e) HR_MUST_USE;

/*
 * A memory file with N bytes at P, to be passed along; and all of one that was received, appended
 * to B: nothing when FD is -1.
 *
 * Errors:  HR_SYS; HR_CORRUPT for more than LIMIT bytes.
 */
int rt_msg_memfd(const void *p, size_t n, struct hr_err *e) HR_MUST_USE;
int rt_msg_read_memfd(int fd, size_t limit, struct hr_buf *b, struct hr_err *e) HR_MUST_USE;

/* The user behind a connected socket, or -1 with HR_SYS. */
int rt_msg_peer_uid(int sock, uid_t *uid, struct hr_err *e) HR_MUST_USE;

#endif
