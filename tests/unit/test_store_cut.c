/* SPDX-License-Identifier: BSD-3-Clause */
/* store: where layers are cut, at each boundary of the rule in hpcrun-store(5) CHUNKS. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/cut.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define K 1024u

/* The chunks and extents as text: "c0=131072 e0:0+0 ..." */
struct record {
	struct hr_buf text;
	unsigned int rooms; /* given out and not given back */
	uint64_t bytes;
};

static uint8_t *room(void *arg, struct hr_err *e)
{
	(void)e;
	((struct record *)arg)->rooms++;
	return hr_xmalloc(STORE_CHUNK_MAX);
}

static void drop(void *arg, uint8_t *buf)
{
	((struct record *)arg)->rooms--;
	free(buf);
}

static int chunk(void *arg, uint32_t ticket, uint8_t *buf, uint32_t n, struct hr_err *e)
{
	struct record *r = arg;

	(void)e;
	assert_in_range(n, 1, STORE_CHUNK_MAX);
	hr_buf_printf(&r->text, "c%u=%u ", ticket, n);
	r->bytes += n;
	drop(arg, buf);
	return 0;
}

static void extent(void *arg, const struct store_extent *x)
{
	struct record *r = arg;

	if (x->chunk == STORE_HOLE)
		hr_buf_printf(&r->text, "hole@%llu ", (unsigned long long)x->off);
	else
		hr_buf_printf(&r->text, "e%u@%llu+%u ", x->chunk, (unsigned long long)x->off,
			      x->chunk_off);
}

/* The last byte so that the low four bits of the check sum are 0, or are not. */
static void finish_content(uint8_t *p, size_t n, bool cut)
{
	do
		p[n - 1]++;
	while (((store_crc64(p, n) & STORE_CUT_MASK) == 0) != cut);
}

/* A file of N bytes: 'c' ends a group, 'x' does not, 'z' is zeros. */
static void file(struct store_cut *c, char kind, size_t n)
{
	hr_autofree uint8_t *p = hr_xmalloc(n + 1);
	struct hr_err e = { 0 };

	if (kind != 'z' && n > 0) {
		memset(p, 'a', n);
		finish_content(p, n, kind == 'c');
	}
	assert_int_equal(store_cut_begin(c, n, &e), 0);
	/* in odd pieces, as a stream comes */
	for (size_t at = 0; at < n; at += 70001)
		assert_int_equal(store_cut_data(c, at, p + at, n - at < 70001 ? n - at : 70001, &e),
				 0);
	assert_int_equal(store_cut_end(c, &e), 0);
}

static const struct {
	const char *what;
	struct {
		char kind;
		size_t n;
	} files[4];
	const char *text;
} rows[] = {
	{ "an empty file", { { 'x', 0 } }, "" },
	{ "one byte", { { 'x', 1 } }, "e0@0+0 c0=1 " },
	{ "zeros", { { 'z', 100 } }, "hole@0 " },
	{ "a small file at its limit",
	  { { 'x', 256 * K }, { 'x', 1 } },
	  "e0@0+0 e0@0+262144 c0=262145 " },
	{ "a large file at its limit",
	  { { 'x', 256 * K + 1 }, { 'x', 1 } },
	  "e0@0+0 c0=262144 e1@262144+0 c1=1 e2@0+0 c2=1 " },
	{ "a group below the least",
	  { { 'x', 1 }, { 'c', 128 * K - 2 }, { 'x', 1 } },
	  "e0@0+0 e0@0+1 e0@0+131071 c0=131072 " },
	{ "a group at the least",
	  { { 'x', 1 }, { 'c', 128 * K - 1 }, { 'x', 1 } },
	  "e0@0+0 e0@0+1 c0=131072 e1@0+0 c1=1 " },
	{ "a group at the least that need not end",
	  { { 'x', 1 }, { 'x', 128 * K - 1 }, { 'x', 1 } },
	  "e0@0+0 e0@0+1 e0@0+131072 c0=131073 " },
	{ "a full group",
	  { { 'x', 256 * K }, { 'x', 256 * K }, { 'x', 1 } },
	  "e0@0+0 e0@0+262144 c0=524288 e1@0+0 c1=1 " },
	{ "a group that would be one over",
	  { { 'x', 256 * K }, { 'x', 256 * K - 1 }, { 'x', 2 } },
	  "e0@0+0 e0@0+262144 c0=524287 e1@0+0 c1=2 " },
	{ "zeros do not end a full group",
	  { { 'x', 256 * K }, { 'x', 256 * K }, { 'z', 9 } },
	  "e0@0+0 e0@0+262144 hole@0 c0=524288 " },
	{ "two pieces less a byte",
	  { { 'x', 512 * K - 1 } },
	  "e0@0+0 c0=262144 e1@262144+0 c1=262143 " },
	{ "two pieces", { { 'x', 512 * K } }, "e0@0+0 c0=262144 e1@262144+0 c1=262144 " },
	{ "two pieces and a byte",
	  { { 'x', 512 * K + 1 } },
	  "e0@0+0 c0=262144 e1@262144+0 c1=262144 e2@524288+0 c2=1 " },
	{ "a large file inside a group",
	  { { 'x', 7 }, { 'x', 300 * K }, { 'x', 5 } },
	  "e0@0+0 e1@0+0 c1=262144 e2@262144+0 c2=45056 e0@0+7 c0=12 " },
	{ "large zeros", { { 'z', 512 * K + 1 } }, "hole@0 hole@262144 hole@524288 " },
};

static struct store_cut make_cut(struct record *r)
{
	struct store_cut_owner owner = { room, chunk, extent, drop, r };
	struct store_cut c;

	store_cut_init(&c, &owner);
	return c;
}

static void boundaries(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct record r = { .rooms = 0 };
		struct store_cut c = make_cut(&r);
		struct hr_err e = { 0 };

		for (size_t k = 0; k < 4 && rows[i].files[k].kind; k++)
			file(&c, rows[i].files[k].kind, rows[i].files[k].n);
		assert_int_equal(store_cut_finish(&c, &e), 0);
		store_cut_release(&c);
		if (strcmp(r.text.p ? (const char *)r.text.p : "", rows[i].text) != 0)
			fail_msg("row '%s': %s", rows[i].what, (const char *)r.text.p);
		assert_int_equal(r.rooms, 0);
		hr_buf_release(&r.text);
	}
}

/* Bytes here and there, the rest of the file is never given. */
static void sparse_files(void **state)
{
	static const struct {
		const char *what;
		uint64_t size, at[3]; /* UINT64_MAX: none */
		const char *text;
	} sparse[] = {
		{ "nothing but a hole",
		  INT64_MAX,
		  { UINT64_MAX },
		  "hole@0 hole@9223372036854513664 " },
		{ "a byte at 1 TiB",
		  (UINT64_C(1) << 40) + 512 * K,
		  { UINT64_C(1) << 40, UINT64_MAX },
		  "hole@0 e0@1099511627776+0 c0=262144 hole@1099511889920 " },
		{ "the last byte",
		  512 * K,
		  { 512 * K - 1, UINT64_MAX },
		  "hole@0 e0@262144+0 c0=262144 " },
		{ "two bytes of a piece",
		  256 * K + 9,
		  { 0, 256 * K - 1, UINT64_MAX },
		  "e0@0+0 c0=262144 hole@262144 " },
		{ "a small file", 100, { 99, UINT64_MAX }, "e0@0+0 c0=100 " },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(sparse); i++) {
		struct record r = { .rooms = 0 };
		struct store_cut c = make_cut(&r);
		struct hr_err e = { 0 };

		assert_int_equal(store_cut_begin(&c, sparse[i].size, &e), 0);
		for (size_t k = 0; k < 3 && sparse[i].at[k] != UINT64_MAX; k++)
			assert_int_equal(
				store_cut_data(&c, sparse[i].at[k], (const uint8_t *)"x", 1, &e),
				0);
		assert_int_equal(store_cut_end(&c, &e), 0);
		assert_int_equal(store_cut_finish(&c, &e), 0);
		store_cut_release(&c);
		if (strcmp((const char *)r.text.p, sparse[i].text) != 0)
			fail_msg("row '%s': %s", sparse[i].what, (const char *)r.text.p);
		hr_buf_release(&r.text);
	}
}

/* Two releases of a layer differ in one file: all groups but those around it are the same. */
static void a_changed_file_changes_few_chunks(void **state)
{
	struct hr_buf texts[2] = { { 0 }, { 0 } };
	size_t same = 0, all = 0;

	(void)state;
	for (int release = 0; release < 2; release++) {
		struct record r = { .rooms = 0 };
		struct store_cut c = make_cut(&r);
		struct hr_err e = { 0 };

		srand(7);
		for (int i = 0; i < 2000; i++) {
			uint8_t p[20000];
			size_t n = 100 + (size_t)rand() % 19000;

			for (size_t k = 0; k < n; k++)
				p[k] = (uint8_t)rand();
			if (i == 1000 && release == 1)
				n -= 50;
			assert_int_equal(store_cut_begin(&c, n, &e), 0);
			assert_int_equal(store_cut_data(&c, 0, p, n, &e), 0);
			assert_int_equal(store_cut_end(&c, &e), 0);
		}
		assert_int_equal(store_cut_finish(&c, &e), 0);
		store_cut_release(&c);
		texts[release] = r.text;
	}
	/* the sizes of the chunks stand for their content here */
	for (char *line = strstr((char *)texts[1].p, "c"); line; line = strstr(line + 1, " c")) {
		char *size = strchr(line, '=');
		hr_autofree char *word = hr_xstrndup(size, strcspn(size, " ") + 1);

		all++;
		same += strstr((char *)texts[0].p, word) != NULL;
	}
	assert_in_range(all, 50, 200);
	hr_buf_release(&texts[0]);
	hr_buf_release(&texts[1]);
	assert_in_range(all - same, 1, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boundaries),
		cmocka_unit_test(sparse_files),
		cmocka_unit_test(a_changed_file_changes_few_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
