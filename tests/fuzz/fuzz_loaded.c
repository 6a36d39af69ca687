/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a program that an image brings says of itself, and what is fetched because of it: every part
 * lies inside of the file.
 */
#include "config.h"

#include "store/elf.h"
#include "tests/fuzz/fuzz.h"
#include "util/poison.h"

static void inside(const struct store_elf_part *part, uint64_t size)
{
	FUZZ_CHECK(part->len <= size && part->off <= size - part->len);
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
	inside(&elf.dynamic, n);
	FUZZ_CHECK(elf.n_loads > 0 && elf.n_loads <= STORE_ELF_LOADS);
	store_elf_dynamic_parse(&elf, p + elf.dynamic.off, (size_t)elf.dynamic.len, &d);
	inside(&d.strings, n);
	for (size_t i = 0; i < sizeof(d.tables) / sizeof(d.tables[0]); i++)
		inside(&d.tables[i], n);
	FUZZ_CHECK(d.n_needed <= STORE_ELF_NEEDED);
	for (size_t i = 0; i < d.n_needed; i++)
		FUZZ_CHECK(d.needed[i] >= d.strings.off &&
			   d.needed[i] < d.strings.off + d.strings.len);
	return 0;
}
