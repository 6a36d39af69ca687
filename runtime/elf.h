/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the dynamic loader would want to know of one shared library: its name, what it needs, where
 * it looks, the symbol versions that it defines and needs. libelf reads the bytes, which may be an
 * image's; nothing of the file is mapped or executed.
 *
 * Not for: files without section headers, which no linker writes; they are refused.
 * Sequence: rt_elf_read or rt_elf_parse; look; rt_elf_release.
 */
#ifndef RT_ELF_H
#define RT_ELF_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "util/mem.h"

/* A version that must be defined by the library that is loaded as FILE: "libc.so.6", "GLIBC_2.14".
 * Weak ones, which the loader does not insist on, are left out. */
struct rt_elf_need {
	char *file, *version;
};

struct rt_elf {
	uint8_t class;	       /* ELFCLASS32 or ELFCLASS64 */
	uint8_t data;	       /* ELFDATA2LSB or ELFDATA2MSB */
	uint16_t machine;      /* EM_* */
	char *soname;	       /* or NULL */
	char *rpath, *runpath; /* as written, or NULL */
	struct hr_strv needed; /* DT_NEEDED, in order */
	struct rt_elf_need *needs;
	size_t n_needs;
	struct hr_strv versions; /* defined by it, without the base; none: it is not versioned */
};

/*
 * Read the library behind FD; WHAT names it in messages.
 *
 * Owns:    *OUT; rt_elf_release, also after an error. FD stays the caller's, its offset is moved.
 * Errors:  HR_CORRUPT when it is no dynamic ELF file, or damaged; HR_SYS when it cannot be read.
 */
int rt_elf_read(int fd, const char *what, struct rt_elf *out, struct hr_err *e) HR_MUST_USE;

/* The same of N bytes in memory. */
int rt_elf_parse(const uint8_t *p, size_t n, const char *what, struct rt_elf *out,
		 struct hr_err *e) HR_MUST_USE;

void rt_elf_release(struct rt_elf *elf);

/* Names of dynamic symbols, sorted, each once; rt_elf_symbols_release. */
struct rt_elf_symbols {
	struct hr_strv defined;
	struct hr_strv wanted; /* undefined, and not weak */
};

int rt_elf_symbols_read(int fd, const char *what, struct rt_elf_symbols *out,
			struct hr_err *e) HR_MUST_USE;
int rt_elf_symbols_parse(const uint8_t *p, size_t n, const char *what, struct rt_elf_symbols *out,
			 struct hr_err *e) HR_MUST_USE;
void rt_elf_symbols_release(struct rt_elf_symbols *s);

/* NAME is in a sorted list. */
bool rt_elf_has(const struct hr_strv *sorted, const char *name);

bool rt_elf_defines(const struct rt_elf *elf, const char *version);

/* Class and byte order and machine are the same: one process can load both. */
bool rt_elf_same_machine(const struct rt_elf *a, const struct rt_elf *b);

/* "x86-64", "AArch64, 32-bit", ...; for messages. */
char *rt_elf_machine_text(const struct rt_elf *elf);

#endif
