/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One question to a registry, through redirects and logins, and whether to ask it again. Private to
 * fetch/.
 *
 * Sequence: fill a struct fetch_request; loop: fetch_request_once(), and after a failure
 * fetch_retry_wait(), which sleeps and lets the caller go on or returns the failure;
 * fetch_request_release().
 */
#ifndef FETCH_REQUEST_H
#define FETCH_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "fetch/client.h"

struct fetch_request {
	struct fetch_client *client;
	const char *registry;
	const char *repo;	   /* scope of the login; NULL: none */
	const char *target;	   /* "/v2/..." */
	const char *accept;	   /* or NULL */
	const char *authorization; /* use this and nothing else (a login being checked), "" for none
				      at all; NULL: what token.c has */
	struct hr_strv *challenges; /* copy those of a 401 reply here, or NULL */
	const char *what;	    /* what is asked for, for messages */
	const char *missing_hint;   /* hint after a 404, or NULL */
	const char *scope; /* what a token is to allow, parts divided by blanks; NULL: as asked */
	uint64_t from;	   /* first byte wanted */
	fetch_http_body *body; /* gets the bodies of 200 and 206 replies, unencoded ones only */
	void *arg;

	/* another method than GET, with data: http.h. Its replies 201, 202 and 204 are good, too */
	const char *method, *content_type, *data_range;
	const void *data;
	size_t data_len;
	unsigned int stall_s;

	/* of a good reply to another method, own */
	int status;
	char *location, *range; /* or NULL */

	struct fetch_url direct; /* own: where the last redirect led; host NULL when nowhere */
};

/* How an attempt failed. */
struct fetch_failure {
	enum fetch_again again;
	int status; /* of the last reply, 0 when none came */
	bool has_retry_after;
	uint64_t retry_after_ms; /* what the server asked for, capped */
	uint64_t total;		 /* of a 416 reply: the size the server has, else 0 */
};

/*
 * Ask once: with a login when one is known or asked for (two rounds at most), following at most
 * five redirects. Authorization goes to the registry's own origin only; https never becomes http.
 * Data is sent to the registry's own origin alone: a redirect of it is refused.
 *
 * Errors:  HR_DENIED 401 and 403, HR_NOTFOUND 404, HR_NET; *f says whether a retry may help.
 */
int fetch_request_once(struct fetch_request *q, struct fetch_failure *f,
		       struct hr_err *e) HR_MUST_USE;
void fetch_request_release(struct fetch_request *q);

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

/* Retry-After: seconds or an HTTP date seen from NOW; false when it is neither. Capped at 10 min.
 */
bool fetch_retry_after_parse(const char *s, time_t now, uint64_t *ms);

/* Content-Range "bytes FIRST-LAST/TOTAL"; false when it is anything else. */
struct fetch_range {
	uint64_t first, last, total;
};
bool fetch_range_parse(const char *s, struct fetch_range *out);

#endif
