/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/http.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "fetch/fetch.h"
#include "fetch/hold.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define HEADERS_MAX	   65536
#define DNS_CACHE_S	   5L /* libcurl's 60 would outlast the retries to an address that is dead */
#define CONNECT_TIMEOUT_MS 10000L
#define HURRY_CONNECT_MS   2000L /* what is lost of a handshake is sent again after 1 s */
#define HURRY_STALL_S	   3u	 /* more than that, so that it is the connection that is named */
#define STALL_BYTES_PER_S  1024
#define CANCEL_POLL_MS	   100 /* how late a cancellation may be noticed */
#define RECEIVE_BUFFER	   (512L * 1024)
#define IDLE_MAX	   32

/*
 * A handle with a multi of its own: the multi keeps the handle's connections between requests, and
 * its poll can be left to look at the cancel flag, which curl_easy_perform only does once a second.
 */
struct line {
	CURL *easy;
	CURLM *multi;
	struct fetch_url last; /* whom it spoke to last; host NULL when nobody */
};

struct fetch_http {
	char *ca_file, *proxy;
	bool ca_by_name;       /* the system has its authorities in files named by hash */
	atomic_bool ca_bundle; /* one was not among them: the bundle is read, too */
	const atomic_bool *cancel;
	unsigned int stall_s;
	atomic_bool hurry;
	CURLSH *share;
	pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST];
	pthread_mutex_t lock; /* of idle, n_idle */
	struct line idle[IDLE_MAX];
	size_t n_idle;
	struct fetch_holds holds;
};

/* One request on its way. */
struct exchange {
	struct fetch_http *http;
	const struct fetch_http_request *request;
	struct fetch_http_reply *reply;
	struct hr_err *e;
	CURL *easy;
	bool ca_by_name; /* in this try */
	size_t header_bytes;
	bool headers_too_large;
	uint64_t window_start_ns, window_bytes; /* stall detection */
	uint64_t sent;				/* bytes of the request's data, as last looked at */
	char curl_text[CURL_ERROR_SIZE];
};

struct fetch_about fetch_about(void)
{
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);

	return (struct fetch_about) { .curl = v->version,
				      .tls = v->ssl_version ? v->ssl_version : "none",
				      .http2 = v->features & CURL_VERSION_HTTP2 };
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool is_cancelled(const struct fetch_http *h)
{
	return h->cancel && atomic_load_explicit(h->cancel, memory_order_relaxed);
}

/* ---- the pool ---- */

static void share_lock(CURL *easy, curl_lock_data what, curl_lock_access access, void *arg)
{
	struct fetch_http *h = arg;

	(void)easy;
	(void)access;
	pthread_mutex_lock(&h->share_locks[what]);
}

static void share_unlock(CURL *easy, curl_lock_data what, void *arg)
{
	struct fetch_http *h = arg;

	(void)easy;
	pthread_mutex_unlock(&h->share_locks[what]);
}

static CURLcode global_result;

static void global_init(void)
{
	global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/*
 * Authorities by name are read as they are needed; the bundle, with the same ones, is parsed whole
 * for each connection: 40 ms with OpenSSL 3.0.
 */
static bool has_ca_by_name(void)
{
#if LIBCURL_VERSION_NUM >= 0x074600
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);

	return v->age >= CURLVERSION_SEVENTH && v->capath && v->cainfo;
#else
	return false;
#endif
}

int fetch_http_new(const struct fetch_http_options *o, struct fetch_http **out, struct hr_err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct fetch_http *h;

	pthread_once(&once, global_init);
	if (global_result != CURLE_OK)
		return hr_fail(e, HR_SYS, 0, "cannot start libcurl: %s",
			       curl_easy_strerror(global_result));
	h = hr_xmalloc(sizeof(*h));
	h->ca_file = o->ca_file ? hr_xstrdup(o->ca_file) : NULL;
	h->proxy = o->proxy ? hr_xstrdup(o->proxy) : NULL;
	h->ca_by_name = !h->ca_file && has_ca_by_name();
	h->cancel = o->cancel;
	h->stall_s = o->stall_s;
	pthread_mutex_init(&h->lock, NULL);
	fetch_holds_init(&h->holds);
	for (size_t i = 0; i < HR_COUNT(h->share_locks); i++)
		pthread_mutex_init(&h->share_locks[i], NULL);
	h->share = curl_share_init();
	HR_BUG_ON(!h->share);
	curl_share_setopt(h->share, CURLSHOPT_USERDATA, h);
	curl_share_setopt(h->share, CURLSHOPT_LOCKFUNC, share_lock);
	curl_share_setopt(h->share, CURLSHOPT_UNLOCKFUNC, share_unlock);
	/* Connections are not shared: libcurl does not allow it between threads. */
	curl_share_setopt(h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	curl_share_setopt(h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	*out = h;
	return 0;
}

void fetch_http_hurry(struct fetch_http *h, bool on)
{
	atomic_store(&h->hurry, on);
}

static void line_close(struct line *l)
{
	if (l->easy)
		curl_easy_cleanup(l->easy);
	if (l->multi)
		curl_multi_cleanup(l->multi);
	fetch_url_release(&l->last);
	memset(l, 0, sizeof(*l));
}

void fetch_http_free(struct fetch_http *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n_idle; i++)
		line_close(&h->idle[i]);
	curl_share_cleanup(h->share);
	for (size_t i = 0; i < HR_COUNT(h->share_locks); i++)
		pthread_mutex_destroy(&h->share_locks[i]);
	pthread_mutex_destroy(&h->lock);
	fetch_holds_release(&h->holds);
	free(h->ca_file);
	free(h->proxy);
	free(h);
}

/* Take an idle line out, one that spoke to this origin if there is one; else a new line. */
static int line_take(struct fetch_http *h, const struct fetch_url *u, struct line *out,
		     struct hr_err *e)
{
	pthread_mutex_lock(&h->lock);
	if (h->n_idle > 0) {
		size_t best = h->n_idle - 1;

		for (size_t i = 0; i < h->n_idle; i++)
			if (fetch_url_same_origin(&h->idle[i].last, u))
				best = i;
		*out = h->idle[best];
		h->idle[best] = h->idle[--h->n_idle];
		pthread_mutex_unlock(&h->lock);
		return 0;
	}
	pthread_mutex_unlock(&h->lock);
	memset(out, 0, sizeof(*out));
	out->easy = curl_easy_init();
	out->multi = curl_multi_init();
	if (!out->easy || !out->multi) {
		line_close(out);
		return hr_fail(e, HR_SYS, ENOMEM, "cannot make a libcurl handle");
	}
	return 0;
}

static void line_give(struct fetch_http *h, const struct fetch_url *u, struct line *l)
{
	bool kept;

	fetch_url_release(&l->last);
	l->last = (struct fetch_url) {
		.tls = u->tls, .host = hr_xstrdup(u->host), .port = u->port, .target = NULL
	};
	/* also forgets the request's headers, which may hold a credential */
	curl_easy_reset(l->easy);
	pthread_mutex_lock(&h->lock);
	kept = h->n_idle < IDLE_MAX;
	if (kept)
		h->idle[h->n_idle++] = *l;
	pthread_mutex_unlock(&h->lock);
	if (!kept)
		line_close(l);
}

/* ---- the reply ---- */

void fetch_http_reply_release(struct fetch_http_reply *r)
{
	free(r->location);
	free(r->content_range);
	free(r->content_encoding);
	free(r->retry_after);
	free(r->etag);
	free(r->last_modified);
	free(r->range);
	hr_strv_release(&r->challenges);
	memset(r, 0, sizeof(*r));
}

/* The value of "NAME: value" in LINE, trimmed and allocated; NULL when it is another header. */
static char *header_value(const char *line, size_t n, const char *name)
{
	size_t k = strlen(name);

	if (n <= k || strncasecmp(line, name, k) != 0 || line[k] != ':')
		return NULL;
	for (k++; k < n && (line[k] == ' ' || line[k] == '\t'); k++)
		;
	while (n > k && (line[n - 1] == '\r' || line[n - 1] == '\n' || line[n - 1] == ' ' ||
			 line[n - 1] == '\t'))
		n--;
	return hr_xstrndup(line + k, n - k);
}

static void keep_header(struct fetch_http_reply *r, const char *line, size_t n)
{
	const struct {
		const char *name;
		char **field;
	} fields[] = {
		{ "Location", &r->location },
		{ "Content-Range", &r->content_range },
		{ "Content-Encoding", &r->content_encoding },
		{ "Retry-After", &r->retry_after },
		{ "ETag", &r->etag },
		{ "Last-Modified", &r->last_modified },
		{ "Range", &r->range },
	};
	char *value = header_value(line, n, "WWW-Authenticate");

	if (value) {
		hr_strv_take(&r->challenges, value);
		return;
	}
	for (size_t i = 0; i < HR_COUNT(fields); i++) {
		value = header_value(line, n, fields[i].name);
		if (value && !*fields[i].field)
			*fields[i].field = value; /* the first of several counts */
		else
			free(value);
	}
}

static void end_of_headers(struct exchange *x)
{
	struct fetch_http_reply *r = x->reply;
	curl_off_t length = -1;
	long status = 0;

	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(x->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	r->status = (int)status;
	r->has_length = length >= 0;
	r->length = length >= 0 ? (uint64_t)length : 0;
}

/* libcurl hands over one whole line at a time. */
static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;

	n *= size;
	x->header_bytes += n;
	x->headers_too_large = x->header_bytes > HEADERS_MAX;
	if (x->headers_too_large)
		return 0;
	if (n >= 5 && memcmp(p, "HTTP/", 5) == 0)
		fetch_http_reply_release(x->reply); /* what came before was a 1xx */
	else if (p[0] == '\r' || p[0] == '\n')
		end_of_headers(x);
	else
		keep_header(x->reply, p, n);
	return n;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	uint64_t before = now_ns();

	n *= size;
	if (x->request->body(x->request->arg, x->reply, p, n, x->e) < 0)
		return 0;
	/* time in which we did not read is not the server's fault */
	x->window_start_ns += now_ns() - before;
	x->window_bytes += n;
	return n;
}

/* ---- one request ---- */

/* A string option that cannot be set would silently weaken the request, so it must not fail. */
#define SET(easy, option, value) HR_BUG_ON(curl_easy_setopt(easy, option, value) != CURLE_OK)

static void set_policy(const struct fetch_http *h, CURL *easy)
{
	SET(easy, CURLOPT_NOSIGNAL, 1L);
	SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
	SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	SET(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	SET(easy, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a resolver that hangs */
#endif
	SET(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	/* one stream for each connection: HTTP/2 would add framing and flow control, no speed */
	SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(easy, CURLOPT_PATH_AS_IS, 1L); /* signed URLs are signed as they are written */
	SET(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	SET(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(easy, CURLOPT_CONNECTTIMEOUT_MS,
	    atomic_load(&h->hurry) ? HURRY_CONNECT_MS : CONNECT_TIMEOUT_MS);
	SET(easy, CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_S);
	/* refused while an earlier transfer's buffer is still there; then that one is used */
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
	SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	SET(easy, CURLOPT_USERAGENT, "hpcrun/" PACKAGE_VERSION);
}

static void set_route(const struct exchange *x, CURL *easy)
{
	const struct fetch_url *u = x->request->url;
	const struct fetch_http *h = x->http;
	hr_autofree char *text = fetch_url_text(u);

	SET(easy, CURLOPT_URL, text);
	SET(easy, CURLOPT_SHARE, h->share);
	if (h->ca_file)
		SET(easy, CURLOPT_CAINFO, h->ca_file);
	else if (x->ca_by_name)
		SET(easy, CURLOPT_CAINFO, NULL);
	if (fetch_host_is_loopback(u->host))
		SET(easy, CURLOPT_PROXY, ""); /* none, whatever the environment says */
	else if (h->proxy)
		SET(easy, CURLOPT_PROXY, h->proxy);
}

static void add_header(struct curl_slist **l, const char *name, const char *value)
{
	hr_autofree char *text = hr_xasprintf("%s: %s", name, value);
	struct curl_slist *more = curl_slist_append(*l, text);

	HR_BUG_ON(!more);
	explicit_bzero(text, strlen(text));
	*l = more;
}

/* A method with or without data, in place of GET. */
static void set_method(struct exchange *x, struct curl_slist **headers)
{
	const struct fetch_http_request *q = x->request;

	if (strcmp(q->method, "HEAD") == 0) {
		SET(x->easy, CURLOPT_NOBODY, 1L);
		return;
	}
	SET(x->easy, CURLOPT_POST, 1L);
	SET(x->easy, CURLOPT_CUSTOMREQUEST, q->method);
	SET(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->data_len);
	SET(x->easy, CURLOPT_POSTFIELDS, q->data ? q->data : "");
	add_header(headers, "Content-Type",
		   q->content_type ? q->content_type : "application/octet-stream");
	if (q->data_range)
		add_header(headers, "Content-Range", q->data_range);
	/* to wait for a "100 Continue" costs a round trip or 1 s */
	add_header(headers, "Expect", "");
}

static struct curl_slist *set_request(struct exchange *x)
{
	const struct fetch_http_request *q = x->request;
	struct curl_slist *headers = NULL;

	add_header(&headers, "Accept-Encoding", "identity");
	if (q->accept)
		add_header(&headers, "Accept", q->accept);
	if (q->authorization)
		add_header(&headers, "Authorization", q->authorization);
	if (q->fresh)
		add_header(&headers, "Cache-Control", "no-cache");
	if (q->from > 0 || q->count > 0) {
		hr_autofree char *last =
			q->count > 0 ? hr_xasprintf("%" PRIu64, q->from + q->count - 1) : NULL;
		hr_autofree char *range =
			hr_xasprintf("bytes=%" PRIu64 "-%s", q->from, last ? last : "");

		add_header(&headers, "Range", range);
	}
	if (q->form)
		SET(x->easy, CURLOPT_POSTFIELDS, q->form);
	if (q->method)
		set_method(x, &headers);
	SET(x->easy, CURLOPT_HTTPHEADER, headers);
	SET(x->easy, CURLOPT_HEADERFUNCTION, on_header);
	SET(x->easy, CURLOPT_HEADERDATA, x);
	SET(x->easy, CURLOPT_WRITEFUNCTION, on_body);
	SET(x->easy, CURLOPT_WRITEDATA, x);
	SET(x->easy, CURLOPT_ERRORBUFFER, x->curl_text);
	return headers;
}

static int interrupted(struct hr_err *e)
{
	return hr_fail(e, HR_SYS, EINTR, "download stopped");
}

/* What was sent counts as what came does. */
static void count_sent(struct exchange *x)
{
	curl_off_t sent = 0;

	if (curl_easy_getinfo(x->easy, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK &&
	    (uint64_t)sent > x->sent) {
		x->window_bytes += (uint64_t)sent - x->sent;
		x->sent = (uint64_t)sent;
	}
}

static uint64_t patience_s(const struct exchange *x)
{
	if (atomic_load(&x->http->hurry))
		return HURRY_STALL_S;
	return x->request->stall_s ? x->request->stall_s : x->http->stall_s;
}

/* Cancelled, or too slow since the window opened? */
static int check_going_on(struct exchange *x)
{
	uint64_t stall_s = patience_s(x);
	uint64_t now = now_ns();

	if (is_cancelled(x->http))
		return interrupted(x->e);
	/* a body callback that ends between two readings of the clock may put the start ahead */
	if (now < x->window_start_ns || now - x->window_start_ns < stall_s * 1000000000u)
		return 0;
	count_sent(x);
	if (x->window_bytes < stall_s * STALL_BYTES_PER_S) {
		x->reply->again = FETCH_AGAIN_BROKEN;
		return hr_fail(x->e, HR_NET, 0, "only %llu bytes %s within %llu s",
			       (unsigned long long)x->window_bytes,
			       x->request->data ? "went" : "came", (unsigned long long)stall_s);
	}
	x->window_start_ns = now;
	x->window_bytes = 0;
	return 0;
}

/* Drive the transfer to its end; its result in *code. -1: stopped by us. */
static int drive(struct exchange *x, CURLM *multi, CURLcode *code)
{
	int running = 1, left;
	CURLMsg *m;

	while (running > 0) {
		CURLMcode mc = curl_multi_perform(multi, &running);

		if (mc == CURLM_OK && running > 0) {
			if (check_going_on(x) < 0)
				return -1;
			mc = curl_multi_poll(multi, NULL, 0, CANCEL_POLL_MS, NULL);
		}
		if (mc != CURLM_OK)
			return hr_fail(x->e, HR_SYS, 0, "libcurl: %s", curl_multi_strerror(mc));
	}
	*code = CURLE_RECV_ERROR;
	while ((m = curl_multi_info_read(multi, &left)))
		if (m->msg == CURLMSG_DONE)
			*code = m->data.result;
	return 0;
}

/* What libcurl's result means for a next try, and to the user. */
static const struct outcome {
	CURLcode code;
	enum fetch_again again;
	const char *hint;
} outcomes[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, FETCH_AGAIN_UNREACHED,
	  "is the host name spelled right? a node that sees no other network needs a proxy "
	  "(https_proxy), or an image that was pulled before" },
	{ CURLE_COULDNT_RESOLVE_PROXY, FETCH_AGAIN_UNREACHED,
	  "the proxy comes from hpcrun.conf or from http_proxy and https_proxy" },
	{ CURLE_COULDNT_CONNECT, FETCH_AGAIN_UNREACHED,
	  "does the server run, and does this machine need a proxy to reach it (https_proxy)?" },
	{ CURLE_SSL_CONNECT_ERROR, FETCH_AGAIN_UNREACHED,
	  "does the server speak plain http? a URL says so by 'http://', a registry's host by "
	  "'insecure_registry = HOST' in hpcrun.conf" },
	{ CURLE_PEER_FAILED_VERIFICATION, FETCH_AGAIN_NEVER,
	  "a site's own authority is named by 'ca_file' in hpcrun.conf; a clock that is wrong by "
	  "months breaks certificates, too" },
	{ CURLE_SSL_CACERT_BADFILE, FETCH_AGAIN_NEVER, "see 'ca_file' in hpcrun.conf" },
	{ CURLE_OPERATION_TIMEDOUT, FETCH_AGAIN_BROKEN,
	  "is the server up, and does a firewall let this machine reach it, or a proxy "
	  "(https_proxy)?" },
	{ CURLE_PARTIAL_FILE, FETCH_AGAIN_BROKEN, NULL },
	{ CURLE_RECV_ERROR, FETCH_AGAIN_BROKEN, NULL },
	{ CURLE_SEND_ERROR, FETCH_AGAIN_BROKEN, NULL },
	{ CURLE_GOT_NOTHING, FETCH_AGAIN_BROKEN, NULL },
	{ CURLE_WEIRD_SERVER_REPLY, FETCH_AGAIN_BROKEN, NULL },
	{ CURLE_UNSUPPORTED_PROTOCOL, FETCH_AGAIN_BROKEN, NULL }, /* "HTTP/0.9 not allowed" */
	{ CURLE_HTTP2, FETCH_AGAIN_BROKEN, NULL },
};

/* Did the request get as far as the server? A proxy that refuses us, or packets that vanish, do not
 * count: a wrong name looks the same. */
static bool was_reached(CURL *easy)
{
	curl_off_t us = 0;

	curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &us);
	return us > 0;
}

static int fail_transfer(struct exchange *x, CURLcode code)
{
	const char *hint = NULL;

	if (x->headers_too_large)
		return hr_fail(x->e, HR_NET, 0, "the reply has more than %d bytes of headers",
			       HEADERS_MAX);
	for (size_t i = 0; i < HR_COUNT(outcomes); i++)
		if (outcomes[i].code == code) {
			x->reply->again = outcomes[i].again;
			hint = outcomes[i].hint;
		}
	if (x->reply->again == FETCH_AGAIN_BROKEN && !was_reached(x->easy))
		x->reply->again = FETCH_AGAIN_UNREACHED;
	x->reply->no_tls = code == CURLE_SSL_CONNECT_ERROR && x->reply->status == 0;
	hr_fail(x->e, HR_NET, 0, "%s", x->curl_text[0] ? x->curl_text : curl_easy_strerror(code));
	if (hint)
		hr_hint(x->e, "%s", hint);
	return -1;
}

static void wipe_headers(struct curl_slist *l)
{
	for (struct curl_slist *i = l; i; i = i->next)
		explicit_bzero(i->data, strlen(i->data));
	curl_slist_free_all(l);
}

/* 1: nothing was sent, and it can be tried again with all authorities that there are. */
static int try(struct exchange *x, struct hr_err *e)
{
	struct fetch_http *h = x->http;
	struct curl_slist *headers;
	CURLcode code = CURLE_OK;
	struct line l;
	int result;

	if (line_take(h, x->request->url, &l, e) < 0)
		return -1;
	x->easy = l.easy;
	x->ca_by_name = h->ca_by_name && !atomic_load(&h->ca_bundle);
	set_policy(h, l.easy);
	set_route(x, l.easy);
	headers = set_request(x);
	x->window_start_ns = now_ns();
	HR_BUG_ON(curl_multi_add_handle(l.multi, l.easy) != CURLM_OK);
	result = drive(x, l.multi, &code);
	curl_multi_remove_handle(l.multi, l.easy);
	wipe_headers(headers);
	if (result == 0 && code == CURLE_OK && e->kind == HR_OK) {
		line_give(h, x->request->url, &l);
		return 0;
	}
	if (code == CURLE_PEER_FAILED_VERIFICATION && x->ca_by_name)
		result = 1;
	else if (result == 0 && e->kind == HR_OK)
		fail_transfer(x, code);
	line_close(&l); /* its connection is broken or in the middle of a reply */
	return result == 1 ? 1 : -1;
}

int fetch_http_perform(struct fetch_http *h, const struct fetch_http_request *q,
		       struct fetch_http_reply *r, struct hr_err *e)
{
	struct exchange x = { .http = h, .request = q, .reply = r, .e = e };
	int result;

	if (is_cancelled(h))
		return interrupted(e);
	if (fetch_hold_check(&h->holds, q->url, e) < 0) {
		r->again = FETCH_AGAIN_BUSY;
		return -1;
	}
	result = try(&x, e);
	if (result == 1) {
		atomic_store(&h->ca_bundle, true);
		result = try(&x, e);
	}
	if (result == 0)
		fetch_hold_note(&h->holds, q->url, r);
	return result;
}

int fetch_http_pause(struct fetch_http *h, uint64_t ms, struct hr_err *e)
{
	uint64_t end = now_ns() + ms * 1000000u;

	for (;;) {
		uint64_t now = now_ns(), left;
		struct timespec t = { 0 };

		if (is_cancelled(h))
			return interrupted(e);
		if (now >= end)
			return 0;
		left = end - now;
		t.tv_nsec =
			left < CANCEL_POLL_MS * 1000000u ? (long)left : CANCEL_POLL_MS * 1000000L;
		nanosleep(&t, NULL);
	}
}
