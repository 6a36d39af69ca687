/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * URLs as this program accepts them, and the questions that decide where a credential may go.
 * Private to fetch/; pure.
 *
 * What is judged here is what goes on the wire: a URL is taken apart once, and the request is made
 * from the parts (fetch_url_text), so libcurl has nothing left to interpret in its own way.
 */
#ifndef FETCH_URL_H
#define FETCH_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct fetch_url {
	bool tls;
	char *host;    /* lower case; an IPv6 address without its brackets */
	uint16_t port; /* always filled */
	char *target;  /* path and query, at least "/"; printable ASCII without blanks */
};

/*
 * Parse an absolute http or https URL.
 *
 * Bounds:  16 KiB; user names in the authority, blanks, control and non-ASCII characters, other
 *          schemes, port 0 and numbers that are no dotted quad ("127.1", "0x7f000001") are refused;
 *          a fragment is dropped.
 * Owns:    *out's strings; fetch_url_release frees them.
 * Errors:  HR_CORRUPT. The URL itself is not in the message: it may carry a signature.
 * Source:  RFC 3986; WHATWG URL "ends in a number" for the last rule.
 */
int fetch_url_parse(const char *s, struct fetch_url *out, struct hr_err *e) HR_MUST_USE;
void fetch_url_release(struct fetch_url *u);

/* What a Location header names, seen from BASE: absolute, "//host/path" or "/path". */
int fetch_url_join(const struct fetch_url *base, const char *location, struct fetch_url *out,
		   struct hr_err *e) HR_MUST_USE;

/* The URL as text; with an empty target it is the origin. The caller frees. */
char *fetch_url_text(const struct fetch_url *u);
/* "host" or "host:port" when the port is not the scheme's; for messages. The caller frees. */
char *fetch_url_authority(const struct fetch_url *u);

/* Same scheme, host and port. */
bool fetch_url_same_origin(const struct fetch_url *a, const struct fetch_url *b);

/*
 * "HOST[:PORT]" as users write it, to its one spelling: lower case, index.docker.io as docker.io.
 *
 * Errors:  HR_USAGE naming the part and the rule. *out is allocated; the caller frees.
 */
int fetch_registry_parse(const char *s, char **out, struct hr_err *e) HR_MUST_USE;

/* The address at which a registry (a result of fetch_registry_parse) answers; docker.io's differs
 * from its name. TARGET is copied. */
int fetch_registry_url(const char *registry, bool tls, const char *target, struct fetch_url *out,
		       struct hr_err *e) HR_MUST_USE;

/* localhost, 127.0.0.0/8, ::1. */
bool fetch_host_is_loopback(const char *host);
/* An IPv4 or IPv6 address. */
bool fetch_host_is_address(const char *host);
/*
 * A and B are the same host or belong to one registrable domain. Without the public suffix list:
 * two common labels, three below a name that strangers share ("co.uk", "azurecr.io"; the usual ones
 * are listed in url.c).
 */
bool fetch_host_same_site(const char *a, const char *b);

#endif
