/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the client share: the client itself. Private to fetch/. */
#ifndef FETCH_CLIENT_H
#define FETCH_CLIENT_H

#include <pthread.h>
#include <stdbool.h>

#include "fetch/fetch.h"
#include "fetch/http.h"

/* What was learned about one registry. */
struct fetch_peer {
	struct fetch_peer *next;
	char *registry;
	bool plain; /* it does not speak TLS, and plain http is allowed */
};

struct fetch_client {
	struct fetch_http *http;
	struct hr_strv insecure; /* normalised */
	uint64_t retry_ms;	 /* how long one call may wait in all before it gives up */
	atomic_bool warned_open; /* that others can read the credential file */
	pthread_mutex_t lock;	 /* of all below */
	pthread_cond_t login_changed;
	struct fetch_peer *peers;
	struct fetch_login *logins; /* token.c */
};

/*
 * plain.c: plain http is allowed with loopback and with the registries of L (NULL: none) as users
 * write them. Errors: HR_USAGE for what is no registry.
 */
int fetch_client_allow_plain(struct fetch_client *c, const struct hr_strv *l,
			     struct hr_err *e) HR_MUST_USE;
/* May plain http be spoken with this registry or host? */
bool fetch_client_allows_plain(const struct fetch_client *c, const char *registry);
/* Is it known that this registry speaks no TLS; remember that it does not. */
bool fetch_client_is_plain(struct fetch_client *c, const char *registry);
void fetch_client_set_plain(struct fetch_client *c, const char *registry);
/* Free what the functions above keep in the client. */
void fetch_client_forget_peers(struct fetch_client *c);

#endif
