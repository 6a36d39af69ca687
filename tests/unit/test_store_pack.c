/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of packs: what a writer put there is read back, in both forms; others are refused. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/pack.h"
#include "tests/unit/tree_remove.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define N	   3
#define PLAIN	   1000
#define ROW_AS_NOW 80
#define ROW_BARE   48

/* Frames of 5, 6 and 7 bytes; nobody decompresses them here. */
static const char *const frames[N] = { "five.", "sixsix", "seven77" };

/* A table as the page describes it: rows of ROW bytes behind MAGIC. */
static void make_table(const char *magic, size_t row, struct hr_buf *b)
{
	uint64_t off = 0;

	hr_buf_str(b, magic);
	hr_buf_le(b, N, 4);
	hr_buf_le(b, 0, 4);
	for (uint32_t i = 0; i < N; i++) {
		struct fetch_digest d;
		size_t len = strlen(frames[i]);

		memset(d.b, (int)i, sizeof(d.b));
		hr_buf_add(b, d.b, sizeof(d.b));
		hr_buf_le(b, off, 8);
		hr_buf_le(b, len, 4);
		hr_buf_le(b, PLAIN + i, 4);
		if (row == ROW_AS_NOW) {
			fetch_digest_of(frames[i], len, &d);
			hr_buf_add(b, d.b, sizeof(d.b));
		}
		off += len;
	}
	hr_buf_le(b, off, 8);
	hr_buf_str(b, "hpcrPAKE");
}

static void check_rows(const struct store_pack_table *t)
{
	uint64_t plain = 0, off = 0;

	assert_int_equal(t->n, N);
	for (uint32_t i = 0; i < N; i++) {
		struct store_pack_row r = store_pack_row(t, i, &plain);
		struct fetch_digest none = { { 0 } }, of_frame;

		fetch_digest_of(frames[i], strlen(frames[i]), &of_frame);
		assert_int_equal(r.digest.b[0], i);
		assert_int_equal(r.frame_off, off);
		assert_int_equal(r.frame_len, strlen(frames[i]));
		assert_int_equal(r.plain_len, PLAIN + i);
		assert_true(fetch_digest_equal(&r.frame, t->frame_digests ? &of_frame : &none));
		off += r.frame_len;
	}
	assert_int_equal(t->frames_bytes, off);
}

static void rows_are_read_with_and_without_digests_of_frames(void **state)
{
	static const struct {
		const char *magic;
		size_t row;
		bool good, digests;
	} tables[] = {
		{ "hpcrPAK2", ROW_AS_NOW, true, true },	  { "hpcrPAK1", ROW_BARE, true, false },
		{ "hpcrPAK1", ROW_AS_NOW, false, false }, { "hpcrPAK2", ROW_BARE, false, false },
		{ "hpcrPAK3", ROW_AS_NOW, false, false },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(tables); i++) {
		hr_autobuf struct hr_buf b = { 0 };
		struct store_pack_table t;
		struct hr_err e = { 0 };
		uint64_t frames_bytes = 5 + 6 + 7;
		int r;

		make_table(tables[i].magic, tables[i].row, &b);
		r = store_pack_table_parse(b.p, b.len, frames_bytes + 8 + b.len, &t, &e);
		assert_int_equal(r, tables[i].good ? 0 : -1);
		if (r < 0) {
			assert_int_equal(e.kind, HR_CORRUPT);
			continue;
		}
		assert_true(t.frame_digests == tables[i].digests);
		check_rows(&t);
	}
}

static void a_writer_names_its_pack_by_the_table(void **state)
{
	char dir[] = "/tmp/test_store_pack.XXXXXX";
	hr_autobuf struct hr_buf expected = { 0 }, b = { 0 };
	struct store_pack_writer *w;
	struct store_loc_pack name;
	struct store_pack_table t;
	struct fetch_digest digest;
	struct store *st;
	struct hr_err e = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(store_open(dir, STORE_WRITE, NULL, &st, &e), 0);
	assert_int_equal(store_pack_new(st, &w, &e), 0);
	for (uint32_t i = 0; i < N; i++) {
		struct store_pack_frame f = { .p = frames[i], .len = (uint32_t)strlen(frames[i]) };
		struct store_chunk c = { .bytes = PLAIN + i };
		struct store_loc_chunk where;

		memset(c.digest.b, (int)i, sizeof(c.digest.b));
		fetch_digest_of(f.p, f.len, &f.digest);
		assert_int_equal(store_pack_add(w, &c, &f, &where, &e), 0);
		assert_int_equal(where.frame, i);
	}
	assert_int_equal(store_pack_finish(w, &name, &e), 0);
	assert_int_equal(store_pack_publish(w, &e), 0);
	store_pack_free(w);

	make_table("hpcrPAK2", ROW_AS_NOW, &expected);
	assert_int_equal(expected.len, store_pack_table_bytes(N));
	fetch_digest_of(expected.p, expected.len, &digest);
	assert_true(fetch_digest_equal(&digest, &name.name));
	assert_int_equal(store_pack_table_read(st, &name.name, &b, &t, &e), 0);
	check_rows(&t);
	store_close(st);
	assert_int_equal(tree_remove(dir), 0);
}

static void what_begins_a_table_is_told_before_the_rest_came(void **state)
{
	static const struct {
		const char *magic;
		uint32_t n;
		bool good;
	} rows[] = {
		{ "hpcrPAK2", N, true },
		{ "hpcrPAK2", N - 1, false },
		{ "hpcrPAK2", N + 1, false },
		{ "hpcrPAK1", N, false },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autobuf struct hr_buf b = { 0 };

		make_table(rows[i].magic, ROW_AS_NOW, &b);
		assert_true(store_pack_table_begins(b.p, rows[i].n) == rows[i].good);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_begins_a_table_is_told_before_the_rest_came),
		cmocka_unit_test(rows_are_read_with_and_without_digests_of_frames),
		cmocka_unit_test(a_writer_names_its_pack_by_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
