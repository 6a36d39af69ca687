/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime, what libraries say of themselves: real ones, foreign ones, damaged ones. */
#include "config.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/elf.h"
#include "tests/unit/elf_build.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/le.h"
#include "util/poison.h"

static const struct elf_build_lib libb = { "libb.so.1", "libb.so.1",
					   "int other(void) { return 2; }\n",
					   "W_1.0 { global: *; };\n", NULL };
static const struct elf_build_lib liba = { "liba.so.1", "liba.so.1",
					   "int other(void);\n"
					   "__attribute__((weak)) int maybe(void);\n"
					   "int fresh(void) { return other() + (maybe != 0); }\n"
					   "int old(void) { return 1; }\n",
					   "V_1 { global: old; local: *; };\n"
					   "V_2 { global: fresh; } V_1;\n",
					   "libb.so.1 -Wl,-rpath,/opt/x" };
static const struct elf_build_lib plain = { "plain.so", NULL, "int x;\n", NULL, NULL };

static int setup(void **state)
{
	(void)state;
	elf_build_dir();
	elf_build(&libb);
	elf_build(&liba);
	elf_build(&plain);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	elf_build_end();
	return 0;
}

static void read_file(const char *name, struct hr_buf *b)
{
	struct hr_err e = { 0 };

	assert_int_equal(hr_file_read(AT_FDCWD, name, 1 << 20, b, &e), 0);
}

static void a_library_with_versions(void **state)
{
	hr_autofd int fd = open("liba.so.1", O_RDONLY | O_CLOEXEC);
	struct hr_err e = { 0 };
	struct rt_elf elf;

	(void)state;
	assert_int_equal(rt_elf_read(fd, "liba.so.1", &elf, &e), 0);
	assert_string_equal(elf.soname, "liba.so.1");
	assert_int_equal(elf.needed.n, 1);
	assert_string_equal(elf.needed.v[0], "libb.so.1");
	assert_int_equal(elf.n_needs, 1);
	assert_string_equal(elf.needs[0].file, "libb.so.1");
	assert_string_equal(elf.needs[0].version, "W_1.0");
	assert_int_equal(elf.versions.n, 2); /* without the base, which is the soname */
	assert_true(rt_elf_defines(&elf, "V_1"));
	assert_true(rt_elf_defines(&elf, "V_2"));
	assert_false(rt_elf_defines(&elf, "liba.so.1"));
	assert_string_equal(elf.runpath ? elf.runpath : elf.rpath, "/opt/x");
	rt_elf_release(&elf);
}

static void a_library_that_says_little(void **state)
{
	hr_autofd int fd = open("plain.so", O_RDONLY | O_CLOEXEC);
	struct hr_err e = { 0 };
	struct rt_elf elf;

	(void)state;
	assert_int_equal(rt_elf_read(fd, "plain.so", &elf, &e), 0);
	assert_null(elf.soname);
	assert_null(elf.runpath);
	assert_int_equal(elf.needed.n + elf.n_needs + elf.versions.n, 0);
	rt_elf_release(&elf);
}

static void symbols_are_defined_or_wanted_and_weak_ones_neither(void **state)
{
	hr_autofd int fd = open("liba.so.1", O_RDONLY | O_CLOEXEC);
	struct rt_elf_symbols s;
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(rt_elf_symbols_read(fd, "liba.so.1", &s, &e), 0);
	assert_true(rt_elf_has(&s.defined, "fresh"));
	assert_true(rt_elf_has(&s.defined, "old"));
	assert_false(rt_elf_has(&s.defined, "other"));
	assert_true(rt_elf_has(&s.wanted, "other"));
	assert_false(rt_elf_has(&s.wanted, "maybe"));
	rt_elf_symbols_release(&s);
}

static void what_is_no_library_is_refused_by_name(void **state)
{
	static const struct {
		const char *file, *message;
	} rows[] = {
		{ "source.c", "it is no ELF file" },
		{ ".", "it is no file" },
		{ "/dev/null", "it is no file" },
		{ "/proc/self/exe", "its ELF type is not that of a library" },
		{ "empty", "it is no ELF file" },
	};
	struct hr_err ok = { 0 };

	(void)state;
	assert_int_equal(hr_file_replace(AT_FDCWD, "empty", "", 0, 0644, &ok), 0);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autofd int fd = open(rows[i].file, O_RDONLY | O_CLOEXEC);
		struct hr_err e = { 0 };
		struct rt_elf elf;
		int r = rt_elf_read(fd, rows[i].file, &elf, &e);

		rt_elf_release(&elf);
		if (r == 0 && strcmp(rows[i].file, "/proc/self/exe") == 0)
			continue; /* a position-independent program is an ELF file of that type */
		assert_int_equal(r, -1);
		assert_int_equal(e.kind, HR_CORRUPT);
		if (!strstr(e.text, rows[i].message))
			fail_msg("%s", e.text);
	}
}

static void machines_have_names_and_are_told_apart(void **state)
{
	static const struct {
		uint16_t machine;
		const char *name;
	} rows[] = {
		{ EM_X86_64, "x86-64, 64-bit" },
		{ EM_AARCH64, "AArch64, 64-bit" },
		{ 9999, "machine 9999, 64-bit" },
	};
	hr_autobuf struct hr_buf b = { 0 };
	struct rt_elf first;
	struct hr_err e = { 0 };

	(void)state;
	read_file("liba.so.1", &b);
	assert_int_equal(rt_elf_parse(b.p, b.len, "a", &first, &e), 0);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autofree char *text = NULL;
		struct rt_elf elf;

		hr_le16_put(b.p + offsetof(Elf64_Ehdr, e_machine), rows[i].machine);
		assert_int_equal(rt_elf_parse(b.p, b.len, "a", &elf, &e), 0);
		text = rt_elf_machine_text(&elf);
		assert_string_equal(text, rows[i].name);
		assert_int_equal(rt_elf_same_machine(&first, &elf),
				 first.machine == rows[i].machine);
		rt_elf_release(&elf);
	}
	rt_elf_release(&first);
}

static void a_library_cut_short_anywhere_is_refused_or_whole(void **state)
{
	hr_autobuf struct hr_buf b = { 0 };

	(void)state;
	read_file("liba.so.1", &b);
	for (size_t n = 0; n < b.len; n++) {
		hr_autofree uint8_t *part = malloc(n + 1);
		struct hr_err e = { 0 };
		struct rt_elf elf;

		memcpy(part, b.p, n);
		if (rt_elf_parse(part, n, "part", &elf, &e) < 0)
			assert_int_equal(e.kind, HR_CORRUPT);
		rt_elf_release(&elf);
		/* the section headers are the last thing in the file */
		if (n + sizeof(Elf64_Shdr) * 2 < b.len)
			assert_int_not_equal(e.kind, HR_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_library_with_versions),
		cmocka_unit_test(a_library_that_says_little),
		cmocka_unit_test(symbols_are_defined_or_wanted_and_weak_ones_neither),
		cmocka_unit_test(what_is_no_library_is_refused_by_name),
		cmocka_unit_test(machines_have_names_and_are_told_apart),
		cmocka_unit_test(a_library_cut_short_anywhere_is_refused_or_whole),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
