/* SPDX-License-Identifier: BSD-3-Clause */
/* Metadata files: three parts, there and back, and everything that is no metadata file. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/meta.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

static void part(struct hr_buf *b, char fill, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hr_buf_add(b, &fill, 1);
}

static void make(struct hr_buf *out, size_t record, size_t index, size_t loc)
{
	HR_CLEANUP(store_meta_release) struct store_meta b = { 0 };
	struct hr_err e = { 0 };

	part(&b.record, 'r', record);
	part(&b.index, 'i', index);
	part(&b.loc, 'l', loc);
	assert_int_equal(store_meta_write(&b, out, &e), 0);
}

static void write_then_open_gives_the_three_parts(void **state)
{
	HR_CLEANUP(store_meta_release) struct store_meta b = { 0 };
	hr_autobuf struct hr_buf file = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	make(&file, 300, 2000, 70);
	assert_int_equal(store_meta_open(file.p, file.len, &b, &e), 0);
	assert_int_equal(b.record.len, 300);
	assert_int_equal(b.index.len, 2000);
	assert_int_equal(b.loc.len, 70);
	assert_int_equal(b.record.p[299], 'r');
	assert_int_equal(b.index.p[0], 'i');
	assert_int_equal(b.loc.p[69], 'l');
}

static void refuses(const uint8_t *p, size_t n, const char *text)
{
	struct store_meta b = { 0 };
	struct hr_err e = { 0 };

	assert_int_equal(store_meta_open(p, n, &b, &e), -1);
	assert_int_equal(e.kind, HR_CORRUPT);
	if (!strstr(e.text, text))
		fail_msg("no '%s' in '%s'", text, e.text);
}

static void every_cut_and_every_byte_more_is_refused(void **state)
{
	hr_autobuf struct hr_buf file = { 0 };

	(void)state;
	make(&file, 300, 2000, 70);
	for (size_t n = 0; n < file.len; n++)
		refuses(file.p, n, "the metadata file ");
	hr_buf_add(&file, "x", 1);
	refuses(file.p, file.len, "1 bytes behind its end");
}

static bool same(const struct hr_buf *a, const struct hr_buf *b)
{
	return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

/* zstd has bits that mean nothing */
static void a_wrong_bit_is_refused_or_changes_nothing(void **state)
{
	HR_CLEANUP(store_meta_release) struct store_meta want = { 0 };
	hr_autobuf struct hr_buf file = { 0 };
	struct hr_err e = { 0 };
	size_t refused = 0, bits;

	(void)state;
	make(&file, 300, 2000, 70);
	assert_int_equal(store_meta_open(file.p, file.len, &want, &e), 0);
	bits = 8 * file.len;
	for (size_t i = 0; i < bits; i++) {
		HR_CLEANUP(store_meta_release) struct store_meta got = { 0 };

		file.p[i / 8] ^= (uint8_t)(1 << i % 8);
		if (store_meta_open(file.p, file.len, &got, &e) == 0)
			assert_true(same(&got.record, &want.record) &&
				    same(&got.index, &want.index) && same(&got.loc, &want.loc));
		refused += e.kind == HR_CORRUPT;
		hr_err_clear(&e);
		file.p[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_true(refused > bits * 9 / 10);
}

static void a_small_frame_of_a_huge_part_is_refused(void **state)
{
	hr_autobuf struct hr_buf file = { 0 };

	(void)state;
	make(&file, 300, 4u << 20, 70);
	refuses(file.p, file.len, "that the index has 4194304 bytes");
}

static void a_record_over_its_limit_is_refused(void **state)
{
	hr_autobuf struct hr_buf file = { 0 };
	HR_CLEANUP(store_meta_release) struct store_meta b = { 0 };
	struct hr_err e = { 0 };
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i <= 1u << 20; i++) {
		x = x * 1664525 + 1013904223;
		part(&b.record, (char)(x >> 24), 1);
	}
	part(&b.index, 'i', 10);
	part(&b.loc, 'l', 10);
	assert_int_equal(store_meta_write(&b, &file, &e), 0);
	refuses(file.p, file.len, "that the record has 1048577 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(write_then_open_gives_the_three_parts),
		cmocka_unit_test(every_cut_and_every_byte_more_is_refused),
		cmocka_unit_test(a_wrong_bit_is_refused_or_changes_nothing),
		cmocka_unit_test(a_small_frame_of_a_huge_part_is_refused),
		cmocka_unit_test(a_record_over_its_limit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
