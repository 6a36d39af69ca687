/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The holder of a session: starts the server and the builder, hands the container to the ranks,
 * keeps it while they run and a while after, lets go and ends. One event loop, one thread.
 *
 *   STARTING -> READY -> LEAVING        all went well: LEAVING waits for the server to end
 *   STARTING -> FAILED                  the ranks hear why
 */
#ifndef RT_SESSION_H
#define RT_SESSION_H

#include "runtime/beat.h"
#include "runtime/clients.h"
#include "runtime/gpu.h"
#include "runtime/hooks.h"
#include "runtime/hostlibs.h"
#include "runtime/identity.h"
#include "runtime/often.h"
#include "runtime/params.h"
#include "runtime/scratch.h"
#include "runtime/server.h"
#include "runtime/stats.h"
#include "runtime/userns.h"
#include "runtime/view.h"
#include "util/buf.h"
#include "util/conf.h"
#include "util/err.h"

/* STARTING, of an image that a rank has to pull first (first_run.c). */
enum rt_pull_phase {
	PULL_NONE,    /* not, or not yet */
	PULL_WANTED,  /* by the next rank that waits */
	PULL_RUNNING, /* a rank does it */
	PULL_OVER,    /* the image is there; the server is not yet */
	PULL_SERVED   /* the server was started */
};

enum rt_phase { RT_STARTING, RT_READY, RT_FAILED_PHASE, RT_LEAVING };

#define RT_RESTARTS_STARTING 1 /* of the server; one that dies of the image does so each time */
#define RT_RESTARTS	     5 /* of it, within RT_RESTART_WINDOW_MS; more often is hopeless */
#define RT_RESTART_WINDOW_MS 60000
#define RT_HANGS	     2 /* of it, likewise; who hangs on it then hears EIO */
#define RT_HANG_WINDOW_MS    600000

struct rt_session {
	const struct rt_session_args *args;
	enum rt_phase phase;
	uint64_t born_us, since_ms; /* since_ms: when the phase began */
	uint64_t idle_since_ms;	    /* when the last rank left; 0: some are here */
	struct hr_err failure;
	bool in_step, tracked; /* tracked: Slurm ends what is left of the step, slurm.h */
	uint32_t ranks;	       /* that will come, 0: unknown */
	pid_t launcher;	       /* of the step's tasks, 0: unknown */
	int task_fd;	       /* one of them that may still start hpcrun, or -1: its end is seen */
	uint64_t look_at_ms, look_pause_ms; /* when to look at the tasks again */
	bool closed;			    /* no rank will come any more, nor could it */
	struct hr_conf conf;
	struct rt_binds binds;
	struct rt_scratch scratch;
	char *overlay; /* the directory of --overlay, or NULL */
	bool overlay_ro;
	int overlay_fd; /* holds its lock */
	struct rt_hooks hooks;
	struct rt_gpu gpu;
	struct rt_ids ids;
	struct rt_identity identity;
	struct rt_clients clients;
	struct rt_server server;
	struct rt_image image; /* its configuration, once the server has sent it */
	struct rt_hostlibs_job hostlibs;
	struct rt_memo memo; /* of the choice among them */
	bool memo_use;	     /* there is one to be made that can be kept */
	bool memo_new;	     /* it was made now */
	struct rt_host host; /* what the builder told of libraries of the host */
	struct rt_stats stats;
	bool server_greeted, server_begun; /* its HELLO came, its START was sent */
	bool builder_goes_on;		   /* it was told once that a server is ready */
	bool image_known;
	struct rt_often restarts, hangs;
	struct rt_beat beat;
	uint64_t beat_at_ms;
	enum rt_pull_phase pull;
	uint64_t pull_since_ms;
	bool pull_told; /* a rank that waits knows what for */
	bool begun;	/* a builder was started */
	pid_t builder;
	int builder_sock;
	int listen_fd, dir_fd, signal_fd;
	int native_fd; /* the first list of large files, until the container is there; or -1 */
	int fuse_fd, targets_fd, params_fd, user_ns;
	int mnt_ns;		   /* rt_session_reach first */
	ino_t mnt_ns_ino;	   /* of mnt_ns, when that was lent to the ranks */
	int spaces[RT_SPACES_MAX]; /* in the order of spaces.h */
	size_t spaces_n;
	pid_t init; /* of --pid, -1: none, or it has ended */
	int init_sock;
	uint32_t params_bytes;
	struct hr_buf filter;
};

/*
 * Serve one session from its start to its end.
 *
 * Returns the exit status; a failure to start is told to the ranks, not returned.
 */
int rt_session_run(const struct rt_session_args *args, struct hr_err *e) HR_MUST_USE;

/* events.c: one function per thing that can happen; rt_session_fail is the only way to FAILED. */
void rt_session_fail(struct rt_session *s, const struct hr_err *cause);
/* STARTING failed of CAUSE, which another attempt may not meet: the ranks start another session. */
void rt_session_give_up(struct rt_session *s, const struct hr_err *cause);
void rt_session_on_server(struct rt_session *s);
void rt_session_on_builder(struct rt_session *s);
void rt_session_on_child(struct rt_session *s);
/* Now and then: see that the server gets on. */
void rt_session_on_beat(struct rt_session *s);
/*
 * first_run.c: the server found the image in no store (WHY). 0: it will be pulled; -1, *e filled:
 * it is not to be, or was and is missing still.
 */
int rt_session_on_missing(struct rt_session *s, const struct hr_err *why,
			  struct hr_err *e) HR_MUST_USE;
/* Bring a pull forward, whatever has happened. */
void rt_session_pull(struct rt_session *s);
/* Whether the server that ended did so for lack of the image, which is being taken care of. */
bool rt_session_pull_pending(const struct rt_session *s);
/*
 * lend.c: leave the mount namespace to the ranks when all have come; and have it again through one
 * of them. False when none is left: the container has gone.
 */
void rt_session_lend(struct rt_session *s);
bool rt_session_reach(struct rt_session *s);
/* Start a server, the first one or a successor. Errors: HR_SYS. */
int rt_session_serve(struct rt_session *s, struct hr_err *e) HR_MUST_USE;
void rt_session_enter_phase(struct rt_session *s, enum rt_phase phase);

#endif
