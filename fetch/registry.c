/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/fetch.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "fetch/client.h"
#include "fetch/header.h"
#include "fetch/request.h"
#include "fetch/token.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

#define STALL_S	       20
#define RETRY_S	       300
#define PROGRESS_BYTES (64u * 1024) /* fewer new bytes than this do not count as progress */

static const char accept_manifests[] = "application/vnd.oci.image.index.v1+json, "
				       "application/vnd.oci.image.manifest.v1+json, "
				       "application/vnd.docker.distribution.manifest.list.v2+json, "
				       "application/vnd.docker.distribution.manifest.v2+json";

/* ---- the client ---- */

/*
 * Who holds passwords and tokens leaves no core file. A limit of 0 is not asked where cores go to a
 * program (core(5), "Piping core dumps to a program"), one of 1 byte keeps them from both.
 */
static void leave_no_core(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_CORE, &r) < 0 || r.rlim_max == 0)
		return;
	r.rlim_cur = r.rlim_max = 1;
	(void)setrlimit(RLIMIT_CORE, &r); /* lowering is always allowed */
}

int fetch_client_new(const struct fetch_options *o, struct fetch_client **out, struct hr_err *e)
{
	const struct fetch_http_options h = {
		.ca_file = o->ca_file ? o->ca_file : getenv("SSL_CERT_FILE"),
		.proxy = o->proxy,
		.cancel = o->cancel,
		.stall_s = o->stall_s ? o->stall_s : STALL_S,
	};
	struct fetch_client *c = hr_xmalloc(sizeof(*c));

	leave_no_core();
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->login_changed, NULL);
	c->retry_ms = 1000 * (uint64_t)(o->retry_s ? o->retry_s : RETRY_S);
	if (fetch_client_allow_plain(c, o->insecure_registries, e) < 0 ||
	    fetch_http_new(&h, &c->http, e) < 0) {
		fetch_client_free(c);
		return -1;
	}
	*out = c;
	return 0;
}

void fetch_client_hurry(struct fetch_client *c, bool on)
{
	fetch_http_hurry(c->http, on);
}

void fetch_client_free(struct fetch_client *c)
{
	if (!c)
		return;
	fetch_client_forget_peers(c);
	fetch_login_list_free(c->logins);
	fetch_http_free(c->http);
	pthread_cond_destroy(&c->login_changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- manifests ---- */

static int on_document(void *arg, const struct fetch_http_reply *r, const void *p, size_t n,
		       struct hr_err *e)
{
	struct hr_buf *doc = arg;

	(void)r;
	if (doc->len + n > FETCH_MANIFEST_LIMIT)
		return hr_fail(e, HR_CORRUPT, 0, "the document is larger than %u bytes",
			       FETCH_MANIFEST_LIMIT);
	hr_buf_add(doc, p, n);
	return 0;
}

/* The digest was asked for by the caller, so only its bytes will do. */
static int check_document(const struct fetch_ref *ref, const struct fetch_digest *got,
			  struct fetch_failure *f, struct hr_err *e)
{
	char is[FETCH_DIGEST_TEXT], should[FETCH_DIGEST_TEXT];

	if (!ref->has_digest || fetch_digest_equal(got, &ref->digest))
		return 0;
	f->again = FETCH_AGAIN_WRONG;
	return hr_fail(
		e, HR_CORRUPT, 0, "registry '%s' sent a document with the digest %s, expected %s",
		ref->registry, fetch_digest_text(got, is), fetch_digest_text(&ref->digest, should));
}

int fetch_manifest_get(struct fetch_client *c, const struct fetch_ref *ref, struct hr_buf *doc,
		       struct fetch_digest *digest, struct hr_err *e)
{
	char text[FETCH_DIGEST_TEXT];
	const char *name = ref->has_digest ? fetch_digest_text(&ref->digest, text) : ref->tag;
	hr_autofree char *target = hr_xasprintf("/v2/%s/manifests/%s", ref->repo, name);
	hr_autofree char *full = fetch_ref_text(ref);
	hr_autofree char *what = hr_xasprintf("the manifest of '%s'", full);
	HR_CLEANUP(fetch_request_release)
	struct fetch_request q = {
		.client = c,
		.registry = ref->registry,
		.repo = ref->repo,
		.target = target,
		.accept = accept_manifests,
		.what = what,
		.missing_hint = ref->has_digest ? "is the digest right, and the repository?"
						: "is the tag spelled right, and the repository?",
		.body = on_document,
	};
	struct fetch_retry retry = { 0 };

	for (;;) {
		hr_autobuf struct hr_buf bytes = { 0 };
		struct fetch_digest got;
		struct fetch_failure f;

		q.arg = &bytes;
		if (fetch_request_once(&q, &f, e) == 0) {
			fetch_digest_of(bytes.p, bytes.len, &got);
			if (check_document(ref, &got, &f, e) == 0) {
				hr_buf_add(doc, bytes.p, bytes.len);
				*digest = got;
				return 0;
			}
		}
		if (fetch_retry_wait(c, &retry, &f, e) < 0)
			return -1;
	}
}

/* ---- blobs ---- */

/* A blob on its way: how much of it has been handed on, and where this reply stands. */
struct blob {
	const struct fetch_descriptor *d;
	fetch_sink *sink;
	void *sink_arg;
	struct fetch_hash *hash;
	uint64_t done; /* bytes handed to the sink */
	uint64_t skip; /* bytes of this reply that the sink already has */
	bool checked;  /* this reply's headers were judged */
	bool whole;    /* ranges do not work here: ask for everything and skip */
	bool wrong;    /* this reply cannot be right */
};

/* Is this reply the rest of the blob, or all of it? Sets skip. */
static int check_reply(struct blob *b, const struct fetch_http_reply *r, struct hr_err *e)
{
	struct fetch_range range;

	b->checked = true;
	b->wrong = true;
	if (r->status == 200) {
		if (r->has_length && r->length != b->d->size)
			return hr_fail(e, HR_CORRUPT, 0,
				       "it has %" PRIu64 " bytes there, expected %" PRIu64,
				       r->length, b->d->size);
		b->skip = b->done;
	} else {
		uint64_t from = b->whole ? 0 : b->done;

		if (from == 0)
			return hr_fail(e, HR_NET, 0,
				       "a part came although the whole was asked for");
		if (!r->content_range || !fetch_range_parse(r->content_range, &range) ||
		    range.first != from || range.total != b->d->size ||
		    (r->has_length && r->length != range.last - range.first + 1))
			return hr_fail(e, HR_NET, 0,
				       "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64
				       " were asked for, '%.80s' came",
				       from, b->d->size - 1, b->d->size,
				       r->content_range ? r->content_range : "no Content-Range");
		b->skip = 0;
	}
	b->wrong = false;
	return 0;
}

/* Trying again elsewhere may give the right bytes, but these were handed on already. */
static int too_much(const struct blob *b, struct hr_err *e)
{
	return hr_fail(e, HR_CORRUPT, 0,
		       "the server sends more than the %" PRIu64 " bytes of blob %s", b->d->size,
		       fetch_digest_text(&b->d->digest, (char[FETCH_DIGEST_TEXT]) { 0 }));
}

static int on_blob(void *arg, const struct fetch_http_reply *r, const void *p, size_t n,
		   struct hr_err *e)
{
	const uint8_t *bytes = p;
	struct blob *b = arg;
	size_t skip;

	if (!b->checked && check_reply(b, r, e) < 0)
		return -1;
	skip = b->skip < n ? (size_t)b->skip : n;
	b->skip -= skip;
	bytes += skip;
	n -= skip;
	if (n == 0)
		return 0;
	if (n > b->d->size - b->done)
		return too_much(b, e);
	fetch_hash_add(b->hash, bytes, n);
	b->done += n;
	return b->sink(b->sink_arg, bytes, n, e);
}

/* One attempt for what is missing; afterwards b->done tells how far it went. */
static int blob_attempt(struct blob *b, struct fetch_request *q, struct fetch_failure *f,
			struct hr_err *e)
{
	int result;

	q->from = b->whole ? 0 : b->done;
	b->checked = false;
	b->wrong = false;
	result = fetch_request_once(q, f, e);
	if (b->wrong) {
		f->again = FETCH_AGAIN_WRONG;
		b->whole = true;
		hr_wrap(e, "cannot get %s from '%s'", q->what, q->registry);
		/* not from the same place again: a cache may hold the wrong bytes */
		fetch_url_release(&q->direct);
	}
	if (f->status == 416 && f->total != 0 && f->total != b->d->size) {
		struct hr_err mine = { 0 };

		hr_fail(&mine, HR_CORRUPT, 0,
			"registry '%s' has %" PRIu64 " bytes for %s, expected %" PRIu64,
			q->registry, f->total, q->what, b->d->size);
		*e = mine;
	} else if (f->status == 416 && !b->whole) {
		f->again = FETCH_AGAIN_WRONG;
		b->whole = true;
	}
	if (result == 0 && b->done < b->d->size) {
		f->again = FETCH_AGAIN_BROKEN;
		return hr_fail(e, HR_NET, 0,
			       "registry '%s' ends %s after %" PRIu64 " of %" PRIu64 " bytes",
			       q->registry, q->what, b->done, b->d->size);
	}
	return result;
}

static int blob_stream(struct blob *b, struct fetch_request *q, struct hr_err *e)
{
	struct fetch_retry retry = { 0 };
	uint64_t mark = 0;

	for (;;) {
		struct fetch_failure f;

		if (blob_attempt(b, q, &f, e) == 0)
			return 0;
		if (b->done - mark >= PROGRESS_BYTES) {
			mark = b->done;
			fetch_retry_progress(&retry);
		}
		if (fetch_retry_wait(q->client, &retry, &f, e) < 0)
			return -1;
	}
}

int fetch_blob_get(struct fetch_client *c, const struct fetch_ref *ref,
		   const struct fetch_descriptor *d, fetch_sink *sink, void *arg, struct hr_err *e)
{
	char text[FETCH_DIGEST_TEXT], got[FETCH_DIGEST_TEXT];
	HR_CLEANUP(fetch_hash_freep) struct fetch_hash *hash = fetch_hash_new();
	hr_autofree char *target =
		hr_xasprintf("/v2/%s/blobs/%s", ref->repo, fetch_digest_text(&d->digest, text));
	hr_autofree char *what = hr_xasprintf("blob %s of '%s'", text, ref->repo);
	struct blob b = { .d = d, .sink = sink, .sink_arg = arg, .hash = hash };
	HR_CLEANUP(fetch_request_release)
	struct fetch_request q = {
		.client = c,
		.registry = ref->registry,
		.repo = ref->repo,
		.target = target,
		.what = what,
		.missing_hint = "the image is incomplete in the registry; push it again",
		.body = on_blob,
		.arg = &b,
	};
	struct fetch_digest is;

	if (blob_stream(&b, &q, e) < 0)
		return -1;
	fetch_hash_end(hash, &is);
	if (!fetch_digest_equal(&is, &d->digest))
		return hr_fail(e, HR_CORRUPT, 0, "registry '%s' sent %s for %s", ref->registry,
			       fetch_digest_text(&is, got), what);
	return 0;
}
