/* SPDX-License-Identifier: BSD-3-Clause */
/* fetch: digests as text and as bytes, whole and running. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fetch/fetch.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define HEX_OF_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HEX_OF_ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void text(void **state)
{
	static const struct {
		const char *what, *in, *message; /* message NULL: accepted */
	} rows[] = {
		{ "good", "sha256:" HEX_OF_ABC, NULL },
		{ "empty", "", "is not a digest" },
		{ "bare digits", HEX_OF_ABC, "is not a digest" },
		{ "no digits", "sha256:", "has 0 digits, expected 64" },
		{ "upper case",
		  "sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		  "other than 0-9 and a-f" },
		{ "65 digits", "sha256:" HEX_OF_ABC "0", "has 65 digits" },
		{ "slashes",
		  "sha256:../../../../../../../../../../../../../../../../../../../../etc/x",
		  "digits" },
		{ "64 characters of path",
		  "sha256:../../../../../../../../../../../../../../../../../../../../etc",
		  "digits" },
		{ "blank in front", " sha256:" HEX_OF_ABC, "algorithm ' sha256'" },
		{ "md5", "md5:900150983cd24fb0d6963f7d28e17f72", "algorithm 'md5'" },
		{ "sha512", "sha512:00", "algorithm 'sha512'" },
		{ "upper-case algorithm", "SHA256:" HEX_OF_ABC, "algorithm 'SHA256'" },
		{ "newline behind", "sha256:" HEX_OF_ABC "\n", "has 65 digits" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct fetch_digest d;
		struct hr_err e = { 0 };
		int r = fetch_digest_parse(rows[i].in, &d, &e);

		if ((r == 0) != (rows[i].message == NULL) ||
		    (r < 0 && (e.kind != HR_CORRUPT || !strstr(e.text, rows[i].message))))
			fail_msg("row '%s': %d '%s'", rows[i].what, r, e.text);
	}
}

static void digits_have_an_exact_length(void **state)
{
	char s[FETCH_DIGEST_HEX + 1] = HEX_OF_ABC;
	struct fetch_digest d;
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(fetch_digest_parse_hex(s, &d, &e), 0);
	s[63] = '\0';
	assert_int_equal(fetch_digest_parse_hex(s, &d, &e), -1);
	assert_non_null(strstr(e.text, "63 digits"));
}

static void there_and_back(void **state)
{
	char text_buf[FETCH_DIGEST_TEXT], hex[FETCH_DIGEST_HEX];
	struct fetch_digest d, again;
	struct hr_err e = { 0 };

	(void)state;
	fetch_digest_of("abc", 3, &d);
	assert_string_equal(fetch_digest_text(&d, text_buf), "sha256:" HEX_OF_ABC);
	assert_string_equal(fetch_digest_hex(&d, hex), HEX_OF_ABC);
	assert_int_equal(fetch_digest_parse(text_buf, &again, &e), 0);
	assert_true(fetch_digest_equal(&d, &again));
	again.b[31] ^= 1;
	assert_false(fetch_digest_equal(&d, &again));
}

static void running(void **state)
{
	HR_CLEANUP(fetch_hash_freep) struct fetch_hash *h = fetch_hash_new();
	HR_CLEANUP(fetch_hash_freep) struct fetch_hash *none = fetch_hash_new();
	char hex[FETCH_DIGEST_HEX];
	struct fetch_digest d;

	(void)state;
	fetch_hash_add(h, "a", 1);
	fetch_hash_add(h, "", 0);
	fetch_hash_add(h, "bc", 2);
	fetch_hash_end(h, &d);
	assert_string_equal(fetch_digest_hex(&d, hex), HEX_OF_ABC);
	fetch_hash_end(none, &d);
	assert_string_equal(fetch_digest_hex(&d, hex), HEX_OF_EMPTY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text),
		cmocka_unit_test(digits_have_an_exact_length),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
