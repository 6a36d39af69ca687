/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime/gpu_list: what a list of a vendor's libraries may say; versions in texts of drivers. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/gpu_list.h"
#include "util/cleanup.h"
#include "util/poison.h"

static void lists(void **state)
{
	static const struct {
		const char *text, *message; /* NULL: it is good */
		size_t devices, require;
	} rows[] = {
		{ "vendor=v\ndevice=/dev/x\n", NULL, 1, 0 },
		{ "# c\nvendor = v\ndevice=/a\ndevice=/b\nrequire=l\nvisible=V\nfile=/f\n", NULL, 2,
		  1 },
		{ "vendor=v\n", "'device' is missing", 0, 0 },
		{ "device=/dev/x\n", "'vendor' is missing", 0, 0 },
		{ "vendor=v\ndevice=/x\nlibrarie=l\n", "line 3: unknown key 'librarie'", 0, 0 },
		{ "vendor=v\ndevice=\n", "line 2: 'device' has no value", 0, 0 },
		{ "vendor=v\n[x]\ndevice=/x\n", "line 3: unknown key 'device'", 0, 0 },
		{ "vendor\n", "line 1: not a 'key = value' line", 0, 0 },
		{ "", "'vendor' is missing", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_gpu_list l;
		struct hr_err e = { 0 };
		int r = rt_gpu_list_parse(rows[i].text, &l, &e);

		if (r != (rows[i].message ? -1 : 0) ||
		    (rows[i].message && !strstr(e.text, rows[i].message)) ||
		    (!rows[i].message &&
		     (l.devices.n != rows[i].devices || l.require.n != rows[i].require)))
			fail_msg("%s: %d, %s", rows[i].text, r, e.text);
		rt_gpu_list_release(&l);
	}
}

static void versions(void **state)
{
	static const struct {
		const char *text, *version;
	} rows[] = {
		{ "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15",
		  "535.104.05" },
		{ "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release",
		  "550.54.14" },
		{ "535.104.05", "535.104.05" },
		{ "5.0\n", "5.0" },
		{ "5", NULL },
		{ "5.", NULL },
		{ ".5.", NULL },
		{ "v5.0 6", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autofree char *v = rt_gpu_version(rows[i].text);

		if (rows[i].version ? !v || strcmp(v, rows[i].version) != 0 : v != NULL)
			fail_msg("%s: %s", rows[i].text, v ? v : "none");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
