/* SPDX-License-Identifier: BSD-3-Clause */
/* store: what a node remembers of a store that was silent, and a chain that is gone through again.
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/outage.h"
#include "tests/unit/store_rig.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/poison.h"

#define LIFE_S 60

static const struct hr_err silence = { .kind = HR_NET }, not_there = { .kind = HR_NOTFOUND };

/* As of an answer that was waited for MS. */
static void note(const struct store *st, const struct hr_err *failure, uint64_t ms)
{
	store_outage_note(st, failure, hr_now_ms() - ms);
}

static void silence_is_remembered_until_an_answer(void **state)
{
	static const struct hr_err damaged = { .kind = HR_CORRUPT };
	static const struct {
		const char *what;
		const struct hr_err *failure;
		uint64_t ms;
		bool lately;
	} rows[] = {
		{ "nothing yet", NULL, 0, false },
		{ "refused at once", &silence, 500, false },
		{ "silent for long", &silence, 2000, true },
		{ "then refused at once", &silence, 0, true },
		{ "an answer", NULL, 3000, false },
		{ "silent again", &silence, 10000, true },
		{ "it has no such image", &not_there, 3000, false },
		{ "silent once more", &silence, 2000, true },
		{ "wrong bytes", &damaged, 0, false },
	};
	const struct store *st = *state;

	assert_false(store_outage_lately(st));
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		note(st, rows[i].failure, rows[i].ms);
		if (store_outage_lately(st) != rows[i].lately)
			fail_msg("%s: %d", rows[i].what, !rows[i].lately);
	}
}

/* The record with the time AGO seconds ago, LEN bytes of it. */
static void write_record(const struct store *st, const char *magic, int64_t ago, size_t len)
{
	hr_autobuf struct hr_buf b = { 0 };

	hr_buf_str(&b, magic);
	hr_buf_le(&b, (uint64_t)((int64_t)time(NULL) - ago), 8);
	hr_buf_str(&b, "more");
	MUST(hr_file_replace(st->fd, "silent", b.p, len, 0600, &err));
}

static void a_record_that_is_old_or_wrong_is_none(void **state)
{
	static const struct {
		const char *what, *magic;
		int64_t ago;
		size_t len;
		bool lately;
	} rows[] = {
		{ "new", "hpcrOUT1", 0, 16, true },
		{ "nearly too old", "hpcrOUT1", LIFE_S - 5, 16, true },
		{ "too old", "hpcrOUT1", LIFE_S, 16, false },
		{ "from before the clock was set back", "hpcrOUT1", -5, 16, false },
		{ "of another kind", "hpcrSUM1", 0, 16, false },
		{ "cut short", "hpcrOUT1", 0, 15, false },
		{ "empty", "hpcrOUT1", 0, 0, false },
		{ "one byte more", "hpcrOUT1", 0, 17, false },
	};
	const struct store *st = *state;

	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		write_record(st, rows[i].magic, rows[i].ago, rows[i].len);
		if (store_outage_lately(st) != rows[i].lately)
			fail_msg("%s: %d", rows[i].what, !rows[i].lately);
	}
}

/* Who was given little time is asked again before an image is said to be nowhere. */
static void a_chain_is_gone_through_again_once(void **state)
{
	char *urls[] = { (char *)(uintptr_t) "http://a", (char *)(uintptr_t) "http://b", NULL };
	const struct store_paths stores = { .v = urls, .n = 2 };
	HR_CLEANUP(store_outage_release) struct store_outage o = { 0 };
	struct hr_err e = silence;

	(void)state;
	assert_true(store_outage_pass(&o, &e));
	assert_false(store_outage_again(&o)); /* it was given all its time */
	o.hurried++;
	assert_true(store_outage_again(&o));
	assert_true(o.patient);
	assert_int_equal(o.n, 0);
	e = silence;
	assert_true(store_outage_pass(&o, &e));
	e = not_there;
	assert_true(store_outage_pass(&o, &e));
	assert_false(store_outage_again(&o));
	assert_int_equal(store_outage_missing(&o, &stores, "x", &e), -1);
	assert_int_equal(e.kind, HR_NET);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(silence_is_remembered_until_an_answer,
						store_rig_setup, store_rig_teardown),
		cmocka_unit_test_setup_teardown(a_record_that_is_old_or_wrong_is_none,
						store_rig_setup, store_rig_teardown),
		cmocka_unit_test(a_chain_is_gone_through_again_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
