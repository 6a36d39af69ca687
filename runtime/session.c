/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/overlay.h"
#include "runtime/plan.h"
#include "runtime/say.h"
#include "runtime/seccomp.h"
#include "runtime/slurm.h"
#include "runtime/steps.h"
#include "runtime/tasks.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/limit.h"
#include "util/log.h"
#include "util/poison.h"

#define FIRST_ASK_MS   5000  /* a session waits so long for the rank that started it */
#define FAILED_STEP_MS 10000 /* and so long for the other ranks of its step */
#define SERVER_END_MS  3000  /* a server whose connection is over has so long to end */
#define TICK_MS	       1000
#define CGROUP_MAX     65536
#define LOOK_MIN_MS    50 /* between two looks at the tasks of the step, twice as long each time */
#define LOOK_IDLE_MS   400
#define LOOK_MAX_MS    30000

/* In a Slurm step the last rank is the last of those that will come. */
static void last_ended(void *arg, int err)
{
	const struct rt_session *s = arg;
	hr_autobuf struct hr_buf text = { 0 };

	if (s->phase != RT_READY || (s->ranks > 0 && s->clients.answered < s->ranks))
		return;
	rt_stats_summary(&s->stats, s->clients.answered, &text);
	rt_say(err, HR_LOG_INFO, (const char *)text.p);
}

static bool is_tracked(void)
{
	hr_autobuf struct hr_buf text = { 0 };
	struct hr_err e = { 0 }; /* no cgroups: nobody tracks us by them */

	if (hr_file_read(AT_FDCWD, "/proc/self/cgroup", CGROUP_MAX, &text, &e) < 0)
		return false;
	hr_buf_add(&text, "", 1);
	return rt_slurm_tracks((const char *)text.p);
}

static void init(struct rt_session *s, const struct rt_session_args *args)
{
	memset(s, 0, sizeof(*s));
	s->args = args;
	s->born_us = hr_now_us();
	s->since_ms = s->idle_since_ms = hr_now_ms();
	s->listen_fd = (int)args->listen_fd;
	s->dir_fd = (int)args->dir_fd;
	s->init = s->init_sock = s->overlay_fd = -1;
	s->builder = s->builder_sock = s->signal_fd = s->native_fd = s->task_fd = -1;
	s->fuse_fd = s->targets_fd = s->params_fd = s->user_ns = s->mnt_ns = -1;
	s->in_step = getenv("SLURM_JOB_ID") && getenv("SLURM_STEP_ID");
	s->ranks = rt_slurm_ranks_here();
	s->launcher = s->in_step ? rt_tasks_launcher() : 0;
	s->tracked = s->in_step && is_tracked();
	s->ids = (struct rt_ids) { .uid = geteuid(), .gid = getegid() };
	s->ids.uid_inside = args->fakeroot ? 0 : rt_shape_id(args->shape.uid, s->ids.uid);
	s->ids.gid_inside = args->fakeroot ? 0 : rt_shape_id(args->shape.gid, s->ids.gid);
	rt_scratch_init(&s->scratch);
	rt_server_init(&s->server);
	rt_clients_init(&s->clients, s->ids.uid, s->in_step);
	s->clients.last_ended = last_ended;
	s->clients.arg = s;
	hr_conf_init(&s->conf);
	rt_stats_init(&s->stats);
}

static int cloexec(int fd, struct hr_err *e)
{
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return hr_fail(e, HR_USAGE, errno, "descriptor %d was not passed", fd);
	return 0;
}

/* What the rank was given for itself is not for us: its core, its limits, its ignored signals. */
static int leave_rank(struct rt_session *s, struct hr_err *e)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL }, ign = { .sa_handler = SIG_IGN };
	cpu_set_t all;
	sigset_t chld;

	if (cloexec(s->listen_fd, e) < 0 || cloexec(s->dir_fd, e) < 0)
		return -1;
	if (fcntl(s->listen_fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot set up the socket of the session");
	sigaction(SIGCHLD, &dfl, NULL); /* ignored, no child could be waited for */
	sigaction(SIGPIPE, &ign, NULL); /* inherited by the server: its log may end before it */
	sigaction(SIGXFSZ, &ign, NULL); /* a write fails with EFBIG then, and is told */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* init's parent, the builder, ends */
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_SETMASK, &chld, NULL);
	s->signal_fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot watch for children");
	hr_limit_raise();
	/* the kernel keeps to the cores of the job; the server is not to sit on one of them */
	memset(&all, 0xff, sizeof(all));
	(void)sched_setaffinity(0, sizeof(all), &all); /* refused: it stays where it is */
	return 0;
}

static int make_targets(struct rt_session *s, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };

	rt_view_targets(&s->binds, &text);
	rt_hostlibs_targets(&s->hostlibs, &text);
	/* what is changed with --overlay is not the image's */
	s->memo_use = !s->overlay && rt_hostlibs_key(&s->hostlibs, &text, &s->memo);
	s->targets_fd = memfd_create("hpcrun-targets", MFD_CLOEXEC);
	if (s->targets_fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a memory file");
	return hr_write_all(s->targets_fd, text.p, text.len, "the bind targets", e);
}

/* The same for a report: all that there are, or why none. Nothing is run that would use them. */
static void look_for_gpu(struct rt_session *s)
{
	struct hr_err *e = &s->hostlibs.no_gpu;

	/* where the site has locked it, it is as it is for all runs */
	if ((s->conf.gpu != HR_GPU_NONE ||
	     hr_conf_check_override(&s->conf, "gpu", "--gpu", e) == 0) &&
	    rt_gpu_find("all", &s->conf, s->dir_fd, &s->gpu, e) == 0) {
		rt_binds_release(&s->gpu.binds);
		rt_binds_release(&s->gpu.nodes);
	}
}

/* What --gpu means here, and what there is to say about it. */
static int find_gpu(struct rt_session *s, struct hr_err *e)
{
	if (s->args->mpi_check != RT_MPI_CHECK_NONE) {
		look_for_gpu(s);
		return 0;
	}
	if (s->args->gpu && hr_conf_check_override(&s->conf, "gpu", "--gpu", e) < 0)
		return -1;
	if (rt_gpu_find(s->args->gpu, &s->conf, s->dir_fd, &s->gpu, e) < 0)
		return hr_wrap(e, "--gpu");
	if (s->gpu.label)
		rt_clients_note(&s->clients, HR_LOG_INFO, "GPU: %s", s->gpu.label);
	if (s->gpu.recalled)
		rt_clients_note(&s->clients, HR_LOG_DEBUG,
				"session: the libraries of the GPU are known from before");
	for (size_t i = 0; i < s->gpu.warnings.n; i++)
		rt_clients_note(&s->clients, HR_LOG_WARN, "%s", s->gpu.warnings.v[i]);
	for (size_t i = 0; i < s->gpu.notes.n; i++)
		rt_clients_note(&s->clients, HR_LOG_INFO, "GPU: %s", s->gpu.notes.v[i]);
	for (size_t i = 0; i < s->gpu.env.n; i++)
		hr_strv_add(&s->host.env, s->gpu.env.v[i]);
	return 0;
}

/* Figures are worth a line to who asks for details, not a failure. */
static void open_stats(struct rt_session *s)
{
	struct hr_err e = { 0 };

	if (rt_stats_open(&s->stats, s->args, &e) < 0)
		rt_clients_note(&s->clients, HR_LOG_DEBUG, "nothing is counted: %s", e.text);
	s->stats.file->ranks_expected = s->ranks;
}

static int take_overlay(struct rt_session *s, struct hr_err *e)
{
	const char *spec = s->args->shape.overlay;

	if (!spec)
		return 0;
	if (rt_overlay_parse(spec, &s->overlay, &s->overlay_ro, e) < 0)
		return -1;
	s->overlay_fd = rt_overlay_open(s->overlay, s->overlay_ro, e);
	return s->overlay_fd < 0 ? -1 : 0;
}

/* The server first: it takes longest, and all else happens while it starts. */
static int start(struct rt_session *s, struct hr_err *e)
{
	struct rt_build_job job = { .binds = &s->binds,
				    .ids = &s->ids,
				    .identity = &s->identity,
				    .hooks = &s->hooks,
				    .hostlibs = &s->hostlibs,
				    .spaces = rt_spaces_of(&s->args->shape),
				    .hostname = s->args->shape.hostname,
				    .writable = s->args->writable };

	open_stats(s);
	if (s->args->foreign_binds)
		rt_clients_note(&s->clients, HR_LOG_WARN, "%s is honoured: %s",
				s->args->foreign_binds, getenv(s->args->foreign_binds));
	if (hr_conf_load(&s->conf, e) < 0)
		return -1;
	/* before the server, which has its lock */
	if (rt_scratch_make(&s->scratch, &s->args->shape.scratch, s->args->key, e) < 0)
		return -1;
	s->server.locks[0] = s->scratch.lock;
	if (take_overlay(s, e) < 0)
		return -1;
	s->server.locks[1] = s->overlay_fd;
	job.overlay = s->overlay;
	job.overlay_ro = s->overlay_ro;
	if (s->args->pull == RT_PULL_ALWAYS)
		s->pull = PULL_WANTED;
	else if (rt_session_serve(s, e) < 0)
		return -1;
	if (rt_hostlibs_load(&s->hostlibs, s->args, &s->conf, &s->gpu, e) < 0 ||
	    find_gpu(s, e) < 0 ||
	    rt_view_make(s->args, &s->conf, &s->gpu, &s->scratch.binds, &s->binds, e) < 0 ||
	    make_targets(s, e) < 0)
		return -1;
	if (rt_hooks_load(&s->conf.hooks_dirs, s->args, &s->hooks, e) < 0)
		return -1;
	if (s->args->shape.seccomp) {
		/* before the builder starts, whose last hooks have it, too */
		if (rt_seccomp_compile(s->args->shape.seccomp, s->args->fakeroot, &s->filter, e) <
		    0)
			return -1;
		s->hooks.filter = &s->filter;
	}
	rt_identity_find(&s->identity, &s->ids, s->args->home_target);
	s->builder = rt_build_start(&job, &s->builder_sock, e);
	if (s->builder < 0)
		return -1;
	s->begun = true;
	return s->args->shape.seccomp ? 0 : rt_seccomp_compile(NULL, false, &s->filter, e);
}

/* From here on a new rank starts a session of its own. */
static void close_door(struct rt_session *s)
{
	hr_fd_cleanup(&s->listen_fd);
	hr_fd_cleanup(&s->task_fd);
	s->listen_fd = s->task_fd = -1;
	s->closed = true;
}

/* The kernel ends the container with its last process. */
static void let_go(struct rt_session *s)
{
	if (s->phase == RT_STARTING)
		rt_session_fail(s, &s->failure); /* ends the builder */
	hr_fd_cleanup(&s->mnt_ns);
	hr_fd_cleanup(&s->user_ns);
	s->user_ns = s->mnt_ns = -1;
	for (; s->spaces_n > 0; s->spaces_n--)
		hr_fd_cleanup(&s->spaces[s->spaces_n - 1]);
	if (s->init > 0)
		kill(s->init, SIGKILL); /* and with it what the ranks have left behind */
	close_door(s);
	rt_session_enter_phase(s, RT_LEAVING);
}

void rt_session_give_up(struct rt_session *s, const struct hr_err *cause)
{
	s->failure = *cause;
	let_go(s);
	rt_clients_refuse(&s->clients);
}

/* The task that the last look found left may have come, and no other be left. */
static void look_soon(struct rt_session *s)
{
	uint64_t soon = hr_now_ms() + LOOK_MIN_MS;

	s->look_pause_ms = LOOK_MIN_MS;
	if (s->look_at_ms > soon)
		s->look_at_ms = soon;
}

static void answer(struct rt_session *s)
{
	uint32_t before = s->clients.answered;
	struct rt_verdict v = { .type = s->phase == RT_READY ? RT_JOIN : RT_FAILED,
				.n = 3 + s->spaces_n,
				.params_bytes = s->params_bytes,
				.failure = &s->failure };

	if (s->phase == RT_READY && rt_clients_pending(&s->clients) > 0 && !rt_session_reach(s)) {
		rt_clients_refuse(&s->clients); /* they find, or start, another session */
		let_go(s);
	}
	v.fds[0] = s->user_ns;
	v.fds[1] = s->mnt_ns;
	v.fds[2] = s->params_fd;
	memcpy(v.fds + 3, s->spaces, s->spaces_n * sizeof(*s->spaces));
	if (s->phase == RT_READY || s->phase == RT_FAILED_PHASE)
		rt_clients_answer(&s->clients, &v);
	if (s->clients.answered > before)
		look_soon(s);
	if (s->clients.n > 0)
		s->idle_since_ms = 0;
	else if (s->idle_since_ms == 0) {
		s->idle_since_ms = hr_now_ms();
		s->look_at_ms = s->look_pause_ms = 0;
	}
}

static void count_ranks(struct rt_session *s)
{
	struct hr_stats *file = s->stats.file;

	file->ranks_now = (uint32_t)(s->clients.n - rt_clients_pending(&s->clients));
	file->ranks_joined = s->phase == RT_FAILED_PHASE ? 0 : s->clients.answered;
}

/* A step ends with its last task, and what is left of it then is often killed within a millisecond:
 * the next look is not to wait for its time. */
static void watch_task(struct rt_session *s, pid_t task)
{
	hr_fd_cleanup(&s->task_fd);
	s->task_fd = task > 0 ? (int)syscall(SYS_pidfd_open, task, 0) : -1;
}

/* As many ranks as the step has here. */
static bool all_came(const struct rt_session *s)
{
	return s->ranks > 0 && s->clients.answered >= s->ranks;
}

static bool is_to_look(const struct rt_session *s)
{
	return s->launcher && !s->closed && !all_came(s) && rt_clients_pending(&s->clients) == 0;
}

/*
 * In a step: when all its tasks here run in containers, or have ended, no rank will come any more:
 * the container is left to those that are there (lend.c), and a session whose ranks have gone need
 * not wait for more. The count of the ranks does not tell where tasks want different images, or
 * none.
 */
static void look_at_tasks(struct rt_session *s)
{
	uint64_t now = hr_now_ms(), most = s->idle_since_ms ? LOOK_IDLE_MS : LOOK_MAX_MS;
	pid_t left;

	if (!is_to_look(s) || now < s->look_at_ms)
		return;
	left = rt_tasks_left(s->launcher);
	if (left == 0) {
		close_door(s);
		return;
	}
	watch_task(s, left);
	s->look_pause_ms = s->look_pause_ms ? s->look_pause_ms * 2 : LOOK_MIN_MS;
	if (s->look_pause_ms > most)
		s->look_pause_ms = most;
	s->look_at_ms = now + s->look_pause_ms;
}

/* With --pull=always the next run, if it does not meet this one, is to pull again; who wanted a
 * report has it; and a directory of --overlay is to be free for a run with other options. */
static uint64_t linger_ms(const struct rt_session *s)
{
	bool once = s->args->pull == RT_PULL_ALWAYS || s->args->mpi_check != RT_MPI_CHECK_NONE ||
		    rt_shape_keeps_changes(&s->args->shape);

	return once ? 0 : s->conf.linger_s * 1000;
}

/* The same before the first rank has come: who started us may not have been on a CPU since. */
static uint64_t patience_ms(const struct rt_session *s)
{
	uint64_t linger = linger_ms(s);

	return s->clients.answered == 0 && linger < FIRST_ASK_MS ? FIRST_ASK_MS : linger;
}

/* Its name is that of one run, see key.c. */
static bool is_single(const struct rt_session *s)
{
	return !s->in_step && (s->args->writable || s->args->shape.pid);
}

/* Whether no rank is to be expected any more. */
static bool is_over(const struct rt_session *s, uint64_t now)
{
	uint64_t idle = s->idle_since_ms ? now - s->idle_since_ms : 0;

	if (s->clients.n > 0)
		return false;
	if (s->closed)
		return true;
	if (s->phase == RT_STARTING) /* who should have pulled the image has gone */
		return s->pull == PULL_WANTED && idle > FIRST_ASK_MS;
	if (s->phase == RT_FAILED_PHASE && s->clients.answered == 0)
		return now - s->since_ms > FIRST_ASK_MS;
	if (s->phase == RT_FAILED_PHASE)
		return !s->in_step || all_came(s) || now - s->since_ms > FAILED_STEP_MS;
	if (all_came(s) || (is_single(s) && s->clients.answered > 0))
		return true;
	return idle >= patience_ms(s);
}

static int timeout_ms(const struct rt_session *s)
{
	uint64_t patience = patience_ms(s), now = hr_now_ms();
	int t = TICK_MS;

	if (s->phase == RT_READY && s->clients.n > 0)
		t = rt_clients_pending(&s->clients) > 0 || s->clients.full ? TICK_MS : RT_BEAT_MS;
	else if (s->phase == RT_READY && patience < TICK_MS)
		t = (int)patience;
	if (s->phase == RT_LEAVING || !is_to_look(s))
		return t;
	if (s->look_at_ms <= now)
		return 0;
	if ((uint64_t)t > s->look_at_ms - now)
		t = (int)(s->look_at_ms - now);
	return t;
}

/*
 * Whether the server is left to end by itself, as it does with its connection, by its alarm if it
 * hangs. slurmstepd looks 2 ms after its last task for what that left behind, and when there is
 * something it kills it and sleeps for a second: too short for us to wait for the server first.
 * Where Slurm does not do that we wait, and end a server that hangs.
 */
static bool leaves_first(const struct rt_session *s)
{
	return s->phase == RT_LEAVING && s->tracked && s->fuse_fd >= 0 &&
	       !rt_hooks_any(&s->hooks, RT_HOOK_POSTSTOP);
}

/* In LEAVING: whether there is nothing left to wait for. A server that does not end is ended. */
static bool may_leave(struct rt_session *s)
{
	struct pollfd p = { .fd = s->fuse_fd };
	bool over = s->fuse_fd < 0 || (poll(&p, 1, 0) > 0 && (p.revents & POLLERR));

	if (s->server.pid < 0 || (over && leaves_first(s)))
		return true;
	if (!over)
		s->since_ms = hr_now_ms(); /* programs are left that we do not see */
	else if (hr_now_ms() - s->since_ms > SERVER_END_MS)
		kill(s->server.pid, SIGKILL);
	return false;
}

enum {
	POLL_SIGNAL,
	POLL_SERVER,
	POLL_LOG,
	POLL_BUILDER,
	POLL_LISTEN,
	POLL_TASK,
	POLL_FUSE,
	POLL_FIXED
};

/*
 * Behind the fixed ones those of the clients, in order: the socket, and the process if there is one
 * to watch. Places without a descriptor would make poll fail: it takes no more than may be open.
 */
static int wait_events(struct rt_session *s, struct pollfd **set, size_t *n, struct hr_err *e)
{
	int fixed[POLL_FIXED] = {
		[POLL_SIGNAL] = s->signal_fd,
		[POLL_SERVER] = s->server.sock,
		[POLL_LOG] = s->server.log,
		[POLL_BUILDER] = s->builder_sock,
		[POLL_LISTEN] = s->clients.full ? -1 : s->listen_fd,
		[POLL_TASK] = s->task_fd,
		[POLL_FUSE] = leaves_first(s) ? s->fuse_fd : -1,
	};

	*set = hr_xrealloc(*set, (POLL_FIXED + 2 * s->clients.n) * sizeof(**set));
	for (*n = 0; *n < POLL_FIXED; (*n)++)
		(*set)[*n] = (struct pollfd) { .fd = fixed[*n], .events = POLLIN };
	(*set)[POLL_FUSE].events = 0; /* its end, not its requests */
	for (size_t i = 0; i < s->clients.n; i++) {
		const struct rt_client *c = &s->clients.v[i];

		(*set)[(*n)++] = (struct pollfd) { .fd = c->fd, .events = POLLIN };
		if (c->life >= 0)
			(*set)[(*n)++] = (struct pollfd) { .fd = c->life, .events = POLLIN };
	}
	if (poll(*set, *n, timeout_ms(s)) < 0 && errno != EINTR)
		return hr_fail(e, HR_SYS, errno, "cannot wait for events");
	return 0;
}

static void handle_events(struct rt_session *s, const struct pollfd *set, size_t n, size_t clients)
{
	uint64_t now = hr_now_ms();

	/* backwards: a client that is dropped has its place taken by the last one */
	for (size_t i = clients; i > 0; i--) {
		bool ended = s->clients.v[i - 1].life >= 0 && set[--n].revents;

		if (ended)
			rt_clients_ended(&s->clients, i - 1);
		if (set[--n].revents)
			rt_clients_input(&s->clients, i - 1);
	}
	s->clients.full = false;
	if (set[POLL_LISTEN].revents)
		rt_clients_accept(&s->clients, s->listen_fd, now);
	if (set[POLL_LOG].revents)
		rt_server_read_log(&s->server);
	if (set[POLL_SERVER].revents)
		rt_session_on_server(s);
	if (set[POLL_BUILDER].revents)
		rt_session_on_builder(s);
	if (set[POLL_SIGNAL].revents)
		rt_session_on_child(s);
	if (set[POLL_TASK].revents) {
		watch_task(s, 0);
		s->look_at_ms = 0;
	}
	rt_clients_expire(&s->clients, now);
}

static int loop(struct rt_session *s, struct hr_err *e)
{
	hr_autofree struct pollfd *set = NULL;
	bool swept = false;
	size_t n;

	while (s->phase != RT_LEAVING || !may_leave(s)) {
		size_t clients = s->clients.n;

		if (wait_events(s, &set, &n, e) < 0)
			return -1;
		handle_events(s, set, n, clients);
		rt_session_on_beat(s);
		rt_session_pull(s);
		answer(s);
		rt_session_lend(s); /* at once: a program may end within a millisecond */
		count_ranks(s);
		if (!is_over(s, hr_now_ms()))
			look_at_tasks(s);
		if (s->phase == RT_READY && !swept) {
			rt_stats_sweep(s->dir_fd); /* the ranks have what they wait for */
			if (s->memo_new)
				rt_memo_keep(&s->memo, s->dir_fd);
			swept = true;
		}
		if (s->phase != RT_LEAVING && is_over(s, hr_now_ms()))
			let_go(s);
	}
	return 0;
}

/* Of every container that was begun, also when its start failed. Nobody is left to hear of theirs.
 */
static void run_poststop(struct rt_session *s)
{
	struct hr_err unheard = { 0 };

	if (s->begun && rt_hooks_run(&s->hooks, RT_HOOK_POSTSTOP, 0, &unheard) < 0)
		hr_debug("%s", unheard.text);
}

static void release(struct rt_session *s)
{
	int *fds[] = { &s->init_sock, &s->builder_sock, &s->signal_fd, &s->native_fd,
		       &s->fuse_fd,   &s->targets_fd,	&s->params_fd, &s->dir_fd };

	rt_stats_end(&s->stats, s->failure.kind == HR_OK ? HR_SESSION_ENDED : HR_SESSION_FAILED);
	for (size_t i = 0; i < HR_COUNT(fds); i++)
		hr_fd_cleanup(fds[i]);
	rt_clients_release(&s->clients);
	rt_binds_release(&s->binds);
	rt_scratch_remove(&s->scratch);
	hr_fd_cleanup(&s->overlay_fd);
	free(s->overlay);
	rt_hooks_release(&s->hooks);
	rt_gpu_release(&s->gpu);
	rt_identity_release(&s->identity);
	hr_buf_release(&s->filter);
	rt_image_release(&s->image);
	rt_host_release(&s->host);
	rt_hostlibs_job_release(&s->hostlibs);
	rt_memo_release(&s->memo);
	hr_conf_release(&s->conf);
}

int rt_session_run(const struct rt_session_args *args, struct hr_err *e)
{
	struct rt_session s;
	struct hr_err cause = { 0 };
	int r;

	init(&s, args);
	if (leave_rank(&s, e) < 0)
		return -1;
	if (start(&s, &cause) < 0)
		rt_session_fail(&s, &cause);
	r = loop(&s, e);
	run_poststop(&s);
	release(&s);
	return r;
}
