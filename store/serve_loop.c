/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop: threads that read requests from /dev/fuse. The connection is older and longer-lived
 * than this process: a server that takes over is given the FUSE_INIT that the kernel sent to the
 * first, and asks for the requests that died with its predecessor.
 *
 * A thread sleeps in read(2) at once. One that polled for 20, 50 or 100 us first made a first walk
 * of 46,000 entries slower on two cores (0.27 s became 0.46 to 0.53): the program needs the core.
 *
 * No clone of the device for each thread (FUSE_DEV_IOC_CLONE): requests read from a clone fail
 * when the process that has it open dies, instead of being sent again.
 */
#include "config.h"

#include "store/serve.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/serve_proto.h"
#include "util/poison.h"

#define THREADS_MIN  2
#define THREADS_MAX  HR_STATS_LOOPS /* each may hold a decompressor and a frame, about 1.3 MiB */
#define BUFFER_BYTES ((1u << 20) + 4096) /* what the kernel asks for: max_write and headers */
#define STACK_BYTES  (256u << 10)
#define END_S	     3 /* for what is to be done when the connection is over */

/* <linux/fuse.h> has it since Linux 6.9. */
#define NOTIFY_RESEND 7

/* A unique that the kernel never used: the reply to the repeated INIT is refused with ENOENT. */
#define REPLAY_UNIQUE (UINT64_MAX >> 1)

struct loop {
	struct serve *s;
	struct fuse_session *se;
	int fd;
	atomic_uint threads;
};

/* 1: a request; 0: the connection is over; -1 with errno. */
static int receive(int fd, void *buf, size_t cap, size_t *len)
{
	for (;;) {
		ssize_t n = read(fd, buf, cap);

		if (n >= 0) {
			*len = (size_t)n;
			return 1;
		}
		if (errno == ENODEV || errno == ECONNABORTED)
			return 0;
		/* ENOENT: the request was taken back while we read it, fuse(4) */
		if (errno != EINTR && errno != ENOENT && errno != EAGAIN)
			return -1;
	}
}

/* Nobody is left who could ask for anything. Every thread sees it; one ends the process. */
static void leave(struct serve *s)
{
	static atomic_flag leaving = ATOMIC_FLAG_INIT;
	struct rusage used;

	while (atomic_flag_test_and_set(&leaving))
		pause();
	/* nobody may be left to end a server that hangs, on a disk say */
	signal(SIGALRM, SIG_DFL);
	(void)alarm(END_S);
	if (s->end)
		s->end(s);
	if (getrusage(RUSAGE_SELF, &used) == 0)
		hr_stats_max(&s->stats->server_peak, (uint64_t)used.ru_maxrss * 1024);
	_exit(0); /* what libraries would clear up costs the end of a job step its time */
}

/* What the session looks at to see whether we get on. */
static void begin_turns(struct hr_stats_loop *me)
{
	uint32_t turn = __atomic_load_n(&me->turn, __ATOMIC_RELAXED);

	me->tid = (uint32_t)syscall(SYS_gettid);
	__atomic_store_n(&me->turn, turn + 1 + (~turn & 1), __ATOMIC_RELEASE);
}

static void next_turn(struct hr_stats_loop *me)
{
	__atomic_store_n(&me->turn, me->turn + 1, __ATOMIC_RELAXED);
}

static void *serve_requests(void *arg)
{
	struct loop *l = arg;
	struct hr_stats_loop *me = &l->s->stats->loops[atomic_fetch_add(&l->threads, 1)];
	hr_autofree void *buf = malloc(BUFFER_BYTES);
	size_t len;
	int r = buf ? 1 : -1;

	begin_turns(me);
	while (r > 0 && (r = receive(l->fd, buf, BUFFER_BYTES, &len)) > 0) {
		struct fuse_buf fb = { .size = len, .mem = buf };

		next_turn(me);
		fuse_session_process_buf(l->se, &fb);
		next_turn(me);
	}
	if (r == 0)
		leave(l->s);
	hr_warn("a thread cannot receive requests: %s", strerror(errno));
	return NULL;
}

/* Let the session keep the kernel's INIT for a successor, before it is answered. */
static void keep_init(const struct loop *l, const void *init, size_t len)
{
	struct serve_msg m = { .magic = SERVE_MAGIC, .type = SERVE_INIT };
	struct hr_err unsent = { 0 };

	if (len > sizeof(m.data))
		return;
	memcpy(m.data, init, len);
	m.data_len = (uint32_t)len;
	/* a session that is gone cannot restart us, but its ranks go on */
	if (hr_serve_send(l->s->control, &m, NULL, &unsent) < 0)
		hr_debug("%s", unsent.text);
}

static void replay_init(struct loop *l, const uint8_t *init, size_t len)
{
	uint64_t copy[SERVE_DATA_MAX / sizeof(uint64_t)];
	struct fuse_buf fb = { .size = len, .mem = copy };
	struct fuse_in_header *h = (struct fuse_in_header *)copy;

	memcpy(copy, init, len);
	h->unique = REPLAY_UNIQUE;
	fuse_session_process_buf(l->se, &fb);
}

/*
 * The first request that comes: INIT, unless the server that this one follows, which was killed,
 * had answered it. Then libfuse is to hear it all the same.
 */
static int first_request(struct loop *l, const uint8_t *init, size_t len, struct hr_err *e)
{
	hr_autofree void *buf = hr_xmalloc(BUFFER_BYTES);
	const struct fuse_in_header *h = buf;
	struct fuse_buf fb = { .mem = buf };
	int r = receive(l->fd, buf, BUFFER_BYTES, &fb.size);

	if (r < 0)
		return hr_fail(e, HR_SYS, errno, "cannot receive from /dev/fuse");
	if (r == 0)
		return 0;
	if (h->opcode == FUSE_INIT)
		keep_init(l, buf, fb.size);
	else if (len >= sizeof(*h))
		replay_init(l, init, len);
	fuse_session_process_buf(l->se, &fb);
	return 1;
}

/* Requests that a killed server had taken come again. */
static int ask_resend(const struct loop *l, struct hr_err *e)
{
	struct fuse_out_header h = { .len = sizeof(h), .error = NOTIFY_RESEND };

	if (write(l->fd, &h, sizeof(h)) == sizeof(h))
		return 0;
	return hr_fail(e, HR_SYS, errno,
		       "the kernel does not send the requests of a killed "
		       "server again (Linux before 6.9)");
}

static unsigned int thread_count(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (n < THREADS_MIN)
		return THREADS_MIN;
	return n > THREADS_MAX ? THREADS_MAX : (unsigned int)n;
}

static void start_threads(struct loop *l)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* one is enough to go on; this thread is one */
	for (unsigned int i = 1; i < thread_count(); i++)
		if (pthread_create(&thread, &attr, serve_requests, l) != 0)
			break;
	pthread_attr_destroy(&attr);
}

int serve_loop(struct serve *s, int fd, const uint8_t *init, size_t init_len, struct hr_err *e)
{
	static char name[] = "hpcrun-serve";
	char *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct loop l = { .s = s, .fd = fd };
	struct hr_err lost = { 0 }; /* a first server: nothing, but an INIT taken along */
	char mountpoint[32];
	int r;

	snprintf(mountpoint, sizeof(mountpoint), "/dev/fd/%d", fd);
	l.se = fuse_session_new(&args, &serve_ops, sizeof(serve_ops), s);
	if (!l.se)
		return hr_fail(e, HR_SYS, 0, "libfuse cannot make a session");
	if (fuse_session_mount(l.se, mountpoint) != 0)
		return hr_fail(e, HR_SYS, 0, "libfuse does not take the mounted descriptor");
	begin_turns(&s->stats->loops[0]);
	next_turn(&s->stats->loops[0]); /* ends when the first thread takes that place */
	/* who takes over without the lost requests would leave their processes waiting for ever;
	 * when this server ends, too, the session gives up the connection and they fail */
	if (ask_resend(&l, &lost) < 0 && init_len > 0) {
		*e = lost;
		return -1;
	}
	r = first_request(&l, init, init_len, e);
	if (r <= 0)
		return r;
	serve_push_begin(s->push, fd);
	start_threads(&l);
	serve_requests(&l);
	return hr_fail(e, HR_SYS, 0, "cannot receive from /dev/fuse");
}
