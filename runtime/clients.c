/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/clients.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "runtime/say.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define ASK_MS	   5000
#define ACCEPT_MAX 100 /* at a time: another user may connect without end */

void rt_clients_init(struct rt_clients *l, uid_t uid, bool print_once)
{
	*l = (struct rt_clients) { .uid = uid, .print_once = print_once };
}

/*
 * What a rank lent us goes back at once when its process ends: srun, or who reads a pipe, waits
 * for the last copy to be closed. Its socket does not tell: a child of it may have that.
 */
static void give_back(struct rt_client *c)
{
	hr_fd_cleanup(&c->err);
	hr_fd_cleanup(&c->life);
	c->err = c->life = -1;
}

void rt_clients_ended(struct rt_clients *l, size_t i)
{
	struct rt_client *c = &l->v[i];
	size_t others = 0;

	for (size_t k = 0; k < l->n; k++)
		others += k != i && l->v[k].err >= 0;
	if (c->err >= 0 && c->state == CLIENT_JOINED && others == 0 &&
	    (c->flags & RT_ASK_SUMMARY) && l->last_ended)
		l->last_ended(l->arg, c->err);
	give_back(c);
}

static void drop(struct rt_clients *l, size_t i)
{
	rt_clients_ended(l, i);
	hr_fd_cleanup(&l->v[i].fd);
	l->v[i] = l->v[--l->n];
}

void rt_clients_release(struct rt_clients *l)
{
	while (l->n > 0)
		drop(l, 0);
	free(l->v);
	free(l->notes);
	memset(l, 0, sizeof(*l));
}

void rt_clients_note(struct rt_clients *l, enum hr_level level, const char *fmt, ...)
{
	struct rt_note *note;
	va_list ap;

	l->notes = hr_xrealloc(l->notes, (l->notes_n + 1) * sizeof(*l->notes));
	note = &l->notes[l->notes_n++];
	memset(note, 0, sizeof(*note));
	note->level = level;
	va_start(ap, fmt);
	vsnprintf(note->text, sizeof(note->text), fmt, ap);
	va_end(ap);
}

/* All that we could do without; whether that was anything. */
static bool spare(struct rt_clients *l)
{
	bool any = false;

	for (size_t i = 0; i < l->n; i++) {
		any |= l->v[i].err >= 0;
		give_back(&l->v[i]);
	}
	return any;
}

void rt_clients_accept(struct rt_clients *l, int listen_fd, uint64_t now_ms)
{
	for (int i = 0; i < ACCEPT_MAX; i++) {
		hr_autofd int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct hr_err ignored = { 0 }; /* a stranger is turned away without a word */
		uid_t uid;

		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
			if (spare(l))
				continue;
			l->full = true; /* they stay in the queue */
		}
		if (fd < 0)
			return;
		if (rt_msg_peer_uid(fd, &uid, &ignored) < 0 || uid != l->uid)
			continue;
		l->v = hr_xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
		l->v[l->n++] = (struct rt_client) { .fd = hr_steal_fd(&fd),
						    .err = -1,
						    .life = -1,
						    .state = CLIENT_ASKING,
						    .since_ms = now_ms };
	}
}

/* A rank says how its pull went; one that failed leaves, and its user knows why. */
static void end_pull(struct rt_clients *l, size_t i, const struct rt_ask *ask)
{
	bool done = ask->magic == RT_MSG_MAGIC && (ask->flags & RT_ASK_PULLED);

	l->pull_end = done ? RT_PULL_DONE : RT_PULL_FAILED;
	if (done) {
		l->v[i].state = CLIENT_WAITING;
		return;
	}
	l->answered++;
	drop(l, i);
}

pid_t rt_client_pid(const struct rt_client *c)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	return getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ? 0 : cred.pid;
}

/*
 * Keep what the rank lends, as long as its process lives. If that was replaced by another with the
 * same number meanwhile, the socket is at its end, too.
 */
static void borrow(struct rt_client *c, int err)
{
	pid_t pid = rt_client_pid(c);

	c->err = err;
	if (pid > 0)
		c->life = (int)syscall(SYS_pidfd_open, pid, 0);
	if (c->life < 0)
		give_back(c);
}

void rt_clients_input(struct rt_clients *l, size_t i)
{
	struct rt_client *c = &l->v[i];
	bool asking = c->state == CLIENT_ASKING;
	hr_autofd int err = -1;
	struct rt_ask ask;
	struct hr_err e = { 0 };

	if (rt_msg_recv(c->fd, &ask, sizeof(ask), &err, asking, &e) < 0) {
		/* a program may send what it likes on the descriptor it inherited */
		if (e.sys == EAGAIN || (e.kind == HR_CORRUPT && c->state == CLIENT_JOINED))
			return;
		if (c->state == CLIENT_PULLING)
			l->pull_end = RT_PULL_LOST;
		drop(l, i);
		return;
	}
	if (c->state == CLIENT_PULLING) {
		end_pull(l, i, &ask);
		return;
	}
	if (!asking)
		return;
	ask.version[sizeof(ask.version) - 1] = '\0';
	if (ask.magic != RT_MSG_MAGIC || strcmp(ask.version, PACKAGE_VERSION) != 0) {
		drop(l, i);
		return;
	}
	c->flags = ask.flags;
	if (err >= 0)
		borrow(c, hr_steal_fd(&err));
	c->state = CLIENT_WAITING;
}

void rt_clients_expire(struct rt_clients *l, uint64_t now_ms)
{
	for (size_t i = 0; i < l->n;) {
		if (l->v[i].state == CLIENT_ASKING && now_ms - l->v[i].since_ms > ASK_MS)
			drop(l, i);
		else
			i++;
	}
}

static int send_notes(const struct rt_clients *l, const struct rt_client *c, struct hr_err *e)
{
	if (!(c->flags & RT_ASK_STARTER))
		return 0;
	for (size_t i = 0; i < l->notes_n; i++) {
		struct rt_answer a = { .magic = RT_MSG_MAGIC,
				       .type = RT_TEXT,
				       .level = l->notes[i].level };

		if (a.level == HR_LOG_DEBUG && !(c->flags & RT_ASK_VERBOSE))
			continue;
		memcpy(a.text, l->notes[i].text, sizeof(a.text));
		if (rt_msg_send(c->fd, &a, sizeof(a), NULL, 0, e) < 0)
			return -1;
	}
	return 0;
}

static bool answer_one(struct rt_clients *l, struct rt_client *c, const struct rt_verdict *v)
{
	struct rt_answer a = { .magic = RT_MSG_MAGIC,
			       .type = v->type,
			       .params_bytes = v->params_bytes };
	struct hr_err e = { 0 }; /* the rank has gone or does not read: its own affair */
	size_t fds = v->type == RT_JOIN ? v->n : 0;

	if (v->type == RT_FAILED) {
		a.err = *v->failure;
		a.print = !l->print_once || l->answered == 0;
	}
	if (send_notes(l, c, &e) < 0 || rt_msg_send(c->fd, &a, sizeof(a), v->fds, fds, &e) < 0)
		return false;
	l->answered++;
	c->state = CLIENT_JOINED;
	return v->type == RT_JOIN;
}

void rt_clients_answer(struct rt_clients *l, const struct rt_verdict *v)
{
	for (size_t i = 0; i < l->n;) {
		if (l->v[i].state == CLIENT_WAITING && !answer_one(l, &l->v[i], v))
			drop(l, i);
		else
			i++;
	}
}

void rt_clients_refuse(struct rt_clients *l)
{
	for (size_t i = 0; i < l->n;) {
		if (l->v[i].state != CLIENT_JOINED)
			drop(l, i);
		else
			i++;
	}
}

/* Send A to a rank that waits, best the one that started the session; NULL when nobody does. */
static struct rt_client *send_one(struct rt_clients *l, const struct rt_answer *a)
{
	for (int others = 0; others < 2; others++)
		for (size_t i = 0; i < l->n; i++) {
			struct rt_client *c = &l->v[i];
			struct hr_err e = { 0 }; /* it has gone, which is noticed in time */

			if (c->state == CLIENT_WAITING && (others || (c->flags & RT_ASK_STARTER)) &&
			    rt_msg_send(c->fd, a, sizeof(*a), NULL, 0, &e) == 0)
				return c;
		}
	return NULL;
}

bool rt_clients_ask_pull(struct rt_clients *l)
{
	const struct rt_answer a = { .magic = RT_MSG_MAGIC, .type = RT_DO_PULL };
	struct rt_client *c = send_one(l, &a);

	if (!c)
		return false;
	c->state = CLIENT_PULLING;
	l->pull_end = RT_PULL_GOES_ON;
	return true;
}

bool rt_clients_tell(struct rt_clients *l, const char *text)
{
	struct rt_answer a = { .magic = RT_MSG_MAGIC, .type = RT_TEXT, .level = HR_LOG_WARN };

	snprintf(a.text, sizeof(a.text), "%s", text);
	return send_one(l, &a) != NULL;
}

void rt_clients_say(const struct rt_clients *l, const char *text)
{
	const struct rt_client *to = NULL;

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].err >= 0 && (!to || (l->v[i].flags & RT_ASK_STARTER)))
			to = &l->v[i];
	if (to)
		rt_say(to->err, HR_LOG_WARN, text);
}

size_t rt_clients_pending(const struct rt_clients *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->v[i].state != CLIENT_JOINED;
	return n;
}

bool rt_clients_come_again(const struct rt_clients *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].flags & RT_ASK_AGAIN)
			return true;
	return false;
}
