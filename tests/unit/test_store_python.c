/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/python.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/poison.h"

#define MAGIC	   3495 /* Python 3.11 */
#define HEADER	   16
#define NUMBERS	   20 /* bytes of a code object before its instructions */
#define EXTEND	   144
#define LOAD	   100
#define IMPORT	   108
#define RETURN	   83
#define CODE_BYTES 8

/* ---- a module by hand ---- */

/* All but the constants and names: INSTRUCTIONS are N bytes. */
static void begin(struct hr_buf *b, const uint8_t *instructions, size_t n)
{
	b->len = 0;
	hr_buf_le(b, MAGIC, 2);
	hr_buf_str(b, "\r\n");
	hr_buf_pad(b, HEADER);
	hr_buf_str(b, "\xe3"); /* code, which may be referred to: the first of them */
	for (size_t i = 0; i < NUMBERS; i++)
		hr_buf_le(b, 0, 1);
	hr_buf_str(b, "s");
	hr_buf_le(b, n, 4);
	hr_buf_add(b, instructions, n);
}

static void note(void *arg, const struct store_python_import *i)
{
	hr_buf_printf(arg, "%u%.*s", (unsigned)i->level, (int)i->module_len, i->module);
	if (i->name_len > 0)
		hr_buf_printf(arg, ":%.*s", (int)i->name_len, i->name);
	hr_buf_str(arg, " ");
}

static void count(void *arg, const struct store_python_import *i)
{
	(void)i;
	hr_buf_le(arg, 0, 1);
}

/* In a place of its exact size, where a sanitizer sees one byte too many. */
static void assert_imports(const char *what, const void *p, size_t n, const char *expected)
{
	hr_autofree uint8_t *exact = hr_xmalloc(n ? n : 1);
	hr_autobuf struct hr_buf got = { 0 };
	bool ok;

	hr_buf_str(&got, "");
	memcpy(exact, p, n);
	ok = store_python_imports(exact, n, note, &got);
	if (ok != (expected != NULL))
		fail_msg("%s: %s", what, ok ? "it is taken" : "it is refused");
	if (strcmp((const char *)got.p, expected ? expected : "") != 0)
		fail_msg("%s: '%s', expected '%s'", what, (const char *)got.p, expected);
}

/* ---- tests ---- */

/* What each Python has made of the same source. */
static void test_versions(void **state)
{
	static const char *const versions[] = { "3.6",	"3.7",	"3.8",	"3.9",
						"3.10", "3.11", "3.12", "3.13" };

	(void)state;
	for (size_t i = 0; i < HR_COUNT(versions); i++) {
		hr_autofree char *path = hr_xasprintf("%s/%s", CORPUS, versions[i]);
		hr_autobuf struct hr_buf b = { 0 };
		struct hr_err e = { 0 };

		assert_int_equal(hr_file_read(AT_FDCWD, path, 1 << 16, &b, &e), 0);
		assert_imports(versions[i], b.p, b.len, "0a.b.c 1 1:d 2e 2e:f 2e:g 0a 0a:* ");
		b.p[0]++;
		assert_imports("a version that is not known", b.p, b.len, NULL);
	}
}

static void test_constants(void **state)
{
	static const uint8_t code[CODE_BYTES] = { LOAD, 0, LOAD, 1, IMPORT, 0, RETURN, 0 };
	static const struct {
		const char *what, *consts, *names, *expected;
	} rows[] = {
		{ "a level and none", ")\2iAAAAN", ")\1z\1m", "1094795585m " },
		{ "names", ")\2iAAAA)\2z\1az\1b", ")\1z\1m",
		  "1094795585m 1094795585m:a 1094795585m:b " },
		{ "constants that end early", ")\2iAAAA)\2z", NULL, NULL },
		{ "a name that is none", ")\2iAAAA)\2Nz\1b", ")\1z\1m", "1094795585m " },
		{ "a level that is none", ")\2NN", ")\1z\1m", "" },
		{ "a constant that is missing", ")\1iAAAA", ")\1z\1m", "1094795585m " },
		{ "a name that is missing", ")\2iAAAAN", ")\1z\2m", NULL },
		{ "names that are none", ")\2iAAAAN", "z\1m", NULL },
		{ "constants that are none", "iAAAA", ")\1z\1m", NULL },
		{ "a type that is not known", ")\2iAAAA?", ")\1z\1m", NULL },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autobuf struct hr_buf b = { 0 };

		begin(&b, code, sizeof(code));
		hr_buf_str(&b, rows[i].consts);
		hr_buf_str(&b, rows[i].names ? rows[i].names : "");
		assert_imports(rows[i].what, b.p, b.len, rows[i].expected);
	}
}

/* References: to names before, to nothing, to the whole, and to one that is a reference. */
static void test_references(void **state)
{
	static const uint8_t code[CODE_BYTES] = { LOAD, 0, LOAD, 1, IMPORT, 0, RETURN, 0 };
	static const struct {
		const char *what;
		uint8_t ref;
		const char *expected;
	} rows[] = {
		{ "the module", 0, "" },     { "a level", 1, "" }, { "a tuple", 2, "" },
		{ "a name", 3, "0m 0m:m " }, { "nothing", 4, "" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		static const uint8_t consts[] = { ')', 2,	   'i' | 0x80, 0,	   0, 0,
						  0,   ')' | 0x80, 1,	       'z' | 0x80, 1, 'm' };
		hr_autobuf struct hr_buf b = { 0 };

		begin(&b, code, sizeof(code));
		hr_buf_add(&b, consts, sizeof(consts));
		hr_buf_str(&b, ")\1r");
		hr_buf_le(&b, rows[i].ref, 4);
		assert_imports(rows[i].what, b.p, b.len, rows[i].expected);
		assert_imports("its end is missing", b.p, b.len - 1, NULL);
	}
}

/* The 257th name is imported. */
static void test_many_names(void **state)
{
	static const uint8_t code[] = { LOAD, 0,    LOAD, 1,	EXTEND, 1,	IMPORT,
					0,    LOAD, 0,	  LOAD, 1,	IMPORT, 9 };
	hr_autobuf struct hr_buf b = { 0 };

	(void)state;
	begin(&b, code, sizeof(code));
	hr_buf_str(&b, ")\2i");
	hr_buf_le(&b, 0, 4);
	hr_buf_str(&b, "N(");
	hr_buf_le(&b, 257, 4);
	for (unsigned int i = 0; i < 257; i++)
		hr_buf_printf(&b, "z%c%03u", 3, i);
	assert_imports("many names", b.p, b.len, "0256 0009 ");
}

/* Each of many imports takes many names: there is an end to it. */
static void test_too_many(void **state)
{
	enum { IMPORTS = 1000, NAMES = 255 };
	hr_autobuf struct hr_buf b = { 0 }, code = { 0 }, got = { 0 };
	static const uint8_t one[] = { LOAD, 0, LOAD, 1, IMPORT, 0 };

	(void)state;
	for (unsigned int i = 0; i < IMPORTS; i++)
		hr_buf_add(&code, one, sizeof(one));
	begin(&b, code.p, code.len);
	hr_buf_str(&b, ")\2iAAAA)");
	hr_buf_le(&b, NAMES, 1);
	for (unsigned int i = 0; i < NAMES; i++)
		hr_buf_str(&b, "z\1n");
	hr_buf_str(&b, ")\1z\1m");
	assert_true(store_python_imports(b.p, b.len, count, &got));
	assert_int_equal(got.len, STORE_PYTHON_IMPORTS);
}

/* Tuples in tuples, as many as memory holds. */
static void test_depth_and_size(void **state)
{
	static const uint8_t no_code[1];
	hr_autobuf struct hr_buf b = { 0 };

	(void)state;
	begin(&b, no_code, 0);
	for (size_t i = 0; i < 100000; i++)
		hr_buf_str(&b, ")\1");
	assert_imports("deep", b.p, b.len, NULL);
	begin(&b, no_code, 0);
	hr_buf_str(&b, "(\xff\xff\xff\xff");
	assert_imports("a count that lies", b.p, b.len, NULL);
	begin(&b, no_code, 0);
	hr_buf_str(&b, ")\1l");
	hr_buf_le(&b, 0x80000000u, 4);
	assert_imports("the longest number", b.p, b.len, NULL);
	begin(&b, no_code, 0);
	hr_buf_le(&b, ')', 2);
	hr_buf_le(&b, ')', 2);
	assert_imports("nothing in it", b.p, b.len, "");
	hr_buf_pad(&b, STORE_PYTHON_MAX);
	assert_imports("the largest", b.p, b.len, "");
	hr_buf_le(&b, 0, 1);
	assert_imports("one byte more", b.p, b.len, NULL);
	assert_imports("no bytes", b.p, 0, NULL);
	assert_imports("a header alone", b.p, HEADER, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),   cmocka_unit_test(test_constants),
		cmocka_unit_test(test_references), cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_too_many),   cmocka_unit_test(test_depth_and_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
