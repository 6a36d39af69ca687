/* SPDX-License-Identifier: BSD-3-Clause */
/* Traces: the order of first touches, there and back, and everything that is no trace. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/trace.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define CHUNKS 5

static struct hr_buf bytes;
static struct store_index *ix;

/* An image of an empty root and CHUNKS chunks. */
static int setup(void **state)
{
	struct store_index_builder *b = store_index_builder_new();
	const struct store_inode root = { .mode = S_IFDIR | 0755, .nlink = 2 };
	struct fetch_digest d = { { 7 } };
	struct hr_err e = { 0 };

	(void)state;
	for (uint8_t i = 0; i < CHUNKS; i++) {
		struct fetch_digest chunk = { { i } };

		(void)store_index_builder_chunk(b, &chunk, i, i == 4 ? 600 : 100);
	}
	(void)store_index_builder_inode(b, &root);
	if (store_index_builder_finish(b, &d, &d, "{}", 2, &bytes, &e) < 0)
		return -1;
	store_index_builder_free(b);
	return store_index_parse(bytes.p, bytes.len, &ix, &e);
}

static int teardown(void **state)
{
	(void)state;
	store_index_free(ix);
	hr_buf_release(&bytes);
	return 0;
}

static void write_trace(struct hr_buf *b)
{
	static const uint32_t touched[] = { 3, 1, 3, CHUNKS, 4, 1 };
	struct store_trace *t = store_trace_new(ix);

	for (size_t i = 0; i < HR_COUNT(touched); i++)
		store_trace_touch(t, touched[i]);
	assert_int_equal(store_trace_count(t), 3);
	store_trace_write(t, b);
	store_trace_free(t);
}

static void what_was_touched_since_then_is_told(void **state)
{
	struct store_trace *t = store_trace_new(ix);
	uint32_t got[CHUNKS] = { 0 };

	(void)state;
	assert_int_equal(store_trace_since(t, 0, got), 0);
	store_trace_touch(t, 3);
	store_trace_touch(t, 1);
	store_trace_touch(t, 4);
	assert_int_equal(store_trace_since(t, 1, got), 2);
	assert_int_equal(got[0], 1);
	assert_int_equal(got[1], 4);
	assert_int_equal(store_trace_since(t, 3, got), 0);
	assert_int_equal(store_trace_since(t, 9, got), 0);
	store_trace_free(t);
}

/* One of the five chunks is larger than the others together. */
static void how_much_of_an_image_was_touched_is_told_by_bytes(void **state)
{
	struct store_trace *t = store_trace_new(ix);

	(void)state;
	assert_false(store_trace_has(t, 0));
	for (uint32_t i = 0; i < 4; i++)
		store_trace_touch(t, i);
	assert_true(store_trace_has(t, 3));
	assert_false(store_trace_has(t, 4)); /* four tenths, no more */
	store_trace_touch(t, 4);
	assert_true(store_trace_has(t, 9));
	store_trace_free(t);
}

static void first_touches_come_back_in_order(void **state)
{
	hr_autobuf struct hr_buf b = { 0 };
	hr_autofree uint32_t *order = NULL;
	struct hr_err e = { 0 };
	uint32_t n = 0;

	(void)state;
	write_trace(&b);
	assert_int_equal(store_trace_parse(b.p, b.len, ix, &order, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_int_equal(order[0], 3);
	assert_int_equal(order[1], 1);
	assert_int_equal(order[2], 4);
}

static void what_is_no_trace_is_refused(void **state)
{
	static const struct {
		const char *what;
		size_t at; /* byte to change; past the end: cut one byte off */
		uint8_t to;
	} rows[] = {
		{ "magic", 0, 'x' },	     { "one chunk more", 8, 4 },
		{ "one chunk less", 8, 2 },  { "reserved", 12, 1 },
		{ "another image", 16, 8 },  { "a chunk too far", 48, CHUNKS },
		{ "the same twice", 48, 1 }, { "cut short", 1000, 0 },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autobuf struct hr_buf b = { 0 };
		hr_autofree uint32_t *order = NULL;
		struct hr_err e = { 0 };
		uint32_t n;

		write_trace(&b);
		if (rows[i].at < b.len)
			b.p[rows[i].at] = rows[i].to;
		else
			b.len--;
		if (store_trace_parse(b.p, b.len, ix, &order, &n, &e) == 0 || e.kind != HR_CORRUPT)
			fail_msg("row '%s': '%s'", rows[i].what, e.text);
	}
}

static void each_program_has_a_trace_of_its_own(void **state)
{
	struct fetch_digest manifest = { { 7 } }, a, b, again;

	(void)state;
	store_trace_name(&manifest, "python3", &a);
	store_trace_name(&manifest, "", &b);
	store_trace_name(&manifest, "python3", &again);
	assert_false(fetch_digest_equal(&a, &b));
	assert_true(fetch_digest_equal(&a, &again));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_touched_since_then_is_told),
		cmocka_unit_test(how_much_of_an_image_was_touched_is_told_by_bytes),
		cmocka_unit_test(first_touches_come_back_in_order),
		cmocka_unit_test(what_is_no_trace_is_refused),
		cmocka_unit_test(each_program_has_a_trace_of_its_own),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
