/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/elf.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "util/le.h"
#include "util/poison.h"

enum { /* the header */
       EHDR_TYPE = 16,
       EHDR_MACHINE = 18,
       EHDR_PHOFF = 32,
       EHDR_PHENTSIZE = 54,
       EHDR_PHNUM = 56,
       EHDR_BYTES = 64,
};

enum {
	PHDR_TYPE = 0,
	PHDR_FLAGS = 4,
	PHDR_OFF = 8,
	PHDR_ADDRESS = 16,
	PHDR_BYTES_IN_FILE = 32,
	PHDR_BYTES = 56,
};

enum { DYN_TAG = 0, DYN_VALUE = 8, DYN_BYTES = 16 };

/* What lies inside of a file of SIZE. */
static struct store_elf_part part_of(uint64_t off, uint64_t len, uint64_t size)
{
	if (off >= size)
		return (struct store_elf_part) { 0, 0 };
	return (struct store_elf_part) { off, len < size - off ? len : size - off };
}

static void add_load(struct store_elf *out, struct store_elf_part part, uint64_t address,
		     uint32_t flags)
{
	bool first = out->n_loads == 0;

	if (part.len == 0 || out->n_loads == STORE_ELF_LOADS)
		return;
	out->loads[out->n_loads].part = part;
	out->loads[out->n_loads++].address = address;
	if (first && !(flags & (PF_X | PF_W)))
		out->tables = part;
	if ((flags & PF_X) && out->code.len == 0) {
		out->code = part;
		out->code_address = address;
	}
	if ((flags & PF_W) && out->data.len == 0)
		out->data = part;
}

bool store_elf_parse(const uint8_t *p, size_t n, uint64_t size, struct store_elf *out)
{
	uint64_t at;
	uint32_t count;

	memset(out, 0, sizeof(*out));
	if (n < EHDR_BYTES || memcmp(p, ELFMAG, SELFMAG) != 0 || p[EI_CLASS] != ELFCLASS64 ||
	    p[EI_DATA] != ELFDATA2LSB ||
	    (hr_le16(p + EHDR_TYPE) != ET_DYN && hr_le16(p + EHDR_TYPE) != ET_EXEC) ||
	    hr_le16(p + EHDR_PHENTSIZE) != PHDR_BYTES)
		return false;
	out->machine = hr_le16(p + EHDR_MACHINE);
	at = hr_le64(p + EHDR_PHOFF);
	count = hr_le16(p + EHDR_PHNUM);
	for (; count > 0 && at < n && n - at >= PHDR_BYTES; count--, at += PHDR_BYTES) {
		const uint8_t *h = p + at;
		struct store_elf_part part =
			part_of(hr_le64(h + PHDR_OFF), hr_le64(h + PHDR_BYTES_IN_FILE), size);

		switch (hr_le32(h + PHDR_TYPE)) {
		case PT_LOAD:
			add_load(out, part, hr_le64(h + PHDR_ADDRESS), hr_le32(h + PHDR_FLAGS));
			break;
		case PT_DYNAMIC:
			out->dynamic = part;
			break;
		case PT_GNU_RELRO:
			out->relro = part;
			break;
		default:
			break;
		}
	}
	return out->n_loads > 0;
}

struct store_elf_part store_elf_at(const struct store_elf *elf, uint64_t address, uint64_t len)
{
	for (size_t i = 0; i < elf->n_loads; i++) {
		const struct store_elf_part *load = &elf->loads[i].part;
		uint64_t in = address - elf->loads[i].address;

		if (address < elf->loads[i].address || in >= load->len)
			continue;
		return (struct store_elf_part) { load->off + in,
						 len < load->len - in ? len : load->len - in };
	}
	return (struct store_elf_part) { 0, 0 };
}

/* What the section says of each tag that we know, by position; the last one counts. */
enum { STRINGS, STRINGS_LEN, RELOCS, RELOCS_LEN, PLT, PLT_LEN, SYMBOLS, INIT, INIT_LEN, VALUES };
static const uint64_t tags[VALUES] = { DT_STRTAB, DT_STRSZ,	 DT_RELA,
				       DT_RELASZ, DT_JMPREL,	 DT_PLTRELSZ,
				       DT_SYMTAB, DT_INIT_ARRAY, DT_INIT_ARRAYSZ };

void store_elf_dynamic_parse(const struct store_elf *elf, const uint8_t *p, size_t n,
			     struct store_elf_dynamic *out)
{
	uint64_t value[VALUES] = { 0 };
	size_t needed = 0;

	memset(out, 0, sizeof(*out));
	for (size_t at = 0; n - at >= DYN_BYTES; at += DYN_BYTES) {
		uint64_t tag = hr_le64(p + at + DYN_TAG);

		if (tag == DT_NULL)
			break;
		for (size_t i = 0; i < VALUES; i++)
			if (tag == tags[i])
				value[i] = hr_le64(p + at + DYN_VALUE);
		if (tag == DT_NEEDED && needed < STORE_ELF_NEEDED)
			out->needed[needed++] = hr_le64(p + at + DYN_VALUE);
	}
	out->strings = store_elf_at(elf, value[STRINGS], value[STRINGS_LEN]);
	out->tables[0] = store_elf_at(elf, value[RELOCS], value[RELOCS_LEN]);
	out->tables[1] = store_elf_at(elf, value[PLT], value[PLT_LEN]);
	out->init = store_elf_at(elf, value[INIT], value[INIT_LEN]);
	/* their number stands nowhere; strings follow them as a rule */
	if (value[SYMBOLS] < value[STRINGS])
		out->tables[2] = store_elf_at(elf, value[SYMBOLS], value[STRINGS] - value[SYMBOLS]);
	for (size_t i = 0; i < needed; i++)
		if (out->needed[i] < out->strings.len)
			out->needed[out->n_needed++] = out->strings.off + out->needed[i];
}

bool store_elf_in_code(const struct store_elf *elf, uint64_t off)
{
	return off >= elf->code.off && off - elf->code.off < elf->code.len;
}

static int by_offset(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

size_t store_elf_functions(const struct store_elf *elf, const uint8_t *p, size_t n, uint64_t *out)
{
	size_t found = 0;

	for (size_t at = 0; n - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
		struct store_elf_part part = store_elf_at(elf, hr_le64(p + at), 1);

		if (part.len > 0 && store_elf_in_code(elf, part.off))
			out[found++] = part.off;
	}
	if (found > 0)
		qsort(out, found, sizeof(*out), by_offset);
	return found;
}
