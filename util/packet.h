/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One packet of a SOCK_SEQPACKET socket, with descriptors (SCM_RIGHTS): the system calls and their
 * traps. What a packet means, and what to say when it does not come, is the callers': serve_proto.h
 * and runtime/msg.h.
 */
#ifndef HR_PACKET_H
#define HR_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "util/err.h"

#define HR_PACKET_FDS_MAX 8

/*
 * Send LEN bytes as one packet with N descriptors, which stay the caller's. SIGPIPE is not raised.
 *
 * Bounds:  N <= HR_PACKET_FDS_MAX.
 * Errors:  -1 with errno.
 */
int hr_packet_send(int sock, const void *p, size_t len, const int *fds, size_t n) HR_MUST_USE;

/* What came. */
struct hr_packet {
	size_t bytes; /* 0: the other side closed the socket */
	size_t fds;
	bool whole; /* exactly the bytes, and no more descriptors, than were asked for */
};

/*
 * Receive one packet of exactly LEN bytes with at most N descriptors into FDS; those not sent are
 * -1.
 *
 * Owns:    received descriptors are the caller's, close-on-exec; of a packet that is not whole all
 *          are closed, and FDS are -1.
 * Errors:  -1 with errno; EMFILE: this process may not have as many descriptors.
 */
int hr_packet_recv(int sock, void *p, size_t len, int *fds, size_t n,
		   struct hr_packet *got) HR_MUST_USE;

#endif
