/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/rundir.h"
#include "util/poison.h"

#define FD_MIN	 10 /* above the numbers that a server finds its descriptors at */
#define KEEP	 100
#define KEEP_S	 (7 * 86400)
#define LIST_MAX 10000 /* names looked at; there are few more than KEEP */

void rt_stats_init(struct rt_stats *t)
{
	memset(t, 0, sizeof(*t));
	t->fd = -1;
	t->file = &t->own;
}

/* "20261122-045512-123456": they sort by time, and no two sessions of a user begin at one. */
static char *name_of_session(const struct timespec *now)
{
	struct tm tm = { 0 };
	char when[32];

	gmtime_r(&now->tv_sec, &tm);
	strftime(when, sizeof(when), "%Y%m%d-%H%M%S", &tm);
	return hr_xasprintf("%s-%06ld", when, now->tv_nsec / 1000);
}

static void describe(struct hr_stats *s, const struct rt_session_args *args, time_t now)
{
	const char *job = getenv("SLURM_JOB_ID"), *step = getenv("SLURM_STEP_ID");

	s->started = (uint64_t)now;
	hr_stats_text(s->image, sizeof(s->image), args->image);
	hr_stats_text(s->program, sizeof(s->program), args->app ? args->app : "");
	hr_stats_text(s->job, sizeof(s->job), job ? job : "");
	hr_stats_text(s->step, sizeof(s->step), job && step ? step : "");
	if (gethostname(s->node, sizeof(s->node) - 1) < 0)
		s->node[0] = '\0';
}

static int create(int dir_fd, const char *name, int *out, struct hr_err *e)
{
	hr_autofd int dir = hr_rundir_make(dir_fd, HR_STATS_DIR), low = -1;
	int fd = -1;

	if (dir >= 0)
		low = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (low >= 0)
		fd = fcntl(low, F_DUPFD_CLOEXEC, FD_MIN);
	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make the file '" HR_STATS_DIR "/%s'",
			       name);
	*out = fd;
	return 0;
}

int rt_stats_open(struct rt_stats *t, const struct rt_session_args *args, struct hr_err *e)
{
	struct timespec now = { 0 };
	hr_autofree char *name = NULL;

	clock_gettime(CLOCK_REALTIME, &now);
	name = name_of_session(&now);
	if (create((int)args->dir_fd, name, &t->fd, e) < 0)
		return -1;
	if (hr_stats_create(t->fd, &t->file, e) < 0) {
		t->file = &t->own;
		hr_fd_cleanup(&t->fd);
		t->fd = -1;
		return -1;
	}
	describe(t->file, args, now.tv_sec);
	return 0;
}

void rt_stats_step(struct rt_stats *t, const char *name, uint64_t at_us, uint64_t us)
{
	struct hr_stats *s = t->file;

	if (s->steps_n == HR_STATS_STEPS)
		return;
	s->steps[s->steps_n].at_us = at_us > UINT32_MAX ? UINT32_MAX : (uint32_t)at_us;
	s->steps[s->steps_n].us = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
	hr_stats_text(s->steps[s->steps_n].name, sizeof(s->steps[0].name), name);
	s->steps_n++;
}

void rt_stats_ready(struct rt_stats *t, uint64_t at_us)
{
	t->file->ready_us = at_us;
	t->file->state = HR_SESSION_READY;
}

void rt_stats_end(struct rt_stats *t, enum hr_stats_state state)
{
	t->file->ended = (uint64_t)time(NULL);
	t->file->ranks_now = 0;
	t->file->state = state;
	hr_fd_cleanup(&t->fd);
	t->fd = -1;
}

static double megabytes(uint64_t bytes)
{
	return (double)bytes / 1e6;
}

void rt_stats_summary(const struct rt_stats *t, uint32_t ranks, struct hr_buf *out)
{
	const struct hr_stats *s = t->file;
	uint64_t near = s->from[HR_FROM_MEMORY].bytes + s->from[HR_FROM_CACHE].bytes;
	uint64_t read = near + s->from[HR_FROM_STORE].bytes;

	hr_buf_printf(out, "image '%s': %u rank%s, ready in %.3f s; read %.1f MB", s->image, ranks,
		      HR_PLURAL(ranks), (double)s->ready_us / 1e6, megabytes(read));
	if (read > 0)
		hr_buf_printf(out, ", %.0f %% of it on this node, waited %.3f s",
			      100 * (double)near / (double)read, (double)s->wait_us / 1e6);
	for (uint32_t i = 0; i < s->origins_n; i++)
		if (s->origins[i].requests > 0)
			hr_buf_printf(out, "; %.1f MB from '%s'", megabytes(s->origins[i].bytes),
				      s->origins[i].name);
	if (s->outages > 0)
		hr_buf_printf(out, "; %u outage%s", (unsigned int)s->outages,
			      HR_PLURAL(s->outages));
}

/* ---- keeping few ---- */

static int newest_first(const void *a, const void *b)
{
	return -strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(DIR *d, struct hr_strv *names)
{
	struct dirent *entry;

	while (names->n < LIST_MAX && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			hr_strv_add(names, entry->d_name);
	if (names->n > 0)
		qsort(names->v, names->n, sizeof(*names->v), newest_first);
}

static bool in_use(int dir, const char *name)
{
	hr_autofd int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd >= 0 && hr_stats_in_use(fd);
}

void rt_stats_sweep(int dir_fd)
{
	hr_autofd int place = hr_rundir_open(dir_fd, HR_STATS_DIR);
	hr_autofd int fd = place < 0 ? -1 : openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	hr_autodir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	HR_CLEANUP(hr_strv_release) struct hr_strv names = { 0 };

	if (!d)
		return;
	fd = -1; /* closedir closes it */
	list(d, &names);
	for (size_t i = 0; i < names.n; i++) {
		struct stat st;

		if (i < KEEP && fstatat(place, names.v[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_mtime + KEEP_S > time(NULL))
			continue;
		if (!in_use(place, names.v[i]))
			(void)unlinkat(place, names.v[i], 0); /* housekeeping */
	}
}
