/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/auth.h"

#include <string.h>

#include "fetch/json.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define TOKEN_MAX	 32768
#define TOKEN_EXPIRY_MIN 60
#define TOKEN_EXPIRY_MAX 3600

void fetch_secret_free(char *s)
{
	if (!s)
		return;
	explicit_bzero(s, strlen(s));
	free(s);
}

void fetch_secret_freep(char **s)
{
	fetch_secret_free(*s);
}

/* ---- WWW-Authenticate ---- */

/* A challenge while it is read. */
struct reading {
	char *scheme;
	struct fetch_challenge c;
	bool broken; /* a parameter came twice, so it means nothing */
};

static bool is_tchar(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* A token at *P, allocated, or NULL. */
static char *take_token(const char **p)
{
	size_t n = 0;

	while (is_tchar((*p)[n]))
		n++;
	if (n == 0)
		return NULL;
	*p += n;
	return hr_xstrndup(*p - n, n);
}

/* A quoted string or a token at *P, allocated, or NULL when it is neither. */
static char *take_value(const char **p)
{
	hr_autobuf struct hr_buf b = { 0 };
	const char *s = *p;

	if (*s != '"')
		return take_token(p);
	hr_buf_str(&b, "");
	for (s++; *s != '"'; s++) {
		if (*s == '\\')
			s++;
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return NULL; /* also the end of the text */
		hr_buf_add(&b, s, 1);
	}
	*p = s + 1;
	return b.p ? hr_xstrdup((const char *)b.p) : hr_xstrdup("");
}

static void keep_parameter(struct reading *r, const char *name, char *value)
{
	char **field = NULL;

	if (strcasecmp(name, "realm") == 0)
		field = &r->c.realm;
	else if (strcasecmp(name, "service") == 0)
		field = &r->c.service;
	else if (strcasecmp(name, "scope") == 0)
		field = &r->c.scope;
	if (field && !*field) {
		*field = value;
		return;
	}
	r->broken |= field != NULL;
	free(value);
}

/* Skip a token68 ("Negotiate YII...=="), which stands alone behind its scheme. */
static const char *skip_token68(const char *p)
{
	const char *s = skip_blanks(p);
	size_t n =
		strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/");
	const char *end = skip_blanks(s + n + strspn(s + n, "="));

	return n > 0 && (*end == ',' || *end == '\0') ? end : p;
}

static void reading_reset(struct reading *r)
{
	fetch_challenge_release(&r->c);
	free(r->scheme);
	memset(r, 0, sizeof(*r));
}

/* A challenge is complete: is it the best so far? */
static void consider(struct reading *r, struct fetch_challenge *best, bool *found)
{
	bool bearer = r->scheme && strcasecmp(r->scheme, "Bearer") == 0;
	bool basic = r->scheme && strcasecmp(r->scheme, "Basic") == 0;

	r->c.bearer = bearer;
	if (!r->broken &&
	    ((bearer && r->c.realm && !(*found && best->bearer)) || (basic && !*found))) {
		fetch_challenge_release(best);
		*best = r->c;
		memset(&r->c, 0, sizeof(r->c));
		*found = true;
	}
	reading_reset(r);
}

/* Read NAME=VALUE into R; the name has been read, *p is at the '='. */
static bool read_parameter(struct reading *r, const char *name, const char **p)
{
	char *value;

	*p = skip_blanks(*p + 1);
	value = take_value(p);
	if (!value || !r->scheme) {
		free(value);
		return false;
	}
	keep_parameter(r, name, value);
	*p = skip_blanks(*p);
	return **p == ',' || **p == '\0';
}

static void read_value(const char *p, struct fetch_challenge *best, bool *found,
		       struct hr_buf *schemes)
{
	struct reading r = { 0 };

	for (p += strspn(p, " \t,"); *p; p += strspn(p, " \t,")) {
		hr_autofree char *word = take_token(&p);
		const char *next = word ? skip_blanks(p) : p;

		if (word && *next == '=') {
			p = next;
			if (read_parameter(&r, word, &p))
				continue;
			word[0] = '\0';
		}
		if (!word || !word[0]) {
			reading_reset(&r); /* broken: what it belongs to does not count */
			return;
		}
		consider(&r, best, found);
		if (schemes->len < 100)
			hr_buf_printf(schemes, "%s%.40s", schemes->len ? ", " : "", word);
		r.scheme = hr_steal(&word);
		p = skip_token68(p);
	}
	consider(&r, best, found);
}

int fetch_challenge_pick(const struct hr_strv *values, struct fetch_challenge *out,
			 struct hr_err *e)
{
	hr_autobuf struct hr_buf schemes = { 0 };
	struct fetch_challenge best = { 0 };
	bool found = false;

	for (size_t i = 0; i < values->n; i++)
		read_value(values->v[i], &best, &found, &schemes);
	if (!found)
		return hr_fail(
			e, HR_DENIED, 0,
			"it asks for a login but offers neither a well-formed Bearer nor Basic "
			"(WWW-Authenticate: %s)",
			schemes.len ? (const char *)schemes.p : "none");
	*out = best;
	return 0;
}

void fetch_challenge_release(struct fetch_challenge *c)
{
	free(c->realm);
	free(c->service);
	free(c->scope);
	memset(c, 0, sizeof(*c));
}

/* ---- where a token may come from ---- */

int fetch_realm_check(const struct fetch_url *home, bool plain_ok, const char *realm,
		      struct fetch_url *out, bool *trusted, struct hr_err *e)
{
	HR_CLEANUP(fetch_url_release) struct fetch_url u = { 0 };
	bool same_host, both_local;

	if (fetch_url_parse(realm, &u, e) < 0) {
		e->kind = HR_DENIED;
		return hr_wrap(e, "the address of its token server (realm) is not usable");
	}
	same_host = strcmp(u.host, home->host) == 0;
	both_local = fetch_host_is_loopback(u.host) && fetch_host_is_loopback(home->host);
	if (!u.tls && !(plain_ok && (same_host || both_local)))
		return hr_fail(
			e, HR_DENIED, 0,
			"its token server '%s' would be asked over plain http, which is refused",
			u.host);
	if ((fetch_host_is_address(u.host) || fetch_host_is_loopback(u.host)) && !same_host &&
	    !both_local)
		return hr_fail(
			e, HR_DENIED, 0,
			"its token server '%s' is an address inside a network, which is refused",
			u.host);
	*trusted = same_host || both_local || fetch_host_same_site(u.host, home->host);
	*out = u;
	memset(&u, 0, sizeof(u));
	return 0;
}

/* ---- token replies ---- */

static bool is_token(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > TOKEN_MAX)
		return false;
	for (; *s; s++)
		if (*s <= 0x20 || *s >= 0x7f)
			return false;
	return true;
}

static uint64_t clamp_expiry(const json_t *j)
{
	double s = json_is_number(j) ? json_number_value(j) : TOKEN_EXPIRY_MIN;

	if (s < TOKEN_EXPIRY_MIN)
		return TOKEN_EXPIRY_MIN;
	return s > TOKEN_EXPIRY_MAX ? TOKEN_EXPIRY_MAX : (uint64_t)s;
}

int fetch_token_parse(const void *doc, size_t len, struct fetch_token *out, struct hr_err *e)
{
	HR_CLEANUP(fetch_json_freep) json_t *root = NULL;
	const char *text = NULL;

	if (fetch_json_parse(doc, len, "the reply", &root, e) < 0) {
		e->kind = HR_NET;
		return -1;
	}
	text = json_string_value(json_object_get(root, "token"));
	if (!text || !*text)
		text = json_string_value(json_object_get(root, "access_token"));
	if (!text)
		return hr_fail(e, HR_NET, 0, "the reply has neither 'token' nor 'access_token'");
	if (!is_token(text))
		return hr_fail(e, HR_NET, 0,
			       "the token is empty, longer than %d characters or not printable",
			       TOKEN_MAX);
	out->text = hr_xstrdup(text);
	out->expires_s = clamp_expiry(json_object_get(root, "expires_in"));
	return 0;
}

/* ---- encodings ---- */

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *fetch_base64_encode(const void *data, size_t n)
{
	const uint8_t *p = data;
	char *out = hr_xmalloc((n + 2) / 3 * 4 + 1), *w = out;

	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
			     (left > 2 ? p[i + 2] : 0);

		*w++ = base64_digits[v >> 18];
		*w++ = base64_digits[v >> 12 & 63];
		*w++ = left > 1 ? base64_digits[v >> 6 & 63] : '=';
		*w++ = left > 2 ? base64_digits[v & 63] : '=';
	}
	*w = '\0';
	return out;
}

char *fetch_base64_decode(const char *s)
{
	HR_CLEANUP(fetch_secret_freep) char *out = hr_xmalloc(strlen(s) / 4 * 3 + 4);
	size_t n = 0, digits = 0;
	uint32_t v = 0;

	for (; *s && *s != '='; s++) {
		const char *at = strchr(base64_digits, *s);

		if (!at)
			return NULL;
		v = v << 6 | (uint32_t)(at - base64_digits);
		if (++digits % 4 != 1)
			out[n++] = (char)(v >> (6 - 2 * ((digits - 1) % 4)));
	}
	if (digits % 4 == 1 || s[strspn(s, "=")] != '\0' || strlen(s) > 2)
		return NULL;
	while (n > 0 && out[n - 1] == '\0')
		n--; /* old docker padded with NUL */
	if (memchr(out, '\0', n))
		return NULL;
	out[n] = '\0';
	return hr_steal(&out);
}

char *fetch_query_escape(const char *s)
{
	struct hr_buf b = { 0 };

	hr_buf_str(&b, "");
	for (; *s; s++) {
		if ((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
		    (*s >= 'A' && *s <= 'Z') || strchr("-._~", *s))
			hr_buf_add(&b, s, 1);
		else
			hr_buf_printf(&b, "%%%02X", (unsigned int)(unsigned char)*s);
	}
	return b.p ? (char *)b.p : hr_xstrdup("");
}
