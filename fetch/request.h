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
#include "fetch/retry.h"

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

#endif
