/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/sqfs_child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define PROGRAM "hpcrun-sqfs"

/* It lies beside the program that we are. */
static char *program_path(void)
{
	char self[PATH_MAX] = "", *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	slash = n > 0 ? strrchr(self, '/') : NULL;
	if (!slash)
		return NULL;
	*slash = '\0';
	return hr_xasprintf("%s/" PROGRAM, self);
}

struct fds {
	int of[5]; /* by number in the child; -1: nothing there */
};

static void fds_release(struct fds *f)
{
	for (size_t i = 0; i < HR_COUNT(f->of); i++)
		if (f->of[i] >= 0)
			close(f->of[i]);
}

/* Copies above all numbers of the child's, so that none is overwritten before it is used. */
static int copy_fds(const int from[5], struct fds *out, struct hr_err *e)
{
	for (size_t i = 0; i < HR_COUNT(out->of); i++) {
		out->of[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD_CLOEXEC, 16);
		if (from[i] >= 0 && out->of[i] < 0)
			return hr_fail(e, HR_SYS, errno, "cannot copy a descriptor");
	}
	return 0;
}

static int spawn(char *const *argv, const struct fds *f, pid_t *pid)
{
	static char *const no_environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t all;
	int r = 0;

	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	for (int i = 0; r == 0 && i < (int)HR_COUNT(f->of); i++)
		if (f->of[i] >= 0)
			r = posix_spawn_file_actions_adddup2(&actions, f->of[i], i);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(&attr, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	if (r == 0)
		r = posix_spawn(pid, argv[0], &actions, &attr, argv, no_environment);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

/* The failure that the child sent, which may be anything. */
static bool take_failure(int fd, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };
	struct hr_err got;
	size_t n = 0;
	ssize_t r;

	while (n < sizeof(got) && (r = read(fd, (char *)&got + n, sizeof(got) - n)) > 0)
		n += (size_t)r;
	if (n < sizeof(got) || got.kind <= HR_OK || got.kind > HR_SYS)
		return false;
	got.text[sizeof(got.text) - 1] = '\0';
	hr_buf_untrusted(&text, got.text, strlen(got.text));
	hr_fail(e, got.kind, 0, "%s", text.p ? (const char *)text.p : "");
	return true;
}

static int judge(int status, int failure, struct hr_err *e)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (take_failure(failure, e))
		return -1;
	if (WIFSIGNALED(status))
		return hr_fail(e, HR_CORRUPT, 0,
			       "its metadata cannot be read: the reader ended with signal %d (%s)",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	return hr_fail(e, HR_SYS, 0, PROGRAM " ended with status %d", WEXITSTATUS(status));
}

int store_sqfs_child_run(int fd, uint64_t off, uint64_t space, const struct fetch_digest *name,
			 int index, int loc, struct hr_err *e)
{
	hr_autofree char *program = program_path(), *off_text = hr_xasprintf("%" PRIu64, off),
			 *space_text = hr_xasprintf("%" PRIu64, space);
	HR_CLEANUP(fds_release) struct fds fds = { { -1, -1, -1, -1, -1 } };
	char name_text[FETCH_DIGEST_TEXT];
	hr_autofd int failure = -1, failure_theirs = -1;
	int pipes[2], status, r;
	pid_t pid;

	if (!program)
		return hr_fail(e, HR_SYS, errno, "cannot find the own program in /proc/self/exe");
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a pipe");
	failure = pipes[0];
	failure_theirs = pipes[1];
	if (copy_fds((int[]) { fd, failure_theirs, -1, index, loc }, &fds, e) < 0)
		return -1;
	r = spawn((char *[]) { program, off_text, space_text,
			       (char *)(uintptr_t)fetch_digest_text(name, name_text), NULL },
		  &fds, &pid);
	if (r != 0) {
		hr_hint(e, "is hpcrun installed completely?");
		return hr_fail(e, HR_SYS, r, "cannot start '%s'", program);
	}
	/* or the pipe has no end */
	hr_fd_cleanup(&failure_theirs);
	failure_theirs = -1;
	close(hr_steal_fd(&fds.of[1]));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return hr_fail(e, HR_SYS, errno, "cannot wait for " PROGRAM);
	return judge(status, failure, e);
}
