/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ranks connected to a session: who asks, who waits, whose program runs. No client can make the
 * session wait: sockets do not block, a request is one packet, and who does not ask is dropped.
 *
 * Sequence: rt_clients_accept and rt_clients_input on poll events; rt_clients_answer when there is
 * something to tell; counters are read by the session to decide how long it lives.
 */
#ifndef RT_CLIENTS_H
#define RT_CLIENTS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/msg.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/log.h"

enum rt_client_state { CLIENT_ASKING, CLIENT_WAITING, CLIENT_PULLING, CLIENT_JOINED };

struct rt_client {
	int fd;
	int err;  /* its standard error; -1: it has ended, or we could not tell when it does */
	int life; /* pidfd of its process, as long as err is kept; -1: none */
	enum rt_client_state state;
	uint32_t flags; /* of its rt_ask */
	uint64_t since_ms;
};

/* What the start has to say to the rank that started the session. */
struct rt_note {
	enum hr_level level;
	char text[256];
};

/* How the pull that one rank was asked for ended. */
enum rt_pull_end {
	RT_PULL_GOES_ON,
	RT_PULL_DONE,
	RT_PULL_FAILED,
	RT_PULL_LOST /* the rank died */
};

struct rt_clients {
	struct rt_client *v;
	size_t n;
	bool full;	   /* no descriptor was left for one that asks: try again later */
	uint32_t answered; /* ranks that got a verdict so far, or have one of their own */
	enum rt_pull_end pull_end;
	uid_t uid;	 /* whose ranks are let in */
	bool print_once; /* a failure is printed by the first rank that hears it */
	struct rt_note *notes;
	size_t notes_n;
	/* ERR is the standard error of the last rank that was there, which asked for a summary */
	void (*last_ended)(void *arg, int err);
	void *arg;
};

/* RT_JOIN with its N descriptors, or RT_FAILED. */
struct rt_verdict {
	enum rt_answer_type type;
	int fds[RT_MSG_FDS_MAX];
	size_t n;
	uint32_t params_bytes;
	const struct hr_err *failure;
};

void rt_clients_init(struct rt_clients *l, uid_t uid, bool print_once);
void rt_clients_release(struct rt_clients *l);

void rt_clients_note(struct rt_clients *l, enum hr_level level, const char *fmt, ...)
	HR_PRINTF(3, 4);

/*
 * Accept what queues at LISTEN_FD (which does not block), some of it if that is much; other users
 * are turned away. Without descriptors what ranks have lent is given back; when that is not enough,
 * FULL becomes true.
 */
void rt_clients_accept(struct rt_clients *l, int listen_fd, uint64_t now_ms);

/* Client I has input or has gone: take its request, or drop it. Drop it too if it never asks. */
void rt_clients_input(struct rt_clients *l, size_t i);
/* The process of client I has ended; others may have inherited its socket. */
void rt_clients_ended(struct rt_clients *l, size_t i);
void rt_clients_expire(struct rt_clients *l, uint64_t now_ms);

/* Answer all that wait; who got RT_FAILED, or cannot be answered, is dropped. */
void rt_clients_answer(struct rt_clients *l, const struct rt_verdict *v);
/* Drop those that have not joined: they ask again, elsewhere. */
void rt_clients_refuse(struct rt_clients *l);

/* Ask a rank that waits to pull the image: the one that started the session, if it is among them.
 * false: nobody waits. */
bool rt_clients_ask_pull(struct rt_clients *l);

/* Say something to one rank that waits, at once, as a warning; false: nobody waits. */
bool rt_clients_tell(struct rt_clients *l, const char *text);

/* Say something to one of the users behind the ranks, as a warning; lost when no rank is there. */
void rt_clients_say(const struct rt_clients *l, const char *text);

/* The process behind a client when it connected, or 0. */
pid_t rt_client_pid(const struct rt_client *c);

size_t rt_clients_pending(const struct rt_clients *l); /* asking or waiting */
/* Whether one of them has met a session before that died. */
bool rt_clients_come_again(const struct rt_clients *l);

#endif
