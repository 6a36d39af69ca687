/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Servers that are not to be asked for a while, because they said so to one thread (Retry-After).
 *
 * For: http.c. Not for: how often and how long to try, which is for the callers of it to decide.
 */
#ifndef FETCH_HOLD_H
#define FETCH_HOLD_H

#include <pthread.h>

#include "fetch/http.h"

struct fetch_holds {
	pthread_mutex_t lock;
	struct fetch_hold *first;
};

void fetch_holds_init(struct fetch_holds *h);
void fetch_holds_release(struct fetch_holds *h);

/*
 * Take note of a reply from U: after a 429 or 503 with a Retry-After it is held for so long, a
 * minute at most, for those who wait for data would rather be told no once a minute.
 *
 * Threads: any.
 */
void fetch_hold_note(struct fetch_holds *h, const struct fetch_url *u,
		     const struct fetch_http_reply *r);

/* Whether U may be asked now. Errors: HR_NET. Threads: any. */
int fetch_hold_check(struct fetch_holds *h, const struct fetch_url *u,
		     struct hr_err *e) HR_MUST_USE;

#endif
