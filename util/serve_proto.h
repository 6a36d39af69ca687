/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How hpcrun-session (runtime/) talks to hpcrun-serve (store/): the command line and the control
 * socket. Neither links the other; this header is their contract.
 *
 *   hpcrun-serve --control-fd=N [--store=PATH]... [--memory=BYTES] [--verify-full] [--native]
 *                [--manifest=DIGEST] IMAGE
 *
 * IMAGE is a reference as users write it, or a manifest digest ("sha256:..."). DIGEST is what an
 * earlier server took it for: tags move. N is one end of a SOCK_SEQPACKET socket pair. Standard
 * input and output are /dev/null, standard error is a log.
 *
 * Every packet is one struct serve_msg, with at most two file descriptors (SCM_RIGHTS) as listed:
 *
 *   serve -> session  SERVE_HELLO    fd: memfd with the OCI image config, verbatim;
 *                                    text: manifest digest
 *   session -> serve  SERVE_START    fds: /dev/fuse as mounted, memfd with the targets (below)
 *   serve -> session  SERVE_READY    the tree is complete; requests are answered from now on
 *   serve -> session  SERVE_INIT     data: the FUSE_INIT request as the kernel sent it, to be kept
 *   serve -> session  SERVE_NATIVE   fd: memfd with files of the node cache (below) to be mounted;
 *                                    any number of times, from HELLO on
 *   serve -> session  SERVE_ERROR    err; the process exits after it
 *   serve -> session  SERVE_NOTICE   err.text: something that the user is to read while programs
 *                                    run; at any time, and lost when the session does not take it
 *   serve -> session  SERVE_MISSING  err: no store has the image, but one could be given it by a
 *                                    pull; the process exits after it
 *
 * Targets: records "d/abs/path\0" or "f/abs/path\0", in order. The server makes each exist as a
 * directory or a regular file: it resolves symlinks inside the image (never outside its root),
 * keeps what is there with the right type, follows a last part that is a symlink to the right type,
 * and else puts an empty directory or file in its place. /dev, /proc, /sys and /tmp are made
 * directories always. Path resolution by openat2(RESOLVE_IN_ROOT) then finds the same node.
 *
 * Natives, with --native alone: records of hr_native_add(). Each is a file of the image that lies
 * whole and verified in the node cache; the session may mount it, read-only, over its path. It does
 * so only where nothing else is mounted on the way. A successor names all of them again.
 *
 * Life: the server ends by itself when the kernel ends the FUSE connection (ENODEV). The end of the
 * control socket is no reason to end: ranks that joined go on without their session. If the server
 * dies, the session starts another and sends SERVE_START with the same /dev/fuse, the same targets
 * and the kept FUSE_INIT in data, if it has one; whether that was answered the successor finds out.
 * Node ids are the same in both, because they are positions in the index, and targets numbered in
 * order behind it.
 */
#ifndef HR_SERVE_PROTO_H
#define HR_SERVE_PROTO_H

#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"

#define SERVE_MAGIC    0x31767372u /* "rsv1" */
#define SERVE_DATA_MAX 256

enum serve_msg_type {
	SERVE_HELLO = 1,
	SERVE_START,
	SERVE_READY,
	SERVE_INIT,
	SERVE_ERROR,
	SERVE_MISSING,
	SERVE_NOTICE,
	SERVE_NATIVE
};

struct serve_msg {
	uint32_t magic;
	uint32_t type;
	uint32_t uid, gid; /* START: the owner to show, as numbered inside the user namespace */
	uint32_t data_len; /* START, INIT: bytes of data in use; 0 in a first START */
	uint32_t flags;	   /* 0; anything else is refused */
	uint8_t data[SERVE_DATA_MAX];
	char text[128];	   /* HELLO */
	struct hr_err err; /* ERROR, MISSING, NOTICE */
};

/*
 * Send or receive one packet with up to two descriptors.
 *
 * Owns:    received descriptors are the caller's, close-on-exec; unused entries of FDS are -1.
 *          Sent ones stay the caller's.
 * Errors:  HR_SYS; HR_CORRUPT for a packet of another shape. Receiving: the end of the socket is
 *          HR_NOTFOUND.
 */
int hr_serve_send(int sock, const struct serve_msg *m, const int fds[2],
		  struct hr_err *e) HR_MUST_USE;
/* The same, without descriptors and without waiting: a packet that finds no room is lost. */
void hr_serve_offer(int sock, const struct serve_msg *m);
int hr_serve_recv(int sock, struct serve_msg *m, int fds[2], struct hr_err *e) HR_MUST_USE;

/* A file to be mounted; the strings are borrowed from what it was read from. */
struct hr_native {
	uint64_t node;	    /* inode number of the target, as the server's file system shows it */
	uint64_t dev, ino;  /* of the source */
	const char *source; /* absolute path on the host */
	const char *target; /* absolute path in the image */
};

#define HR_NATIVES_MAX	 1024	    /* in one list */
#define HR_NATIVES_BYTES (9u << 20) /* of it */

void hr_native_add(struct hr_buf *b, const struct hr_native *n);

/*
 * Read the next record at *P, of which *LEN bytes are left, and step behind it: 1, 0 at the end.
 *
 * Errors:  HR_CORRUPT.
 */
int hr_native_next(const uint8_t **p, size_t *len, struct hr_native *out,
		   struct hr_err *e) HR_MUST_USE;

#endif
