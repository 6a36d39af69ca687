/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/url.h"

#include <arpa/inet.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define URL_MAX	  16384
#define HOST_MAX  253
#define LABEL_MAX 63

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void lower(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

/* The last label is a number in some base: resolvers and libcurl read such names as addresses. */
static bool ends_in_number(const char *host)
{
	const char *dot = strrchr(host, '.');
	const char *last = dot ? dot + 1 : host;

	if (strncasecmp(last, "0x", 2) == 0)
		return last[2 + strspn(last + 2, "0123456789abcdefABCDEF")] == '\0';
	return last[strspn(last, "0123456789")] == '\0';
}

static int check_label(const char *p, size_t n, struct hr_err *e)
{
	if (n == 0)
		return hr_fail(e, HR_USAGE, 0, "host has an empty part");
	if (n > LABEL_MAX)
		return hr_fail(e, HR_USAGE, 0,
			       "host has a part of %zu characters, at most %d are allowed", n,
			       LABEL_MAX);
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(p[i]) && p[i] != '-' && p[i] != '_')
			return hr_fail(e, HR_USAGE, 0,
				       "host has a character other than a-z 0-9 . _ -");
	if (p[0] == '-' || p[n - 1] == '-')
		return hr_fail(e, HR_USAGE, 0, "host has a part that starts or ends with '-'");
	return 0;
}

static int check_host(const char *host, struct hr_err *e)
{
	struct in_addr v4;

	if (strlen(host) > HOST_MAX)
		return hr_fail(e, HR_USAGE, 0, "host has %zu characters, at most %d are allowed",
			       strlen(host), HOST_MAX);
	for (const char *p = host;;) {
		size_t n = strcspn(p, ".");

		if (check_label(p, n, e) < 0)
			return -1;
		if (p[n] == '\0')
			break;
		p += n + 1;
	}
	if (ends_in_number(host) && inet_pton(AF_INET, host, &v4) != 1)
		return hr_fail(e, HR_USAGE, 0,
			       "host '%s' is neither a name nor a dotted IPv4 address", host);
	return 0;
}

/* "[" IPv6 "]" at S; *end is behind the bracket. */
static int take_ipv6(const char *s, char **host, const char **end, struct hr_err *e)
{
	const char *close = strchr(s, ']');
	hr_autofree char *text = close ? hr_xstrndup(s + 1, (size_t)(close - s - 1)) : NULL;
	struct in6_addr v6;
	char canonical[INET6_ADDRSTRLEN];

	if (!text || inet_pton(AF_INET6, text, &v6) != 1 ||
	    !inet_ntop(AF_INET6, &v6, canonical, sizeof(canonical)))
		return hr_fail(e, HR_USAGE, 0, "host is not an IPv6 address in brackets");
	*host = hr_xstrdup(canonical);
	*end = close + 1;
	return 0;
}

/* HOST[:PORT], all of S; *port is 0 when there is none. */
static int parse_authority(const char *s, char **host, uint16_t *port, struct hr_err *e)
{
	hr_autofree char *h = NULL;
	const char *end = s;
	uint64_t number = 0;

	if (*s == '[') {
		if (take_ipv6(s, &h, &end, e) < 0)
			return -1;
	} else {
		end = s + strcspn(s, ":");
		h = hr_xstrndup(s, (size_t)(end - s));
		lower(h);
		if (check_host(h, e) < 0)
			return -1;
	}
	if (*end != '\0' && *end != ':')
		return hr_fail(e, HR_USAGE, 0, "host is followed by something other than ':PORT'");
	if (*end == ':' && hr_parse_u64(end + 1, "port", 1, 65535, &number, e) < 0)
		return -1;
	*host = hr_steal(&h);
	*port = (uint16_t)number;
	return 0;
}

static bool is_plain_ascii(const char *s)
{
	for (; *s; s++)
		if (*s <= 0x20 || *s >= 0x7f || *s == '\\')
			return false;
	return true;
}

static int parse_url(const char *s, struct fetch_url *u, struct hr_err *e)
{
	hr_autofree char *authority = NULL;
	size_t n;

	if (strlen(s) > URL_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "URL is longer than %d characters", URL_MAX);
	if (!is_plain_ascii(s))
		return hr_fail(e, HR_CORRUPT, 0, "URL has a blank or a control character");
	u->tls = strncasecmp(s, "https://", 8) == 0;
	if (!u->tls && strncasecmp(s, "http://", 7) != 0)
		return hr_fail(e, HR_CORRUPT, 0, "URL is neither https:// nor http://");
	s += u->tls ? 8 : 7;
	n = strcspn(s, "/?#");
	authority = hr_xstrndup(s, n);
	if (strchr(authority, '@'))
		return hr_fail(e, HR_CORRUPT, 0, "URL has a user name in it");
	if (parse_authority(authority, &u->host, &u->port, e) < 0) {
		e->kind = HR_CORRUPT;
		return hr_wrap(e, "URL");
	}
	if (u->port == 0)
		u->port = u->tls ? 443 : 80;
	s += n;
	n = strcspn(s, "#");
	u->target = hr_xasprintf("%s%.*s", *s == '/' ? "" : "/", (int)n, s);
	return 0;
}

int fetch_url_parse(const char *s, struct fetch_url *out, struct hr_err *e)
{
	HR_CLEANUP(fetch_url_release) struct fetch_url u = { 0 };

	if (parse_url(s, &u, e) < 0)
		return -1;
	*out = u;
	memset(&u, 0, sizeof(u));
	return 0;
}

void fetch_url_release(struct fetch_url *u)
{
	free(u->host);
	free(u->target);
	memset(u, 0, sizeof(*u));
}

int fetch_url_join(const struct fetch_url *base, const char *location, struct fetch_url *out,
		   struct hr_err *e)
{
	hr_autofree char *text = NULL;

	if (strncmp(location, "//", 2) == 0) {
		text = hr_xasprintf("%s:%s", base->tls ? "https" : "http", location);
	} else if (*location == '/') {
		hr_autofree char *authority = fetch_url_authority(base);

		text = hr_xasprintf("%s://%s%s", base->tls ? "https" : "http", authority, location);
	}
	return fetch_url_parse(text ? text : location, out, e);
}

char *fetch_url_authority(const struct fetch_url *u)
{
	bool v6 = strchr(u->host, ':') != NULL;
	const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";

	if (u->port == (u->tls ? 443 : 80))
		return hr_xasprintf("%s%s%s", open, u->host, close);
	return hr_xasprintf("%s%s%s:%u", open, u->host, close, (unsigned int)u->port);
}

char *fetch_url_text(const struct fetch_url *u)
{
	hr_autofree char *authority = fetch_url_authority(u);

	return hr_xasprintf("%s://%s%s", u->tls ? "https" : "http", authority, u->target);
}

bool fetch_url_same_origin(const struct fetch_url *a, const struct fetch_url *b)
{
	return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

int fetch_registry_parse(const char *s, char **out, struct hr_err *e)
{
	hr_autofree char *host = NULL;
	uint16_t port;
	bool v6;

	if (parse_authority(s, &host, &port, e) < 0)
		return hr_wrap(e, "registry '%.300s'", s);
	v6 = strchr(host, ':') != NULL;
	if (port == 0 && strcmp(host, "index.docker.io") == 0)
		*out = hr_xstrdup("docker.io");
	else if (port == 0)
		*out = hr_xasprintf("%s%s%s", v6 ? "[" : "", host, v6 ? "]" : "");
	else
		*out = hr_xasprintf("%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "",
				    (unsigned int)port);
	return 0;
}

int fetch_registry_url(const char *registry, bool tls, const char *target, struct fetch_url *out,
		       struct hr_err *e)
{
	bool hub = strcmp(registry, "docker.io") == 0;
	hr_autofree char *text = hr_xasprintf("%s://%s%s", tls ? "https" : "http",
					      hub ? "registry-1.docker.io" : registry, target);

	return fetch_url_parse(text, out, e);
}

bool fetch_host_is_loopback(const char *host)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0;
}

bool fetch_host_is_address(const char *host)
{
	struct in_addr v4;

	return strchr(host, ':') || inet_pton(AF_INET, host, &v4) == 1;
}

/* Start of the last N labels of HOST; HOST itself when it has no more than N. */
static const char *last_labels(const char *host, int n)
{
	const char *p = host + strlen(host);

	while (p > host) {
		if (p[-1] == '.' && --n == 0)
			return p;
		p--;
	}
	return host;
}

static int count_labels(const char *host)
{
	int n = 1;

	for (; *host; host++)
		n += *host == '.';
	return n;
}

/* Two labels under which strangers register: names of tenants, and national second levels. */
static bool is_shared_suffix(const char *two)
{
	static const char *const tenants[] = {
		"azurecr.io",
		"azurecr.cn",
		"amazonaws.com",
		"pkg.dev",
		"gcr.io",
		"run.app",
		"appspot.com",
		"github.io",
		"gitlab.io",
		"cloudfront.net",
		"windows.net",
		"fly.dev",
		"onrender.com",
		"vercel.app",
		"herokuapp.com",
		"workers.dev",
		"pages.dev",
		"ngrok.io",
		"ngrok.app",
		"aliyuncs.com",
		"azure.com",
		"googleapis.com",
		"digitaloceanspaces.com",
		"netlify.app",
		"myqcloud.com",
	};
	static const char *const seconds[] = {
		"ac",  "ad",   "asso", "co",  "com", "ed",  "edu", "go",  "gob", "gouv",
		"gov", "govt", "gv",   "id",  "lg",  "ltd", "mil", "ne",  "net", "nhs",
		"nic", "nom",  "or",   "org", "plc", "res", "sch", "web",
	};
	const char *dot = strchr(two, '.');
	hr_autofree char *second = dot ? hr_xstrndup(two, (size_t)(dot - two)) : hr_xstrdup("");

	for (size_t i = 0; i < HR_COUNT(tenants); i++)
		if (strcmp(two, tenants[i]) == 0)
			return true;
	if (!dot || strlen(dot + 1) != 2)
		return false;
	for (size_t i = 0; i < HR_COUNT(seconds); i++)
		if (strcmp(second, seconds[i]) == 0)
			return true;
	return false;
}

bool fetch_host_same_site(const char *a, const char *b)
{
	int need = 2;

	if (strcmp(a, b) == 0)
		return true;
	if (fetch_host_is_address(a) || fetch_host_is_address(b))
		return false;
	if (is_shared_suffix(last_labels(a, 2)))
		need = 3;
	if (count_labels(a) < need || count_labels(b) < need)
		return false;
	return strcmp(last_labels(a, need), last_labels(b, need)) == 0;
}
