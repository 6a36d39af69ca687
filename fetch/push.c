/* SPDX-License-Identifier: BSD-3-Clause */
/* Uploads to registries: OCI distribution-spec 1.1, "Push". */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fetch/client.h"
#include "fetch/header.h"
#include "fetch/fetch.h"
#include "fetch/request.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define PIECE_BYTES (8u << 20)
#define PATIENCE_S  900 /* a registry may read a blob of many gigabytes again before it answers */

/* One call of this file: what all its requests share. */
struct call {
	struct fetch_client *client;
	const struct fetch_ref *ref;
	char *scope, *what;
};

static void call_release(struct call *k)
{
	free(k->scope);
	free(k->what);
}

static struct call call_for(struct fetch_client *c, const struct fetch_ref *ref, char *what)
{
	return (struct call) { c, ref, hr_xasprintf("repository:%s:pull,push", ref->repo), what };
}

static struct call call_for_blob(struct fetch_client *c, const struct fetch_ref *ref,
				 const struct fetch_digest *d)
{
	char text[FETCH_DIGEST_TEXT];

	return call_for(c, ref, hr_xasprintf("blob %s", fetch_digest_text(d, text)));
}

static struct fetch_request request(const struct call *k, const char *method, const char *target)
{
	return (struct fetch_request) { .client = k->client,
					.registry = k->ref->registry,
					.repo = k->ref->repo,
					.scope = k->scope,
					.method = method,
					.target = target,
					.what = k->what,
					.stall_s = PATIENCE_S };
}

/* For requests that mean the same when they are sent again. */
static int ask_again(struct fetch_request *q, struct hr_err *e)
{
	struct fetch_retry retry = { 0 };
	struct fetch_failure f;

	while (fetch_request_once(q, &f, e) < 0)
		if (fetch_retry_wait(q->client, &retry, &f, e) < 0)
			return -1;
	return 0;
}

/* ---- what is there ---- */

int fetch_blob_exists(struct fetch_client *c, const struct fetch_ref *ref,
		      const struct fetch_digest *d, bool *exists, struct hr_err *e)
{
	HR_CLEANUP(call_release) struct call k = call_for_blob(c, ref, d);
	char text[FETCH_DIGEST_TEXT];
	hr_autofree char *target =
		hr_xasprintf("/v2/%s/blobs/%s", ref->repo, fetch_digest_text(d, text));
	HR_CLEANUP(fetch_request_release) struct fetch_request q = request(&k, "HEAD", target);

	q.stall_s = 0;
	*exists = ask_again(&q, e) == 0;
	if (!*exists && e->kind != HR_NOTFOUND)
		return -1;
	hr_err_clear(e);
	return 0;
}

int fetch_blob_mount(struct fetch_client *c, const struct fetch_ref *ref,
		     const struct fetch_digest *d, const char *from, bool *mounted,
		     struct hr_err *e)
{
	HR_CLEANUP(call_release) struct call k = call_for_blob(c, ref, d);
	char text[FETCH_DIGEST_TEXT];
	hr_autofree char *target = hr_xasprintf("/v2/%s/blobs/uploads/?mount=%s&from=%s", ref->repo,
						fetch_digest_text(d, text), from);
	hr_autofree char *both = hr_xasprintf("%s repository:%s:pull", k.scope, from);
	HR_CLEANUP(fetch_request_release) struct fetch_request q = request(&k, "POST", target);

	q.scope = both;
	*mounted = ask_again(&q, e) == 0 && q.status == 201;
	/* 202 begins an upload, which is left; a right to push does not give one to read FROM */
	if (e->kind != HR_OK && e->kind != HR_NOTFOUND && e->kind != HR_DENIED)
		return -1;
	hr_err_clear(e);
	return 0;
}

/* ---- uploads ---- */

struct fetch_upload {
	struct call k;
	char *target;	/* where the next piece goes, at the registry's origin */
	uint64_t at;	/* bytes that the registry has */
	uint8_t *piece; /* the bytes behind them */
	size_t n;
};

/* Uploads go to the registry itself: to another host our credentials must not follow. */
static int take_location(struct fetch_upload *u, const struct fetch_request *q, struct hr_err *e)
{
	HR_CLEANUP(fetch_url_release) struct fetch_url home = { 0 }, to = { 0 };
	bool tls = !fetch_client_is_plain(q->client, q->registry);

	if (!q->location)
		return u->target ? 0
				 : hr_fail(e, HR_NET, 0,
					   "registry '%s' begins an upload without a Location",
					   q->registry);
	if (fetch_registry_url(q->registry, tls, q->target, &home, e) < 0)
		return -1;
	if (fetch_url_join(&home, q->location, &to, e) < 0) {
		e->kind = HR_NET;
		return hr_wrap(e, "registry '%s' names no valid address for the upload of %s",
			       q->registry, q->what);
	}
	/* behind a proxy that ends TLS registries know neither their scheme nor their port */
	if (strcmp(to.host, home.host) != 0)
		return hr_fail(
			e, HR_DENIED, 0,
			"registry '%s' wants the upload of %s sent to '%s', which is refused",
			q->registry, q->what, to.host);
	free(u->target);
	u->target = hr_steal(&to.target);
	return 0;
}

static int begin(struct fetch_upload *u, struct hr_err *e)
{
	hr_autofree char *target = hr_xasprintf("/v2/%s/blobs/uploads/", u->k.ref->repo);
	HR_CLEANUP(fetch_request_release) struct fetch_request q = request(&u->k, "POST", target);

	free(u->target);
	u->target = NULL;
	u->at = 0;
	return ask_again(&q, e) < 0 ? -1 : take_location(u, &q, e);
}

static void drop_front(struct fetch_upload *u, size_t n)
{
	memmove(u->piece, u->piece + n, u->n - n);
	u->n -= n;
	u->at += n;
}

/* How much of the upload has the registry? Drops that from the piece. */
static int look(struct fetch_upload *u, struct hr_err *e)
{
	HR_CLEANUP(fetch_request_release) struct fetch_request q = request(&u->k, "GET", u->target);
	uint64_t has;

	if (ask_again(&q, e) < 0 || take_location(u, &q, e) < 0)
		return hr_wrap(e, "the upload was interrupted");
	if (!fetch_upload_range_parse(q.range, &has) || has < u->at || has > u->at + u->n)
		return hr_fail(e, HR_NET, 0,
			       "registry '%s' has '%.40s' of an upload of which %" PRIu64
			       " to %" PRIu64 " bytes were sent",
			       q.registry, q.range ? q.range : "", u->at, u->at + u->n);
	drop_front(u, (size_t)(has - u->at));
	return 0;
}

/* Send the piece; afterwards it is empty. */
static int send_piece(struct fetch_upload *u, struct hr_err *e)
{
	struct fetch_retry retry = { 0 };

	while (u->n > 0) {
		hr_autofree char *range =
			hr_xasprintf("%" PRIu64 "-%" PRIu64, u->at, u->at + u->n - 1);
		HR_CLEANUP(fetch_request_release)
		struct fetch_request q = request(&u->k, "PATCH", u->target);
		struct fetch_failure f;

		q.data = u->piece;
		q.data_len = u->n;
		q.data_range = range;
		if (fetch_request_once(&q, &f, e) == 0) {
			drop_front(u, u->n);
			return take_location(u, &q, e);
		}
		if (f.status == 416)
			f.again = FETCH_AGAIN_WRONG; /* it has more or less than we know of */
		if (fetch_retry_wait(q.client, &retry, &f, e) < 0 || look(u, e) < 0)
			return -1;
	}
	return 0;
}

/* The last request names the digest; it may carry the N bytes at P. */
static int end(const struct fetch_upload *u, const struct fetch_digest *d, const void *p, size_t n,
	       struct fetch_failure *f, struct hr_err *e)
{
	char text[FETCH_DIGEST_TEXT];
	hr_autofree char *target =
		hr_xasprintf("%s%sdigest=%s", u->target, strchr(u->target, '?') ? "&" : "?",
			     fetch_digest_text(d, text));
	HR_CLEANUP(fetch_request_release) struct fetch_request q = request(&u->k, "PUT", target);

	q.data = p;
	q.data_len = n;
	return fetch_request_once(&q, f, e);
}

int fetch_upload_begin(struct fetch_client *c, const struct fetch_ref *ref,
		       struct fetch_upload **out, struct hr_err *e)
{
	HR_CLEANUP(fetch_upload_freep) struct fetch_upload *u = hr_xmalloc(sizeof(*u));

	u->k = call_for(c, ref, hr_xasprintf("a layer of '%s'", ref->repo));
	u->piece = hr_xmalloc(PIECE_BYTES);
	if (begin(u, e) < 0)
		return -1;
	*out = hr_steal(&u);
	return 0;
}

int fetch_upload_add(void *upload, const void *p, size_t n, struct hr_err *e)
{
	struct fetch_upload *u = upload;
	const uint8_t *bytes = p;

	while (n > 0) {
		size_t some = PIECE_BYTES - u->n < n ? PIECE_BYTES - u->n : n;

		memcpy(u->piece + u->n, bytes, some);
		u->n += some;
		bytes += some;
		n -= some;
		if (u->n == PIECE_BYTES && send_piece(u, e) < 0)
			return -1;
	}
	return 0;
}

int fetch_upload_end(struct fetch_upload *u, const struct fetch_digest *d, struct hr_err *e)
{
	struct fetch_retry retry = { 0 };
	struct fetch_failure f;

	if (send_piece(u, e) < 0)
		return -1;
	while (end(u, d, "", 0, &f, e) < 0) {
		struct hr_err asked = { 0 };
		bool there = false;

		if (fetch_retry_wait(u->k.client, &retry, &f, e) < 0)
			return -1;
		/* it may have been the answer that was lost */
		if (fetch_blob_exists(u->k.client, u->k.ref, d, &there, &asked) == 0 && there)
			return 0;
	}
	return 0;
}

void fetch_upload_free(struct fetch_upload *u)
{
	if (!u)
		return;
	call_release(&u->k);
	free(u->target);
	free(u->piece);
	free(u);
}

void fetch_upload_freep(struct fetch_upload **u)
{
	fetch_upload_free(*u);
}

int fetch_blob_put(struct fetch_client *c, const struct fetch_ref *ref,
		   const struct fetch_digest *d, const void *p, size_t n, struct hr_err *e)
{
	HR_CLEANUP(call_release) struct call k = call_for_blob(c, ref, d);
	struct fetch_upload u = { .k = k };
	struct fetch_retry retry = { 0 };
	struct fetch_failure f = { 0 };
	int r;

	for (;;) { /* each time from the beginning: it is small */
		r = begin(&u, e);
		if (r < 0 || end(&u, d, p, n, &f, e) == 0)
			break;
		r = -1;
		if (fetch_retry_wait(c, &retry, &f, e) < 0)
			break;
	}
	free(u.target);
	return r;
}

int fetch_manifest_put(struct fetch_client *c, const struct fetch_ref *ref, const char *media_type,
		       const void *p, size_t n, struct hr_err *e)
{
	HR_CLEANUP(call_release)
	struct call k =
		call_for(c, ref, hr_xasprintf("the manifest of '%s:%s'", ref->repo, ref->tag));
	hr_autofree char *target = hr_xasprintf("/v2/%s/manifests/%s", ref->repo, ref->tag);
	HR_CLEANUP(fetch_request_release) struct fetch_request q = request(&k, "PUT", target);

	q.data = p;
	q.data_len = n;
	q.content_type = media_type;
	return ask_again(&q, e);
}
