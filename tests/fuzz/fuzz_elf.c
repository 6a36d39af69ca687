/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A shared library from anywhere: an error is explained; names are bounded strings; the symbols are
 * sorted and each is there once.
 */
#include "config.h"

#include <string.h>

#include "runtime/elf.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/poison.h"

static void check_name(const char *s)
{
	FUZZ_CHECK(s && strlen(s) < 4096);
}

static void check_library(const struct rt_elf *elf)
{
	for (size_t i = 0; i < elf->needed.n; i++) {
		check_name(elf->needed.v[i]);
		FUZZ_CHECK(elf->needed.v[i][0] != '\0' && !strchr(elf->needed.v[i], '/'));
	}
	for (size_t i = 0; i < elf->n_needs; i++) {
		check_name(elf->needs[i].file);
		check_name(elf->needs[i].version);
	}
	for (size_t i = 0; i < elf->versions.n; i++)
		FUZZ_CHECK(rt_elf_defines(elf, elf->versions.v[i]));
}

static void check_symbols(const struct hr_strv *l)
{
	for (size_t i = 0; i < l->n; i++) {
		check_name(l->v[i]);
		FUZZ_CHECK(i == 0 || strcmp(l->v[i - 1], l->v[i]) < 0);
		FUZZ_CHECK(rt_elf_has(l, l->v[i]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct rt_elf_symbols symbols;
	struct rt_elf elf;
	struct hr_err e = { 0 };

	if (rt_elf_parse(p, n, "input", &elf, &e) < 0)
		FUZZ_CHECK(e.kind == HR_CORRUPT && strstr(e.text, "'input'"));
	else
		check_library(&elf);
	rt_elf_release(&elf);
	hr_err_clear(&e);
	if (rt_elf_symbols_parse(p, n, "input", &symbols, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_CORRUPT && strstr(e.text, "'input'"));
	} else {
		check_symbols(&symbols.defined);
		check_symbols(&symbols.wanted);
	}
	rt_elf_symbols_release(&symbols);
	return 0;
}
