/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where in a program or a shared library the parts lie that the dynamic loader reads whenever it
 * loads it. Pure, of bytes that may be anybody's; 64 bits, little-endian, which is all that hpcrun
 * runs on.
 *
 * For: foresee.c, which fetches them before they are asked for: what is wrong here costs speed
 * alone. Not for: what its code does (elf_code.h); what a library defines and needs by version
 * (runtime/elf.h).
 *
 * Sequence: store_elf_parse() with the beginning of the file; store_elf_dynamic_parse() with what
 * lies at its DYNAMIC; strings by the caller.
 */
#ifndef STORE_ELF_H
#define STORE_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define STORE_ELF_HEAD	  4096	      /* bytes of the file that hold its headers */
#define STORE_ELF_DYNAMIC (16u << 10) /* bytes of the largest dynamic section looked at */
#define STORE_ELF_LOADS	  16
#define STORE_ELF_NEEDED  512

/* Bytes of a file, inside it; LEN 0: it has no such part. */
struct store_elf_part {
	uint64_t off, len;
};

struct store_elf {
	uint16_t machine; /* EM_X86_64, say */
	/* symbols, strings, relocations, where they lie apart from the code, and before it */
	struct store_elf_part tables;
	struct store_elf_part code;    /* the first segment that can be executed */
	uint64_t code_address;	       /* where it is mapped */
	struct store_elf_part relro;   /* what is written once, when symbols are resolved */
	struct store_elf_part data;    /* the first segment that can be written */
	struct store_elf_part dynamic; /* what the loader goes by */
	struct {
		struct store_elf_part part;
		uint64_t address;
	} loads[STORE_ELF_LOADS]; /* what is mapped where */
	size_t n_loads;
};

/* The same as far as the dynamic section says it. */
struct store_elf_dynamic {
	struct store_elf_part strings;
	struct store_elf_part tables[3];   /* relocations, those of the PLT, symbols */
	struct store_elf_part init;	   /* addresses of functions, called when it is loaded */
	uint64_t needed[STORE_ELF_NEEDED]; /* where the names of libraries begin in the file */
	size_t n_needed;
};

/* The N bytes that a file of SIZE begins with; false when it is nothing that a loader loads. */
bool store_elf_parse(const uint8_t *p, size_t n, uint64_t size, struct store_elf *out) HR_MUST_USE;
/* The N bytes at elf->dynamic. What makes no sense is left out. */
void store_elf_dynamic_parse(const struct store_elf *elf, const uint8_t *p, size_t n,
			     struct store_elf_dynamic *out);
/*
 * Where in the file the functions lie whose addresses are the N bytes at P, eight for each; in
 * order. Others than those in ELF->code are left out. Returns how many; OUT has room for N / 8.
 */
size_t store_elf_functions(const struct store_elf *elf, const uint8_t *p, size_t n, uint64_t *out);
/* LEN bytes at an address, as far as they are of the file. */
struct store_elf_part store_elf_at(const struct store_elf *elf, uint64_t address, uint64_t len);
/* Whether a place in the file is of ELF->code. */
bool store_elf_in_code(const struct store_elf *elf, uint64_t off);

#endif
