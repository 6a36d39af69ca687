/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime/hook: what a hook file may say, and when a session wants the hook. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/hook.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define FILE_WITH(hook, when, stages)                                                              \
	"{\"version\":\"1.0.0\",\"hook\":{" hook "},\"when\":{" when "},\"stages\":[" stages "]}"
#define PATH   "\"path\":\"/x\""
#define ALWAYS "\"always\":true"
#define STAGE  "\"poststop\""

static void hook_files(void **state)
{
	static const struct {
		const char *json, *message; /* NULL: it is good */
	} rows[] = {
		{ FILE_WITH(PATH, ALWAYS, STAGE), NULL },
		{ FILE_WITH(PATH ",\"args\":[\"x\",\"\"],\"env\":[\"A=\"],\"timeout\":1", ALWAYS,
			    "\"createRuntime\",\"createContainer\",\"startContainer\""),
		  NULL },
		{ FILE_WITH(PATH, "\"annotations\":{\"a\":\"b\"},\"commands\":[\".\"]", STAGE),
		  NULL },
		{ FILE_WITH(PATH, "", STAGE), "'when' has no condition" },
		{ FILE_WITH(PATH, "\"commands\":[]", STAGE), "'commands' is empty" },
		{ FILE_WITH(PATH, "\"commands\":[1]", STAGE), "element 0 of 'commands'" },
		{ FILE_WITH(PATH, "\"always\":1", STAGE), "'always' is not true or false" },
		{ FILE_WITH(PATH, "\"annotations\":{\"a\":1}", STAGE), "annotation 'a'" },
		{ FILE_WITH(PATH, "\"annotations\":[]", STAGE), "'annotations' is not an object" },
		{ FILE_WITH(PATH, "\"usually\":true", STAGE), "unknown member 'usually'" },
		{ FILE_WITH(PATH, ALWAYS, ""), "'stages' is empty" },
		{ FILE_WITH(PATH, ALWAYS, "\"prestart\""), "stage 'prestart' is not known" },
		{ FILE_WITH(PATH, ALWAYS, "1"), "stage '' is not known" },
		{ FILE_WITH("", ALWAYS, STAGE), "'path' is missing" },
		{ FILE_WITH("\"path\":\"\"", ALWAYS, STAGE), "'path' is empty" },
		{ FILE_WITH("\"path\":\"x\"", ALWAYS, STAGE), "'x') is not absolute" },
		{ FILE_WITH(PATH ",\"env\":[\"A\"]", ALWAYS, STAGE), "element 0 of 'env'" },
		{ FILE_WITH(PATH ",\"timeout\":0", ALWAYS, STAGE), "is 0, not 1 to 3600" },
		{ FILE_WITH(PATH ",\"timeout\":3601", ALWAYS, STAGE), "is 3601, not 1 to 3600" },
		{ FILE_WITH(PATH ",\"timeout\":-1", ALWAYS, STAGE), "is -1, not 1 to 3600" },
		{ FILE_WITH(PATH ",\"timeout\":1.5", ALWAYS, STAGE), "is not an integer" },
		{ FILE_WITH(PATH ",\"user\":0", ALWAYS, STAGE), "unknown member 'user'" },
		{ FILE_WITH(PATH, ALWAYS, STAGE) "x", "no JSON" },
		{ FILE_WITH(PATH "," PATH, ALWAYS, STAGE), "no JSON" },
		{ "{\"version\":\"1.0\"}", "version '1.0' is not known" },
		{ "{\"version\":null}", "'version' is not a string" },
		{ "{}", "'version' is missing" },
		{ "[]", "not an object" },
		{ "", "no JSON" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		struct rt_hook h;
		int r = rt_hook_parse((const uint8_t *)rows[i].json, strlen(rows[i].json), &h, &e);

		if (r != (rows[i].message ? -1 : 0) ||
		    (rows[i].message && !strstr(e.text, rows[i].message)))
			fail_msg("%s: %d, %s", rows[i].json, r, e.text);
		rt_hook_release(&h);
	}
}

static void a_file_that_is_too_long(void **state)
{
	hr_autofree uint8_t *p = calloc(1, RT_HOOK_FILE_MAX + 1);
	struct hr_err e = { 0 };
	struct rt_hook h;

	(void)state;
	assert_int_equal(rt_hook_parse(p, RT_HOOK_FILE_MAX + 1, &h, &e), -1);
	assert_non_null(strstr(e.text, "at most 65536"));
}

static void conditions(void **state)
{
	static char key[] = "org.hpcrun.image", value[] = "lab/app:1";
	static const struct rt_hook_pair pairs[] = { { key, value } };
	static const struct rt_hook_facts facts = {
		.command = "/opt/bin/app", .binds = true, .pairs = pairs, .n_pairs = 1
	};
	static const struct {
		const char *when;
		int result;
	} rows[] = {
		{ "\"always\":true", 1 },
		{ "\"always\":false", 0 },
		{ "\"hasBindMounts\":true", 1 },
		{ "\"hasBindMounts\":false", 0 },
		{ "\"hasBindMounts\":true,\"always\":false", 0 },
		{ "\"commands\":[\"^app$\"]", 0 },
		{ "\"commands\":[\"^app$\",\"/app$\"]", 1 },
		{ "\"commands\":[\"(\"]", -1 },
		{ "\"annotations\":{\"image$\":\"^lab/\"}", 1 },
		{ "\"annotations\":{\"image$\":\"^lab$\"}", 0 },
		{ "\"annotations\":{\"job\":\".\"}", 0 },
		{ "\"annotations\":{\".\":\"app\",\"[\":\".\"}", -1 },
		{ "\"annotations\":{}", 1 },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autofree char *json =
			hr_xasprintf("{\"version\":\"1.0.0\",\"hook\":{\"path\":\"/x\"},"
				     "\"when\":{%s},\"stages\":[\"poststop\"]}",
				     rows[i].when);
		struct hr_err e = { 0 };
		struct rt_hook h;

		assert_int_equal(rt_hook_parse((const uint8_t *)json, strlen(json), &h, &e), 0);
		if (rt_hook_matches(&h, &facts, &e) != rows[i].result)
			fail_msg("%s: not %d, %s", rows[i].when, rows[i].result, e.text);
		rt_hook_release(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hook_files),
		cmocka_unit_test(a_file_that_is_too_long),
		cmocka_unit_test(conditions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
