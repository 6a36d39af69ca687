/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/sessions.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/rundir.h"
#include "util/poison.h"

#define PROC_LIMIT (64u << 10)

/* "KEY:   123 kB" in /proc/PID/status; 0 when it is not there. */
static uint64_t status_bytes(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at ? strtoull(at + strlen(key), NULL, 10) * 1024 : 0;
}

static void look_at_server(struct session *x)
{
	hr_autofree char *comm = hr_xasprintf("/proc/%" PRIu32 "/comm", x->s.server_pid);
	hr_autofree char *path = hr_xasprintf("/proc/%" PRIu32 "/status", x->s.server_pid);
	hr_autobuf struct hr_buf name = { 0 }, status = { 0 };
	struct hr_err gone = { 0 }; /* it may end at any time */
	uint64_t peak;

	x->peak = x->s.server_peak;
	if (!x->running || x->s.server_pid == 0 ||
	    hr_file_read(AT_FDCWD, comm, PROC_LIMIT, &name, &gone) < 0 ||
	    strncmp((const char *)name.p, "hpcrun-serve", strlen("hpcrun-serve")) != 0 ||
	    hr_file_read(AT_FDCWD, path, PROC_LIMIT, &status, &gone) < 0)
		return;
	x->memory = status_bytes((const char *)status.p, "\nVmRSS:");
	peak = status_bytes((const char *)status.p, "\nVmHWM:");
	if (peak > x->peak)
		x->peak = peak;
}

static int read_one(int dir, const char *name, struct session *out, struct hr_err *e)
{
	hr_autofd int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	hr_autobuf struct hr_buf b = { 0 };

	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open '%s'", name);
	out->running = hr_stats_in_use(fd); /* before the bytes: what ended since has written all */
	if (hr_fd_read(fd, sizeof(out->s), name, &b, e) < 0 ||
	    hr_stats_parse(b.p, b.len, &out->s, e) < 0)
		return -1;
	if (!out->running)
		out->s.ranks_now = out->s.outage_now = 0;
	hr_stats_text(out->id, sizeof(out->id), name);
	look_at_server(out);
	return 0;
}

static void read_all(int place, struct sessions *out)
{
	hr_autofd int fd = openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	hr_autodir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d)
		return;
	fd = -1; /* closedir closes it */
	while ((entry = readdir(d))) {
		struct session x = { .running = false };
		struct hr_err e = { 0 };

		if (entry->d_name[0] == '.')
			continue;
		if (read_one(place, entry->d_name, &x, &e) < 0) {
			hr_debug("'%s' is passed over: %s", entry->d_name, e.text);
			continue;
		}
		out->v = hr_xrealloc(out->v, (out->n + 1) * sizeof(*out->v));
		out->v[out->n++] = x;
	}
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct session *)a)->id, ((const struct session *)b)->id);
}

void sessions_read(struct sessions *out)
{
	*out = (struct sessions) { NULL, 0 };
	for (unsigned int i = 0; i < HR_RUNDIRS; i++) {
		hr_autofree char *path = hr_rundir_path(i);
		hr_autofd int top = path ? hr_rundir_open(AT_FDCWD, path) : -1;
		hr_autofd int place = top < 0 ? -1 : hr_rundir_open(top, HR_STATS_DIR);

		if (place >= 0)
			read_all(place, out);
	}
	if (out->n > 0)
		qsort(out->v, out->n, sizeof(*out->v), by_id);
}

void sessions_release(struct sessions *l)
{
	free(l->v);
	*l = (struct sessions) { NULL, 0 };
}

static bool is_meant(const struct session *x, const char *word)
{
	hr_autofree char *step = hr_xasprintf("%s.%s", x->s.job, x->s.step);

	return strcmp(x->id, word) == 0 ||
	       (x->s.job[0] && (strcmp(x->s.job, word) == 0 || strcmp(step, word) == 0));
}

int sessions_select(struct sessions *l, const char *word, struct hr_err *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++)
		if (is_meant(&l->v[i], word))
			l->v[kept++] = l->v[i];
	l->n = kept;
	if (kept > 0)
		return 0;
	hr_hint(e, "'hpcrun stats' lists them; those of a week are kept, at most 100");
	return hr_fail(e, HR_NOTFOUND, 0, "no session '%s' of yours is known on this node", word);
}

const char *sessions_state(const struct session *x)
{
	static const char *const words[] = { [HR_SESSION_STARTING] = "starting",
					     [HR_SESSION_READY] = "running",
					     [HR_SESSION_FAILED] = "failed",
					     [HR_SESSION_ENDED] = "ended" };

	if (x->running || x->s.ended)
		return words[x->s.state];
	return "killed";
}

double sessions_hit_rate(const struct hr_stats *s)
{
	uint64_t near = s->from[HR_FROM_MEMORY].bytes + s->from[HR_FROM_CACHE].bytes;
	uint64_t all = near + s->from[HR_FROM_STORE].bytes;

	return all > 0 ? (double)near / (double)all : 1;
}
