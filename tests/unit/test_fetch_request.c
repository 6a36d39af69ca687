/* SPDX-License-Identifier: BSD-3-Clause */
/* fetch: the values of headers that decide about resumption and patience; credential helpers. */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fetch/helper.h"
#include "fetch/header.h"
#include "fetch/request.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

static void ranges(void **state)
{
	static const struct {
		const char *in;
		bool ok;
		struct fetch_range out;
	} rows[] = {
		{ "bytes 0-0/1", true, { 0, 0, 1 } },
		{ "bytes 5-9/10", true, { 5, 9, 10 } },
		{ "BYTES 5-9/10", true, { 5, 9, 10 } },
		{ "bytes 0-18446744073709551614/18446744073709551615",
		  true,
		  { 0, UINT64_MAX - 1, UINT64_MAX } },
		{ "bytes 0-9/18446744073709551616", false, { 0 } },
		{ "bytes 5-9/9", false, { 0 } },
		{ "bytes 9-5/10", false, { 0 } },
		{ "bytes 5-9/*", false, { 0 } },
		{ "bytes */10", false, { 0 } },
		{ "bytes 5-/10", false, { 0 } },
		{ "bytes -9/10", false, { 0 } },
		{ "bytes 5-9", false, { 0 } },
		{ "bytes 5-9/", false, { 0 } },
		{ "bytes 5-9/10 ", false, { 0 } },
		{ "bytes  5-9/10", false, { 0 } },
		{ "bytes=5-9/10", false, { 0 } },
		{ "lines 5-9/10", false, { 0 } },
		{ "bytes 0x5-9/10", false, { 0 } },
		{ "", false, { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct fetch_range r = { 0 };

		if (fetch_range_parse(rows[i].in, &r) != rows[i].ok ||
		    r.first != rows[i].out.first || r.last != rows[i].out.last ||
		    r.total != rows[i].out.total)
			fail_msg("row '%s'", rows[i].in);
	}
}

static void ranges_of_uploads(void **state)
{
	static const struct {
		const char *in;
		bool ok;
		uint64_t bytes;
	} rows[] = {
		{ NULL, true, 0 },
		{ "0--1", true, 0 },
		{ "0-0", true, 0 },
		{ "0-1", true, 2 },
		{ "0-1023", true, 1024 },
		{ "bytes=0-1023", true, 1024 },
		{ "0-9223372036854775807", true, UINT64_C(1) << 63 },
		{ "0-9223372036854775808", false, 0 },
		{ "1-5", false, 0 },
		{ "0-", false, 0 },
		{ "0--2", false, 0 },
		{ "0-5/10", false, 0 },
		{ "0-5 ", false, 0 },
		{ "bytes 0-5", false, 0 },
		{ "-5", false, 0 },
		{ "", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		uint64_t bytes = 1;

		if (fetch_upload_range_parse(rows[i].in, &bytes) != rows[i].ok ||
		    bytes != rows[i].bytes)
			fail_msg("row '%s'", rows[i].in ? rows[i].in : "NULL");
	}
}

static void patience(void **state)
{
	/* 2026-11-22 01:00:00 UTC */
	static const time_t now = 1795309200;
	static const struct {
		const char *in;
		bool ok;
		uint64_t ms;
	} rows[] = {
		{ "0", true, 0 },
		{ "1", true, 1000 },
		{ "599", true, 599000 },
		{ "600", true, 600000 },
		{ "601", true, 600000 },
		{ "99999999999999999999999", true, 600000 },
		{ "Sun, 22 Nov 2026 01:00:05 GMT", true, 5000 },
		{ "Sun, 22 Nov 2026 00:59:59 GMT", true, 0 },
		{ "Sun, 22 Nov 2036 01:00:05 GMT", true, 600000 },
		{ "Sun, 22 Nov 1926 01:00:05 GMT", true, 0 },
		{ "Sun, 22 Nvo 2026 01:00:05 GMT", false, 0 },
		{ "Sun, 22 ovD 2026 01:00:05 GMT", false, 0 },
		{ "Sun, 22 Nov 2026 01:00:05", false, 0 },
		{ "Sun, 22 Nov 2026 01:00:05 GMT+1", false, 0 },
		{ "Sunday, 22-Nov-26 01:00:05 GMT", false, 0 },
		{ "-1", false, 0 },
		{ "1.5", false, 0 },
		{ "1s", false, 0 },
		{ "", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		uint64_t ms = 0;

		if (fetch_retry_after_parse(rows[i].in, now, &ms) != rows[i].ok || ms != rows[i].ms)
			fail_msg("row '%s': %llu", rows[i].in, (unsigned long long)ms);
	}
}

/* ---- helpers ---- */

static char dir[] = "/tmp/test_fetch_request.XXXXXX";

static int make_helpers(void **state)
{
	static const struct {
		const char *name, *text;
	} helpers[] = {
		{ "docker-credential-echo", "#!/bin/sh\nprintf '%s:' \"$1\"; cat\n" },
		{ "docker-credential-deaf", "#!/bin/sh\nexit 3\n" },
		{ "docker-credential-hang", "#!/bin/sh\nexec sleep 60\n" },
		{ "docker-credential-agent",
		  "#!/bin/sh\nsleep 60 2>/dev/null & echo $! >\"$0.pid\"; echo ok\n" },
		{ "docker-credential-flood", "#!/bin/sh\nexec yes\n" },
		{ "docker-credential-dies", "#!/bin/sh\nkill -9 $$\n" },
	};
	struct hr_err e = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < HR_COUNT(helpers); i++) {
		hr_autofree char *path = hr_xasprintf("%s/%s", dir, helpers[i].name);

		assert_int_equal(hr_file_replace(-1, path, helpers[i].text, strlen(helpers[i].text),
						 0755, &e),
				 0);
	}
	return 0;
}

static int remove_helpers(void **state)
{
	hr_autodir DIR *d = opendir(dir);
	struct dirent *entry;

	(void)state;
	assert_non_null(d);
	while ((entry = readdir(d)))
		unlinkat(dirfd(d), entry->d_name, 0);
	return rmdir(dir);
}

static void helpers(void **state)
{
	static const struct {
		const char *name, *input;
		enum hr_kind kind; /* HR_OK: the output and exit status count */
		bool ok;
		const char *output;
	} rows[] = {
		{ "echo", "https://host", HR_OK, true, "get:https://host" },
		{ "deaf", "x", HR_OK, false, "" },
		{ "agent", "x", HR_OK, true, "ok\n" },
		{ "hang", "x", HR_DENIED, false, "no answer within 1 s" },
		{ "flood", "x", HR_DENIED, false, "more than 1048576 bytes" },
		{ "dies", "x", HR_DENIED, false, "signal 9" },
		{ "missing", "x", HR_NOTFOUND, false, "is not in PATH" },
		{ "", "x", HR_USAGE, false, "is no name" },
		{ "../echo", "x", HR_USAGE, false, "is no name" },
		{ "a b", "x", HR_USAGE, false, "is no name" },
	};
	hr_autofree char *path = hr_xasprintf("::relative:/nonexistent:%s:/usr/bin:/bin", dir);
	hr_autofree char *pid_file = hr_xasprintf("%s/docker-credential-agent.pid", dir);
	hr_autobuf struct hr_buf pid = { 0 };
	struct hr_err read = { 0 };

	(void)state;
	setenv("PATH", path, 1);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autobuf struct hr_buf out = { 0 };
		struct hr_err e = { 0 };
		bool ok = false;
		int r = fetch_helper_run(rows[i].name, "get", rows[i].input, 1000, &out, &ok, &e);

		if ((r == 0) != (rows[i].kind == HR_OK) || e.kind != rows[i].kind ||
		    ok != rows[i].ok ||
		    !strstr(r == 0 && out.p ? (const char *)out.p : e.text, rows[i].output))
			fail_msg("row '%s': %d '%s' '%s'", rows[i].name, r, e.text,
				 out.p ? (const char *)out.p : "");
	}
	/* the agent outlived its helper, as agents do; it is ours to end */
	if (hr_file_read(-1, pid_file, 100, &pid, &read) == 0)
		kill((pid_t)strtol((const char *)pid.p, NULL, 10), SIGKILL);
}

static void only_absolute_directories_are_searched(void **state)
{
	hr_autobuf struct hr_buf out = { 0 };
	struct hr_err e = { 0 };
	bool ok;

	(void)state;
	assert_int_equal(chdir(dir), 0);
	setenv("PATH", ":.:", 1);
	assert_int_equal(fetch_helper_run("echo", "get", "x", 1000, &out, &ok, &e), -1);
	assert_int_equal(e.kind, HR_NOTFOUND);
	assert_int_equal(chdir("/"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges),
		cmocka_unit_test(ranges_of_uploads),
		cmocka_unit_test(patience),
		cmocka_unit_test(helpers),
		cmocka_unit_test(only_absolute_directories_are_searched),
	};

	return cmocka_run_group_tests(tests, make_helpers, remove_helpers);
}
