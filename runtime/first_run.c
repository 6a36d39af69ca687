/* SPDX-License-Identifier: BSD-3-Clause */
/* The session of an image that is not there yet: one rank of the node pulls it, the others wait. */
#include "config.h"

#include <stdio.h>

#include "runtime/plan.h"
#include "runtime/session.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/poison.h"

#define TELL_MS 2000 /* shorter pulls need no explanation */

static void enter(struct rt_session *s, enum rt_pull_phase phase)
{
	s->pull = phase;
	s->pull_since_ms = hr_now_ms();
}

int rt_session_on_missing(struct rt_session *s, const struct hr_err *why, struct hr_err *e)
{
	if (s->phase == RT_STARTING && s->args->pull != RT_PULL_NEVER && s->pull == PULL_NONE) {
		enter(s, PULL_WANTED);
		return 0;
	}
	*e = *why;
	return e->kind != HR_OK ? -1 : hr_fail(e, HR_NOTFOUND, 0, "the image is not there");
}

bool rt_session_pull_pending(const struct rt_session *s)
{
	return s->pull != PULL_NONE && s->pull != PULL_SERVED;
}

static void failed(struct rt_session *s)
{
	struct hr_err e = { 0 };

	hr_fail(&e, HR_SYS, 0, "another process tried to pull image '%s' and failed",
		s->args->image);
	hr_hint(&e, "it has printed why");
	rt_session_fail(s, &e);
}

static void look_at_rank(struct rt_session *s)
{
	char text[sizeof(s->clients.notes->text)];

	switch (s->clients.pull_end) {
	case RT_PULL_DONE:
		rt_stats_step(&s->stats, "a rank has pulled the image", hr_now_us() - s->born_us,
			      (hr_now_ms() - s->pull_since_ms) * 1000);
		enter(s, PULL_OVER);
		return;
	case RT_PULL_FAILED:
		failed(s);
		return;
	case RT_PULL_LOST: /* what it had pulled is kept: the next one goes on from there */
		enter(s, PULL_WANTED);
		return;
	case RT_PULL_GOES_ON:
		break;
	}
	if (s->pull_told || hr_now_ms() - s->pull_since_ms < TELL_MS)
		return;
	snprintf(text, sizeof(text), "waiting for another process of yours, which pulls '%.200s'",
		 s->args->image);
	s->pull_told = rt_clients_tell(&s->clients, text);
}

/* Only when the server that missed the image is gone: there is room for one. */
static void start_server(struct rt_session *s)
{
	struct hr_err e = { 0 };

	if (s->server.pid >= 0)
		return;
	enter(s, PULL_SERVED);
	if (rt_session_serve(s, &e) < 0)
		rt_session_fail(s, &e);
}

void rt_session_pull(struct rt_session *s)
{
	if (s->phase != RT_STARTING)
		return;
	if (s->pull == PULL_RUNNING)
		look_at_rank(s);
	if (s->pull == PULL_WANTED && rt_clients_ask_pull(&s->clients))
		enter(s, PULL_RUNNING);
	if (s->pull == PULL_OVER)
		start_server(s);
}
