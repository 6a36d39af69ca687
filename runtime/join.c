/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/join.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/msg.h"
#include "runtime/name.h"
#include "runtime/place.h"
#include "runtime/pull.h"
#include "runtime/start.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/poison.h"

#define TRIES	     5	   /* sessions that die before they are ready; names that are taken */
#define STILL_MS     10000 /* between two notes that the session is still starting */
#define REFUSED_MAX  100   /* times that nobody listens at a name that is taken: 2 s */
#define SLEEP_MIN_US 500
#define SLEEP_MAX_US 20000

void rt_joined_init(struct rt_joined *j)
{
	*j = (struct rt_joined) {
		.sock = -1, .user_ns = -1, .mnt_ns = -1, .place = -1, .params_fd = -1
	};
}

void rt_joined_release(struct rt_joined *j)
{
	hr_fd_cleanup(&j->sock);
	hr_fd_cleanup(&j->user_ns);
	hr_fd_cleanup(&j->mnt_ns);
	free(j->bytes);
	*j = (struct rt_joined) { .sock = -1, .user_ns = -1, .mnt_ns = -1 };
}

static int all_taken(struct hr_err *e)
{
	hr_fail(e, HR_DENIED, 0, "%d names of the session in turn belong to somebody else", TRIES);
	hr_hint(e, "another user of this node hinders you; 'ss -xlp' as root says who");
	return -1;
}

static int dying_sessions(const struct rt_plan *plan, struct hr_err *e)
{
	hr_fail(e, HR_SYS, 0, "%d sessions of '%s' in turn died before they were ready", TRIES,
		plan->image);
	hr_hint(e, "is something killing '%s/hpcrun-session', or is memory short?",
		plan->libexecdir);
	return -1;
}

/* Connect, and start the session when nobody else is about to. */
static int connect_or_start(const struct rt_plan *plan, int dirfd, bool *starter, struct hr_err *e)
{
	useconds_t pause = SLEEP_MIN_US;
	int started = 0, renewed = 0, refused = 0;

	while (started < TRIES && renewed < TRIES) {
		hr_autofd int listening = -1;
		struct rt_name name;
		bool alien;
		int sock;

		rt_name_find(dirfd, plan->key, &name);
		sock = rt_name_connect(&name, &alien, e);
		if (sock >= 0 || e->kind != HR_OK)
			return sock;
		listening = alien ? -1 : rt_name_listen(&name, e);
		if (e->kind != HR_OK)
			return -1;
		if (listening >= 0) {
			if (rt_session_start(plan, dirfd, listening, e) < 0)
				return -1;
			*starter = true;
			started++;
			refused = 0;
			continue;
		}
		/* another rank that has the name listens in the next moment */
		if (alien || ++refused == REFUSED_MAX) {
			hr_debug("the name of the session is somebody else's: it gets another");
			if (rt_name_renew(dirfd, plan->key, &name, e) < 0)
				return -1;
			renewed++;
			refused = 0;
			continue;
		}
		usleep(pause);
		pause = pause * 2 < SLEEP_MAX_US ? pause * 2 : SLEEP_MAX_US;
	}
	return renewed == TRIES ? all_taken(e) : dying_sessions(plan, e);
}

/* One answer; while none comes, say from time to time what we wait for. */
static int receive(const struct rt_plan *plan, int sock, struct rt_answer *a, int *fds,
		   struct hr_err *e)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };

	/* one system call less for a rank that would not say it anyway */
	while (hr_log_level() >= HR_LOG_INFO && poll(&p, 1, STILL_MS) == 0)
		hr_info("the container of '%s' is still being prepared", plan->image);
	if (rt_msg_recv(sock, a, sizeof(*a), fds, RT_MSG_FDS_MAX, e) < 0)
		return -1;
	if (a->magic == RT_MSG_MAGIC)
		return 0;
	for (int i = 0; i < RT_MSG_FDS_MAX; i++)
		hr_fd_cleanup(&fds[i]);
	return hr_fail(e, HR_CORRUPT, 0, "the session's answer is not of this version");
}

static void print_text(struct rt_answer *a)
{
	a->text[sizeof(a->text) - 1] = '\0';
	if (a->level == HR_LOG_WARN)
		hr_warn("%s", a->text);
	else if (a->level == HR_LOG_INFO)
		hr_info("%s", a->text);
	else
		hr_debug("%s", a->text);
}

static int take_parameters(struct rt_joined *j, uint32_t n, struct hr_err *e)
{
	j->bytes = hr_alloc_bounded(n, 1, RT_PARAMS_MAX, e);
	if (!j->bytes ||
	    hr_pread_all(j->params_fd, j->bytes, n, 0, "the session's parameters", e) < 0)
		return -1;
	return rt_params_parse(j->bytes, n, &j->params, e);
}

/*
 * No store has the image, and we are the rank that is to pull it. A session that went away
 * meanwhile is HR_NOTFOUND: the next one finds the image.
 */
static int pull_image(const struct rt_plan *plan, struct rt_joined *j, struct rt_ask q,
		      struct hr_err *e)
{
	struct hr_err gone = { 0 }; /* then nobody has to hear of it */
	struct rt_pull_told told = { 0 };
	int r = rt_pull_run(plan, &told, e);

	j->told = told.why;
	q.flags |= r == 0 ? RT_ASK_PULLED : RT_ASK_PULL_FAILED;
	if (r == 0)
		return rt_msg_send(j->sock, &q, sizeof(q), NULL, 0, e);
	if (rt_msg_send(j->sock, &q, sizeof(q), NULL, 0, &gone) < 0)
		hr_debug("the session went away during the pull");
	if (told.sig != 0)
		raise(told.sig); /* as if it had not been caught */
	hr_fd_cleanup(&j->sock);
	j->sock = -1;
	return -1;
}

/* Ask on a fresh connection; HR_NOTFOUND when the session went away meanwhile. */
static int ask(const struct rt_plan *plan, uint32_t flags, struct rt_joined *j, struct hr_err *e)
{
	struct rt_ask q = { .magic = RT_MSG_MAGIC, .version = PACKAGE_VERSION };
	const int err = STDERR_FILENO;
	struct rt_answer a;
	int fds[RT_MSG_FDS_MAX];

	q.flags = flags | (plan->verbose > 0 ? RT_ASK_SUMMARY : 0) |
		  (plan->verbose > 1 ? RT_ASK_VERBOSE : 0);
	if (rt_msg_send(j->sock, &q, sizeof(q), &err, 1, e) < 0)
		return -1;
	for (;;) {
		if (receive(plan, j->sock, &a, fds, e) < 0)
			return -1;
		j->user_ns = fds[0];
		j->mnt_ns = fds[1];
		j->params_fd = fds[2];
		memcpy(j->spaces, fds + 3, sizeof(j->spaces));
		if (a.type == RT_JOIN)
			return take_parameters(j, a.params_bytes, e);
		if (a.type == RT_FAILED) {
			a.err.text[sizeof(a.err.text) - 1] = '\0';
			a.err.hint[sizeof(a.err.hint) - 1] = '\0';
			*e = a.err;
			j->quiet = a.print == 0;
			/* NOTFOUND of our own means "gone"; this one is the session's verdict */
			hr_fd_cleanup(&j->sock);
			j->sock = -1;
			return -1;
		}
		if (a.type == RT_DO_PULL) {
			if (pull_image(plan, j, q, e) < 0)
				return -1;
			continue;
		}
		if (a.type != RT_TEXT)
			return hr_fail(e, HR_CORRUPT, 0, "the session gave answer %u, unknown here",
				       a.type);
		print_text(&a);
	}
}

int rt_session_join(const struct rt_plan *plan, struct rt_joined *j, struct hr_err *e)
{
	bool starter = false;

	rt_joined_init(j);
	j->place = rt_place_open(e);
	if (j->place < 0)
		return -1;
	for (int i = 0; i < TRIES; i++) {
		j->sock = connect_or_start(plan, j->place, &starter, e);
		if (j->sock < 0)
			return -1;
		if (ask(plan, (starter ? RT_ASK_STARTER : 0) | (i > 0 ? RT_ASK_AGAIN : 0), j, e) ==
		    0)
			return 0;
		if (e->kind != HR_NOTFOUND || j->sock < 0)
			return -1;
		hr_debug("the session went away before it answered: %s", e->text);
		hr_err_clear(e);
		hr_fd_cleanup(&j->sock);
		j->sock = -1;
		usleep((useconds_t)(SLEEP_MIN_US << (2 * i)));
	}
	return dying_sessions(plan, e);
}
