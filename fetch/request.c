/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/request.h"

#include <inttypes.h>
#include <string.h>

#include "fetch/header.h"
#include "fetch/json.h"
#include "fetch/token.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

#define HOPS_MAX	5
#define LOGIN_ROUNDS	2
#define ERROR_BODY_KEPT 8192
#define ERROR_BODY_MAX	(1u << 20)

/* ---- one attempt ---- */

/* An attempt as it goes from host to host. */
struct walk {
	struct fetch_request *q;
	struct fetch_failure *f;
	struct fetch_url url;
	bool home;     /* URL is the registry's own origin */
	bool shortcut; /* URL is a redirect remembered from an earlier attempt */
	unsigned int hops, rounds;
	uint64_t generation; /* of the login that was sent */
	char *authorization; /* or NULL */
	struct hr_buf error_body;
	uint64_t error_bytes;
	bool body_failed; /* the caller's body callback stopped the transfer */
};

static void walk_release(struct walk *w)
{
	fetch_url_release(&w->url);
	fetch_secret_free(w->authorization);
	hr_buf_release(&w->error_body);
}

static int go_home(struct walk *w, struct hr_err *e)
{
	const struct fetch_request *q = w->q;
	bool tls = !fetch_client_is_plain(q->client, q->registry);

	fetch_url_release(&w->url);
	w->home = true;
	w->shortcut = false;
	return fetch_registry_url(q->registry, tls, q->target, &w->url, e);
}

/* Does the request carry data? */
static bool is_upload(const struct fetch_request *q)
{
	return q->method && strcmp(q->method, "HEAD") != 0;
}

static int start(struct walk *w, struct hr_err *e)
{
	hr_autofree char *direct = NULL;

	if (!w->q->direct.host)
		return go_home(w, e);
	direct = fetch_url_text(&w->q->direct);
	w->shortcut = true;
	return fetch_url_parse(direct, &w->url, e);
}

static bool is_success(int status)
{
	return status == 200 || status == 206;
}

/* Bodies of good replies go to the caller; of others the head is kept for its error code. */
static int on_body(void *arg, const struct fetch_http_reply *r, const void *p, size_t n,
		   struct hr_err *e)
{
	struct walk *w = arg;
	const char *encoding = r->content_encoding;

	if (is_success(r->status) && !w->q->body)
		return 0; /* nothing that is asked for */
	if (is_success(r->status)) {
		if (encoding && *encoding && strcasecmp(encoding, "identity") != 0) {
			w->f->again = FETCH_AGAIN_WRONG;
			return hr_fail(e, HR_NET, 0,
				       "the reply is encoded as '%.40s', which was not asked for",
				       encoding);
		}
		w->body_failed = w->q->body(w->q->arg, r, p, n, e) < 0;
		return w->body_failed ? -1 : 0;
	}
	w->error_bytes += n;
	if (w->error_bytes > ERROR_BODY_MAX)
		return hr_fail(e, HR_NET, 0, "the reply with status %d does not end", r->status);
	if (w->error_body.len + n <= ERROR_BODY_KEPT)
		hr_buf_add(&w->error_body, p, n);
	return 0;
}

/* " (MANIFEST_UNKNOWN)" from the registry's error document, or "". Its message is free text of a
 * stranger and may echo what we sent; the code is enough. */
static void error_code(const struct walk *w, char out[48])
{
	HR_CLEANUP(fetch_json_freep) json_t *root = NULL;
	struct hr_err ignored = { 0 }; /* most error pages are not JSON, and need not be */
	const char *code;

	out[0] = '\0';
	if (w->error_body.len == 0 ||
	    fetch_json_parse(w->error_body.p, w->error_body.len, "", &root, &ignored) < 0)
		return;
	code = json_string_value(
		json_object_get(json_array_get(json_object_get(root, "errors"), 0), "code"));
	if (code && *code && strlen(code) < 40 &&
	    code[strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")] == '\0')
		snprintf(out, 48, " (%s)", code);
}

static bool is_busy(int status)
{
	return status == 408 || status == 429 || (status >= 500 && status <= 504);
}

/* A reply that ends the attempt: what it means. */
static int fail_status(struct walk *w, const struct fetch_http_reply *r, struct hr_err *e)
{
	const struct fetch_request *q = w->q;
	hr_autofree char *host = fetch_url_authority(&w->url);
	enum hr_kind kind = HR_NET;
	char code[48];

	error_code(w, code);
	if (r->status == 401 || r->status == 403)
		kind = HR_DENIED;
	else if (r->status == 404)
		kind = HR_NOTFOUND;
	if (is_busy(r->status))
		w->f->again = FETCH_AGAIN_BUSY;
	if (r->retry_after)
		w->f->has_retry_after =
			fetch_retry_after_parse(r->retry_after, time(NULL), &w->f->retry_after_ms);
	if (r->status == 416)
		w->f->total = fetch_unsatisfied_total(r->content_range);
	if (w->home)
		hr_fail(e, kind, 0, "registry '%s' answers %d%s to %s %s", q->registry, r->status,
			code, is_upload(q) ? "the upload of" : "a request for", q->what);
	else
		hr_fail(e, kind, 0,
			"'%s', where registry '%s' sends us, answers %d%s to a request for %s",
			host, q->registry, r->status, code, q->what);
	if (kind == HR_DENIED)
		hr_hint(e, "log in with 'hpcrun login %s', or is the name spelled right?",
			q->registry);
	else if (kind == HR_NOTFOUND && q->missing_hint)
		hr_hint(e, "%s", q->missing_hint);
	else if (r->status == 429)
		hr_hint(e, "the registry limits how much may be pulled; a login often raises the "
			   "limit");
	return -1;
}

/* Go where a redirect points, if that is allowed. */
static int follow(struct walk *w, const struct fetch_http_reply *r, struct hr_err *e)
{
	struct fetch_request *q = w->q;
	HR_CLEANUP(fetch_url_release) struct fetch_url to = { 0 };
	HR_CLEANUP(fetch_url_release) struct fetch_url home = { 0 };
	hr_autofree char *host = NULL;

	if (is_upload(q))
		return hr_fail(e, HR_NET, 0,
			       "registry '%s' redirects the upload of %s, which is not followed",
			       q->registry, q->what);
	if (++w->hops > HOPS_MAX)
		return hr_fail(e, HR_NET, 0, "registry '%s' redirects more than %d times for %s",
			       q->registry, HOPS_MAX, q->what);
	if (!r->location)
		return hr_fail(e, HR_NET, 0,
			       "registry '%s' redirects to nowhere (%d without Location)",
			       q->registry, r->status);
	if (fetch_url_join(&w->url, r->location, &to, e) < 0) {
		e->kind = HR_NET;
		return hr_wrap(e, "registry '%s' redirects to a place that is no valid address",
			       q->registry);
	}
	host = fetch_url_authority(&to);
	if (!to.tls && (w->url.tls || !fetch_client_allows_plain(q->client, host)))
		return hr_fail(e, HR_DENIED, 0,
			       "registry '%s' redirects to '%s' over plain http, which is refused",
			       q->registry, host);
	if (fetch_registry_url(q->registry, !fetch_client_is_plain(q->client, q->registry), "/",
			       &home, e) < 0)
		return -1;
	hr_debug("registry '%s' redirects to '%s' for %s", q->registry, host, q->what);
	w->home = fetch_url_same_origin(&to, &home);
	w->shortcut = false;
	fetch_url_release(&w->url);
	w->url = to;
	memset(&to, 0, sizeof(to));
	return 0;
}

/* Remember where the bytes came from, for a resumption; home is not worth it. */
static void remember(struct walk *w)
{
	if (w->home || w->shortcut || w->q->method)
		return;
	fetch_url_release(&w->q->direct);
	w->q->direct = w->url;
	memset(&w->url, 0, sizeof(w->url));
}

/* Send once to where the walk stands. */
static int send_one(struct walk *w, struct fetch_http_reply *r, struct hr_err *e)
{
	const struct fetch_request *q = w->q;
	hr_autofree char *host = fetch_url_authority(&w->url);
	struct fetch_http_request h = {
		.url = &w->url,
		.accept = q->accept,
		.from = q->from,
		.method = q->method,
		.data = q->data,
		.data_len = q->data_len,
		.content_type = q->content_type,
		.data_range = q->data_range,
		.stall_s = q->stall_s,
		.body = on_body,
		.arg = w,
	};
	int result;

	fetch_secret_free(w->authorization);
	w->authorization = NULL;
	if (w->home && q->authorization)
		w->authorization = *q->authorization ? hr_xstrdup(q->authorization) : NULL;
	else if (w->home)
		w->authorization = fetch_token_get(q->client, q->registry, q->repo, &w->generation);
	h.authorization = w->authorization;
	w->error_body.len = 0;
	w->error_bytes = 0;
	w->f->again = FETCH_AGAIN_NEVER;
	result = fetch_http_perform(q->client->http, &h, r, e);
	w->f->status = r->status;
	if (result == 0)
		return 0;
	if (w->f->again == FETCH_AGAIN_NEVER)
		w->f->again = r->again;
	if (e->kind == HR_NET && !w->body_failed)
		hr_wrap(e, is_upload(q) ? "cannot send %s to '%s'" : "cannot get %s from '%s'",
			q->what, host);
	return -1;
}

static int log_in(struct walk *w, const struct fetch_http_reply *r, struct hr_err *e)
{
	const struct fetch_login_wish wish = {
		.home = &w->url,
		.registry = w->q->registry,
		.repo = w->q->repo,
		.challenges = &r->challenges,
		.scope = w->q->scope,
	};

	return fetch_token_renew(w->q->client, &wish, w->generation, w->f, e);
}

/* What who sent something wants to know of a good reply. */
static void keep_reply(struct fetch_request *q, const struct fetch_http_reply *r)
{
	free(q->location);
	free(q->range);
	q->status = r->status;
	q->location = r->location ? hr_xstrdup(r->location) : NULL;
	q->range = r->range ? hr_xstrdup(r->range) : NULL;
}

/* What a reply asks for next: 1 another request, 0 the end, -1 failure. */
static int next_step(struct walk *w, const struct fetch_http_reply *r, struct hr_err *e)
{
	struct fetch_request *q = w->q;

	if (q->method && r->status >= 200 && r->status <= 206) {
		keep_reply(q, r);
		return 0;
	}
	switch (r->status) {
	case 200:
	case 206:
		remember(w);
		return 0;
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		return follow(w, r, e) < 0 ? -1 : 1;
	case 401:
		if (w->home && !q->authorization && w->rounds++ < LOGIN_ROUNDS)
			return log_in(w, r, e) < 0 ? -1 : 1;
		for (size_t i = 0; q->challenges && i < r->challenges.n; i++)
			hr_strv_add(q->challenges, r->challenges.v[i]);
		break;
	default:
		break;
	}
	if (w->shortcut && r->status >= 400 && !is_busy(r->status) && r->status != 416) {
		/* a signed URL that has expired: the registry makes a new one */
		fetch_url_release(&w->q->direct);
		return go_home(w, e) < 0 ? -1 : 1;
	}
	return fail_status(w, r, e);
}

/* No whole reply came: 1 when plain http is to be tried instead of TLS, else -1. */
static int after_break(struct walk *w, const struct fetch_http_reply *r, struct hr_err *e)
{
	const struct fetch_request *q = w->q;
	/* a name without a port is another port with plain http, so 443 need not answer at all */
	bool no_tls = r->no_tls || (r->again == FETCH_AGAIN_UNREACHED && w->url.port == 443);

	if (is_success(r->status) && w->f->again == FETCH_AGAIN_BROKEN)
		remember(w);
	else
		fetch_url_release(&w->q->direct); /* the registry may know a better place */
	if (!w->home || !w->url.tls || !no_tls ||
	    !fetch_client_allows_plain(q->client, q->registry))
		return -1;
	hr_err_clear(e);
	fetch_client_set_plain(q->client, q->registry);
	return go_home(w, e) < 0 ? -1 : 1;
}

int fetch_request_once(struct fetch_request *q, struct fetch_failure *f, struct hr_err *e)
{
	HR_CLEANUP(walk_release) struct walk w = { .q = q, .f = f };
	int more;

	memset(f, 0, sizeof(*f));
	if (start(&w, e) < 0)
		return -1;
	do {
		HR_CLEANUP(fetch_http_reply_release) struct fetch_http_reply r = { 0 };

		if (send_one(&w, &r, e) == 0)
			more = next_step(&w, &r, e);
		else
			more = after_break(&w, &r, e);
	} while (more > 0);
	return more;
}

void fetch_request_release(struct fetch_request *q)
{
	fetch_url_release(&q->direct);
	free(q->location);
	free(q->range);
}
