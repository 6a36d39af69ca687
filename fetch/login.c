/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun login and logout: check a credential with its registry, keep it, forget it. */
#include "config.h"

#include "fetch/fetch.h"

#include <string.h>

#include "fetch/auth.h"
#include "fetch/client.h"
#include "fetch/cred.h"
#include "fetch/request.h"
#include "fetch/token.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

static int on_version(void *arg, const struct fetch_http_reply *r, const void *p, size_t n,
		      struct hr_err *e)
{
	(void)arg;
	(void)r;
	(void)p;
	(void)n;
	(void)e;
	return 0;
}

/* Ask GET /v2/ with AUTHORIZATION, or without any and without trying to get one. */
static int ask_version(struct fetch_client *c, const char *registry, const char *authorization,
		       struct hr_strv *challenges, struct hr_err *e)
{
	HR_CLEANUP(fetch_request_release)
	struct fetch_request q = {
		.client = c,
		.registry = registry,
		.target = "/v2/",
		.authorization = authorization ? authorization : "",
		.what = "a login",
		.missing_hint = "is this a registry of container images?",
		.body = on_version,
		.challenges = challenges,
	};
	struct fetch_retry retry = { 0 };

	for (;;) {
		struct fetch_failure f;

		if (fetch_request_once(&q, &f, e) == 0)
			return 0;
		if (f.status == 401 || fetch_retry_wait(c, &retry, &f, e) < 0)
			return -1;
	}
}

/* Turn the credential into an Authorization value and see whether the registry takes it. */
static int check(struct fetch_client *c, const char *registry, const struct fetch_cred *cred,
		 const struct hr_strv *challenges, struct hr_err *e)
{
	HR_CLEANUP(fetch_secret_freep) char *authorization = NULL;
	HR_CLEANUP(fetch_url_release) struct fetch_url home = { 0 };
	struct fetch_login_wish w = { .home = &home,
				      .registry = registry,
				      .challenges = challenges };
	struct fetch_failure f = { 0 };
	struct fetch_retry retry = { 0 };
	uint64_t expires_s;

	if (fetch_registry_url(registry, !fetch_client_is_plain(c, registry), "/v2/", &home, e) < 0)
		return -1;
	while (fetch_token_obtain(c, &w, cred, &authorization, &expires_s, &f, e) < 0) {
		if (fetch_retry_wait(c, &retry, &f, e) < 0)
			return -1;
		memset(&f, 0, sizeof(f));
	}
	return ask_version(c, registry, authorization, NULL, e);
}

static int try_login(struct fetch_client *c, const char *registry, const struct fetch_cred *cred,
		     struct hr_err *e)
{
	struct hr_strv challenges = { 0 };
	struct hr_err asked = { 0 };
	int result;

	if (ask_version(c, registry, NULL, &challenges, &asked) == 0) {
		hr_warn("registry '%s' asks for no login; it is kept without a check", registry);
		result = 0;
	} else if (challenges.n == 0) {
		*e = asked;
		result = -1;
	} else {
		result = check(c, registry, cred, &challenges, e);
	}
	hr_strv_release(&challenges);
	return result;
}

/* What cannot be written into user:password or a header. */
static int check_text(const char *user, const char *password, struct hr_err *e)
{
	if (!*user || strpbrk(user, ":\r\n"))
		return hr_fail(e, HR_USAGE, 0, "user name is empty or has a colon or a line break");
	if (!*password || strpbrk(password, "\r\n"))
		return hr_fail(e, HR_USAGE, 0, "password is empty or has a line break");
	return 0;
}

int fetch_login(struct fetch_client *c, const char *registry, const char *user,
		const char *password, struct hr_err *e)
{
	HR_CLEANUP(fetch_cred_release) struct fetch_cred cred = { 0 };
	hr_autofree char *name = NULL;

	if (check_text(user, password, e) < 0 || fetch_registry_parse(registry, &name, e) < 0)
		return -1;
	cred.user = hr_xstrdup(user);
	cred.password = hr_xstrdup(password);
	if (try_login(c, name, &cred, e) < 0) {
		if (e->kind == HR_DENIED) {
			e->hint[0] = '\0'; /* "log in" is no advice here */
			hr_hint(e,
				"are user name and password right? Many registries want an access "
				"token in place of the password");
		}
		return hr_wrap(e, "cannot log in to '%s'", name);
	}
	return fetch_cred_store(name, user, password, e);
}

int fetch_logout(struct fetch_client *c, const char *registry, struct hr_err *e)
{
	hr_autofree char *name = NULL;

	(void)c;
	if (fetch_registry_parse(registry, &name, e) < 0)
		return -1;
	return fetch_cred_erase(name, e);
}
