/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hpcrun-serve as the session's child: start, conversation (util/serve_proto.h), death, successor.
 *
 * Sequence: rt_server_spawn; on input rt_server_receive; rt_server_begin once /dev/fuse is mounted;
 * after SIGCHLD rt_server_reaped and, if it was untimely, rt_server_spawn and rt_server_begin
 * again.
 */
#ifndef RT_SERVER_H
#define RT_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/view.h"
#include "util/conf.h"
#include "util/err.h"
#include "util/serve_proto.h"

#define RT_SERVER_TAIL	512
#define RT_SERVER_LOCKS 2

struct rt_server {
	pid_t pid;		    /* -1: none */
	int sock;		    /* control socket, -1: closed */
	int log;		    /* its standard error */
	int locks[RT_SERVER_LOCKS]; /* that it is to keep as long as it lives, borrowed; or -1 */
	uint8_t init[SERVE_DATA_MAX];
	uint32_t init_len;	   /* 0 until SERVE_INIT came */
	char manifest[128];	   /* what the first one took the image for, or "" */
	char tail[RT_SERVER_TAIL]; /* the end of what it wrote on stderr */
	size_t tail_len;
};

void rt_server_init(struct rt_server *s);

/* Start the program; not waited for. STATS_FD is the file it counts in, or -1. Errors: HR_SYS. */
int rt_server_spawn(struct rt_server *s, const struct rt_session_args *args,
		    const struct hr_conf *conf, int stats_fd, struct hr_err *e) HR_MUST_USE;

/*
 * One message, its descriptor in *FD or -1; SERVE_INIT is also kept. HR_NOTFOUND when the server
 * closed the socket: rt_server_hangup then.
 */
int rt_server_receive(struct rt_server *s, struct serve_msg *m, int *fd,
		      struct hr_err *e) HR_MUST_USE;
void rt_server_hangup(struct rt_server *s);

/* SERVE_START with /dev/fuse and the targets; to a successor also the kept FUSE_INIT. */
int rt_server_begin(struct rt_server *s, int fuse, int targets, uid_t uid, gid_t gid,
		    struct hr_err *e) HR_MUST_USE;

/* Take what there is of its stderr. */
void rt_server_read_log(struct rt_server *s);

/* It ended with wait status STATUS: fill *e with what is known of it and forget the process. */
void rt_server_reaped(struct rt_server *s, int status, struct hr_err *e);

#endif
