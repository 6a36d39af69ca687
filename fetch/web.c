/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fetch/client.h"
#include "fetch/header.h"
#include "fetch/request.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define HOPS_MAX       5
#define JUNK_MAX       (1u << 20)
#define WHOLE_SKIP_MAX (16u << 20) /* bytes read for nothing of a server that ignores Range */

/* What is wanted, and how much of it came. */
struct wish {
	bool ranged, fresh;
	unsigned int stall_s;
	uint64_t off;
	uint8_t *buf; /* ranged: LEN bytes */
	size_t len;
	fetch_progress *progress; /* or NULL */
	void *arg;
	struct fetch_version *version; /* or NULL */
	uint64_t *whole;	       /* or NULL */
	struct hr_buf *b;	       /* else: the whole object, up to LIMIT */
	uint64_t limit;

	uint64_t junk; /* bytes of an error page or a redirect */
	bool checked;  /* the headers of this reply */
	uint64_t skip; /* bytes still to be passed over */
	size_t got;
	bool complete; /* all is there, although the reply goes on */
	bool partial;  /* the server did as Range says */
};

/*
 * The reply is of an object of BYTES, 0: it does not say. Is it the object that the replies before
 * were of?
 */
static int check_object(struct wish *w, const struct fetch_http_reply *r, uint64_t bytes,
			struct hr_err *e)
{
	struct fetch_version *v = w->version, now = { .bytes = bytes };

	if (w->whole && bytes != 0)
		*w->whole = bytes;
	if (!v)
		return 0;
	if (bytes == 0)
		return hr_fail(e, HR_NET, 0, "the server does not say how long the object is");
	snprintf(now.etag, sizeof(now.etag), "%s", r->etag ? r->etag : "");
	snprintf(now.modified, sizeof(now.modified), "%s",
		 r->last_modified ? r->last_modified : "");
	if (v->bytes == 0)
		*v = now;
	if (v->bytes != now.bytes)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the object was changed: it has %" PRIu64 " bytes, it had %" PRIu64,
			       now.bytes, v->bytes);
	if (v->etag[0] && now.etag[0]) {
		if (strcmp(v->etag, now.etag) != 0)
			return hr_fail(e, HR_CORRUPT, 0,
				       "the object was changed: its ETag is %.80s, it was %.80s",
				       now.etag, v->etag);
	} else if (v->modified[0] && now.modified[0] && strcmp(v->modified, now.modified) != 0) {
		return hr_fail(e, HR_CORRUPT, 0, "the object was changed: at %s, not at %s",
			       now.modified, v->modified);
	}
	return 0;
}

/* Before the first byte of a good reply: does it hold what was asked for? */
static int check_headers(struct wish *w, const struct fetch_http_reply *r, struct hr_err *e)
{
	struct fetch_range range;

	w->checked = true;
	w->partial = r->status == 206;
	if (r->content_encoding && strcasecmp(r->content_encoding, "identity") != 0)
		return hr_fail(e, HR_NET, 0,
			       "the reply is encoded as '%.40s', which was not asked for",
			       r->content_encoding);
	if (!w->ranged)
		return 0;
	if (r->status == 200) {
		if (w->off > WHOLE_SKIP_MAX) { /* it will not learn it while somebody waits */
			hr_hint(e,
				"let the server answer Range requests; hpcrun-store(5) shows how");
			return hr_fail(e, HR_USAGE, 0,
				       "the server ignores Range and sends the whole object");
		}
		w->skip = w->off;
		return check_object(w, r, r->has_length ? r->length : 0, e);
	}
	if (!r->content_range || !fetch_range_parse(r->content_range, &range))
		return hr_fail(e, HR_NET, 0, "a partial reply without a valid Content-Range");
	if (range.first != w->off || range.last != w->off + w->len - 1)
		return hr_fail(e, HR_NET, 0,
			       "asked for bytes %" PRIu64 "-%" PRIu64 ", got %" PRIu64 "-%" PRIu64,
			       w->off, w->off + w->len - 1, range.first, range.last);
	return check_object(w, r, range.total, e);
}

static int take_ranged(struct wish *w, const uint8_t *p, size_t n, struct hr_err *e)
{
	size_t part = w->skip < n ? (size_t)w->skip : n;

	w->skip -= part;
	p += part;
	n -= part;
	part = w->len - w->got < n ? w->len - w->got : n;
	memcpy(w->buf + w->got, p, part);
	w->got += part;
	w->complete = w->got == w->len;
	if (part < n) /* the rest of a whole object: enough, hang up */
		return hr_fail(e, HR_NET, 0, "more bytes than asked for");
	return 0;
}

/* Bytes of the range came. What the caller makes of them may stop the transfer. */
static int take_and_tell(struct wish *w, const uint8_t *p, size_t n, struct hr_err *e)
{
	struct hr_err enough = { 0 };
	int r = take_ranged(w, p, n, &enough);

	if (w->progress && w->progress(w->arg, w->got, e) < 0) {
		w->complete = false;
		return -1;
	}
	if (r < 0)
		*e = enough;
	return r;
}

static int on_body(void *arg, const struct fetch_http_reply *r, const void *p, size_t n,
		   struct hr_err *e)
{
	struct wish *w = arg;

	if (r->status != 200 && r->status != 206)
		return (w->junk += n) <= JUNK_MAX
			       ? 0
			       : hr_fail(e, HR_NET, 0, "the reply with status %d does not end",
					 r->status);
	if (!w->checked && check_headers(w, r, e) < 0)
		return -1;
	if (w->ranged)
		return take_and_tell(w, p, n, e);
	if (n > w->limit - w->got)
		return hr_fail(e, HR_CORRUPT, 0, "larger than %" PRIu64 " bytes", w->limit);
	w->got += n;
	hr_buf_add(w->b, p, n);
	return 0;
}

static int fail_status(const struct fetch_http_reply *r, struct hr_err *e)
{
	enum hr_kind kind = HR_NET;
	int sys = 0;

	if (r->status == 401 || r->status == 403)
		kind = HR_DENIED;
	else if (r->status == 404 || r->status == 410)
		kind = HR_NOTFOUND;
	if (r->status == 403)
		sys = EACCES;
	return hr_fail(e, kind, sys, "the server answers %d", r->status);
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static int check_plain(const struct fetch_client *c, const struct fetch_url *u, struct hr_err *e)
{
	hr_autofree char *host = fetch_url_authority(u);

	if (u->tls || fetch_client_allows_plain(c, host))
		return 0;
	hr_fail(e, HR_USAGE, 0, "plain http to '%s' is refused", host);
	hr_hint(e, "use https, or put 'insecure_registry = %s' into hpcrun.conf", host);
	return -1;
}

/* One request at *U; 1 when it was redirected and *U is the new place. */
static int ask(struct fetch_client *c, struct fetch_url *u, struct wish *w, struct hr_err *e)
{
	HR_CLEANUP(fetch_http_reply_release) struct fetch_http_reply r = { 0 };
	HR_CLEANUP(fetch_url_release) struct fetch_url to = { 0 };
	struct fetch_http_request q = { .url = u,
					.from = w->ranged ? w->off : 0,
					.count = w->ranged ? w->len : 0,
					.fresh = w->fresh,
					.stall_s = w->stall_s,
					.body = on_body,
					.arg = w };

	if (check_plain(c, u, e) < 0)
		return -1;
	w->checked = w->complete = false;
	w->got = 0;
	w->junk = 0;
	if (fetch_http_perform(c->http, &q, &r, e) < 0) {
		if (!w->complete)
			return -1;
		hr_err_clear(e);
		return 0;
	}
	if (r.status == 200 || r.status == 206) {
		if (w->ranged && !w->complete)
			return hr_fail(e, HR_NET, 0, "the reply ends after %zu of %zu bytes",
				       w->got, w->len);
		return 0;
	}
	if (!is_redirect(r.status) || !r.location)
		return fail_status(&r, e);
	if (fetch_url_join(u, r.location, &to, e) < 0) {
		e->kind = HR_NET;
		return hr_wrap(e, "the server redirects to a place that is no valid address");
	}
	if (u->tls && !to.tls)
		return hr_fail(e, HR_DENIED, 0,
			       "the server redirects to plain http, which is refused");
	fetch_url_release(u);
	*u = to;
	memset(&to, 0, sizeof(to));
	return 1;
}

static int get(struct fetch_client *c, const char *url, struct wish *w, struct hr_err *e)
{
	HR_CLEANUP(fetch_url_release) struct fetch_url u = { 0 };
	int r;

	if (fetch_url_parse(url, &u, e) < 0) {
		e->kind = HR_USAGE;
		return hr_wrap(e, "'%s'", url);
	}
	for (int hops = 0; hops <= HOPS_MAX; hops++) {
		r = ask(c, &u, w, e);
		if (r < 0)
			return hr_wrap(e, "cannot read '%s'", url);
		if (r == 0)
			return 0;
	}
	return hr_fail(e, HR_NET, 0, "cannot read '%s': more than %d redirects", url, HOPS_MAX);
}

int fetch_web_read(struct fetch_client *c, const char *url, uint64_t limit, struct hr_buf *b,
		   struct hr_err *e)
{
	struct wish w = { .b = b, .limit = limit };
	size_t before = b->len;

	if (get(c, url, &w, e) == 0)
		return 0;
	b->len = before;
	return -1;
}

int fetch_web_range(struct fetch_client *c, const struct fetch_web_part *part, struct hr_err *e)
{
	struct wish w = { .ranged = true,
			  .off = part->off,
			  .buf = part->buf,
			  .len = part->len,
			  .progress = part->progress,
			  .arg = part->arg,
			  .version = part->version,
			  .whole = part->whole,
			  .fresh = part->fresh,
			  .stall_s = part->stall_s };

	return part->len == 0 ? 0 : get(c, part->url, &w, e);
}

int fetch_web_has_ranges(struct fetch_client *c, const char *url, bool *has, struct hr_err *e)
{
	uint8_t byte;
	struct wish w = { .ranged = true, .off = 1, .buf = &byte, .len = 1 };

	if (get(c, url, &w, e) < 0)
		return -1;
	*has = w.partial;
	return 0;
}
