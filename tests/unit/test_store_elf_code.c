/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/elf_code.h"

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

/* A library: code at CODE, constants at DATA; mapped at BASE more than their place in the file. */
#define CODE	  0x10000u
#define CODE_LEN  0x8000u
#define DATA	  0x20000u
#define DATA_LEN  0x1000u
#define BASE	  0x400000u
#define FUNCTION  (CODE + 0x100)
#define CODE_MAX  64
#define REFS_MAX  8
#define DATA_BASE 0x800000u /* the constants lie farther away in memory than in the file */

static const struct store_elf library = {
	.machine = EM_X86_64,
	.code = { CODE, CODE_LEN },
	.code_address = BASE + CODE,
	.loads = { { { CODE, CODE_LEN }, BASE + CODE }, { { DATA, DATA_LEN }, DATA_BASE + DATA } },
	.n_loads = 2,
};

/* N bytes at the end of what was allocated, so that a look beyond them is seen. */
static uint8_t *copy(const void *p, size_t n)
{
	uint8_t *out = hr_xmalloc(n + 1);

	memcpy(out, p, n);
	return realloc(out, n > 0 ? n : 1);
}

/* ---- where a function ends ---- */

static const struct {
	const char *what;
	const char *code; /* 32 bytes, or as many as are said */
	size_t want, n;
	unsigned int off; /* from where functions begin */
} ends[] = {
	{ "ret and one long nop",
	  "\x55\x48\x89\xe5\x5d\xc3\x66\x2e\x0f\x1f\x84\0\0\0\0\0\xe8\1\1\1\1\xc3", 6, 22, 0 },
	{ "ret and two nops", "\x31\xc0\xc3\x66\x66\x2e\x0f\x1f\x84\0\0\0\0\0\x66\x90\xc3", 3, 17,
	  0 },
	{ "ret and one byte",
	  "\x31\xc0\x31\xc0\x31\xc0\x31\xc0\x31\xc0\x31\xc0\x31\xc0\xc3\x90\xc3", 15, 17, 0 },
	{ "ret and int3", "\x31\xc0\x31\xc0\x31\xc0\x31\xc0\x31\xc0\x31\xc0\xc3\xcc\xcc\xcc\xc3",
	  13, 17, 0 },
	{ "jump", "\x31\xc0\x31\xc0\xe9\1\2\3\4\x0f\x1f\x80\0\0\0\0\xc3", 9, 17, 0 },
	{ "short jump", "\x31\xc0\x31\xc0\x31\xc0\xeb\xf8\x0f\x1f\x84\0\0\0\0\0\xc3", 8, 17, 0 },
	{ "trap", "\x31\xc0\x31\xc0\x31\xc0\x31\xc0\x31\xc0\x0f\x0b\x0f\x1f\x40\0\xc3", 12, 17, 0 },
	{ "begins amid", "\xc3\x90\x90\x90\x0f\x1f\x44\0\0\xc3", 1, 10, 7 },
	{ "the next one begins as all do",
	  "\x31\xc0\x31\xc0\x31\xc0\x31\xc0\x31\xc0\x31\xc0\x31\xc0\x31\xc3\xf3\x0f\x1e\xfa\xc3",
	  16, 21, 0 },
	{ "padding before a loop",
	  "\x31\xc0\x31\xc0\x31\xc0\x31\xc0\x31\xc0\x0f\x1f\x44\0\0\x90\xff\xc0\xc3", 19, 19, 0 },
	{ "padding that is cut off", "\x31\xc0\x31\xc0\xc3\x0f\x1f\x84\0\0\0\0", 12, 12, 0 },
	{ "prefixes alone", "\xc3\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\xc3",
	  17, 17, 0 },
	{ "another operand", "\x31\xc0\x31\xc0\x31\xc0\x31\xc0\xc3\x0f\x1f\x85\0\0\0\0\xc3", 17, 17,
	  0 },
	{ "nothing", "", 0, 0, 0 },
};

static void test_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(ends); i++) {
		hr_autofree uint8_t *code = copy(ends[i].code, ends[i].n);
		struct store_elf other = library;

		if (store_elf_function_len(&library, FUNCTION + ends[i].off, code, ends[i].n) !=
		    ends[i].want)
			fail_msg("%s", ends[i].what);
		other.machine = EM_AARCH64;
		assert_int_equal(store_elf_function_len(&other, FUNCTION, code, ends[i].n),
				 ends[i].n);
	}
}

/* ---- what it refers to ---- */

struct refs {
	uint64_t at[REFS_MAX];
	size_t n;
};

static void collect(void *arg, uint64_t off)
{
	struct refs *r = arg;

	HR_BUG_ON(r->n == REFS_MAX);
	r->at[r->n++] = off;
}

/* An opcode of N bytes and the displacement that leads from behind it to ADDRESS; returns bytes. */
static size_t put(uint8_t *code, const char *opcode, size_t n, uint64_t address)
{
	memcpy(code, opcode, n);
	hr_le32_put(code + n, (uint32_t)(address - (BASE + FUNCTION + n + 4)));
	return n + 4;
}

static const struct {
	const char *what;
	const char *opcode;
	size_t n;
	uint64_t to; /* an address */
	uint64_t want;
} operands[] = {
	{ "call", "\xe8", 1, BASE + CODE, CODE },
	{ "call of the last", "\xe8", 1, BASE + CODE + CODE_LEN - 16, CODE + CODE_LEN - 16 },
	{ "call behind the code", "\xe8", 1, BASE + CODE + CODE_LEN, 0 },
	{ "call before it", "\xe8", 1, BASE + CODE - 16, 0 },
	{ "call of no beginning", "\xe8", 1, BASE + CODE + 8, 0 },
	{ "call beyond 2^64", "\xe8", 1, 0x90000000u, 0 },
	{ "jump", "\xe9", 1, BASE + CODE + 0x4000, CODE + 0x4000 },
	{ "conditional jump", "\x0f\x84", 2, BASE + CODE + 0x4000, 0 },
	{ "address of a function", "\x48\x8d\x3d", 3, BASE + CODE + 0x40, CODE + 0x40 },
	{ "into %r9", "\x4c\x8d\x0d", 3, BASE + CODE + 0x40, CODE + 0x40 },
	{ "address in a function", "\x48\x8d\x3d", 3, BASE + CODE + 0x41, 0 },
	{ "address of data", "\x48\x8d\x35", 3, DATA_BASE + DATA + 3, DATA + 3 },
	{ "its last byte", "\x48\x8d\x35", 3, DATA_BASE + DATA + DATA_LEN - 1,
	  DATA + DATA_LEN - 1 },
	{ "behind it", "\x48\x8d\x35", 3, DATA_BASE + DATA + DATA_LEN, 0 },
	{ "address of 32 bits", "\x90\x8d\x35", 3, DATA_BASE + DATA, 0 },
	{ "relative to a register", "\x48\x8d\xb5", 3, DATA_BASE + DATA, 0 },
	{ "data", "\x48\x8b\x05", 3, DATA_BASE + DATA, DATA },
	{ "data of 32 bits", "\x90\x8b\x05", 3, DATA_BASE + DATA, DATA },
	{ "data of 16 bytes", "\x0f\x28\x05", 3, DATA_BASE + DATA, DATA },
	{ "with a prefix", "\x66\x0f\x6f\x0d", 4, DATA_BASE + DATA, DATA },
	{ "another opcode", "\x0f\x29\x05", 3, DATA_BASE + DATA, 0 },
};

static void test_refs(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(operands); i++) {
		struct refs got = { .n = 0 };
		const struct store_elf_refs to = { collect, &got };
		uint8_t bytes[CODE_MAX];
		size_t n = put(bytes, operands[i].opcode, operands[i].n, operands[i].to);
		hr_autofree uint8_t *code = copy(bytes, n);

		store_elf_refs(&library, FUNCTION, code, n, &to);
		if (got.n != (operands[i].want != 0) || (got.n && got.at[0] != operands[i].want))
			fail_msg("%s", operands[i].what);
		got.n = 0;
		while (n-- > 0) {
			hr_autofree uint8_t *less = copy(bytes, n);

			store_elf_refs(&library, FUNCTION, less, n, &to);
		}
		assert_int_equal(got.n, 0);
	}
}

static void test_several_refs(void **state)
{
	uint8_t code[CODE_MAX] = { 0 };
	struct refs got = { .n = 0 };
	const struct store_elf_refs to = { collect, &got };
	struct store_elf other = library;

	(void)state;
	(void)put(code, "\xe8", 1, BASE + CODE);
	(void)put(code + 5, "\xe8", 1,
		  BASE + CODE); /* from there, five bytes farther on: no beginning */
	(void)put(code + 16, "\xe8", 1, BASE + CODE);
	(void)put(code + 32, "\x48\x8d\x3d", 3, DATA_BASE + DATA);
	store_elf_refs(&library, FUNCTION, code, sizeof(code), &to);
	assert_int_equal(got.n, 3);
	assert_int_equal(got.at[0], CODE);
	assert_int_equal(got.at[1], CODE + 16);
	assert_int_equal(got.at[2], DATA + 32);
	other.machine = EM_AARCH64;
	store_elf_refs(&other, FUNCTION, code, sizeof(code), &to);
	assert_int_equal(got.n, 3);
}

static void test_tail(void **state)
{
	uint8_t code[CODE_MAX] = { 0 };
	struct store_elf other = library;

	(void)state;
	(void)put(code, "\xf3\x0f\x1e\xfa\xe9", 5, BASE + CODE + 0x20);
	assert_int_equal(store_elf_tail(&library, FUNCTION, code, 9), CODE + 0x20);
	assert_int_equal(store_elf_tail(&library, FUNCTION, code, 16), CODE + 0x20);
	assert_int_equal(store_elf_tail(&library, FUNCTION, code, 17), 0); /* it does more */
	for (size_t n = 0; n < 9; n++)
		assert_int_equal(store_elf_tail(&library, FUNCTION, code, n), 0);
	(void)put(code, "\xf3\x0f\x1e\xfa\xe9", 5, BASE + CODE + CODE_LEN);
	assert_int_equal(store_elf_tail(&library, FUNCTION, code, 9), 0);
	(void)put(code, "\xe8", 1, BASE + CODE);
	assert_int_equal(store_elf_tail(&library, FUNCTION, code, 5), 0);
	(void)put(code, "\xe9", 1, BASE + CODE);
	assert_int_equal(store_elf_tail(&library, FUNCTION, code, 5), CODE);
	other.machine = EM_AARCH64;
	assert_int_equal(store_elf_tail(&other, FUNCTION, code, 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_refs),
		cmocka_unit_test(test_several_refs),
		cmocka_unit_test(test_tail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
