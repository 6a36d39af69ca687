/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/start.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/limit.h"
#include "util/poison.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1u << 2)
#endif
#define CHILD_STACK (64u * 1024u)

extern char **environ;

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The session works in "/", so that a path of the caller's must not depend on his directory; a URL
 * does not. */
static void add_path(const struct rt_plan *plan, const char *option, const char *path,
		     struct hr_strv *l)
{
	bool absolute = path[0] == '/' || strstr(path, "://");

	hr_strv_take(l, hr_xasprintf("--%s=%s%s%s", option, absolute ? "" : plan->cwd,
				     absolute ? "" : "/", path));
}

static void add_args(const struct rt_plan *plan, int dirfd, int sock, struct hr_strv *l)
{
	hr_strv_take(l, hr_xasprintf("%s/hpcrun-session", plan->libexecdir));
	hr_strv_take(l, hr_xasprintf("--listen-fd=%d", sock));
	hr_strv_take(l, hr_xasprintf("--dir-fd=%d", dirfd));
	hr_strv_take(l, hr_xasprintf("--key=%s", plan->key));
	hr_strv_take(l, hr_xasprintf("--caller-cwd=%s", plan->cwd));
	if (plan->cwd_bind)
		hr_strv_take(l, hr_xasprintf("--bind-cwd=%s", plan->cwd_bind));
	if (plan->home_src)
		hr_strv_take(l, hr_xasprintf("--home-source=%s", plan->home_src));
	if (plan->home_dst)
		hr_strv_take(l, hr_xasprintf("--home-target=%s", plan->home_dst));
	hr_opt_unparse(rt_shape_opts, &plan->shape, l);
	for (size_t i = 0; i < plan->binds.n; i++)
		hr_strv_take(l,
			     hr_xasprintf("--bind=%s:%s:%s", plan->binds.v[i].src,
					  plan->binds.v[i].dst, plan->binds.v[i].ro ? "ro" : "rw"));
	if (plan->foreign_binds)
		hr_strv_take(l, hr_xasprintf("--foreign-binds=%s", plan->foreign_binds));
	for (size_t i = 0; i < plan->stores->n; i++)
		add_path(plan, "store", plan->stores->v[i], l);
	if (plan->cache)
		add_path(plan, "cache", plan->cache, l);
	if (plan->command[0])
		hr_strv_take(l, hr_xasprintf("--app=%s", last_part(plan->command[0])));
	if (plan->gpu)
		hr_strv_take(l, hr_xasprintf("--gpu=%s", plan->gpu));
	if (plan->entrypoint && plan->entrypoint[0])
		hr_strv_take(l, hr_xasprintf("--command=%s", plan->entrypoint));
	else if (plan->command[0])
		hr_strv_take(l, hr_xasprintf("--command=%s", plan->command[0]));
	hr_strv_take(l, hr_xasprintf("--pull=%s", rt_pull_words[plan->pull]));
	hr_strv_take(l, hr_xasprintf("--mpi=%s", rt_mpi_words[plan->mpi]));
	if (plan->mpi_check)
		hr_strv_take(l,
			     hr_xasprintf("--mpi-check=%s", rt_mpi_check_words[plan->mpi_check]));
	if (plan->writable)
		hr_strv_add(l, "--writable");
	if (plan->fakeroot)
		hr_strv_add(l, "--fakeroot");
	hr_strv_add(l, "--");
	hr_strv_add(l, plan->image);
}

/*
 * The caller's environment without what is meant for its programs' loader: a module's
 * LD_LIBRARY_PATH must not choose the libraries of the session and the server.
 */
static char **session_environ(void)
{
	size_t n = 0, kept = 0;
	char **out;

	while (environ[n])
		n++;
	out = hr_xmalloc((n + 1) * sizeof(*out));
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "LD_", 3) != 0)
			out[kept++] = environ[i];
	return out;
}

struct birth {
	char **argv, **envp;
	const int *keep; /* descriptors that live on */
	size_t keep_n;
	int null;
	int error; /* written by the children, whose memory is ours */
};

/*
 * In the grandchild: only system calls from here. stderr stays until the session's main runs: the
 * loader's complaints would be lost else.
 */
static int become_session(void *arg)
{
	struct birth *b = arg;

	(void)umask(077);
	if (chdir("/") < 0 || dup2(b->null, STDIN_FILENO) < 0 || dup2(b->null, STDOUT_FILENO) < 0 ||
	    syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		goto out;
	for (size_t i = 0; i < b->keep_n; i++)
		if (fcntl(b->keep[i], F_SETFD, 0) < 0)
			goto out;
	execve(b->argv[0], b->argv, b->envp);
out:
	b->error = errno;
	return HR_EXIT_FAILED;
}

/*
 * A child that shares our memory while we wait for it to execute or end, as after vfork; but on a
 * stack of its own, so that it may have a child of the same kind in turn.
 */
static pid_t run_child(int (*fn)(void *), struct birth *b)
{
	char stack[CHILD_STACK] __attribute__((aligned(16)));
	pid_t pid = clone(fn, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, b);

	if (pid < 0)
		b->error = errno;
	return pid;
}

/* In the child: a process group and session of its own, and a child that nobody waits for. */
static int detach(void *arg)
{
	setsid();
	(void)run_child(become_session, arg); /* the failure is in arg */
	return 0;
}

static int spawn_detached(struct birth *b)
{
	sigset_t all, old;
	pid_t child;

	/* a handler of ours must not run in a child that shares our memory */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	child = run_child(detach, b);
	if (child > 0)
		/* ECHILD when the caller ignores SIGCHLD: the kernel reaped it */
		(void)waitpid(child, NULL, 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return b->error;
}

int rt_session_start(const struct rt_plan *plan, int dirfd, int sock, struct hr_err *e)
{
	hr_autofd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	hr_autofree char **envp = NULL;
	struct hr_strv argv = { 0 };
	int keep[] = { sock, dirfd };
	struct birth b = { .keep = keep, .keep_n = HR_COUNT(keep), .null = null };

	if (null < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open '/dev/null'");
	add_args(plan, dirfd, sock, &argv);
	envp = session_environ();
	b.argv = argv.v;
	b.envp = envp;
	if (spawn_detached(&b) != 0) {
		hr_fail(e, HR_SYS, b.error, "cannot start '%s'", argv.v[0]);
		hr_limit_hint(e);
		hr_hint(e, "is hpcrun installed completely?");
	}
	hr_strv_release(&argv);
	return e->kind == HR_OK ? 0 : -1;
}
