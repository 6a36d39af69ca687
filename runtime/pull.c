/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

extern char **environ;

/* Stores behind URLs cannot be written to: of those given, the others. */
static void build_argv(const struct rt_plan *plan, struct hr_strv *l)
{
	hr_strv_take(l, hr_xasprintf("%s/hpcrun-store", plan->libexecdir));
	hr_strv_add(l, "pull");
	hr_strv_add(l, "--if-changed");
	for (size_t i = 0; i < plan->stores->n; i++)
		if (!strstr(plan->stores->v[i], "://"))
			hr_strv_take(l, hr_xasprintf("--store=%s", plan->stores->v[i]));
	hr_strv_add(l, "--");
	hr_strv_add(l, plan->image);
}

/*
 * A process group of its own: what the terminal or a batch system sends to ours reaches it once,
 * through us. MASK is that of a program that has not been tampered with, and SIGTTOU: progress is
 * printed although the group is in the background.
 */
static int spawn(char *const *argv, const sigset_t *mask, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t child_mask = *mask;
	int r;

	sigaddset(&child_mask, SIGTTOU);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawnattr_setpgroup(&attr, 0);
	if (r == 0)
		r = posix_spawnattr_setsigmask(&attr, &child_mask);
	if (r == 0)
		r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
	if (r == 0)
		r = posix_spawn(pid, argv[0], &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

/*
 * Wait for the end of PID; of the signals in WATCHED, which are blocked, all but SIGCHLD go to it.
 * *PASSED becomes the last of these.
 */
static int wait_for(pid_t pid, const sigset_t *watched, int *status, int *passed, struct hr_err *e)
{
	for (;;) {
		pid_t r = waitpid(pid, status, WNOHANG);
		int sig;

		if (r == pid)
			return 0;
		if (r < 0 && errno != EINTR)
			return hr_fail(e, HR_SYS, errno, "cannot wait for hpcrun-store");
		sig = sigwaitinfo(watched, NULL);
		if (sig <= 0 || sig == SIGCHLD)
			continue;
		kill(pid, sig); /* not yet reaped, so still ours */
		*passed = sig;
	}
}

static int judge(const struct rt_plan *plan, int status, int passed, struct rt_pull_told *told,
		 struct hr_err *e)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (passed != 0 && WIFSIGNALED(status) && WTERMSIG(status) == passed)
		told->sig = passed;
	told->why = told->sig != 0 || (WIFEXITED(status) && WEXITSTATUS(status) == HR_EXIT_FAILED);
	if (WIFSIGNALED(status))
		return hr_fail(e, HR_SYS, 0,
			       "cannot pull '%s': hpcrun-store was killed by signal %d (%s)",
			       plan->image, WTERMSIG(status), strsignal(WTERMSIG(status)));
	return hr_fail(e, HR_SYS, 0, "cannot pull '%s': hpcrun-store ended with status %d",
		       plan->image, WEXITSTATUS(status));
}

int rt_pull_run(const struct rt_plan *plan, struct rt_pull_told *told, struct hr_err *e)
{
	static const int signals[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction dfl = { .sa_handler = SIG_DFL }, child_action;
	struct hr_strv argv = { 0 };
	sigset_t watched, old;
	int status = 0, passed = 0, r;
	pid_t pid;

	sigemptyset(&watched);
	for (size_t i = 0; i < HR_COUNT(signals); i++)
		sigaddset(&watched, signals[i]);
	sigprocmask(SIG_BLOCK, &watched, &old);
	sigaction(SIGCHLD, &dfl, &child_action); /* ignored, the status would be lost */
	build_argv(plan, &argv);
	hr_info("image '%s' is pulled first", plan->image);
	r = spawn(argv.v, &old, &pid);
	if (r != 0) {
		hr_fail(e, HR_SYS, r, "cannot start '%s'", argv.v[0]);
		hr_hint(e, "is hpcrun installed completely?");
	} else if (wait_for(pid, &watched, &status, &passed, e) == 0) {
		r = judge(plan, status, passed, told, e);
	}
	hr_strv_release(&argv);
	sigaction(SIGCHLD, &child_action, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return e->kind == HR_OK ? 0 : -1;
}
