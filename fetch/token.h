/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The logins a client holds: for each registry and repository one Authorization value, renewed by
 * one thread at a time while the others wait. Private to fetch/.
 */
#ifndef FETCH_TOKEN_H
#define FETCH_TOKEN_H

#include <stdint.h>

#include "fetch/auth.h"
#include "fetch/client.h"
#include "fetch/cred.h"
#include "fetch/retry.h"

/* One held login; a list in the client. */
struct fetch_login;
void fetch_login_list_free(struct fetch_login *l);

/*
 * The Authorization value for a repository (NULL: the registry itself), an allocated secret, or
 * NULL when there is none or it has run out. Waits while another thread renews it. *generation
 * tells fetch_token_renew what was tried.
 */
char *fetch_token_get(struct fetch_client *c, const char *registry, const char *repo,
		      uint64_t *generation);

/* Where and for what a login is wanted. */
struct fetch_login_wish {
	const struct fetch_url *home; /* the origin that answered 401 */
	const char *registry;
	const char *repo;		  /* or NULL */
	const struct hr_strv *challenges; /* its WWW-Authenticate */
	const char *scope;		  /* as in struct fetch_request */
};

/*
 * After a 401: get a login that is newer than GENERATION, as the challenges ask.
 *
 * Errors:  HR_DENIED when there are no credentials, they are refused, or the challenge asks us to
 *          send them where they must not go; HR_NET from the token server, with f->again and its
 *          companions telling whether a retry may help. Threads that waited get the same error.
 */
int fetch_token_renew(struct fetch_client *c, const struct fetch_login_wish *w, uint64_t generation,
		      struct fetch_failure *f, struct hr_err *e) HR_MUST_USE;

/*
 * Turn a credential (empty: none) into an Authorization value, as the challenges ask; nothing is
 * remembered. *expires_s is 0 for one that does not run out.
 */
int fetch_token_obtain(struct fetch_client *c, const struct fetch_login_wish *w,
		       const struct fetch_cred *cred, char **authorization, uint64_t *expires_s,
		       struct fetch_failure *f, struct hr_err *e) HR_MUST_USE;

#endif
