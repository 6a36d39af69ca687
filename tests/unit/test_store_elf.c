/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/elf.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

/*
 * A library as linkers lay it out: tables at 0, code at CODE, what is relocated at RELRO with the
 * dynamic section at its end; mapped at BASE more than their place in the file.
 */
#define SIZE   0x40000u
#define TABLES 0x9000u
#define CODE   0x10000u
#define RELRO  0x30000u
#define DYN    0x30800u
#define BASE   0x400000u

static uint8_t file[STORE_ELF_HEAD];

static void put_segment(unsigned int i, uint32_t type, uint32_t flags, uint64_t off, uint64_t len)
{
	uint8_t *p = file + 64 + (size_t)i * 56;

	hr_le32_put(p, type);
	hr_le32_put(p + 4, flags);
	hr_le64_put(p + 8, off);
	hr_le64_put(p + 16, BASE + off);
	hr_le64_put(p + 32, len);
	hr_le64_put(p + 40, len);
	hr_le16_put(file + 56, (uint16_t)(i + 1));
}

static int setup(void **state)
{
	(void)state;
	memset(file, 0, sizeof(file));
	memcpy(file, ELFMAG, SELFMAG);
	file[EI_CLASS] = ELFCLASS64;
	file[EI_DATA] = ELFDATA2LSB;
	hr_le16_put(file + 16, ET_DYN);
	hr_le16_put(file + 18, EM_X86_64);
	hr_le64_put(file + 32, 64);
	hr_le16_put(file + 54, 56);
	put_segment(0, PT_LOAD, PF_R, 0, TABLES);
	put_segment(1, PT_LOAD, PF_R | PF_X, CODE, 0x8000);
	put_segment(2, PT_LOAD, PF_R | PF_W, RELRO, 0x2000);
	put_segment(3, PT_DYNAMIC, PF_R | PF_W, DYN, 0x200);
	put_segment(4, PT_GNU_RELRO, PF_R, RELRO, 0x1000);
	return 0;
}

static void assert_part(const struct store_elf_part *part, uint64_t off, uint64_t len)
{
	assert_int_equal(part->off, off);
	assert_int_equal(part->len, len);
}

static void test_library(void **state)
{
	struct store_elf elf;

	(void)state;
	assert_true(store_elf_parse(file, sizeof(file), SIZE, &elf));
	assert_part(&elf.tables, 0, TABLES);
	assert_part(&elf.code, CODE, 0x8000);
	assert_int_equal(elf.code_address, BASE + CODE);
	assert_part(&elf.relro, RELRO, 0x1000);
	assert_part(&elf.data, RELRO, 0x2000);
	assert_part(&elf.dynamic, DYN, 0x200);
	assert_int_equal(elf.n_loads, 3);
	assert_int_equal(elf.machine, EM_X86_64);
}

/* Linkers that do not part them: code and tables are one segment. */
static void test_tables_in_code(void **state)
{
	struct store_elf elf;

	(void)state;
	put_segment(0, PT_LOAD, PF_R | PF_X, 0, 0x20000);
	put_segment(4, PT_GNU_RELRO, PF_R, RELRO, 0x1000);
	assert_true(store_elf_parse(file, sizeof(file), SIZE, &elf));
	assert_part(&elf.tables, 0, 0);
	assert_part(&elf.code, 0, 0x20000);
}

static void test_bounds(void **state)
{
	static const struct {
		uint64_t off, len, want_off, want_len;
	} rows[] = {
		{ RELRO, SIZE - RELRO, RELRO, SIZE - RELRO },
		{ RELRO, SIZE - RELRO + 1, RELRO, SIZE - RELRO },
		{ RELRO, UINT64_MAX, RELRO, SIZE - RELRO },
		{ SIZE - 1, 1, SIZE - 1, 1 },
		{ SIZE, 1, 0, 0 },
		{ UINT64_MAX, UINT64_MAX, 0, 0 },
	};
	struct store_elf elf;

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		put_segment(4, PT_GNU_RELRO, PF_R, rows[i].off, rows[i].len);
		assert_true(store_elf_parse(file, sizeof(file), SIZE, &elf));
		assert_part(&elf.relro, rows[i].want_off, rows[i].want_len);
	}
}

static void test_not_loaded(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} rows[] = {
		{ 0, 'x' },
		{ EI_CLASS, ELFCLASS32 },
		{ EI_DATA, ELFDATA2MSB },
		{ 16, ET_REL },
		{ 16, ET_CORE },
		{ 54, 55 },
		{ 56, 0 /* no segments */ },
		{ 33, 0x10 /* they lie behind the head */ },
	};
	struct store_elf elf;

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		uint8_t was = file[rows[i].at];

		file[rows[i].at] = rows[i].value;
		assert_false(store_elf_parse(file, sizeof(file), SIZE, &elf));
		file[rows[i].at] = was;
	}
	for (size_t n = 0; n < 64 + 56; n++) /* not even one segment */
		assert_false(store_elf_parse(file, n, SIZE, &elf));
	assert_true(store_elf_parse(file, 64 + 56, SIZE, &elf));
}

static uint8_t dynamic[0x200];
static size_t dynamic_len;

static void put_tag(uint64_t tag, uint64_t value)
{
	hr_le64_put(dynamic + dynamic_len, tag);
	hr_le64_put(dynamic + dynamic_len + 8, value);
	dynamic_len += 16;
}

static void test_dynamic(void **state)
{
	struct store_elf_dynamic d;
	struct store_elf elf;

	(void)state;
	assert_true(store_elf_parse(file, sizeof(file), SIZE, &elf));
	dynamic_len = 0;
	put_tag(DT_NEEDED, 0x10);
	put_tag(DT_NEEDED, 0xfff);
	put_tag(DT_NEEDED, 0x1000); /* behind the strings */
	put_tag(DT_STRTAB, BASE + 0x2000);
	put_tag(DT_STRSZ, 0x1000);
	put_tag(DT_SYMTAB, BASE + 0x1000);
	put_tag(DT_RELA, BASE + 0x3000);
	put_tag(DT_RELASZ, 0x4000);
	put_tag(DT_JMPREL, BASE + 0x8000);
	put_tag(DT_PLTRELSZ, 0x100000); /* longer than the segment */
	put_tag(DT_INIT_ARRAY, BASE + RELRO);
	put_tag(DT_INIT_ARRAYSZ, 0x18);
	put_tag(DT_NULL, 0);
	put_tag(DT_NEEDED, 0x20); /* behind the end */
	store_elf_dynamic_parse(&elf, dynamic, dynamic_len, &d);
	assert_part(&d.strings, 0x2000, 0x1000);
	assert_part(&d.tables[0], 0x3000, 0x4000);
	assert_part(&d.tables[1], 0x8000, TABLES - 0x8000);
	assert_part(&d.tables[2], 0x1000, 0x1000);
	assert_part(&d.init, RELRO, 0x18);
	assert_int_equal(d.n_needed, 2);
	assert_int_equal(d.needed[0], 0x2010);
	assert_int_equal(d.needed[1], 0x2fff);
}

static void test_functions(void **state)
{
	static const uint64_t addresses[] = {
		BASE + CODE + 0x7fff, BASE + CODE,	BASE + CODE + 0x8000, /* behind the code */
		BASE + RELRO,	      BASE + CODE - 1,	0,
		UINT64_MAX,	      BASE + CODE + 16,
	};
	uint8_t list[sizeof(addresses) + 7] = { 0 };
	uint64_t got[HR_COUNT(addresses)];
	struct store_elf elf;

	(void)state;
	assert_true(store_elf_parse(file, sizeof(file), SIZE, &elf));
	for (size_t i = 0; i < HR_COUNT(addresses); i++)
		hr_le64_put(list + 8 * i, addresses[i]);
	assert_int_equal(store_elf_functions(&elf, list, sizeof(list), got), 3);
	assert_int_equal(got[0], CODE);
	assert_int_equal(got[1], CODE + 16);
	assert_int_equal(got[2], CODE + 0x7fff);
	assert_int_equal(store_elf_functions(&elf, list, 7, got), 0);
}

static void test_dynamic_nonsense(void **state)
{
	struct store_elf_dynamic d;
	struct store_elf elf;

	(void)state;
	assert_true(store_elf_parse(file, sizeof(file), SIZE, &elf));
	dynamic_len = 0;
	put_tag(DT_NEEDED, 1);
	put_tag(DT_STRTAB, UINT64_MAX);
	put_tag(DT_STRSZ, UINT64_MAX);
	put_tag(DT_RELA, BASE - 1);
	put_tag(DT_RELASZ, UINT64_MAX);
	put_tag(DT_SYMTAB, BASE + SIZE);
	store_elf_dynamic_parse(&elf, dynamic, dynamic_len, &d);
	assert_int_equal(d.strings.len + d.tables[0].len + d.tables[1].len + d.tables[2].len, 0);
	assert_int_equal(d.n_needed, 0);
	store_elf_dynamic_parse(&elf, dynamic, 15, &d); /* not even one entry */
	assert_int_equal(d.n_needed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_library, setup),
		cmocka_unit_test_setup(test_tables_in_code, setup),
		cmocka_unit_test_setup(test_bounds, setup),
		cmocka_unit_test_setup(test_not_loaded, setup),
		cmocka_unit_test_setup(test_dynamic, setup),
		cmocka_unit_test_setup(test_functions, setup),
		cmocka_unit_test_setup(test_dynamic_nonsense, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
