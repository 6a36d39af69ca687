/* SPDX-License-Identifier: BSD-3-Clause */
/* fetch: URLs, origins, and who belongs to whom. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fetch/url.h"
#include "util/cleanup.h"
#include "util/poison.h"

static void urls(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
	} rows[] = {
		{ "https://h.x", "https://h.x/" },
		{ "HTTPS://H.X/A?b=C", "https://h.x/A?b=C" },
		{ "https://h.x:443/", "https://h.x/" },
		{ "http://h.x:443/", "http://h.x:443/" },
		{ "http://h.x:80/a", "http://h.x/a" },
		{ "https://h.x?a=b", "https://h.x/?a=b" },
		{ "https://h.x/a#frag", "https://h.x/a" },
		{ "https://h.x#frag", "https://h.x/" },
		{ "https://[::1]:5/a", "https://[::1]:5/a" },
		{ "https://[0:0::1]/a", "https://[::1]/a" },
		{ "https://h.x/a/../b", "https://h.x/a/../b" },
		{ "", NULL },
		{ "h.x/a", NULL },
		{ "/a", NULL },
		{ "ftp://h.x/", NULL },
		{ "file:///etc/passwd", NULL },
		{ "https:/h.x/", NULL },
		{ "https:///a", NULL },
		{ "https://", NULL },
		{ "https://u@h.x/", NULL },
		{ "https://u:p@h.x/", NULL },
		{ "https://good.x\\@evil.x/", NULL },
		{ "https://h.x:0/", NULL },
		{ "https://h.x:65536/", NULL },
		{ "https://h.x:/", NULL },
		{ "https://h.x:8 0/", NULL },
		{ "https://h .x/", NULL },
		{ "https://h.x/a\r\nX: y", NULL },
		{ "https://h.x/\xc3\xa9", NULL },
		{ "https://h%2ex/", NULL },
		{ "https://2852039166/", NULL },
		{ "https://0xa9fea9fe/", NULL },
		{ "https://0251.0376.0251.0376/", NULL },
		{ "https://127.1/", NULL },
		{ "https://h.x./", NULL },
		{ "https://[fe80::1%25lo]/", NULL },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		HR_CLEANUP(fetch_url_release) struct fetch_url u = { 0 };
		hr_autofree char *text = NULL;
		struct hr_err e = { 0 };
		int r = fetch_url_parse(rows[i].in, &u, &e);

		if ((r == 0) != (rows[i].out != NULL) || (r < 0 && e.kind != HR_CORRUPT))
			fail_msg("row '%s': %d '%s'", rows[i].in, r, e.text);
		if (r < 0)
			continue;
		text = fetch_url_text(&u);
		assert_string_equal(text, rows[i].out);
	}
}

static void locations(void **state)
{
	static const struct {
		const char *base, *location, *out;
	} rows[] = {
		{ "https://h.x/v2/", "https://c.y/b?s=1", "https://c.y/b?s=1" },
		{ "https://h.x/v2/", "http://c.y/b", "http://c.y/b" },
		{ "https://h.x:5/v2/a", "/b?c", "https://h.x:5/b?c" },
		{ "http://[::1]:5/v2/a", "/b", "http://[::1]:5/b" },
		{ "https://h.x/v2/a", "//c.y/b", "https://c.y/b" },
		{ "https://h.x/v2/a", "b", NULL },
		{ "https://h.x/v2/a", "", NULL },
		{ "https://h.x/v2/a", "file:///etc/passwd", NULL },
		{ "https://h.x/v2/a", "javascript:1", NULL },
		{ "https://h.x/v2/a", "/b\t", NULL },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		HR_CLEANUP(fetch_url_release) struct fetch_url base = { 0 };
		HR_CLEANUP(fetch_url_release) struct fetch_url u = { 0 };
		hr_autofree char *text = NULL;
		struct hr_err e = { 0 };
		int r;

		assert_int_equal(fetch_url_parse(rows[i].base, &base, &e), 0);
		r = fetch_url_join(&base, rows[i].location, &u, &e);
		if ((r == 0) != (rows[i].out != NULL))
			fail_msg("row '%s': %d '%s'", rows[i].location, r, e.text);
		if (r < 0)
			continue;
		text = fetch_url_text(&u);
		assert_string_equal(text, rows[i].out);
	}
}

static void sites(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{ "h.x", "h.x", true },
		{ "localhost", "localhost", true },
		{ "10.0.0.1", "10.0.0.1", true },
		{ "10.0.0.1", "10.0.0.2", false },
		{ "1.10.0.1", "2.10.0.1", false },
		{ "::1", "::2", false },
		{ "registry.gitlab.com", "gitlab.com", true },
		{ "registry.example.org", "auth.example.org", true },
		{ "a.b.example.org", "c.example.org", true },
		{ "example.org", "notexample.org", false },
		{ "example.org", "example.org.evil.net", false },
		{ "good.azurecr.io", "evil.azurecr.io", false },
		{ "good.azurecr.io", "good.azurecr.io.evil.net", false },
		{ "azurecr.io", "evil.azurecr.io", false },
		{ "r.lab.co.uk", "auth.lab.co.uk", true },
		{ "good.co.uk", "evil.co.uk", false },
		{ "a.com", "b.com", false },
		{ "com", "b.com", false },
		{ "a", "b", false },
		{ "registry.lrz.de", "gitlab.lrz.de", true },
		{ "r.hpc.uni-x.de", "auth.uni-x.de", true },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++)
		if (fetch_host_same_site(rows[i].a, rows[i].b) != rows[i].same ||
		    fetch_host_same_site(rows[i].b, rows[i].a) != rows[i].same)
			fail_msg("row '%s' '%s'", rows[i].a, rows[i].b);
}

static void loopback(void **state)
{
	static const struct {
		const char *host;
		bool yes;
	} rows[] = {
		{ "localhost", true },
		{ "127.0.0.1", true },
		{ "127.255.255.255", true },
		{ "128.0.0.1", false },
		{ "126.0.0.1", false },
		{ "::1", true },
		{ "::2", false },
		{ "localhost.x", false },
		{ "127.0.0.1.x", false },
		{ "x.localhost.com", false },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++)
		if (fetch_host_is_loopback(rows[i].host) != rows[i].yes)
			fail_msg("row '%s'", rows[i].host);
}

static void docker_hub_answers_elsewhere(void **state)
{
	HR_CLEANUP(fetch_url_release) struct fetch_url u = { 0 };
	hr_autofree char *text = NULL;
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(fetch_registry_url("docker.io", true, "/v2/", &u, &e), 0);
	text = fetch_url_text(&u);
	assert_string_equal(text, "https://registry-1.docker.io/v2/");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls),
		cmocka_unit_test(locations),
		cmocka_unit_test(sites),
		cmocka_unit_test(loopback),
		cmocka_unit_test(docker_hub_answers_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
