/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime, definitions of the host's MPI: what a file means, and what is wrong with it. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/mpi.h"
#include "runtime/stack.h"
#include "util/cleanup.h"
#include "util/poison.h"

static void a_definition_has_all_its_lines(void **state)
{
	static const char text[] = "# a comment\n"
				   "library = libmpi.so.12  libmpich.so.12\tlibmpi_cray.so.12\n"
				   "library = /opt/f/libfabric.so.1\n"
				   "extra = libcxi.so.1\n"
				   "plugins = /opt/f/modules/\n"
				   "path = /opt//f\n"
				   "image_path = /opt/own/lib\n"
				   "env = A=b=c\n"
				   "device = /dev/cxi*\n"
				   "bind = /run/cxi:/run/cxi:ro\n";
	struct rt_stack s;
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(rt_stack_parse("/etc/x/site.conf", text, &s, &e), 0);
	assert_string_equal(s.name, "site");
	assert_int_equal(s.n_libs, 2);
	assert_string_equal(s.libs[0].host, "libmpi.so.12");
	assert_int_equal(s.libs[0].names.n, 2);
	assert_string_equal(s.libs[0].names.v[1], "libmpi_cray.so.12");
	assert_string_equal(s.libs[1].host, "/opt/f/libfabric.so.1");
	assert_string_equal(s.extra.v[0], "libcxi.so.1");
	assert_string_equal(s.plugins.v[0], "/opt/f/modules");
	assert_string_equal(s.path.v[0], "/opt/f");
	assert_string_equal(s.image_path.v[0], "/opt/own/lib");
	assert_string_equal(s.env.v[0], "A=b=c");
	assert_string_equal(s.devices.v[0], "/dev/cxi*");
	assert_int_equal(s.binds.n, 1);
	assert_true(s.binds.v[0].ro);
	rt_stack_release(&s);
}

static void a_wrong_line_is_named(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "", "x: no library is named" },
		{ "path = /a\n", "x: no library is named" },
		{ "library =\n",
		  "x, line 1: library: '' is neither a soname nor an absolute path" },
		{ "library = mpi\n",
		  "x, line 1: library: 'mpi' is neither a soname nor an absolute path" },
		{ "library = lib/libmpi.so.1\n",
		  "x, line 1: library: 'lib/libmpi.so.1' is neither a soname nor an absolute "
		  "path" },
		{ "library = libmpi.so.12 /a/libmpi.so.12\n",
		  "x, line 1: library: '/a/libmpi.so.12' is not a soname" },
		{ "\nextra = fabric\n",
		  "x, line 2: extra: 'fabric' is neither a soname nor an absolute path" },
		{ "path = usr/lib\n",
		  "x, line 1: path: 'usr/lib' is not an absolute path without '..'" },
		{ "plugins = /a/../b\n",
		  "x, line 1: plugins: '/a/../b' is not an absolute path without '..'" },
		{ "image_path = /a:/b\n",
		  "x, line 1: image_path: '/a:/b' is not an absolute path without '..'" },
		{ "device = cxi0\n",
		  "x, line 1: device: 'cxi0' is not an absolute path without '..'" },
		{ "env = A\n", "x, line 1: env: 'A' is not NAME=VALUE" },
		{ "librari = x\n", "x, line 1: unknown key 'librari'" },
		{ "[mpi]\nlibrary = libmpi.so.12\n", "x, line 2: unknown section '[mpi]'" },
		{ "what is this\n", "x, line 1: not a 'key = value' line" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_stack s;
		struct hr_err e = { 0 };

		assert_int_equal(rt_stack_parse("x", rows[i].text, &s, &e), -1);
		assert_int_equal(e.kind, HR_USAGE);
		assert_string_equal(e.text, rows[i].message);
		rt_stack_release(&s);
	}
}

static void numbers_of_libtool_are_explained(void **state)
{
	static const struct {
		const char *file, *text;
	} rows[] = {
		{ "libmpi.so.12.1.10", "libmpi.so.12.1.10, interface 13, back to 12" },
		{ "libmpi.so.40.30.4", "libmpi.so.40.30.4, interface 70, back to 40" },
		{ "libmpi.so.12", "libmpi.so.12" },
		{ "libmpi.so", "libmpi.so" },
		{ "x.so.y.z.0", "x.so.y.z.0" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autofree char *file = hr_xstrdup(rows[i].file);
		struct rt_lib lib = { .file = file };
		hr_autofree char *text = rt_mpi_version_text(&lib);

		assert_string_equal(text, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_definition_has_all_its_lines),
		cmocka_unit_test(a_wrong_line_is_named),
		cmocka_unit_test(numbers_of_libtool_are_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
