/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/caps.h"
#include "runtime/mount.h"
#include "runtime/msg.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define SOCK_FD	 3
#define ALONE_MS 500 /* between two looks whether anybody else is left */

static int make_proc(struct hr_err *e)
{
	int fd = rt_mount_new("proc", "", e);

	/* mount_too_revealing() of the kernel: not more of proc than our own one shows */
	if (fd < 0 && e->sys == EPERM) {
		e->kind = HR_DENIED;
		hr_hint(e, "--pid needs a /proc of its own, which is not to be had where parts of "
			   "/proc are covered, as in a container of Docker or Kubernetes");
	}
	return fd;
}

static bool alone(void)
{
	return kill(-1, 0) < 0 && errno == ESRCH;
}

static void reap(int signals)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof(info)) > 0)
		;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* No signal from inside does anything: the kernel drops those that init does not handle. */
static void serve(int signals)
{
	struct pollfd p[] = { { .fd = SOCK_FD, .events = POLLIN },
			      { .fd = signals, .events = POLLIN } };

	for (;;) {
		(void)poll(p, HR_COUNT(p), p[0].fd < 0 ? ALONE_MS : -1); /* whatever it says */
		reap(signals);
		if (p[0].revents)
			p[0].fd = -1; /* the holder has gone; programs go on */
		if (p[0].fd < 0 && alone())
			return;
	}
}

static int settle(int sock, struct hr_err *e)
{
	if (setsid() < 0 || (sock != SOCK_FD && dup2(sock, SOCK_FD) < 0) ||
	    syscall(SYS_close_range, SOCK_FD + 1, ~0u, 0u) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot set up the first process");
	(void)prctl(PR_SET_NAME, "hpcrun-init", 0, 0, 0); /* for people */
	return 0;
}

static void init_main(int sock)
{
	struct hr_err e = { 0 }, unheard = { 0 };
	hr_autofd int proc = -1;
	sigset_t all;
	int signals;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (settle(sock, &e) == 0)
		proc = make_proc(&e);
	/* what became of it, with proc */
	if (rt_msg_send(SOCK_FD, &e, sizeof(e), &proc, proc >= 0, &unheard) < 0 || proc < 0)
		_exit(HR_EXIT_FAILED);
	hr_fd_cleanup(&proc);
	proc = -1;
	sigemptyset(&all);
	sigaddset(&all, SIGCHLD);
	signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0 || rt_caps_drop(false, 0, &unheard) < 0)
		_exit(HR_EXIT_FAILED); /* the namespace is dead: whoever wants in is told */
	serve(signals);
	_exit(0);
}

pid_t rt_init_start(int *proc, int *sock, struct hr_err *e)
{
	hr_autofd int ours = -1, theirs = -1;
	struct hr_err said;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a socket pair");
	ours = pair[0];
	theirs = pair[1];
	pid = fork();
	if (pid == 0)
		init_main(theirs);
	if (pid < 0)
		return hr_fail(e, HR_SYS, errno, "cannot start the first process");
	hr_fd_cleanup(&theirs);
	theirs = -1;
	if (rt_msg_recv(ours, &said, sizeof(said), proc, 1, e) < 0)
		return hr_wrap(e, "the first process");
	if (said.kind != HR_OK) {
		*e = said;
		return -1;
	}
	*sock = hr_steal_fd(&ours);
	return pid;
}
