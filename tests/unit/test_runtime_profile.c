/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime: seccomp profiles, capabilities by name, words of --security. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <seccomp.h>

#include "runtime/caps.h"
#include "runtime/lsm.h"
#include "runtime/profile.h"
#include "util/poison.h"

#define CALLS(rest) "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[" rest "]}"
#define CALL(rest)  CALLS("{\"names\":[\"x\"],\"action\":\"SCMP_ACT_ERRNO\"" rest "}")

static const struct rt_profile_facts facts = {
	.caps = 1 /* CAP_CHOWN */, .arch = "amd64", .major = 5, .minor = 10
};

static void profiles(void **state)
{
	static const struct {
		const char *text;
		int rules; /* -1: refused */
		const char *message;
	} rows[] = {
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", 0, NULL },
		{ CALL(""), 1, NULL },
		{ CALL(",\"args\":null,\"includes\":null,\"excludes\":null"), 1, NULL },
		{ CALL(",\"includes\":{\"caps\":[\"CAP_CHOWN\"]}"), 1, NULL },
		{ CALL(",\"includes\":{\"caps\":[\"CAP_CHOWN\",\"CAP_KILL\"]}"), 0, NULL },
		{ CALL(",\"includes\":{\"caps\":[\"CAP_OF_TOMORROW\"]}"), 0, NULL },
		{ CALL(",\"excludes\":{\"caps\":[\"CAP_CHOWN\"]}"), 0, NULL },
		{ CALL(",\"excludes\":{\"caps\":[\"CAP_KILL\"]}"), 1, NULL },
		{ CALL(",\"includes\":{\"arches\":[\"arm64\",\"amd64\"]}"), 1, NULL },
		{ CALL(",\"includes\":{\"arches\":[\"arm64\"]}"), 0, NULL },
		{ CALL(",\"excludes\":{\"arches\":[\"amd64\"]}"), 0, NULL },
		{ CALL(",\"includes\":{\"minKernel\":\"5.9\"}"), 1, NULL },
		{ CALL(",\"includes\":{\"minKernel\":\"5.10\"}"), 1, NULL },
		{ CALL(",\"includes\":{\"minKernel\":\"5.11\"}"), 0, NULL },
		{ CALL(",\"includes\":{\"minKernel\":\"6.0\"}"), 0, NULL },
		{ CALL(",\"errno\":\"EPERM\",\"errnoRet\":1"), 1, NULL },
		{ "", -1, "no JSON" },
		{ "{}", -1, "member 'defaultAction' is missing" },
		{ "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", -1,
		  "action 'SCMP_ACT_NOTIFY' is not supported" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\"}", -1,
		  "unknown member 'listenerPath'" },
		{ CALLS("{\"action\":\"SCMP_ACT_ALLOW\"}"), -1,
		  "element 0 of 'syscalls': it names no system call" },
		{ CALLS("1"), -1, "element 0 of 'syscalls': it is not an object" },
		{ CALL(",\"errno\":\"EPERM\""), -1, "'errno' needs the number" },
		{ CALL(",\"errnoRet\":4096"), -1, "errnoRet" },
		{ CALL(",\"args\":[{\"index\":6,\"op\":\"SCMP_CMP_EQ\"}]"), -1, "index" },
		{ CALL(",\"args\":[{\"op\":\"SCMP_CMP_EQ\"}]"), -1, "has no 'index'" },
		{ CALL(",\"args\":[{\"index\":0,\"op\":\"EQ\"}]"), -1,
		  "comparison 'EQ' is not supported" },
		{ CALL(",\"includes\":{\"cap\":[]}"), -1, "unknown member 'cap'" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_profile p;
		struct hr_err e = { 0 };
		int r = rt_profile_parse((const uint8_t *)rows[i].text, strlen(rows[i].text),
					 &facts, &p, &e);

		if (rows[i].rules < 0 ? r == 0 || !strstr(e.text, rows[i].message)
				      : r < 0 || (int)p.n != rows[i].rules)
			fail_msg("row %zu: %d, %zu rules, '%s'", i, r, p.n, e.text);
		rt_profile_release(&p);
	}
}

static void actions_have_their_error_numbers(void **state)
{
	static const char text[] =
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"syscalls\":["
		"{\"names\":[\"a\",\"b\"],\"name\":\"c\",\"action\":\"SCMP_ACT_ERRNO\",\"args\":["
		"{\"index\":1,\"value\":2,\"valueTwo\":3,\"op\":\"SCMP_CMP_MASKED_EQ\"}]},"
		"{\"name\":\"d\",\"action\":\"SCMP_ACT_KILL\",\"errnoRet\":7}]}";
	struct rt_profile p;
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(rt_profile_parse((const uint8_t *)text, strlen(text), &facts, &p, &e), 0);
	assert_int_equal(p.action, SCMP_ACT_ERRNO(38));
	assert_int_equal(p.n, 2);
	assert_int_equal(p.v[0].names.n, 3);
	assert_int_equal(p.v[0].action, SCMP_ACT_ERRNO(1));
	assert_int_equal(p.v[0].args[0].index, 1);
	assert_int_equal(p.v[0].args[0].op, SCMP_CMP_MASKED_EQ);
	assert_int_equal(p.v[0].args[0].value_two, 3);
	assert_int_equal(p.v[1].action, SCMP_ACT_KILL_THREAD);
	rt_profile_release(&p);
}

static void capabilities_by_name(void **state)
{
	uint64_t mask = 0;
	struct hr_err e = { 0 };

	(void)state;
	assert_true(rt_caps_bit("CAP_CHOWN") == 1);
	assert_true(rt_caps_bit("cap_setfcap") == UINT64_C(1) << 31);
	assert_true(rt_caps_bit("Checkpoint_Restore") == UINT64_C(1) << 40);
	assert_true(rt_caps_bit("CAP_") == 0);
	assert_int_equal(rt_caps_parse("chown,CAP_KILL,", &mask, &e), 0);
	assert_int_equal(mask, 0x21);
	assert_int_equal(rt_caps_parse("ALL", &mask, &e), 0);
	assert_true(mask == UINT64_MAX);
	assert_int_equal(rt_caps_parse("chwon", &mask, &e), -1);
	assert_non_null(strstr(e.hint, "'chown'"));
}

static void words_of_security(void **state)
{
	static const struct {
		const char *word, *message;
	} rows[] = {
		{ "seccomp:/a:b", NULL },
		{ "no-new-privileges", NULL },
		{ "apparmor=p", NULL },
		{ "selinux:a:b:c", NULL },
		{ "seccomp", "'seccomp' has no value" },
		{ "selinux:", "'selinux:' has no value" },
		{ "secomp:/a", "is none of: seccomp:FILE" },
		{ "", "is none of" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_strv words = { 0 };
		struct rt_security s;
		struct hr_err e = { 0 };
		int r;

		hr_strv_add(&words, rows[i].word);
		r = rt_security_parse(&words, &s, &e);
		if (rows[i].message ? r == 0 || !strstr(e.text, rows[i].message) : r < 0)
			fail_msg("row '%s': %d '%s'", rows[i].word, r, e.text);
		if (i == 0)
			assert_string_equal(s.seccomp, "/a:b");
		hr_strv_release(&words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(profiles),
		cmocka_unit_test(actions_have_their_error_numbers),
		cmocka_unit_test(capabilities_by_name),
		cmocka_unit_test(words_of_security),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
