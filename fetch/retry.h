/* SPDX-License-Identifier: BSD-3-Clause */
/* How a request failed, and whether and when it is worth another try. Private to fetch/. */
#ifndef FETCH_RETRY_H
#define FETCH_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "fetch/client.h"

/* How an attempt failed. */
struct fetch_failure {
	enum fetch_again again;
	int status; /* of the last reply, 0 when none came */
	bool has_retry_after;
	uint64_t retry_after_ms; /* what the server asked for, capped */
	uint64_t total;		 /* of a 416 reply: the size the server has, else 0 */
};

/* The patience of one call; zeroed at the start, fetch_retry_progress() when bytes came. */
struct fetch_retry {
	unsigned int tries[FETCH_AGAIN_WRONG + 1];
	uint64_t waited_ms;
};

/*
 * After a failed attempt: 0 after a pause, with *e cleared, when it is worth another one; -1 with
 * *e as it was when not.
 */
int fetch_retry_wait(struct fetch_client *c, struct fetch_retry *r, const struct fetch_failure *f,
		     struct hr_err *e) HR_MUST_USE;
void fetch_retry_progress(struct fetch_retry *r);

#endif
