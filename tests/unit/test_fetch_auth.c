/* SPDX-License-Identifier: BSD-3-Clause */
/* fetch: challenges, realms, token replies, encodings. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fetch/auth.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define B "Bearer realm=\"https://r/t\""

static const struct {
	const char *what, *headers[3]; /* of WWW-Authenticate */
	const char *scheme;	       /* NULL: refused */
	const char *realm, *service, *scope;
} challenge_rows[] = {
	{ "usual",
	  { "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:x:pull\"" },
	  "Bearer",
	  "https://a/t",
	  "s",
	  "repository:x:pull" },
	{ "blanks and case",
	  { "bEARER  realm = \"https://a/t\" , SERVICE=s" },
	  "Bearer",
	  "https://a/t",
	  "s",
	  NULL },
	{ "unknown parameters",
	  { B ",error=\"invalid_token\",x=\"a,b=\\\"c\\\"\"" },
	  "Bearer",
	  "https://r/t",
	  NULL,
	  NULL },
	{ "escapes", { "Bearer realm=\"a\\\\b\\\"c\"" }, "Bearer", "a\\b\"c", NULL, NULL },
	{ "Basic", { "Basic realm=\"x\"" }, "Basic", "x", NULL, NULL },
	{ "Basic bare", { "Basic" }, "Basic", NULL, NULL, NULL },
	{ "Bearer wins over Basic", { "Basic realm=x", B }, "Bearer", "https://r/t", NULL, NULL },
	{ "Bearer in front of Basic",
	  { B ", Basic realm=x" },
	  "Bearer",
	  "https://r/t",
	  NULL,
	  NULL },
	{ "first Bearer wins", { B, "Bearer realm=\"b\"" }, "Bearer", "https://r/t", NULL, NULL },
	{ "token68 in front", { "Negotiate YII/+=, " B }, "Bearer", "https://r/t", NULL, NULL },
	{ "bare schemes in front", { "NTLM, Negotiate, " B }, "Bearer", "https://r/t", NULL, NULL },
	{ "empty elements", { ", ,," B ",,service=a," }, "Bearer", "https://r/t", "a", NULL },
	{ "broken value, good one behind it",
	  { "Bearer realm=\"x", B },
	  "Bearer",
	  "https://r/t",
	  NULL,
	  NULL },
	{ "good one, then broken", { "Basic realm=a, Bearer realm=\"" }, "Basic", "a", NULL, NULL },
	{ "nothing", { NULL }, NULL, NULL, NULL, NULL },
	{ "empty", { "" }, NULL, NULL, NULL, NULL },
	{ "commas", { ",,," }, NULL, NULL, NULL, NULL },
	{ "parameter without a scheme", { "realm=\"x\"" }, NULL, NULL, NULL, NULL },
	{ "Bearer without realm", { "Bearer service=a" }, NULL, NULL, NULL, NULL },
	{ "realm twice", { B ",realm=\"https://evil/\"" }, NULL, NULL, NULL, NULL },
	{ "realm twice, case", { B ",REALM=\"https://evil/\"" }, NULL, NULL, NULL, NULL },
	{ "unknown scheme", { "Digest nonce=\"x\"" }, NULL, NULL, NULL, NULL },
	{ "no end quote", { "Bearer realm=\"https://a/t" }, NULL, NULL, NULL, NULL },
	{ "backslash at the end", { "Bearer realm=\"a\\" }, NULL, NULL, NULL, NULL },
	{ "no value", { "Bearer realm=" }, NULL, NULL, NULL, NULL },
	{ "junk behind a value", { "Bearer realm=\"a\"b" }, NULL, NULL, NULL, NULL },
	{ "control character", { "Bearer realm=\"a\001b\"" }, NULL, NULL, NULL, NULL },
	{ "no token", { "\"x\"" }, NULL, NULL, NULL, NULL },
	{ "equals signs", { "=,=" }, NULL, NULL, NULL, NULL },
};

static void challenges(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(challenge_rows); i++) {
		HR_CLEANUP(fetch_challenge_release) struct fetch_challenge c = { 0 };
		HR_CLEANUP(hr_strv_release) struct hr_strv values = { 0 };
		const char *got[3], *want[3] = { challenge_rows[i].realm, challenge_rows[i].service,
						 challenge_rows[i].scope };
		struct hr_err e = { 0 };
		int r;

		for (size_t k = 0; k < 3 && challenge_rows[i].headers[k]; k++)
			hr_strv_add(&values, challenge_rows[i].headers[k]);
		r = fetch_challenge_pick(&values, &c, &e);
		if ((r == 0) != (challenge_rows[i].scheme != NULL) ||
		    (r == 0 && c.bearer != (strcmp(challenge_rows[i].scheme, "Bearer") == 0)) ||
		    (r < 0 && e.kind != HR_DENIED))
			fail_msg("row '%s': %d '%s'", challenge_rows[i].what, r, e.text);
		got[0] = c.realm;
		got[1] = c.service;
		got[2] = c.scope;
		for (size_t k = 0; r == 0 && k < 3; k++)
			if ((got[k] != NULL) != (want[k] != NULL) ||
			    (got[k] && strcmp(got[k], want[k]) != 0))
				fail_msg("row '%s': value %zu is '%s'", challenge_rows[i].what, k,
					 got[k] ? got[k] : "NULL");
	}
}

/* Every prefix and every prefix with a byte changed ends, and reads nothing past the end. */
static void mangled_challenges_end(void **state)
{
	static const char whole[] =
		"Negotiate ab==, Basic realm=x, Bearer realm=\"h\\\"\\\\\",service=\"s\", Digest";
	static const char odd[] = "\"\\,= \t\x7f\x01";

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++) {
		for (size_t k = 0; k < sizeof(odd); k++) {
			HR_CLEANUP(fetch_challenge_release) struct fetch_challenge c = { 0 };
			HR_CLEANUP(hr_strv_release) struct hr_strv values = { 0 };
			char *text = hr_xstrndup(whole, n);
			struct hr_err e = { 0 };

			if (n > 0)
				text[n - 1] = odd[k];
			hr_strv_take(&values, text);
			if (fetch_challenge_pick(&values, &c, &e) == 0)
				assert_true(!c.bearer || c.realm);
		}
	}
}

static void realms(void **state)
{
	enum { NO, STRANGER, TRUSTED };
	static const struct {
		const char *home;
		bool plain_ok;
		const char *realm;
		int verdict;
	} rows[] = {
		{ "https://r.example.org/", false, "https://r.example.org/token", TRUSTED },
		{ "https://r.example.org/", false, "https://r.example.org:8443/token", TRUSTED },
		{ "https://r.example.org/", false, "https://auth.example.org/token", TRUSTED },
		{ "https://r.example.org/", false, "https://example.org/token", TRUSTED },
		{ "https://registry-1.docker.io/", false, "https://auth.docker.io/token", TRUSTED },
		{ "https://r.example.org/", false, "https://evil.net/token", STRANGER },
		{ "https://r.example.org/", false, "https://r.example.org.evil.net/", STRANGER },
		{ "https://r.example.org/", false, "https://evilexample.org/", STRANGER },
		{ "https://good.azurecr.io/", false, "https://evil.azurecr.io/", STRANGER },
		{ "https://r.example.org/", false, "http://r.example.org/token", NO },
		{ "https://r.example.org/", true, "http://auth.example.org/token", NO },
		{ "http://r.example.org/", true, "http://r.example.org/token", TRUSTED },
		{ "http://r.example.org/", true, "http://evil.net/token", NO },
		{ "https://r.example.org/", false, "https://169.254.169.254/", NO },
		{ "https://r.example.org/", false, "https://10.0.0.1/", NO },
		{ "https://r.example.org/", false, "https://8.8.8.8/", NO },
		{ "https://r.example.org/", false, "https://[::1]/", NO },
		{ "https://r.example.org/", false, "https://[fd00::1]/", NO },
		{ "https://r.example.org/", false, "https://localhost/", NO },
		{ "https://r.example.org/", false, "https://127.0.0.1/", NO },
		{ "https://10.0.0.1/", false, "https://10.0.0.1:5001/token", TRUSTED },
		{ "https://10.0.0.1/", false, "https://10.0.0.2/token", NO },
		{ "http://127.0.0.1:5000/", true, "http://127.0.0.1:5001/token", TRUSTED },
		{ "http://127.0.0.1:5000/", true, "http://localhost/token", TRUSTED },
		{ "http://127.0.0.1:5000/", true, "http://169.254.169.254/", NO },
		{ "http://127.0.0.1:5000/", true, "https://auth.example.org/", STRANGER },
		{ "https://r.example.org/", false, "https://u:p@r.example.org/", NO },
		{ "https://r.example.org/", false, "file:///etc/passwd", NO },
		{ "https://r.example.org/", false, "/token", NO },
		{ "https://r.example.org/", false, "", NO },
		{ "https://r.example.org/", false, "https://2852039166/", NO },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		HR_CLEANUP(fetch_url_release) struct fetch_url home = { 0 };
		HR_CLEANUP(fetch_url_release) struct fetch_url out = { 0 };
		struct hr_err e = { 0 };
		bool trusted = false;
		int verdict;

		assert_int_equal(fetch_url_parse(rows[i].home, &home, &e), 0);
		if (fetch_realm_check(&home, rows[i].plain_ok, rows[i].realm, &out, &trusted, &e) <
		    0)
			verdict = NO;
		else
			verdict = trusted ? TRUSTED : STRANGER;
		if (verdict != rows[i].verdict || (verdict == NO && e.kind != HR_DENIED))
			fail_msg("row '%s' '%s': %d '%s'", rows[i].home, rows[i].realm, verdict,
				 e.text);
	}
}

static void tokens(void **state)
{
	static const struct {
		const char *in, *text; /* text NULL: refused */
		uint64_t expires_s;
	} rows[] = {
		{ "{\"token\":\"a\"}", "a", 60 },
		{ "{\"access_token\":\"a\"}", "a", 60 },
		{ "{\"token\":\"a\",\"access_token\":\"b\"}", "a", 60 },
		{ "{\"token\":\"\",\"access_token\":\"b\"}", "b", 60 },
		{ "{\"token\":\"a\",\"expires_in\":300}", "a", 300 },
		{ "{\"token\":\"a\",\"expires_in\":-1}", "a", 60 },
		{ "{\"token\":\"a\",\"expires_in\":0}", "a", 60 },
		{ "{\"token\":\"a\",\"expires_in\":59}", "a", 60 },
		{ "{\"token\":\"a\",\"expires_in\":3600}", "a", 3600 },
		{ "{\"token\":\"a\",\"expires_in\":3601}", "a", 3600 },
		{ "{\"token\":\"a\",\"expires_in\":1e30}", "a", 3600 },
		{ "{\"token\":\"a\",\"expires_in\":\"x\"}", "a", 60 },
		{ "{}", NULL, 0 },
		{ "", NULL, 0 },
		{ "<html>", NULL, 0 },
		{ "[]", NULL, 0 },
		{ "{\"token\":5}", NULL, 0 },
		{ "{\"token\":\"\"}", NULL, 0 },
		{ "{\"token\":\"a b\"}", NULL, 0 },
		{ "{\"token\":\"a\\r\\nX: y\"}", NULL, 0 },
		{ "{\"token\":\"\xc3\xa9\"}", NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct fetch_token t = { 0 };
		struct hr_err e = { 0 };
		int r = fetch_token_parse(rows[i].in, strlen(rows[i].in), &t, &e);

		if ((r == 0) != (rows[i].text != NULL) || t.expires_s != rows[i].expires_s ||
		    (r == 0 && strcmp(t.text, rows[i].text) != 0) || (r < 0 && e.kind != HR_NET))
			fail_msg("row '%s': %d '%s'", rows[i].in, r, e.text);
		fetch_secret_free(t.text);
	}
}

static void base64(void **state)
{
	static const struct {
		const char *plain, *encoded;
	} rows[] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "ab", "YWI=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "a:\xff\xfe\xfd", "YTr//v0=" },
		{ NULL, "Z" },
		{ NULL, "Zg="
			"==" },
		{ NULL, "YWI=x" },
		{ NULL, "Zm 9v" },
		{ NULL, "Zm9v\n" },
		{ NULL, "YQBi" },
		{ NULL, "%%%" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autofree char *decoded = fetch_base64_decode(rows[i].encoded);
		hr_autofree char *encoded = NULL;

		if ((decoded != NULL) != (rows[i].plain != NULL) ||
		    (decoded && strcmp(decoded, rows[i].plain) != 0))
			fail_msg("row '%s': '%s'", rows[i].encoded, decoded ? decoded : "NULL");
		if (!decoded)
			continue;
		encoded = fetch_base64_encode(rows[i].plain, strlen(rows[i].plain));
		assert_string_equal(encoded, rows[i].encoded);
	}
}

static void padding_of_old_docker(void **state)
{
	hr_autofree char *decoded = fetch_base64_decode("YTpiAAAA");

	(void)state;
	assert_string_equal(decoded, "a:b");
}

static void queries(void **state)
{
	hr_autofree char *s = fetch_query_escape("repository:a/b:pull &=\xc3\xa9~");
	hr_autofree char *none = fetch_query_escape("");

	(void)state;
	assert_string_equal(s, "repository%3Aa%2Fb%3Apull%20%26%3D%C3%A9~");
	assert_string_equal(none, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(challenges), cmocka_unit_test(mangled_challenges_end),
		cmocka_unit_test(realms),     cmocka_unit_test(tokens),
		cmocka_unit_test(base64),     cmocka_unit_test(padding_of_old_docker),
		cmocka_unit_test(queries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
