/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a program that an image brings says of itself, and what is fetched because of it: every part
 * lies inside of the file.
 */
#include "config.h"

#include <stdlib.h>

#include "store/elf_code.h"
#include "tests/fuzz/fuzz.h"
#include "util/mem.h"
#include "util/poison.h"

static void inside(const struct store_elf_part *part, uint64_t size)
{
	FUZZ_CHECK(part->len <= size && part->off <= size - part->len);
}

static void referred_to(void *arg, uint64_t off)
{
	const size_t *size = arg;

	FUZZ_CHECK(off < *size);
}

/* The whole file taken for a list of constructors, and for code. */
static void look_at_code(struct store_elf *elf, const uint8_t *p, size_t n)
{
	uint64_t *at = hr_xmalloc(n + sizeof(*at));
	size_t found = store_elf_functions(elf, p, n, at);
	const struct store_elf_refs to = { referred_to, &n };
	uint64_t tail = store_elf_tail(elf, 0, p, n < 16 ? n : 16);

	FUZZ_CHECK(found <= n / sizeof(*at));
	for (size_t i = 0; i < found; i++) {
		FUZZ_CHECK(store_elf_in_code(elf, at[i]));
		FUZZ_CHECK(i == 0 || at[i - 1] <= at[i]);
	}
	free(at);
	FUZZ_CHECK(tail == 0 || store_elf_in_code(elf, tail));
	FUZZ_CHECK(store_elf_function_len(elf, 0, p, n) <= n);
	store_elf_refs(elf, 0, p, n, &to);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct store_elf_dynamic d;
	struct store_elf elf;
	size_t head = n < STORE_ELF_HEAD ? n : STORE_ELF_HEAD;

	if (!store_elf_parse(p, head, n, &elf))
		return 0;
	inside(&elf.tables, n);
	inside(&elf.code, n);
	inside(&elf.relro, n);
	inside(&elf.data, n);
	inside(&elf.dynamic, n);
	look_at_code(&elf, p, n);
	FUZZ_CHECK(elf.n_loads > 0 && elf.n_loads <= STORE_ELF_LOADS);
	store_elf_dynamic_parse(&elf, p + elf.dynamic.off, (size_t)elf.dynamic.len, &d);
	inside(&d.strings, n);
	inside(&d.init, n);
	for (size_t i = 0; i < sizeof(d.tables) / sizeof(d.tables[0]); i++)
		inside(&d.tables[i], n);
	FUZZ_CHECK(d.n_needed <= STORE_ELF_NEEDED);
	for (size_t i = 0; i < d.n_needed; i++)
		FUZZ_CHECK(d.needed[i] >= d.strings.off &&
			   d.needed[i] < d.strings.off + d.strings.len);
	return 0;
}
