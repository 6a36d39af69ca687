/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/token.h"

#include <string.h>
#include <time.h>

#include "fetch/header.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

#define EXPIRY_MARGIN_S 10 /* a token that ends while the request travels is of no use */

struct fetch_login {
	struct fetch_login *next;
	char *registry, *repo; /* repo "" for the registry itself */
	char *authorization;   /* or NULL */
	uint64_t expires_s;    /* CLOCK_BOOTTIME; 0: never */
	uint64_t generation;   /* one more after each renewal, good or bad */
	bool busy;	       /* a thread renews it */
	struct hr_err failed;  /* how the last renewal ended */
	struct fetch_failure failure;
};

/* Suspended laptops count, too: the server's clock went on. */
static uint64_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec;
}

void fetch_login_list_free(struct fetch_login *l)
{
	while (l) {
		struct fetch_login *next = l->next;

		fetch_secret_free(l->authorization);
		free(l->registry);
		free(l->repo);
		free(l);
		l = next;
	}
}

/* The entry for a repository, made when it is new. The lock is held. */
static struct fetch_login *entry_of(struct fetch_client *c, const char *registry, const char *repo)
{
	struct fetch_login *l;

	if (!repo)
		repo = "";
	for (l = c->logins; l; l = l->next)
		if (strcmp(l->registry, registry) == 0 && strcmp(l->repo, repo) == 0)
			return l;
	l = hr_xmalloc(sizeof(*l));
	l->registry = hr_xstrdup(registry);
	l->repo = hr_xstrdup(repo);
	l->next = c->logins;
	c->logins = l;
	return l;
}

/* Wait until nobody renews L. The lock is held; the renewing thread heeds the cancel flag. */
static void wait_idle(struct fetch_client *c, const struct fetch_login *l)
{
	while (l->busy)
		pthread_cond_wait(&c->login_changed, &c->lock);
}

char *fetch_token_get(struct fetch_client *c, const char *registry, const char *repo,
		      uint64_t *generation)
{
	char *copy = NULL;
	struct fetch_login *l;

	pthread_mutex_lock(&c->lock);
	l = entry_of(c, registry, repo);
	wait_idle(c, l);
	*generation = l->generation;
	if (l->authorization && (l->expires_s == 0 || now_s() < l->expires_s))
		copy = hr_xstrdup(l->authorization);
	pthread_mutex_unlock(&c->lock);
	return copy;
}

/* ---- asking a token server ---- */

static int on_token(void *arg, const struct fetch_http_reply *r, const void *p, size_t n,
		    struct hr_err *e)
{
	struct hr_buf *b = arg;

	(void)r;
	if (b->len + n > FETCH_TOKEN_REPLY_LIMIT)
		return hr_fail(e, HR_NET, 0, "the reply is larger than %u bytes",
			       FETCH_TOKEN_REPLY_LIMIT);
	hr_buf_add(b, p, n);
	return 0;
}

static char *basic_value(const struct fetch_cred *cred)
{
	HR_CLEANUP(fetch_secret_freep)
	char *plain = hr_xasprintf("%s:%s", cred->user, cred->password);
	HR_CLEANUP(fetch_secret_freep) char *encoded = fetch_base64_encode(plain, strlen(plain));

	return hr_xasprintf("Basic %s", encoded);
}

/*
 * service=...&scope=... as a query or a form. A wish counts before what the registry asks for: that
 * is what this request needs, not the next one. Each part of it is a parameter of its own.
 */
static char *token_question(const struct fetch_challenge *ch, const struct fetch_login_wish *w)
{
	hr_autobuf struct hr_buf b = { 0 };
	hr_autofree char *preset = w->repo ? hr_xasprintf("repository:%s:pull", w->repo) : NULL;
	const char *scope = w->scope ? w->scope : ch->scope ? ch->scope : preset ? preset : "";

	hr_buf_str(&b, "");
	if (ch->service) {
		hr_autofree char *service = fetch_query_escape(ch->service);

		hr_buf_printf(&b, "service=%s", service);
	}
	while (*scope) {
		size_t n = w->scope ? strcspn(scope, " ") : strlen(scope);
		hr_autofree char *one = hr_xstrndup(scope, n), *escaped = fetch_query_escape(one);

		hr_buf_printf(&b, "%sscope=%s", b.len > 0 ? "&" : "", escaped);
		scope += n + (scope[n] == ' ');
	}
	return hr_xstrdup((const char *)b.p);
}

/* The OAuth2 form that turns a refresh token into an access token. */
static char *refresh_form(const char *question, const char *identity)
{
	hr_autofree char *escaped = fetch_query_escape(identity);
	char *form = hr_xasprintf("grant_type=refresh_token&client_id=hpcrun&%s&refresh_token=%s",
				  question, escaped);

	explicit_bzero(escaped, strlen(escaped));
	return form;
}

static void append_query(struct fetch_url *u, const char *question)
{
	hr_autofree char *old = u->target;

	u->target = hr_xasprintf("%s%s%s", old, strchr(old, '?') ? "&" : "?", question);
}

/* What the token server's status means when it is not 200. */
static int token_status(const struct fetch_http_reply *r, const char *host, const char *registry,
			struct fetch_failure *f, struct hr_err *e)
{
	enum hr_kind kind = r->status == 401 || r->status == 403 ? HR_DENIED : HR_NET;

	f->status = r->status;
	if (r->status == 429 || r->status >= 500)
		f->again = FETCH_AGAIN_BUSY;
	if (r->retry_after)
		f->has_retry_after =
			fetch_retry_after_parse(r->retry_after, time(NULL), &f->retry_after_ms);
	if (r->status >= 300 && r->status < 400)
		return hr_fail(
			e, HR_DENIED, 0,
			"token server '%s' of registry '%s' redirects (%d), which is refused", host,
			registry, r->status);
	hr_fail(e, kind, 0, "token server '%s' of registry '%s' answers %d", host, registry,
		r->status);
	if (kind == HR_DENIED)
		hr_hint(e, "log in with 'hpcrun login %s', or is the name spelled right?",
			registry);
	return -1;
}

/* Send the question to the token server and take the token. */
static int ask_token_server(struct fetch_client *c, const struct fetch_login_wish *w,
			    const struct fetch_challenge *ch, struct fetch_url *realm,
			    const struct fetch_cred *cred, struct fetch_token *token,
			    struct fetch_failure *f, struct hr_err *e)
{
	hr_autofree char *host = fetch_url_authority(realm);
	hr_autofree char *question = token_question(ch, w);
	HR_CLEANUP(fetch_secret_freep)
	char *form = cred->identity ? refresh_form(question, cred->identity) : NULL;
	HR_CLEANUP(fetch_secret_freep) char *basic = cred->user ? basic_value(cred) : NULL;
	HR_CLEANUP(fetch_http_reply_release) struct fetch_http_reply r = { 0 };
	hr_autobuf struct hr_buf body = { 0 };
	const struct fetch_http_request q = {
		.url = realm,
		.accept = "application/json",
		.authorization = basic,
		.form = form,
		.body = on_token,
		.arg = &body,
	};
	int result;

	if (!form && *question)
		append_query(realm, question);
	result = fetch_http_perform(c->http, &q, &r, e);
	if (result < 0)
		f->again = r.again;
	else if (r.status != 200)
		return token_status(&r, host, w->registry, f, e);
	else
		result = fetch_token_parse(body.p, body.len, token, e);
	if (body.p)
		explicit_bzero(body.p, body.len);
	if (result < 0 && e->kind == HR_NET)
		hr_wrap(e, "cannot get a token from '%s' for registry '%s'", host, w->registry);
	return result;
}

static int obtain_bearer(struct fetch_client *c, const struct fetch_login_wish *w,
			 const struct fetch_challenge *ch, const struct fetch_cred *cred,
			 char **authorization, uint64_t *expires_s, struct fetch_failure *f,
			 struct hr_err *e)
{
	HR_CLEANUP(fetch_url_release) struct fetch_url realm = { 0 };
	struct fetch_token token = { 0 };
	bool trusted = false;

	if (fetch_realm_check(w->home, fetch_client_allows_plain(c, w->registry), ch->realm, &realm,
			      &trusted, e) < 0)
		return hr_wrap(e, "registry '%s' asks for a login", w->registry);
	if ((cred->user || cred->identity) && !trusted)
		return hr_fail(e, HR_DENIED, 0,
			       "registry '%s' wants its login sent to '%s', which belongs to "
			       "somebody else; refused",
			       w->registry, realm.host);
	if (ask_token_server(c, w, ch, &realm, cred, &token, f, e) < 0)
		return -1;
	*authorization = hr_xasprintf("Bearer %s", token.text);
	*expires_s = token.expires_s;
	fetch_secret_free(token.text);
	return 0;
}

int fetch_token_obtain(struct fetch_client *c, const struct fetch_login_wish *w,
		       const struct fetch_cred *cred, char **authorization, uint64_t *expires_s,
		       struct fetch_failure *f, struct hr_err *e)
{
	HR_CLEANUP(fetch_challenge_release) struct fetch_challenge ch = { 0 };

	if (fetch_challenge_pick(w->challenges, &ch, e) < 0)
		return hr_wrap(e, "registry '%s'", w->registry);
	if (ch.bearer)
		return obtain_bearer(c, w, &ch, cred, authorization, expires_s, f, e);
	if (!cred->user) {
		hr_fail(e, HR_DENIED, 0, "registry '%s' asks for a login, and there is none",
			w->registry);
		hr_hint(e, "log in with 'hpcrun login %s'", w->registry);
		return -1;
	}
	*authorization = basic_value(cred);
	*expires_s = 0;
	return 0;
}

/* ---- renewing ---- */

/* Look the credential up and use it. OLD is what the registry has just refused, or NULL. */
static int renew(struct fetch_client *c, const struct fetch_login_wish *w, const char *old,
		 char **authorization, uint64_t *expires_s, struct fetch_failure *f,
		 struct hr_err *e)
{
	HR_CLEANUP(fetch_cred_release) struct fetch_cred cred = { 0 };
	bool found = false;

	if (fetch_cred_find(w->registry, &c->warned_open, &cred, &found, e) < 0 ||
	    fetch_token_obtain(c, w, &cred, authorization, expires_s, f, e) < 0)
		return -1;
	hr_debug("registry '%s': new login for '%s', %s", w->registry, w->repo ? w->repo : "",
		 found ? "with credentials" : "anonymous");
	if (!old || strcmp(old, *authorization) != 0)
		return 0;
	/* the same words again would only count as one more failed login */
	fetch_secret_free(hr_steal(authorization));
	if (strncmp(old, "Bearer ", 7) == 0)
		return hr_fail(e, HR_DENIED, 0,
			       "registry '%s' refuses the token that its own token server gave",
			       w->registry);
	hr_fail(e, HR_DENIED, 0, "registry '%s' refuses the stored login", w->registry);
	hr_hint(e, "log in again with 'hpcrun login %s'", w->registry);
	return -1;
}

int fetch_token_renew(struct fetch_client *c, const struct fetch_login_wish *w, uint64_t generation,
		      struct fetch_failure *f, struct hr_err *e)
{
	HR_CLEANUP(fetch_secret_freep) char *old = NULL;
	char *fresh = NULL;
	uint64_t expires_s = 0;
	struct fetch_login *l;
	int result;

	pthread_mutex_lock(&c->lock);
	l = entry_of(c, w->registry, w->repo);
	wait_idle(c, l);
	if (l->generation != generation) {
		/* somebody else has just done it, well or badly */
		result = l->failed.kind == HR_OK ? 0 : -1;
		if (result < 0) {
			*e = l->failed;
			*f = l->failure;
		}
		pthread_mutex_unlock(&c->lock);
		return result;
	}
	l->busy = true;
	old = l->authorization ? hr_xstrdup(l->authorization) : NULL;
	pthread_mutex_unlock(&c->lock);

	result = renew(c, w, old, &fresh, &expires_s, f, e);

	pthread_mutex_lock(&c->lock);
	fetch_secret_free(l->authorization);
	l->authorization = fresh;
	l->expires_s = expires_s ? now_s() + expires_s - EXPIRY_MARGIN_S : 0;
	l->generation++;
	l->failed = *e;
	l->failure = *f;
	l->busy = false;
	pthread_cond_broadcast(&c->login_changed);
	pthread_mutex_unlock(&c->lock);
	return result;
}
