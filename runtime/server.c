/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/child.h"
#include "runtime/plan.h"
#include "util/cleanup.h"
#include "util/limit.h"
#include "util/poison.h"

#define CONTROL_FD 3
#define STATS_FD   4

extern char **environ;

void rt_server_init(struct rt_server *s)
{
	*s = (struct rt_server) { .pid = -1, .sock = -1, .log = -1, .locks = { -1, -1 } };
}

static void build_argv(const struct rt_server *s, const struct rt_session_args *args,
		       const struct hr_conf *conf, bool stats, struct hr_strv *l)
{
	unsigned int locks = 0;

	for (size_t i = 0; i < RT_SERVER_LOCKS; i++)
		locks += s->locks[i] >= 0;
	hr_strv_take(l, hr_xasprintf("%s/hpcrun-serve", rt_libexecdir()));
	hr_strv_take(l, hr_xasprintf("--control-fd=%d", CONTROL_FD));
	if (stats)
		hr_strv_take(l, hr_xasprintf("--stats-fd=%d", STATS_FD));
	if (locks > 0)
		hr_strv_take(l, hr_xasprintf("--keep-fds=%u", locks));
	for (size_t i = 0; i < args->stores.n; i++)
		hr_strv_take(l, hr_xasprintf("--store=%s", args->stores.v[i]));
	hr_strv_take(l, hr_xasprintf("--memory=%" PRIu64, conf->serve_memory));
	if (conf->verify_full)
		hr_strv_add(l, "--verify-full");
	if (args->cache)
		hr_strv_take(l, hr_xasprintf("--cache=%s", args->cache));
	/* not below an overlay: a file that is mounted cannot be copied up or removed */
	if (conf->native_files && !args->writable && !args->shape.overlay)
		hr_strv_add(l, "--native");
	if (args->app)
		hr_strv_take(l, hr_xasprintf("--app=%s", args->app));
	if (s->manifest[0])
		hr_strv_take(l, hr_xasprintf("--manifest=%s", s->manifest));
	hr_strv_add(l, "--");
	hr_strv_add(l, args->image);
}

/* posix_spawn: neither copies our memory nor runs anything between. Every descriptor of ours is
 * close-on-exec; what the child keeps is placed by the actions. */
static int spawn(const struct rt_server *s, char *const *argv, int control, int log, int stats,
		 pid_t *pid)
{
	int next = stats >= 0 ? STATS_FD + 1 : STATS_FD;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	r = posix_spawn_file_actions_adddup2(&actions, log, STDERR_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, control, CONTROL_FD);
	if (r == 0 && stats >= 0)
		r = posix_spawn_file_actions_adddup2(&actions, stats, STATS_FD);
	for (size_t i = 0; r == 0 && i < RT_SERVER_LOCKS; i++)
		if (s->locks[i] >= 0)
			r = posix_spawn_file_actions_adddup2(&actions, s->locks[i], next++);
	if (r == 0)
		r = posix_spawnattr_setsigmask(&attr, &none);
	if (r == 0)
		r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	if (r == 0)
		r = posix_spawn(pid, argv[0], &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

int rt_server_spawn(struct rt_server *s, const struct rt_session_args *args,
		    const struct hr_conf *conf, int stats_fd, struct hr_err *e)
{
	hr_autofd int control = -1, control_theirs = -1, log = -1, log_theirs = -1;
	struct hr_strv argv = { 0 };
	int pair[2], pipes[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a socket pair");
	control = pair[0];
	control_theirs = pair[1];
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a pipe");
	log = pipes[0];
	log_theirs = pipes[1];
	/* the session must never wait for a log line, nor the server for the session to read one */
	if (fcntl(log, F_SETFL, O_NONBLOCK) < 0 || fcntl(log_theirs, F_SETFL, O_NONBLOCK) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot set up a pipe");
	build_argv(s, args, conf, stats_fd >= 0, &argv);
	r = spawn(s, argv.v, control_theirs, log_theirs, stats_fd, &s->pid);
	if (r != 0) {
		s->pid = -1;
		hr_fail(e, HR_SYS, r, "cannot start '%s'", argv.v[0]);
		hr_limit_hint(e);
		hr_hint(e, "is hpcrun installed completely?");
	} else {
		s->sock = hr_steal_fd(&control);
		s->log = hr_steal_fd(&log);
		s->tail_len = 0;
	}
	hr_strv_release(&argv);
	return r == 0 ? 0 : -1;
}

int rt_server_receive(struct rt_server *s, struct serve_msg *m, int *fd, struct hr_err *e)
{
	int fds[2] = { -1, -1 };

	if (hr_serve_recv(s->sock, m, fds, e) < 0)
		return -1;
	hr_fd_cleanup(&fds[1]); /* the server sends one at most */
	*fd = fds[0];
	if (m->type == SERVE_HELLO && s->manifest[0] == '\0')
		memcpy(s->manifest, m->text, sizeof(s->manifest));
	if (m->type == SERVE_INIT && s->init_len == 0) {
		memcpy(s->init, m->data, m->data_len);
		s->init_len = m->data_len;
	}
	return 0;
}

void rt_server_hangup(struct rt_server *s)
{
	hr_fd_cleanup(&s->sock);
	s->sock = -1;
}

int rt_server_begin(struct rt_server *s, int fuse, int targets, uid_t uid, gid_t gid,
		    struct hr_err *e)
{
	struct serve_msg m = { .magic = SERVE_MAGIC,
			       .type = SERVE_START,
			       .uid = uid,
			       .gid = gid,
			       .data_len = s->init_len };
	int fds[2] = { fuse, targets };

	memcpy(m.data, s->init, s->init_len);
	return hr_serve_send(s->sock, &m, fds, e);
}

void rt_server_read_log(struct rt_server *s)
{
	char buf[1024];
	ssize_t n;

	while (s->log >= 0 && (n = read(s->log, buf, sizeof(buf))) != 0) {
		size_t len, drop;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		len = (size_t)n < sizeof(s->tail) ? (size_t)n : sizeof(s->tail);
		drop = s->tail_len + len > sizeof(s->tail) ? s->tail_len + len - sizeof(s->tail)
							   : 0;
		memmove(s->tail, s->tail + drop, s->tail_len - drop);
		memcpy(s->tail + s->tail_len - drop, buf + n - len, len);
		s->tail_len = s->tail_len - drop + len;
	}
	hr_fd_cleanup(&s->log);
	s->log = -1;
}

/* The last line it wrote, or nothing. */
static int last_line(const struct rt_server *s, const char **line)
{
	size_t end = s->tail_len, start;

	while (end > 0 && s->tail[end - 1] == '\n')
		end--;
	for (start = end; start > 0 && s->tail[start - 1] != '\n';)
		start--;
	*line = s->tail + start;
	return (int)(end - start);
}

void rt_server_reaped(struct rt_server *s, int status, struct hr_err *e)
{
	const char *line;
	int len;

	rt_server_read_log(s);
	len = last_line(s, &line);
	rt_child_died("hpcrun-serve", status, line, (size_t)len, e);
	s->pid = -1;
	rt_server_hangup(s);
	hr_fd_cleanup(&s->log);
	s->log = -1;
}
