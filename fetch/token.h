/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The logins a client holds: for each registry and repository one Authorization value, renewed by
 * one thread at a time while the others wait. Private to fetch/.
 */
#ifndef FETCH_TOKEN_H
#define FETCH_TOKEN_H

#include <stdint.h>

#include "fetch/client.h"
#include "fetch/request.h"

/* Overwrite a secret and free it. NULL is fine. */
void fetch_secret_free(char *s);
void fetch_secret_freep(char **s); /* for HR_CLEANUP */

/*
 * The Authorization value for a repository (NULL: the registry itself), allocated, or NULL when
 * there is none yet or it has run out. *generation tells fetch_token_renew what was tried.
 */
char *fetch_token_get(struct fetch_client *c, const char *registry, const char *repo,
		      uint64_t *generation);

/*
 * After a 401: get a login that is newer than GENERATION, as the CHALLENGES ask.
 *
 * Errors:  HR_DENIED when there are no credentials, they are refused, or the challenge asks us to
 *          send them where they must not go; HR_NET, HR_CORRUPT from the token server, with *f
 *          telling whether a retry may help.
 */
int fetch_token_renew(struct fetch_client *c, const struct fetch_url *home, const char *registry,
		      const char *repo, uint64_t generation, const struct hr_strv *challenges,
		      struct fetch_failure *f, struct hr_err *e) HR_MUST_USE;

#endif
