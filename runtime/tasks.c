/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/tasks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define EXITING 0x4u /* PF_EXITING of linux/sched.h, in the flags that /proc shows */

bool rt_tasks_parse(const char *text, size_t n, struct rt_proc *out)
{
	char rest[128];
	const char *open = memchr(text, '(', n), *close = memrchr(text, ')', n);
	size_t len;
	int parent;

	if (!open || !close || close < open)
		return false;
	len = (size_t)(close - open - 1);
	if (len >= sizeof(out->comm))
		return false;
	memset(out, 0, sizeof(*out));
	memcpy(out->comm, open + 1, len);
	len = n - (size_t)(close + 1 - text);
	if (len >= sizeof(rest))
		len = sizeof(rest) - 1;
	memcpy(rest, close + 1, len);
	rest[len] = '\0';
	/* state, parent, group, session, terminal, its group, flags */
	if (sscanf(rest, " %c %d %*d %*d %*d %*d %u", &out->state, &parent, &out->flags) != 3)
		return false;
	out->parent = parent;
	return true;
}

static bool look(int proc, const char *pid, struct rt_proc *out)
{
	hr_autofree char *path = hr_xasprintf("%s/stat", pid);
	hr_autofd int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	char text[512];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	return n > 0 && rt_tasks_parse(text, (size_t)n, out);
}

pid_t rt_tasks_launcher(void)
{
	const char *task = getenv("SLURM_TASK_PID");
	hr_autofd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct hr_err ignored = { 0 }; /* then the launcher is not known */
	struct rt_proc p;
	uint64_t pid;

	if (!task || proc < 0 ||
	    hr_parse_u64(task, "SLURM_TASK_PID", 1, INT32_MAX, &pid, &ignored) < 0)
		return 0;
	return look(proc, task, &p) && p.parent > 1 ? p.parent : 0;
}

/* Sessions are no tasks, though they become the launcher's children where it adopts orphans. */
static bool is_task(const struct rt_proc *p, pid_t launcher)
{
	return p->parent == launcher && p->state != 'Z' && p->state != 'X' &&
	       !(p->flags & EXITING) && strncmp(p->comm, "hpcrun-s", 8) != 0;
}

static bool is_outside(int proc, const char *pid, ino_t ours)
{
	hr_autofree char *path = hr_xasprintf("%s/ns/mnt", pid);
	struct stat st;

	if (fstatat(proc, path, &st, 0) < 0)
		return errno == EACCES || errno == EPERM; /* else it has gone */
	return st.st_ino == ours;
}

pid_t rt_tasks_left(pid_t launcher)
{
	hr_autodir DIR *d = opendir("/proc");
	struct stat ours, st;
	struct dirent *entry;

	if (!d || stat("/proc/self/ns/mnt", &ours) < 0)
		return -1;
	while ((entry = readdir(d))) {
		struct rt_proc p;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    fstatat(dirfd(d), entry->d_name, &st, 0) < 0 || st.st_uid != geteuid())
			continue;
		if (look(dirfd(d), entry->d_name, &p) && is_task(&p, launcher) &&
		    is_outside(dirfd(d), entry->d_name, ours.st_ino))
			return (pid_t)strtol(entry->d_name, NULL, 10);
	}
	return 0;
}
