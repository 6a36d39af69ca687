/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The user's credentials: the file that docker, podman and others share, and the helpers it names.
 * Private to fetch/.
 *
 * The file is $REGISTRY_AUTH_FILE, else $DOCKER_CONFIG/config.json, else ~/.docker/config.json.
 * For a registry: its helper in "credHelpers", else the one in "credsStore", else "auths".
 * Entries of "auths" for one repository ("host/repo", podman) are not read.
 */
#ifndef FETCH_CRED_H
#define FETCH_CRED_H

#include <stdatomic.h>
#include <stdbool.h>

#include "util/err.h"

struct fetch_cred {
	char *user, *password; /* both, or neither */
	char *identity;	       /* an OAuth2 refresh token instead, or NULL */
};

/*
 * Look up what a registry (a result of fetch_registry_parse) may be told.
 *
 * *found is false when there is nothing. *WARNED is set once it was said that others can read the
 * file.
 * Owns:    *out; fetch_cred_release wipes and frees it.
 * Errors:  HR_DENIED the file cannot be read or a helper fails or hangs (30 s): going on without a
 *          login would hide that; HR_CORRUPT the file is not what it should be.
 */
int fetch_cred_find(const char *registry, atomic_bool *warned, struct fetch_cred *out, bool *found,
		    struct hr_err *e) HR_MUST_USE;
void fetch_cred_release(struct fetch_cred *c);

/* Keep a login, in the helper that is configured for the registry, else in the file (mode 0600,
 * replaced as a whole, its other members kept). */
int fetch_cred_store(const char *registry, const char *user, const char *password,
		     struct hr_err *e) HR_MUST_USE;

/* Forget it, in both. Errors: HR_NOTFOUND when neither had one. */
int fetch_cred_erase(const char *registry, struct hr_err *e) HR_MUST_USE;

#endif
