/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What users and registries write on one line: a reference, a URL, a login offer, a digest. What
 * is accepted has one spelling, and reading that spelling gives it again.
 */
#include "config.h"

#include <string.h>

#include "fetch/auth.h"
#include "fetch/fetch.h"
#include "fetch/url.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

static void check_ref(const char *s)
{
	struct fetch_ref a = { 0 }, b = { 0 };
	hr_autofree char *text = NULL, *again = NULL;
	struct hr_err e = { 0 };

	if (fetch_ref_parse(s, &a, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_USAGE && e.text[0] != '\0');
	} else {
		text = fetch_ref_text(&a);
		FUZZ_CHECK(fetch_ref_parse(text, &b, &e) == 0);
		again = fetch_ref_text(&b);
		FUZZ_CHECK(strcmp(text, again) == 0);
		FUZZ_CHECK(!strstr(a.repo, "..") && !strpbrk(text, " \t\n\x1b"));
	}
	fetch_ref_release(&a);
	fetch_ref_release(&b);
}

static void check_url(const char *s)
{
	struct fetch_url a = { 0 }, b = { 0 };
	hr_autofree char *text = NULL;
	struct hr_err e = { 0 };

	if (fetch_url_parse(s, &a, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
	} else {
		text = fetch_url_text(&a);
		FUZZ_CHECK(fetch_url_parse(text, &b, &e) == 0);
		FUZZ_CHECK(fetch_url_same_origin(&a, &b) && strcmp(a.target, b.target) == 0);
	}
	fetch_url_release(&a);
	fetch_url_release(&b);
}

static void check_challenge(const char *s)
{
	struct fetch_challenge c = { 0 };
	struct hr_strv values = { 0 };
	struct hr_err e = { 0 };

	hr_strv_add(&values, s);
	if (fetch_challenge_pick(&values, &c, &e) < 0)
		FUZZ_CHECK(e.kind == HR_DENIED && e.text[0] != '\0');
	else
		FUZZ_CHECK(!c.bearer || c.realm);
	fetch_challenge_release(&c);
	hr_strv_release(&values);
}

static void check_digest(const char *s)
{
	char text[FETCH_DIGEST_TEXT];
	struct fetch_digest d;
	struct hr_err e = { 0 };

	if (fetch_digest_parse(s, &d, &e) < 0)
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
	else
		FUZZ_CHECK(strcmp(fetch_digest_text(&d, text), s) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	hr_autofree char *s = hr_xmalloc(n + 1);

	memcpy(s, p, n);
	s[n] = '\0';
	check_ref(s);
	check_url(s);
	check_challenge(s);
	check_digest(s);
	return 0;
}
