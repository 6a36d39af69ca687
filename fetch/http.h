/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One HTTP request and its reply. Private to fetch/; http.c is the only file that knows libcurl.
 *
 * For: moving bytes, time-outs, TLS, proxies, cancellation. Not for: redirects, credentials,
 * retries (request.c): what is asked here goes to exactly the host in the URL, once.
 *
 * Sequence: fetch_http_new(); for each request a zeroed struct fetch_http_reply,
 * fetch_http_perform(), fetch_http_reply_release(); fetch_http_free().
 */
#ifndef FETCH_HTTP_H
#define FETCH_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fetch/url.h"
#include "util/err.h"
#include "util/mem.h"

/* Connections kept open between requests, and their names and TLS sessions. */
struct fetch_http;

struct fetch_http_options {
	const char *ca_file;	   /* copied, or NULL */
	const char *proxy;	   /* copied, or NULL: the environment's */
	const atomic_bool *cancel; /* borrowed, or NULL */
	unsigned int stall_s;	   /* give up after so long below 1 KiB/s */
};

/* Whether the same request may go better next time. */
enum fetch_again {
	FETCH_AGAIN_NEVER,
	FETCH_AGAIN_UNREACHED, /* the server was never spoken to: a wrong name looks the same */
	FETCH_AGAIN_BROKEN,    /* it was, and the connection broke or stalled */
	FETCH_AGAIN_BUSY,      /* it asks for patience: 429, 5xx (set by request.c) */
	FETCH_AGAIN_WRONG      /* its bytes cannot be right (set by request.c and registry.c) */
};

/* What came back, header by header as far as anyone here asks; values are the server's words. */
struct fetch_http_reply {
	int status;							 /* 0: no reply came */
	char *location, *content_range, *content_encoding, *retry_after; /* or NULL */
	char *etag, *last_modified;					 /* or NULL */
	char *range;		   /* of an upload: what the registry has of it, "0-1023" */
	struct hr_strv challenges; /* the values of WWW-Authenticate */
	bool has_length;
	uint64_t length; /* Content-Length */

	enum fetch_again again; /* after a failure */
	bool no_tls;		/* after a failure: the peer does not seem to speak TLS */
};

/*
 * Receives a body's bytes in order; R's header fields are filled. -1 with *e filled stops the
 * transfer, and that failure is the request's.
 */
typedef int fetch_http_body(void *arg, const struct fetch_http_reply *r, const void *p, size_t n,
			    struct hr_err *e);

struct fetch_http_request {
	const struct fetch_url *url;
	const char *accept;	   /* or NULL */
	const char *authorization; /* the header's value, or NULL; never in a message */
	const char *form;	   /* body of a POST, or NULL: GET */
	const char *method;	   /* another one, with DATA unless it is HEAD, or NULL */
	const void *data;	   /* DATA_LEN bytes of CONTENT_TYPE */
	size_t data_len;
	const char *content_type, *data_range; /* data_range: Content-Range, or NULL */
	unsigned int stall_s;		       /* in place of the client's; 0: that */
	uint64_t from;			       /* first byte wanted */
	uint64_t count; /* bytes wanted from there; 0: all. Without both, no Range is sent */
	bool fresh;	/* caches on the way are not to answer from what they keep */
	fetch_http_body *body;
	void *arg;
};

int fetch_http_new(const struct fetch_http_options *o, struct fetch_http **out,
		   struct hr_err *e) HR_MUST_USE;
void fetch_http_free(struct fetch_http *h);
/* From now on, or no longer: fetch_client_hurry(). */
void fetch_http_hurry(struct fetch_http *h, bool on);

/*
 * Send one request and read the whole reply, whatever its status.
 *
 * Bounds:  64 KiB of headers; 10 s to connect (with TLS); STALL_S below 1 KiB/s both ways, without
 *          the time that BODY takes. The body is not bounded here: BODY does that.
 * Owns:    *r's strings, on success and failure; fetch_http_reply_release frees them.
 * Errors:  HR_NET with r->again telling whether a retry may help; HR_SYS with EINTR when cancelled;
 *          what BODY returned.
 * Threads: any number on one H.
 */
int fetch_http_perform(struct fetch_http *h, const struct fetch_http_request *q,
		       struct fetch_http_reply *r, struct hr_err *e) HR_MUST_USE;
void fetch_http_reply_release(struct fetch_http_reply *r);

/* Sleep, until cancelled: HR_SYS with EINTR then. */
int fetch_http_pause(struct fetch_http *h, uint64_t ms, struct hr_err *e) HR_MUST_USE;

#endif
