/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/waiter.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/poison.h"

/* As the child ended; without a second core file. */
static void end_like(int status)
{
	struct rlimit none = { 0 };
	sigset_t one;

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	(void)setrlimit(RLIMIT_CORE, &none); /* lowering is always allowed */
	signal(WTERMSIG(status), SIG_DFL);
	kill(getpid(), WTERMSIG(status));
	sigemptyset(&one);
	sigaddset(&one, WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	_exit(128 + WTERMSIG(status));
}

/* A shell's job control sees us, not the child: stop and go on with it. */
static void look(pid_t child)
{
	int status;

	while (waitpid(child, &status, WNOHANG | WUNTRACED) == child) {
		if (!WIFSTOPPED(status))
			end_like(status);
		kill(getpid(), SIGSTOP);
		kill(child, SIGCONT);
	}
}

static void wait_for(pid_t child, const sigset_t *all)
{
	siginfo_t info;

	for (;;) {
		int signal_number = sigwaitinfo(all, &info);

		if (signal_number == SIGCHLD)
			look(child);
		/* what the terminal sends goes to the whole foreground group, the child too */
		else if (signal_number > 0 && info.si_code != SI_KERNEL)
			kill(child, signal_number);
	}
}

int rt_waiter_fork(struct hr_err *e)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL }, chld;
	sigset_t all, old;
	pid_t child;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	sigaction(SIGCHLD, &dfl, &chld); /* ignored, its status would be lost */
	child = fork();
	if (child > 0)
		wait_for(child, &all); /* and that is all */
	if (child < 0) {
		hr_fail(e, HR_SYS, errno, "cannot start a process in the container");
		if (errno == ENOMEM)
			hr_hint(e, "the first process of its PID namespace has ended: try again");
	} else {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* a valid signal: no failure */
	}
	sigaction(SIGCHLD, &chld, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return child < 0 ? -1 : 0;
}
