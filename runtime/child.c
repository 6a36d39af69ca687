/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limit.h"
#include "util/poison.h"

#define TAIL_MAX 400 /* of the output, for one message */

/* The end of what the program printed. */
struct tail {
	char text[TAIL_MAX + 1];
	size_t len;
};

static void default_signals(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		sigaction(i, &dfl, NULL); /* refused for SIGKILL and the like: they are so */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child. What fails is written where the program's output goes. */
static void become(const struct rt_child *c, int out)
{
	struct hr_err e = { 0 };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* cannot fail with a valid signal */
	(void)setsid();					 /* of a fresh child: cannot fail */
	(void)umask(022);
	if (dup2(c->input, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(out, STDERR_FILENO) < 0 || syscall(SYS_close_range, 3u, ~0u, 0u) < 0 ||
	    chdir("/") < 0)
		hr_fail(&e, HR_SYS, errno, "cannot set up the process");
	if (e.kind == HR_OK && (!c->prepare || c->prepare(c->arg, &e) == 0)) {
		default_signals();
		execve(c->path, c->argv, c->env);
		hr_fail(&e, HR_SYS, errno, "cannot execute '%s'", c->path);
	}
	dprintf(STDERR_FILENO, "%s\n", e.text);
	_exit(HR_EXIT_NOEXEC);
}

static void add_tail(struct tail *t, const char *p, size_t n)
{
	size_t keep = n < TAIL_MAX ? TAIL_MAX - n : 0;

	if (n > TAIL_MAX) {
		p += n - TAIL_MAX;
		n = TAIL_MAX;
	}
	if (t->len > keep) {
		memmove(t->text, t->text + t->len - keep, keep);
		t->len = keep;
	}
	memcpy(t->text + t->len, p, n);
	t->len += n;
	t->text[t->len] = '\0';
}

/* All that is there; false: no more will come. */
static bool read_output(int fd, struct tail *t)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		add_tail(t, buf, (size_t)n);
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Until the process has ended; false: its time is over. */
static bool watch(int pidfd, int out, uint64_t deadline, struct tail *t)
{
	struct pollfd p[] = { { .fd = pidfd, .events = POLLIN }, { .fd = out, .events = POLLIN } };

	for (;;) {
		uint64_t now = hr_now_ms();

		if (p[1].revents && !read_output(out, t))
			p[1].fd = -1;
		if (p[0].revents)
			return true;
		if (now >= deadline)
			return false;
		if (poll(p, HR_COUNT(p), (int)(deadline - now)) < 0)
			p[0].revents = p[1].revents = 0; /* EINTR */
	}
}

/* One line: what the program wrote goes into a message. */
static const char *one_line(struct tail *t)
{
	while (t->len > 0 && strchr("\r\n \t", t->text[t->len - 1]))
		t->text[--t->len] = '\0';
	for (size_t i = 0; i < t->len; i++)
		if (t->text[i] == '\n')
			t->text[i] = '|';
		else if (t->text[i] == '\0')
			t->text[i] = '?';
	return t->len > 0 ? t->text : "it printed nothing";
}

static int judge(const struct rt_child *c, bool in_time, int status, struct tail *t,
		 struct hr_err *e)
{
	if (!in_time)
		return hr_fail(e, HR_SYS, 0, "was killed after %" PRIu64 " s: %s", c->timeout_s,
			       one_line(t));
	if (WIFSIGNALED(status))
		return hr_fail(e, HR_SYS, 0, "was killed by signal %d: %s", WTERMSIG(status),
			       one_line(t));
	if (WEXITSTATUS(status) != 0)
		return hr_fail(e, HR_SYS, 0, "failed with status %d: %s", WEXITSTATUS(status),
			       one_line(t));
	return 0;
}

static int wait_for(const struct rt_child *c, pid_t pid, int out, struct hr_err *e)
{
	hr_autofd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0u);
	struct tail t = { .len = 0 };
	bool in_time = false;
	int status = 0, err = errno;

	if (pidfd >= 0)
		in_time = watch(pidfd, out, hr_now_ms() + c->timeout_s * 1000, &t);
	if (!in_time) {
		kill(-pid, SIGKILL); /* ESRCH before its setsid; then itself */
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	(void)read_output(out, &t); /* what came last; who else holds the pipe is not waited for */
	if (pidfd < 0)
		return hr_fail(e, HR_SYS, err, "cannot watch a process");
	return judge(c, in_time, status, &t, e);
}

int rt_child_run(const struct rt_child *c, struct hr_err *e)
{
	hr_autofd int out = -1, theirs = -1;
	int pair[2];
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a pipe");
	out = pair[0];
	theirs = pair[1];
	if (fcntl(out, F_SETFL, O_NONBLOCK) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot set up a pipe");
	pid = fork();
	if (pid == 0)
		become(c, theirs);
	if (pid < 0)
		return hr_fail(e, HR_SYS, errno, "cannot start a process");
	hr_fd_cleanup(&theirs);
	theirs = -1;
	return wait_for(c, pid, out, e);
}

void rt_child_died(const char *what, int status, const char *line, size_t len, struct hr_err *e)
{
	const char *sep = len > 0 ? ": " : "";
	bool by_signal = WIFSIGNALED(status);

	if (by_signal)
		hr_fail(e, HR_SYS, 0, "%s was killed by signal %d (%s)%s%.*s", what,
			WTERMSIG(status), strsignal(WTERMSIG(status)), sep, (int)len, line);
	else
		hr_fail(e, HR_SYS, 0, "%s ended with status %d%s%.*s", what, WEXITSTATUS(status),
			sep, (int)len, line);
	if (by_signal && WTERMSIG(status) == SIGKILL)
		hr_hint(e, "when memory of the node or of the job runs out, the kernel kills; its "
			   "log tells");
	else
		hr_limit_hint_memory(e);
}
