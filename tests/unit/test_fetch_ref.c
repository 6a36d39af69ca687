/* SPDX-License-Identifier: BSD-3-Clause */
/* fetch: image references as users write them. */
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

#define D    "@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define A8   "aaaaaaaa"
#define A64  A8 A8 A8 A8 A8 A8 A8 A8
#define A128 A64 A64

static void accepted(void **state)
{
	static const struct {
		const char *in, *full;
	} rows[] = {
		{ "debian", "docker.io/library/debian:latest" },
		{ "debian:12", "docker.io/library/debian:12" },
		{ "lab/app", "docker.io/lab/app:latest" },
		{ "docker.io/debian", "docker.io/library/debian:latest" },
		{ "index.docker.io/lab/app", "docker.io/lab/app:latest" },
		{ "docker://debian", "docker.io/library/debian:latest" },
		{ "docker://ghcr.io/a/b:c", "ghcr.io/a/b:c" },
		{ "localhost/a", "localhost/a:latest" },
		{ "localhost:5000", "docker.io/library/localhost:5000" },
		{ "localhost:5000/a", "localhost:5000/a:latest" },
		{ "host:1/a", "host:1/a:latest" },
		{ "host:65535/a", "host:65535/a:latest" },
		{ "[::1]:5000/a:b", "[::1]:5000/a:b" },
		{ "[2001:DB8:0::1]/a", "[2001:db8::1]/a:latest" },
		{ "127.0.0.1:5000/a/b/c:t", "127.0.0.1:5000/a/b/c:t" },
		{ "GHCR.io/a/b", "ghcr.io/a/b:latest" },
		{ "a" D, "docker.io/library/a" D },
		{ "a:t" D, "docker.io/library/a:t" D },
		{ "h.x/a.b_c__d-e---f/0", "h.x/a.b_c__d-e---f/0:latest" },
		{ "a:" A128, "docker.io/library/a:" A128 },
		{ "a:_.-", "docker.io/library/a:_.-" },
		{ "lab/sha256:00", "docker.io/lab/sha256:00" },
		{ "sha256", "docker.io/library/sha256:latest" },
		{ "sha256:5000/a:b", "sha256:5000/a:b" },
		{ "h.x/" A128 A64 "aaaaaaa/" A8 A8 A8 A8 A8 A8 "aaaaaaa",
		  "h.x/" A128 A64 "aaaaaaa/" A8 A8 A8 A8 A8 A8 "aaaaaaa:latest" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
		HR_CLEANUP(fetch_ref_release) struct fetch_ref again = { 0 };
		hr_autofree char *full = NULL;
		struct hr_err e = { 0 };

		if (fetch_ref_parse(rows[i].in, &ref, &e) < 0)
			fail_msg("row '%s': %s", rows[i].in, e.text);
		full = fetch_ref_text(&ref);
		assert_string_equal(full, rows[i].full);
		assert_int_equal(fetch_ref_parse(full, &again, &e), 0);
		assert_string_equal(ref.repo, again.repo);
	}
}

static const struct {
	const char *what, *in, *message;
} refused_rows[] = {
	{ "nothing", "", "is empty" },
	{ "scheme alone", "docker://", "is empty" },
	{ "other scheme", "https://h.x/a", "is a URL" },
	{ "upper case", "Debian", "upper-case letter" },
	{ "upper case in path", "h.x/Lab/app", "upper-case letter" },
	{ "parent", "h.x/../a", "must stand at the start" },
	{ "parent alone", "..", "must stand at the start" },
	{ "two dots", "h.x/a..b", "between separators" },
	{ "three underscores", "a___b", "between separators" },
	{ "dash behind", "a-", "between separators" },
	{ "dot in front", ".a/b", "host has an empty part" },
	{ "empty part", "h.x/a//b", "empty part" },
	{ "slash behind", "a/", "empty part" },
	{ "slash in front", "/a", "empty part" },
	{ "host alone", "h.x/", "repository is missing" },
	{ "blank", "a b", "other than a-z" },
	{ "escape", "a\033[2J", "other than a-z" },
	{ "utf-8", "\xc3\xa9", "letter a-z" },
	{ "tag empty", "a:", "tag is empty" },
	{ "tag of 129", "a:" A128 "a", "tag has 129 characters" },
	{ "tag with a dot in front", "a:.x", "must start with" },
	{ "tag with a dash in front", "a:-x", "must start with" },
	{ "tag with a slash", "a:b/c", "port" },
	{ "tag with a plus", "a:b+c", "tag 'b+c' has a character" },
	{ "two tags", "a:b:c", "tag 'b:c' has a character" },
	{ "tag before digest empty", "a:" D, "tag is empty" },
	{ "digest short", "a@sha256:00", "has 2 digits" },
	{ "digest empty", "a@", "is not a digest" },
	{ "digest in place of a name, short", "sha256:00", "digest has 2 digits" },
	{ "digest in place of a name", "sha256:" A64, "is a digest without a repository" },
	{ "digest of another kind in place of a name", "sha512:00", "'sha512' is not supported" },
	{ "digest md5", "a@md5:00", "algorithm 'md5'" },
	{ "two digests", "a" D D, "digits" },
	{ "digest alone", D, "repository is missing" },
	{ "port 0", "h:0/a", "port" },
	{ "port 65536", "h:65536/a", "port" },
	{ "port empty", "h:/a", "port" },
	{ "port with a sign", "h:+1/a", "port" },
	{ "bracket open", "[::1/a", "IPv6" },
	{ "bracket with a name", "[host]/a", "IPv6" },
	{ "behind the bracket", "[::1]x/a", "followed by" },
	{ "zone", "[fe80::1%25eth0]/a", "IPv6" },
	{ "short address", "127.1/a", "dotted IPv4" },
	{ "hexadecimal address", "0x7f.0.0.0x1/a", "dotted IPv4" },
	{ "user name", "user@h.x/a", "digest" },
	{ "host with a dash", "-h.x/a", "starts or ends with '-'" },
	{ "repository of 256", "h.x/" A128 A64 A8 A8 A8 A8 A8 A8 A8 "aaaaaaaa",
	  "has 256 characters" },
	{ "host label of 64", A64 ".x/a", "part of 64 characters" },
};

static void refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(refused_rows); i++) {
		struct fetch_ref ref = { 0 };
		struct hr_err e = { 0 };

		if (fetch_ref_parse(refused_rows[i].in, &ref, &e) == 0)
			fail_msg("row '%s' was accepted", refused_rows[i].what);
		if (e.kind != HR_USAGE || !strstr(e.text, refused_rows[i].message))
			fail_msg("row '%s': kind %d, '%s'", refused_rows[i].what, e.kind, e.text);
		assert_null(ref.registry);
	}
}

static void too_long_is_refused_before_anything_else(void **state)
{
	char s[5001];
	struct fetch_ref ref = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	memset(s, 'a', sizeof(s) - 1);
	s[sizeof(s) - 1] = '\0';
	assert_int_equal(fetch_ref_parse(s, &ref, &e), -1);
	assert_non_null(strstr(e.text, "has 5000 characters"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted),
		cmocka_unit_test(refused),
		cmocka_unit_test(too_long_is_refused_before_anything_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
