/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What functions of a library refer to: other functions that they call or hand on, and data. Pure,
 * of bytes that may be anybody's, and without a disassembler: places in the code are recognised by
 * what calls and addresses look like.
 *
 * For: foresee.c, which fetches what constructors will touch: what is wrong here costs speed alone.
 * Not for: machines other than x86-64, of whose code nothing is said.
 *
 * Sequence: store_elf_functions() of elf.h; store_elf_function_len(); store_elf_refs().
 */
#ifndef STORE_ELF_CODE_H
#define STORE_ELF_CODE_H

#include "store/elf.h"

/*
 * Bytes of the function that begins at OFF of the file, N bytes of which, and of what follows it,
 * are at P: compilers fill up to the next one after its last instruction. N where nothing is seen
 * of that.
 */
size_t store_elf_function_len(const struct store_elf *elf, uint64_t off, const uint8_t *p,
			      size_t n);

struct store_elf_refs {
	/* a function of elf->code that is called or jumped to, or whose address is taken; or bytes
	 * of another part, by their place in the file */
	void (*hit)(void *arg, uint64_t off);
	void *arg;
};

/* Tell TO of all that the N bytes of code at P refer to, which lie at OFF of the file. */
void store_elf_refs(const struct store_elf *elf, uint64_t off, const uint8_t *p, size_t n,
		    const struct store_elf_refs *to);
/* Where a function goes on when the N bytes at P are all of it, and too few to do more; else 0. */
uint64_t store_elf_tail(const struct store_elf *elf, uint64_t off, const uint8_t *p, size_t n);

#endif
