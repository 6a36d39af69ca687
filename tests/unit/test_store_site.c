/* SPDX-License-Identifier: BSD-3-Clause */
/* store: the list of mirrored images: its lines, when images are due, which old ones stay. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/site.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static void lists(void **state)
{
	static const struct {
		const char *text, *message;
		size_t n;
	} rows[] = {
		{ "", NULL, 0 },
		{ "# all\nevery 2h # often\nkeep 2\nquota 1T\n\nimage a\nimage h.example/b:1 keep "
		  "3",
		  NULL, 2 },
		{ "image", "line 1: 'image' without a reference", 0 },
		{ "image a\nimage docker.io/library/a:latest\n", "line 2: the image '", 0 },
		{ "image a@" A, "has a digest", 0 },
		{ "keep-for 30d\nimage a keep 2 keep-for 1w", NULL, 1 },
		{ "keep-for 3", "keep-for: '3' is no duration", 0 },
		{ "image a every", "'every' without a value", 0 },
		{ "image a quota 1T", "unknown word 'quota'", 0 },
		{ "image a every 0d", "every: '0d' is no duration", 0 },
		{ "every d", "'d' is no duration", 0 },
		{ "every 521w", NULL, 0 },
		{ "every 522w", "every: '522w' is no duration", 0 },
		{ "every 1d 2d", "surplus word '2d'", 0 },
		{ "keep 0", "keep: '0' is not a number from 1", 0 },
		{ "\n\nimages a", "list, line 3: unknown word 'images'", 0 },
		{ "image A:b", "line 1: ", 0 },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		HR_CLEANUP(store_site_release) struct store_site s = { 0 };
		struct hr_err e = { 0 };
		int r = store_site_parse(rows[i].text, "list", &s, &e);

		if ((r < 0) != (rows[i].message != NULL) ||
		    (r < 0 ? !strstr(e.text, rows[i].message) : s.n != rows[i].n))
			fail_msg("row %zu: %d '%s', %zu images", i, r, e.text, s.n);
		if (i == 1) {
			assert_int_equal(s.every_s, 7200);
			assert_int_equal(s.quota, UINT64_C(1) << 40);
			assert_string_equal(s.images[0].name, "docker.io/library/a:latest");
			assert_int_equal(s.images[1].keep, 3);
		}
	}
}

static void edits_leave_other_lines_alone(void **state)
{
	static const char name[] = "docker.io/library/a:latest";
	static const struct {
		const char *text, *line, *out;
		bool changed;
	} rows[] = {
		{ "", "image x\n", "image x\n", true },
		{ "# c\nimage a\nimage b", "image x\n", "# c\nimage x\nimage b\n", true },
		{ "image a keep 2 # why\n", NULL, "", true },
		{ "image b\n", NULL, "image b\n", false },
		{ "image a\n", "image a\n", "image a\n", false },
		{ "# image a\n", NULL, "# image a\n", false },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autobuf struct hr_buf out = { 0 };
		bool changed = store_site_edit(rows[i].text, name, rows[i].line, &out);

		if (changed != rows[i].changed ||
		    strcmp(out.len ? (const char *)out.p : "", rows[i].out) != 0)
			fail_msg("row %zu: %d '%s'", i, changed, out.len ? (char *)out.p : "");
	}
}

/* An image that meant C and B before. */
static struct store_site_image *load(struct store_site *s, const char *list)
{
	struct hr_err e = { 0 };

	assert_int_equal(store_site_parse(list, "list", s, &e), 0);
	assert_int_equal(store_site_parse_state("image docker.io/library/a:latest\ntried 1000\n"
						"synced 1000\nold " B " 900\nold " C "\n",
						s, &e),
			 0);
	return &s->images[0];
}

static void as_many_old_images_stay_as_are_to_be_kept(void **state)
{
	static const struct {
		const char *list, *parted;
		size_t kept, dropped;
		const char *last; /* of those dropped */
	} rows[] = {
		{ "keep 4\nimage a", A, 3, 0, NULL },
		{ "keep 3\nimage a", A, 2, 1, C },
		{ "keep 1\nimage a", A, 0, 3, A },
		{ "keep 3\nimage a", NULL, 2, 0, NULL },
		{ "keep 9\nimage a keep 2", NULL, 1, 1, C },
		/* the tag came back from B to what it was: C stays older */
		{ "keep 9\nimage a", B, 2, 0, NULL },
		/* at 2000; when C was left is not known */
		{ "keep-for 20m\nimage a", A, 2, 1, C },
		{ "keep-for 19m\nimage a", NULL, 1, 1, C },
		{ "keep-for 18m\nimage a", NULL, 0, 2, B },
		{ "image a keep 2 keep-for 18m", NULL, 1, 1, C },
		{ "keep-for 1m\nimage a keep-for 20m", A, 2, 1, C },
		{ "keep-for 1m\nimage a", A, 1, 2, B },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		HR_CLEANUP(store_site_release) struct store_site s = { 0 };
		HR_CLEANUP(hr_strv_release) struct hr_strv dropped = { 0 };
		struct store_site_image *im = load(&s, rows[i].list);

		store_site_synced(&s, im, 2000, rows[i].parted, &dropped);
		if (im->n_old != rows[i].kept || dropped.n != rows[i].dropped)
			fail_msg("row %zu: %zu kept, %zu dropped", i, im->n_old, dropped.n);
		if (rows[i].last)
			assert_string_equal(dropped.v[dropped.n - 1], rows[i].last);
		assert_int_equal(im->synced_s, 2000);
	}
}

static void a_state_is_read_as_it_is_written(void **state)
{
	static const struct {
		const char *text, *message; /* NULL: it is written again as AGAIN */
		const char *again;
	} rows[] = {
		{ "image h/a:1\ntried 1\nsynced 1\nold " A " 1\n", NULL,
		  "image h/a:1\ntried 1\nsynced 1\nold " A " 1\n" },
		/* off the list, and nothing is kept of it */
		{ "image h/a:1\ntried 1\nsynced 1\n", NULL, "" },
		{ "tried 1\n", "line 1: 'tried' where none belongs", NULL },
		{ "image h/a:1\ntried\n", "line 2: 'tried' where none belongs", NULL },
		{ "image h/a:1\ntried 1 2\n", "line 2: surplus word '2'", NULL },
		{ "image h/a:1\nold " A " 1 2\n", "line 2: surplus word '2'", NULL },
		{ "image h/a:1\nold sha256:aa\n", "line 2: 'old sha256:aa'", NULL },
		{ "image h/a:1\nold " A " x\n", "line 2: 'old " A "'", NULL },
		{ "image h/a:1\nsynced -1\n", "line 2: 'synced -1'", NULL },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		HR_CLEANUP(store_site_release) struct store_site s = { 0 };
		hr_autobuf struct hr_buf out = { 0 };
		struct hr_err e = { 0 };
		int r = store_site_parse_state(rows[i].text, &s, &e);

		if (r == 0)
			store_site_write_state(&s, &out);
		if (rows[i].message ? r == 0 || strcmp(e.text, rows[i].message) != 0
				    : r < 0 || strcmp(out.len ? (const char *)out.p : "",
						      rows[i].again) != 0)
			fail_msg("row %zu: %d '%s' '%s'", i, r, e.text,
				 out.len ? (const char *)out.p : "");
	}
}

static void what_failed_is_due_sooner(void **state)
{
	HR_CLEANUP(store_site_release) struct store_site s = { 0 };
	struct store_site_image *im = load(&s, "image a\nimage new every 30m");
	hr_autobuf struct hr_buf text = { 0 };
	struct hr_err e = { 0 };
	struct store_site again = { 0 };

	(void)state;
	assert_int_equal(store_site_due(&s, im), 1000 + 86400);
	store_site_failed(im, 5000, "no route: \033[1mhost");
	assert_int_equal(store_site_due(&s, im), 5000 + 3600);
	assert_int_equal(store_site_due(&s, &s.images[1]), 0);
	store_site_failed(&s.images[1], 5000, "x");
	assert_int_equal(store_site_due(&s, &s.images[1]), 5000 + 1800);
	/* and it is the same when it is read again */
	store_site_write_state(&s, &text);
	assert_int_equal(store_site_parse("image a", "list", &again, &e), 0);
	assert_int_equal(store_site_parse_state((const char *)text.p, &again, &e), 0);
	assert_string_equal(again.images[0].reason.v[0], "no route: \\x1b[1mhost");
	assert_int_equal(again.images[0].n_old, 2);
	assert_int_equal(again.images[0].old[0].parted_s, 900);
	assert_int_equal(again.images[0].old[1].parted_s, 0);
	assert_int_equal(again.images[0].synced_s, 1000);
	assert_false(again.images[1].listed);
	store_site_release(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(edits_leave_other_lines_alone),
		cmocka_unit_test(as_many_old_images_stay_as_are_to_be_kept),
		cmocka_unit_test(a_state_is_read_as_it_is_written),
		cmocka_unit_test(what_failed_is_due_sooner),
	};

	return cmocka_run_group_tests_name("store site", tests, NULL, NULL);
}
