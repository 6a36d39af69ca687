/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/enter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/caps.h"
#include "runtime/env.h"
#include "runtime/exec.h"
#include "runtime/waiter.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

/* Where the session's socket goes, out of the way of programs that number descriptors themselves.
 */
#define SOCK_FD_MIN 1000
#define KEPT_MAX    9 /* the launcher's eight, and our own */
/* a tenth of what memory there is for the job: more than a server takes of 2 GiB */
#define OOM_SCORE 100

extern char **environ;

static void add_words(struct hr_strv *l, const char *words, size_t n)
{
	const char *end = words + n;

	for (; words < end; words += strlen(words) + 1)
		hr_strv_add(l, words);
}

static void add_argv(struct hr_strv *l, char *const *argv)
{
	for (; *argv; argv++)
		hr_strv_add(l, *argv);
}

/*
 * The words to execute: --entrypoint takes the place of the image's, and the command goes behind
 * it; else the command alone; else what the image says.
 */
static int choose_command(const struct rt_plan *plan, const struct rt_params *p, struct hr_strv *l,
			  struct hr_err *e)
{
	bool has_entrypoint = plan->entrypoint && plan->entrypoint[0];

	if (has_entrypoint)
		hr_strv_add(l, plan->entrypoint);
	if (plan->command[0]) {
		add_argv(l, plan->command);
		return 0;
	}
	if (!plan->entrypoint) {
		add_words(l, p->entrypoint, p->entrypoint_bytes);
		add_words(l, p->cmd, p->cmd_bytes);
	}
	if (l->n > 0)
		return 0;
	hr_fail(e, HR_USAGE, 0, "image '%s' does not say what to run", plan->image);
	hr_hint(e, "name a command behind the image, or use 'hpcrun shell %s'", plan->image);
	return -1;
}

static void merge_environment(struct rt_plan *plan, const struct rt_params *p)
{
	bool keep_home = plan->home_dst != NULL;

	rt_env_image(&plan->env, p->env, p->env_bytes, keep_home);
	rt_env_entries(&plan->env, p->host_env, p->host_env_bytes);
	rt_env_devices(&plan->env, environ);
	rt_env_overlay(&plan->env, &plan->user_env);
	rt_env_library_dirs(&plan->env, p->host_dirs, p->host_dirs_bytes);
	rt_env_finish(&plan->env);
}

static int join_namespaces(const struct rt_plan *plan, const struct rt_joined *j, struct hr_err *e)
{
	/* user first: it gives the right to join the mount namespace that it owns; the kernel
	 * refuses a descriptor of another type than we say */
	if (setns(j->user_ns, CLONE_NEWUSER) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot join the user namespace of the session");
	if (rt_spaces_join(rt_spaces_of(&plan->shape), j->spaces, e) < 0)
		return -1;
	if (setns(j->mnt_ns, CLONE_NEWNS) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot join the mount namespace of the session");
	return 0;
}

/* setns left us at the root of the container. */
static int choose_directory(struct rt_plan *plan, const struct rt_params *p, struct hr_err *e)
{
	const char *dir = plan->cwd;

	if (plan->workdir) {
		if (chdir(plan->workdir) < 0) {
			hr_fail(e, HR_NOTFOUND, errno, "cannot start in '%s' of the container",
				plan->workdir);
			hr_hint(e, "--workdir names a directory of the image or of a bind");
			return -1;
		}
		dir = plan->workdir;
	} else if (chdir(dir) < 0) {
		dir = p->workdir_bytes > 0 ? p->workdir : "/";
		if (chdir(dir) < 0)
			dir = "/";
	}
	if (rt_env_get(&plan->env, "PWD"))
		rt_env_put(&plan->env, "PWD", dir);
	return 0;
}

/* The descriptor that a variable such as PMI_FD=7 of the launcher names, or -1. */
static int launcher_fd(const char *entry)
{
	size_t len = strcspn(entry, "=");

	if (len >= 4 && memcmp(entry + len - 3, "_FD", 3) == 0 && entry[len] == '=' &&
	    rt_env_is_launcher(entry, len)) {
		struct hr_err ignored = { 0 }; /* not a number: not a descriptor */
		uint64_t fd;

		if (hr_parse_u64(entry + len + 1, "the descriptor", 3, INT32_MAX, &fd, &ignored) ==
		    0)
			return (int)fd;
	}
	return -1;
}

/* The descriptors of the launcher's, up to N - 1, and SOCK, in order; how many. */
static size_t kept_descriptors(int sock, int *kept, size_t n)
{
	size_t found = 0;

	kept[found++] = sock;
	for (char **e = environ; *e && found < n; e++) {
		int fd = launcher_fd(*e);
		size_t i;

		for (i = found; fd >= 0 && i > 0 && kept[i - 1] > fd; i--)
			kept[i] = kept[i - 1];
		if (fd < 0)
			continue;
		kept[i] = fd;
		found++;
	}
	return found;
}

static int close_between(unsigned int first, unsigned int last)
{
	if (first > last)
		return 0;
	return (int)syscall(SYS_close_range, first, last, 0u);
}

/*
 * Keep 0 to 2, the launcher's connections and the session's socket; whatever else the caller left
 * open could lead out of the container (CVE-2024-21626).
 */
static int close_descriptors(struct rt_joined *j, struct hr_err *e)
{
	int kept[KEPT_MAX], high;
	unsigned int from = 3;
	size_t n;

	/* not close-on-exec: the program holds it until it ends */
	high = fcntl(j->sock, F_DUPFD, SOCK_FD_MIN);
	if (high < 0) /* RLIMIT_NOFILE is lower */
		high = fcntl(j->sock, F_DUPFD, 3);
	if (high < 0)
		return hr_fail(e, HR_SYS, errno, "cannot keep the session's socket");
	n = kept_descriptors(high, kept, KEPT_MAX);
	for (size_t i = 0; i <= n; i++) {
		unsigned int to = i < n ? (unsigned int)kept[i] : ~0u;

		if (from < to && close_between(from, i < n ? to - 1 : to) < 0)
			return hr_fail(e, HR_SYS, errno, "cannot close the caller's descriptors");
		from = to + 1;
	}
	j->sock = high;
	j->user_ns = j->mnt_ns = j->place = j->params_fd = -1;
	return 0;
}

/* The rank is the one that waits: its end is the end for the session, whatever is left behind. */
static int enter_pid_namespace(struct rt_joined *j, struct hr_err *e)
{
	if (rt_waiter_fork(e) < 0)
		return -1;
	hr_fd_cleanup(&j->sock);
	j->sock = -1;
	return 0;
}

/*
 * When a job has no memory left the kernel is to end a rank, as it would without us, rather than
 * the server of all ranks. Only raising is allowed to us, so the ranks are raised.
 */
static void go_first_without_memory(void)
{
	hr_autofd int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char now[16] = "";
	int score;

	if (fd < 0 || read(fd, now, sizeof(now) - 1) <= 0 || sscanf(now, "%d", &score) != 1 ||
	    score >= OOM_SCORE)
		return;
	if (dprintf(fd, "%d", OOM_SCORE) < 0)
		hr_debug("oom_score_adj stays %d: %s", score, strerror(errno));
}

int rt_enter(struct rt_plan *plan, struct rt_joined *j, struct hr_err *e)
{
	static const char *const shells[] = { "/bin/bash", "/bin/sh", NULL };
	struct hr_strv argv = { 0 };

	if (!plan->shell && choose_command(plan, &j->params, &argv, e) < 0)
		return -1;
	merge_environment(plan, &j->params);
	if (plan->in_step)
		go_first_without_memory();
	if (join_namespaces(plan, j, e) < 0 || choose_directory(plan, &j->params, e) < 0 ||
	    close_descriptors(j, e) < 0 || rt_caps_drop(plan->fakeroot, plan->cap_drop, e) < 0 ||
	    (plan->shape.pid && enter_pid_namespace(j, e) < 0) ||
	    rt_security_apply(&plan->security, e) < 0 ||
	    rt_seccomp_install(j->params.filter, j->params.filter_bytes, e) < 0)
		return -1;
	if (plan->umask >= 0)
		(void)umask((mode_t)plan->umask); /* cannot fail */
	if (plan->shell)
		return rt_exec_first(shells, plan->env.vars.v, e);
	return rt_exec(argv.v, plan->env.vars.v, rt_env_get(&plan->env, "PATH"), e);
}
