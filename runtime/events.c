/* SPDX-License-Identifier: BSD-3-Clause */
/* What the session does when its server, its builder or their deaths have something to tell. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/child.h"
#include "runtime/imgconf.h"
#include "runtime/inject.h"
#include "runtime/msg.h"
#include "runtime/native.h"
#include "runtime/session.h"
#include "runtime/steps.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/poison.h"

void rt_session_enter_phase(struct rt_session *s, enum rt_phase phase)
{
	s->phase = phase;
	s->since_ms = hr_now_ms();
}

static void kill_child(pid_t pid)
{
	if (pid > 0)
		kill(pid, SIGKILL); /* not yet reaped, so still ours */
}

/* With the last descriptor gone the kernel answers ENOTCONN: nobody hangs. */
static void give_up_connection(struct rt_session *s)
{
	hr_fd_cleanup(&s->fuse_fd);
	s->fuse_fd = -1;
}

/* The first cause counts; what fails after it is a consequence. */
void rt_session_fail(struct rt_session *s, const struct hr_err *cause)
{
	if (s->phase != RT_STARTING)
		return;
	s->failure = *cause;
	rt_session_enter_phase(s, RT_FAILED_PHASE);
	kill_child(s->builder);
	kill_child(s->init);
	kill_child(s->server.pid);
	give_up_connection(s);
}

static void note_time(struct rt_session *s, const char *what)
{
	uint64_t at = hr_now_us() - s->born_us;

	rt_clients_note(&s->clients, HR_LOG_DEBUG, "session: at %" PRIu64 " us: %s", at, what);
	rt_stats_step(&s->stats, what, at, 0);
}

static void note_step(struct rt_session *s, const char *step, uint32_t us)
{
	uint64_t at = hr_now_us() - s->born_us;

	rt_clients_note(&s->clients, HR_LOG_DEBUG,
			"session: at %" PRIu64 " us: step '%s' took %u us", at, step, us);
	rt_stats_step(&s->stats, step, at, us);
}

int rt_session_serve(struct rt_session *s, struct hr_err *e)
{
	if (rt_server_spawn(&s->server, s->args, &s->conf, s->stats.fd, e) < 0)
		return -1;
	s->stats.file->server_starts++;
	s->stats.file->server_pid = (uint32_t)s->server.pid;
	return 0;
}

static int make_params(struct rt_session *s, struct hr_err *e)
{
	hr_autobuf struct hr_buf b = { 0 };
	hr_autofd int fd = memfd_create("hpcrun-params", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a memory file");
	rt_params_write(&b, &s->filter, &s->image, &s->host);
	if (b.len > RT_PARAMS_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "the image's configuration is too large");
	if (hr_write_all(fd, b.p, b.len, "the parameters of the session", e) < 0)
		return -1;
	if (fcntl(fd, F_ADD_SEALS, seals) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot seal a memory file");
	s->params_bytes = (uint32_t)b.len;
	s->params_fd = hr_steal_fd(&fd);
	return 0;
}

static int take_config(struct rt_session *s, int fd, struct hr_err *e)
{
	hr_autobuf struct hr_buf json = { 0 };
	unsigned int dropped = 0;

	if (s->image_known) /* a successor sends the same */
		return 0;
	if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return hr_fail(e, HR_CORRUPT, 0, "the server sent no image configuration");
	if (hr_fd_read(fd, RT_IMGCONF_MAX, "the image configuration", &json, e) < 0)
		return -1;
	if (rt_imgconf_parse(json.p, json.len, &s->image, &dropped, e) < 0)
		return -1;
	s->image_known = true;
	if (dropped > 0)
		rt_clients_note(&s->clients, HR_LOG_WARN,
				"malformed entries of the image's environment were left out: %u",
				dropped);
	return 0;
}

/* Both halves are needed: the server's greeting and the builder's mount. */
static int begin_if_both(struct rt_session *s, struct hr_err *e)
{
	if (!s->server_greeted || s->fuse_fd < 0 || s->server_begun)
		return 0;
	s->server_begun = true;
	return rt_server_begin(&s->server, s->fuse_fd, s->targets_fd, s->ids.uid_inside,
			       s->ids.gid_inside, e);
}

/* What was chosen for this image before, into BYTES. */
static void recall(struct rt_session *s, const struct hr_buf *env, struct hr_buf *bytes)
{
	if (!s->memo_use)
		return;
	rt_hostlibs_key_image(s->stats.file->manifest, env, &s->memo);
	if (!rt_memo_recall(&s->memo, s->dir_fd))
		return;
	note_time(s, "which libraries of the host fit is known from before");
	rt_memo_write(&s->memo, bytes);
}

/* The builder searches libraries as the image's programs will. */
static int let_builder_go(struct rt_session *s, struct hr_err *e)
{
	struct rt_progress go = { .type = BUILD_GO };
	hr_autobuf struct hr_buf env = { 0 }, memo = { 0 };
	hr_autofd int env_fd = -1, memo_fd = -1;

	/* a packet that it never reads would reset the socket with its last words when it ends */
	if (s->builder_sock < 0 || s->builder_goes_on)
		return 0;
	rt_params_list(&env, &s->image.env);
	recall(s, &env, &memo);
	env_fd = rt_msg_memfd(env.p, env.len, e);
	memo_fd = env_fd < 0 ? -1 : rt_msg_memfd(memo.p, memo.len, e);
	if (memo_fd < 0)
		return -1;
	s->builder_goes_on = true;
	return rt_msg_send(s->builder_sock, &go, sizeof(go), (int[]) { env_fd, memo_fd }, 2, e);
}

/* What the builder has chosen, for sessions to come. */
static void take_memo(struct rt_session *s, int fd)
{
	hr_autobuf struct hr_buf bytes = { 0 };
	struct hr_err lost = { 0 }; /* then the next one chooses, too */
	struct rt_memo m = { 0 };

	if (!s->memo_use || rt_msg_read_memfd(fd, RT_MEMO_MAX, &bytes, &lost) < 0 ||
	    rt_memo_parse(bytes.p, bytes.len, &m, &lost) < 0) {
		rt_memo_release(&m);
		return;
	}
	m.key = s->memo.key;
	s->memo.key = (struct hr_strv) { 0 };
	rt_memo_release(&s->memo);
	s->memo = m;
	s->memo_new = true;
}

/* What the builder puts into the container brings variables with it. */
static int take_host(struct rt_session *s, const struct rt_progress *p, int fds[2],
		     struct hr_err *e)
{
	hr_autobuf struct hr_buf env = { 0 }, report = { 0 };

	if (p->us)
		hr_strv_add(&s->host.dirs, RT_INJECT_DIR);
	if (rt_msg_read_memfd(fds[0], RT_PARAMS_MAX, &env, e) < 0 ||
	    rt_msg_read_memfd(fds[1], RT_PARAMS_MAX, &report, e) < 0)
		return -1;
	for (size_t at = 0; at < env.len; at += strlen((char *)env.p + at) + 1)
		hr_strv_add(&s->host.env, (char *)env.p + at);
	if (report.len > 0)
		s->host.report = hr_xstrndup((char *)report.p, report.len);
	return 0;
}

/* Large files that can be mounted over their paths. They only make reading faster, so a failure is
 * no failure of the session. */
static void mount_natives(struct rt_session *s, int fd)
{
	struct hr_err e = { 0 };

	if (fd < 0 || !rt_session_reach(s))
		return;
	note_time(s, "large files of the node cache are mounted");
	if (rt_native_start(fd, s->user_ns, s->mnt_ns, &e) < 0)
		rt_clients_note(&s->clients, HR_LOG_DEBUG, "session: %s", e.text);
}

static int handle_server(struct rt_session *s, const struct serve_msg *m, int *fd, struct hr_err *e)
{
	switch (m->type) {
	case SERVE_HELLO:
		note_time(s, "the server has opened the image");
		hr_stats_text(s->stats.file->manifest, sizeof(s->stats.file->manifest), m->text);
		s->server_greeted = true;
		return take_config(s, *fd, e) < 0 ? -1 : begin_if_both(s, e);
	case SERVE_READY:
		note_time(s, "the server is ready");
		return s->phase == RT_STARTING ? let_builder_go(s, e) : 0;
	case SERVE_INIT:
		return 0;
	case SERVE_NOTICE:
		rt_clients_say(&s->clients, m->err.text);
		return 0;
	case SERVE_NATIVE:
		if (s->phase == RT_STARTING && s->native_fd < 0)
			s->native_fd = hr_steal_fd(fd);
		else if (s->phase == RT_READY)
			mount_natives(s, *fd);
		return 0;
	case SERVE_MISSING:
		return rt_session_on_missing(s, &m->err, e);
	case SERVE_ERROR:
		*e = m->err;
		if (e->kind == HR_OK)
			return hr_fail(e, HR_SYS, 0, "hpcrun-serve failed without a reason");
		return -1;
	default:
		return hr_fail(e, HR_CORRUPT, 0, "message %u of hpcrun-serve is unknown here",
			       m->type);
	}
}

/* A child that ends resets its socket: no failure of its own, SIGCHLD brings the reason. */
static bool child_went(const struct hr_err *e)
{
	return e->kind == HR_NOTFOUND || e->sys == EPIPE || e->sys == ECONNRESET;
}

void rt_session_on_server(struct rt_session *s)
{
	hr_autofd int fd = -1;
	struct hr_err e = { 0 };
	struct serve_msg m;

	if (rt_server_receive(&s->server, &m, &fd, &e) < 0) {
		rt_server_hangup(&s->server);
		s->server_greeted = false;
		if (!child_went(&e))
			rt_session_fail(s, &e);
		return;
	}
	if (handle_server(s, &m, &fd, &e) < 0 &&
	    (m.type == SERVE_ERROR || m.type == SERVE_MISSING || !child_went(&e)))
		rt_session_fail(s, &e);
}

static void handle_builder(struct rt_session *s, struct rt_progress *p, int fds[RT_BUILD_FDS_MAX])
{
	struct hr_err e = { 0 };

	switch (p->type) {
	case BUILD_STEP:
		p->step[sizeof(p->step) - 1] = '\0';
		note_step(s, p->step, p->us);
		return;
	case BUILD_FUSE:
		s->fuse_fd = hr_steal_fd(&fds[0]);
		if (begin_if_both(s, &e) < 0 && !child_went(&e))
			rt_session_fail(s, &e);
		return;
	case BUILD_HOST:
		if (take_host(s, p, fds, &e) < 0)
			rt_session_fail(s, &e);
		return;
	case BUILD_MEMO:
		take_memo(s, fds[0]);
		return;
	case BUILD_NOTE:
		rt_clients_note(&s->clients, (enum hr_level)p->us, "%s", p->err.text);
		return;
	case BUILD_INIT:
		s->init = (pid_t)p->us;
		s->init_sock = hr_steal_fd(&fds[0]);
		return;
	case BUILD_DONE:
		if (s->phase != RT_STARTING)
			return;
		if (make_params(s, &e) < 0) {
			rt_session_fail(s, &e);
			return;
		}
		s->user_ns = hr_steal_fd(&fds[0]);
		s->mnt_ns = hr_steal_fd(&fds[1]);
		for (int *fd = fds + 2; s->spaces_n < RT_SPACES_MAX && *fd >= 0; fd++)
			s->spaces[s->spaces_n++] = hr_steal_fd(fd);
		note_time(s, "the container is ready");
		rt_stats_ready(&s->stats, hr_now_us() - s->born_us);
		rt_session_enter_phase(s, RT_READY);
		mount_natives(s, s->native_fd);
		hr_fd_cleanup(&s->native_fd);
		s->native_fd = -1;
		return;
	case BUILD_FAILED:
		rt_session_fail(s, &p->err);
		return;
	default:
		return;
	}
}

void rt_session_on_builder(struct rt_session *s)
{
	int fds[RT_BUILD_FDS_MAX];
	struct rt_progress p;
	struct hr_err e = { 0 };

	if (rt_msg_recv(s->builder_sock, &p, sizeof(p), fds, RT_BUILD_FDS_MAX, &e) < 0) {
		/* it ended; if that was too early, SIGCHLD tells */
		hr_fd_cleanup(&s->builder_sock);
		s->builder_sock = -1;
		return;
	}
	handle_builder(s, &p, fds);
	for (size_t i = 0; i < RT_BUILD_FDS_MAX; i++)
		hr_fd_cleanup(&fds[i]);
}

/* The kernel has ended the FUSE connection: the last process left the container. */
static bool connection_over(const struct rt_session *s)
{
	struct pollfd p = { .fd = s->fuse_fd };

	return s->fuse_fd < 0 || (poll(&p, 1, 0) > 0 && (p.revents & POLLERR));
}

static bool may_restart(struct rt_session *s)
{
	if (s->phase == RT_STARTING && s->restarts.n >= RT_RESTARTS_STARTING)
		return false;
	return !rt_often(&s->restarts, RT_RESTARTS, RT_RESTART_WINDOW_MS, hr_now_ms());
}

/*
 * The server has died although it is needed: start another on the same connection. The kernel sends
 * what was in flight once more (FUSE_NOTIFY_RESEND), programs and the builder only wait.
 */
static bool restart_server(struct rt_session *s)
{
	struct hr_err e = { 0 };

	s->server_greeted = s->server_begun = false;
	return may_restart(s) && rt_session_serve(s, &e) == 0;
}

/* A request that a server does not end with is sent to the next one again; and then no more. */
void rt_session_on_beat(struct rt_session *s)
{
	uint64_t now = hr_now_ms();
	const char *what = "the server of the image hangs in a request: another takes its place";

	if (s->server.pid < 0 || now < s->beat_at_ms)
		return;
	s->beat_at_ms = now + RT_BEAT_MS;
	if (!rt_beat_hangs(&s->beat, s->stats.file, s->server.pid, RT_BEAT_CPU_MS))
		return;
	if (rt_often(&s->hangs, RT_HANGS, RT_HANG_WINDOW_MS, now)) {
		what = "one server of the image after the other hangs in a request: "
		       "reading the image fails from now on";
		give_up_connection(s);
	}
	rt_clients_say(&s->clients, what);
	kill_child(s->server.pid);
}

/* Before there is a container. One that ended by itself would do so again. */
static void server_died_early(struct rt_session *s, int status, struct hr_err *why)
{
	bool again = s->restarts.n > 0;

	/* status 0 is the end of the connection: the builder has gone first, and has the reason */
	if (status == 0 && s->builder > 0)
		return;
	if (WIFSIGNALED(status) && restart_server(s)) {
		note_time(s, "the server has died, another takes its place");
		return;
	}
	if (again)
		hr_wrap(why, "two servers of the image in turn have died");
	rt_session_fail(s, why);
}

static void server_died(struct rt_session *s, int status)
{
	struct hr_err e = { 0 };

	while (s->server.sock >= 0) /* its last words first: FUSE_INIT may be among them */
		rt_session_on_server(s);
	rt_server_reaped(&s->server, status, &e);
	if (rt_session_pull_pending(s))
		return;
	if (s->phase == RT_STARTING)
		server_died_early(s, status, &e);
	else if (s->phase != RT_FAILED_PHASE && !connection_over(s) &&
		 (s->server.init_len == 0 || !restart_server(s)))
		give_up_connection(s);
}

static void builder_died(struct rt_session *s, int status)
{
	struct hr_err e = { 0 };

	while (s->builder_sock >= 0 && s->phase == RT_STARTING)
		rt_session_on_builder(s);
	s->builder = -1;
	if (s->phase != RT_STARTING)
		return;
	rt_child_died("the builder of the container", status, "", 0, &e);
	/* The mount ends with it, and so does the server: all has to be made anew. */
	if (WIFSIGNALED(status) && !rt_clients_come_again(&s->clients))
		rt_session_give_up(s, &e);
	else
		rt_session_fail(s, &e);
}

void rt_session_on_child(struct rt_session *s)
{
	struct signalfd_siginfo info;
	struct rusage used;
	int status;
	pid_t pid;

	while (read(s->signal_fd, &info, sizeof(info)) > 0)
		;
	while ((pid = wait4(-1, &status, WNOHANG | WUNTRACED, &used)) > 0) {
		if (WIFSTOPPED(status)) {
			/* programs that wait for a stopped server cannot even be killed; what
			 * suspends a job stops us, too */
			kill(pid, SIGCONT);
		} else if (pid == s->builder) {
			builder_died(s, status);
		} else if (pid == s->init) {
			s->init = -1;
		} else if (pid == s->server.pid) {
			hr_stats_max(&s->stats.file->server_peak, (uint64_t)used.ru_maxrss * 1024);
			s->stats.file->server_pid = 0;
			server_died(s, status);
		}
	}
}
