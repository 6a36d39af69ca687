/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/poison.h"

#define OUTPUT_MAX (1u << 20)
#define TICK_MS	   20

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The helper's absolute path, allocated. Relative parts of PATH would run what lies in the cwd. */
static char *find_program(const char *name, struct hr_err *e)
{
	const char *p = getenv("PATH");

	if (!*name || name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					"0123456789._-")]) {
		hr_fail(e, HR_USAGE, 0, "'%.80s' is no name of a credential helper", name);
		return NULL;
	}
	while (p && *p) {
		size_t n = strcspn(p, ":");
		hr_autofree char *path = hr_xasprintf("%.*s/docker-credential-%s", (int)n, p, name);

		if (*p == '/' && is_program(path))
			return hr_steal(&path);
		p += n + (p[n] == ':');
	}
	hr_fail(e, HR_NOTFOUND, 0, "credential helper 'docker-credential-%s' is not in PATH", name);
	return NULL;
}

/* The question as a file: a pipe would raise SIGPIPE when the helper does not read it. */
static int open_input(const char *input, struct hr_err *e)
{
	hr_autofd int fd = memfd_create("question", MFD_CLOEXEC);

	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a memory file");
	if (hr_write_all(fd, input, strlen(input), "memory file", e) < 0)
		return -1;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot rewind a memory file");
	return hr_steal_fd(&fd);
}

/* Start it with INPUT as stdin and OUTPUT as stdout. It stays in our process group: it may have to
 * ask at the terminal, and Ctrl-C ends it. */
static int start(const char *path, const char *verb, int input, int output, pid_t *pid,
		 struct hr_err *e)
{
	extern char **environ;
	char *argv[] = { (char *)(uintptr_t)path, (char *)(uintptr_t)verb, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, defaults;
	int r;

	sigemptyset(&none);
	sigfillset(&defaults);
	sigdelset(&defaults, SIGKILL);
	sigdelset(&defaults, SIGSTOP);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn(pid, path, &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	if (r != 0)
		return hr_fail(e, HR_SYS, r, "cannot run '%s'", path);
	return 0;
}

/* Append what is there to read now. 0: more may come; 1: the end. */
static int drain(int fd, struct hr_buf *b, const char *path, struct hr_err *e)
{
	for (;;) {
		ssize_t n;

		hr_buf_reserve(b, 4096);
		n = read(fd, b->p + b->len, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return hr_fail(e, HR_SYS, errno, "cannot read from '%s'", path);
		b->len += (size_t)n;
		b->p[b->len] = '\0';
		if (n == 0)
			return 1;
		if (b->len > OUTPUT_MAX)
			return hr_fail(e, HR_DENIED, 0, "'%s' prints more than %u bytes", path,
				       OUTPUT_MAX);
	}
}

/*
 * Read until the helper has exited; not until its stdout is closed, for an agent that it started
 * may hold that open for ever.
 */
static int wait_for(pid_t pid, int fd, const char *path, unsigned int timeout_ms, struct hr_buf *b,
		    int *status, struct hr_err *e)
{
	uint64_t end = hr_now_ms() + timeout_ms;
	int closed = 0;

	for (;;) {
		struct pollfd p = { .fd = closed ? -1 : fd, .events = POLLIN };
		pid_t done = waitpid(pid, status, WNOHANG);
		int r = closed ? 1 : drain(fd, b, path, e);

		if (r < 0)
			break;
		closed = r;
		if (done == pid)
			return 0;
		if (done < 0 && errno != EINTR) {
			hr_fail(e, HR_SYS, errno, "cannot wait for '%s'", path);
			break;
		}
		if (hr_now_ms() >= end) {
			hr_fail(e, HR_DENIED, 0, "'%s' gives no answer within %u s", path,
				timeout_ms / 1000);
			break;
		}
		poll(&p, 1, TICK_MS); /* early wake-ups and EINTR only mean another look */
	}
	kill(pid, SIGKILL);
	waitpid(pid, status, 0);
	return -1;
}

int fetch_helper_run(const char *name, const char *verb, const char *input, unsigned int timeout_ms,
		     struct hr_buf *output, bool *ok, struct hr_err *e)
{
	hr_autofree char *path = find_program(name, e);
	hr_autofd int in = path ? open_input(input, e) : -1;
	int ends[2], status = 0;
	pid_t pid = -1;

	if (in < 0)
		return -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a pipe");
	hr_autofd int from = ends[0];
	hr_autofd int to = ends[1];

	if (fcntl(from, F_SETFL, O_NONBLOCK) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot set up a pipe");
	if (start(path, verb, in, to, &pid, e) < 0)
		return -1;
	hr_fd_cleanup(&to);
	to = -1;
	if (wait_for(pid, from, path, timeout_ms, output, &status, e) < 0)
		return -1;
	if (!WIFEXITED(status))
		return hr_fail(e, HR_DENIED, 0, "'%s' was ended by signal %d", path,
			       WTERMSIG(status));
	*ok = WEXITSTATUS(status) == 0;
	return 0;
}
