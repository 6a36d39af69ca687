/* SPDX-License-Identifier: BSD-3-Clause */
/* store: what people read: sizes, ages, tables, and which references a word fits. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/match.h"
#include "store/size.h"
#include "store/table.h"
#include "store/when.h"
#include "util/cleanup.h"
#include "util/poison.h"

static void sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0 B" },
		{ 999, "999 B" },
		{ 1000, "1.00 kB" },
		{ 9994, "9.99 kB" },
		{ 9996, "10.0 kB" },
		{ 99949, "99.9 kB" },
		{ 99951, "100 kB" },
		{ 999499, "999 kB" },
		{ 999501, "1.00 MB" },
		{ 1230000000, "1.23 GB" },
		{ UINT64_C(999600000000000000), "1.00 EB" },
		{ UINT64_MAX, "18.4 EB" },
	};
	char buf[STORE_SIZE_TEXT];

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++)
		assert_string_equal(store_size_text(rows[i].bytes, buf), rows[i].text);
}

static void dates(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t seconds;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", true, 0 },
		{ "2000-03-01T00:00:00Z", true, 951868800 },
		{ "2024-02-29T12:34:56.789012345Z", true, 1709210096 },
		{ "2024-02-29T12:34:56+01:30", true, 1709210096 - 5400 },
		{ "2024-02-29t12:34:56-01:00", true, 1709210096 + 3600 },
		{ "1969-12-31T23:59:59Z", true, -1 },
		{ "0001-01-01T00:00:00Z", false, 0 },
		{ "0000-01-01T00:00:00Z", false, 0 },
		{ "-", false, 0 },
		{ "", false, 0 },
		{ "2024", false, 0 },
		{ "2024-13-01T00:00:00Z", false, 0 },
		{ "2024-00-01T00:00:00Z", false, 0 },
		{ "2024-01-32T00:00:00Z", false, 0 },
		{ "2024-01-01T24:00:00Z", false, 0 },
		{ "2024-01-01T00:60:00Z", false, 0 },
		{ "2024-01-01T00:00:61Z", false, 0 },
		{ "2024-01-01T00:00:00", false, 0 },
		{ "2024-01-01T00:00:00.Z", false, 0 },
		{ "2024-01-01T00:00:00+1:00", false, 0 },
		{ "2024-01-01T00:00:00+24:00", false, 0 },
		{ "2024-01-01T00:00:00+01:60", false, 0 },
		{ "2024-01-01T00:00:00Zz", false, 0 },
		{ " 2024-01-01T00:00:00Z", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		int64_t got = 12345;
		bool ok = store_when_parse(rows[i].text, &got);

		if (ok != rows[i].ok || (ok && got != rows[i].seconds))
			fail_msg("'%s': %d %lld", rows[i].text, ok, (long long)got);
	}
}

static void ages(void **state)
{
	static const struct {
		int64_t age;
		const char *text;
	} rows[] = {
		{ -61, "1970-01-12" },
		{ -60, "just now" },
		{ 0, "just now" },
		{ 1, "just now" },
		{ 2, "2 seconds ago" },
		{ 119, "119 seconds ago" },
		{ 120, "2 minutes ago" },
		{ 7199, "119 minutes ago" },
		{ 7200, "2 hours ago" },
		{ 2 * 86400 - 1, "47 hours ago" },
		{ 2 * 86400, "2 days ago" },
		{ 14 * 86400 - 1, "13 days ago" },
		{ 14 * 86400, "2 weeks ago" },
		{ 60 * 86400 - 1, "8 weeks ago" },
		{ 60 * 86400, "2 months ago" },
		{ 730 * 86400 - 1, "24 months ago" },
		{ 730 * 86400, "2 years ago" },
		{ INT64_C(3650) * 86400, "10 years ago" },
	};
	char buf[STORE_WHEN_TEXT];

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++)
		assert_string_equal(store_when_text(1000000, 1000000 + rows[i].age, buf),
				    rows[i].text);
}

static void print_table(size_t width, const char *expected)
{
	static const struct store_table_column columns[] = { { "NAME", false, true },
							     { "N", true, false },
							     { "LAST", false, false } };
	static const char *const cells[] = { "one",	"5", "x",	"registry/some/long/name",
					     "1234",	"y", "\033[2J", "0",
					     "\xc3\xa4" };
	struct store_table t = { .columns = columns, .n = HR_COUNT(columns) };
	hr_autofree char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (size_t i = 0; i < HR_COUNT(cells); i++)
		store_table_add(&t, cells[i]);
	store_table_print(&t, f, width);
	fclose(f);
	store_table_release(&t);
	assert_string_equal(text, expected);
}

static void tables_fit_their_content_or_the_terminal(void **state)
{
	(void)state;
	print_table(0, "NAME                        N  LAST\n"
		       "one                         5  x\n"
		       "registry/some/long/name  1234  y\n"
		       "\\x1b[2J                     0  \xc3\xa4\n");
	print_table(35, "NAME                        N  LAST\n"
			"one                         5  x\n"
			"registry/some/long/name  1234  y\n"
			"\\x1b[2J                     0  \xc3\xa4\n");
	print_table(34, "NAME                       N  LAST\n"
			"one                        5  x\n"
			"..istry/some/long/name  1234  y\n"
			"\\x1b[2J                    0  \xc3\xa4\n");
	/* no narrower than this */
	print_table(1, "NAME             N  LAST\n"
		       "one              5  x\n"
		       "../long/name  1234  y\n"
		       "\\x1b[2J          0  \xc3\xa4\n");
}

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"

static void a_word_fits_references_that_end_with_it(void **state)
{
	static const struct {
		const char *word, *ref;
		bool fits;
	} rows[] = {
		{ "app", "registry.example/lab/app:1", true },
		{ "lab/app", "registry.example/lab/app:1", true },
		{ "lab/app:1", "registry.example/lab/app:1", true },
		{ "lab/app:2", "registry.example/lab/app:1", false },
		{ "registry.example/lab/app", "registry.example/lab/app:1", true },
		{ "host:5000/app", "host:5000/app:1", true },
		{ "host:5000/app", "host:5001/app:1", false },
		{ "pp", "registry.example/lab/app:1", false },
		{ "lab", "registry.example/lab/app:1", false },
		{ "debian", "docker.io/library/debian:12", true },
		{ "docker.io/debian", "docker.io/library/debian:12", true },
		{ "debian:latest", "docker.io/library/debian:12", false },
		{ "app@" D1, "registry.example/lab/app:1", true },
		{ "app@" D2, "registry.example/lab/app:1", false },
		{ "app:1", "registry.example/lab/app@" D1, false },
		{ "app", "registry.example/lab/app@" D1, true },
	};
	struct store_ref_record r = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(fetch_digest_parse(D1, &r.document, &e), 0);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		HR_CLEANUP(store_match_release) struct store_match m = { 0 };
		HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };

		assert_int_equal(store_match_parse(rows[i].word, &m, &e), 0);
		assert_int_equal(fetch_ref_parse(rows[i].ref, &ref, &e), 0);
		if (store_match_fits(&m, &ref, &r) != rows[i].fits)
			fail_msg("'%s' and '%s'", rows[i].word, rows[i].ref);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(dates),
		cmocka_unit_test(ages),
		cmocka_unit_test(tables_fit_their_content_or_the_terminal),
		cmocka_unit_test(a_word_fits_references_that_end_with_it),
	};

	return cmocka_run_group_tests_name("store text", tests, NULL, NULL);
}
