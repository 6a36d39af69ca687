/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who keeps the container: the holder, until all ranks of a step have come; from then on the ranks
 * alone. So it comes apart in the exit of the last one, before slurmstepd hears of that: the server
 * and the holder have ended when it looks for what the step left behind, a millisecond later. What
 * it finds then costs the step a second.
 *
 * Where all cores are busy the two may get none in that millisecond, which the exit of the rank and
 * slurmstepd itself take: 10 to 30 % of steps with one task on a node are late. No help were
 * shorter slices, nice, fewer threads, and a holder that does not wait for the end of the
 * connection.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "runtime/session.h"
#include "util/cleanup.h"
#include "util/poison.h"

void rt_session_lend(struct rt_session *s)
{
	bool all_came = s->ranks > 0 && s->clients.answered >= s->ranks;
	struct stat st;

	/* an init of --pid is in the container, too, and ends when we say */
	if (s->phase != RT_READY || s->mnt_ns < 0 || !s->in_step || s->init > 0 ||
	    !(all_came || s->closed) || s->clients.n == 0 || rt_clients_pending(&s->clients) > 0 ||
	    fstat(s->mnt_ns, &st) < 0)
		return;
	s->mnt_ns_ino = st.st_ino;
	hr_fd_cleanup(&s->mnt_ns);
	s->mnt_ns = -1;
}

/* The mount namespace of a rank, or -1 when it is none of ours, or the rank has gone. */
static int of_rank(const struct rt_session *s, const struct rt_client *c)
{
	pid_t pid = rt_client_pid(c);
	char path[64];
	hr_autofd int fd = -1;
	struct stat st;

	if (pid <= 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino != s->mnt_ns_ino)
		return -1;
	return hr_steal_fd(&fd);
}

bool rt_session_reach(struct rt_session *s)
{
	for (size_t i = 0; i < s->clients.n && s->mnt_ns < 0; i++)
		if (s->clients.v[i].state == CLIENT_JOINED)
			s->mnt_ns = of_rank(s, &s->clients.v[i]);
	return s->mnt_ns >= 0;
}
