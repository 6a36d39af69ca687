/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What registries and token servers say about logins, and which of it is obeyed. Private to fetch/;
 * pure.
 */
#ifndef FETCH_AUTH_H
#define FETCH_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fetch/url.h"
#include "util/err.h"
#include "util/mem.h"

#define FETCH_TOKEN_REPLY_LIMIT (1u << 20)

/* Overwrite a secret and free it. NULL is fine. */
void fetch_secret_free(char *s);
void fetch_secret_freep(char **s); /* for HR_CLEANUP */

/* One login that a registry offers. */
struct fetch_challenge {
	bool bearer;		       /* else Basic */
	char *realm, *service, *scope; /* or NULL; realm is there when bearer */
};

/*
 * Choose from the values of all WWW-Authenticate headers: the first Bearer with a realm, else the
 * first Basic. Parts that break the grammar end the value they are in; what was complete before
 * counts.
 *
 * Errors:  HR_DENIED naming the schemes when none is usable.
 * Owns:    *out; fetch_challenge_release frees it.
 * Source:  RFC 9110 11.2, 11.6.1.
 */
int fetch_challenge_pick(const struct hr_strv *values, struct fetch_challenge *out,
			 struct hr_err *e) HR_MUST_USE;
void fetch_challenge_release(struct fetch_challenge *c);

/*
 * May we ask REALM for a token for the registry at HOME? https only, http where PLAIN_OK and the
 * realm is on the registry's host or both are on loopback; an address instead of a name only under
 * the same condition. *trusted: it may also see the user's credential, because it belongs to the
 * registry's site.
 *
 * Errors:  HR_DENIED.
 */
int fetch_realm_check(const struct fetch_url *home, bool plain_ok, const char *realm,
		      struct fetch_url *out, bool *trusted, struct hr_err *e) HR_MUST_USE;

/* What a token server gave. */
struct fetch_token {
	char *text;	    /* printable, no blanks */
	uint64_t expires_s; /* 60 to 3600 whatever the server says */
};

/* Errors: HR_NET: this is a server that does not work, not an image that is broken. */
int fetch_token_parse(const void *doc, size_t len, struct fetch_token *out,
		      struct hr_err *e) HR_MUST_USE;

/* Base64 as the credential file and Basic have it; the results are allocated secrets. */
char *fetch_base64_encode(const void *p, size_t n);
/* NULL when S is not base64 of text without NUL. */
char *fetch_base64_decode(const char *s);

/* S percent-encoded for the value of a query, allocated. */
char *fetch_query_escape(const char *s);

#endif
