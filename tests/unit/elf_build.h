/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Small real libraries for tests, made by the compiler: sonames, versions and needs as wanted.
 *
 * Sequence: elf_build_dir; elf_build for each; elf_build_end removes all.
 */
#ifndef TESTS_ELF_BUILD_H
#define TESTS_ELF_BUILD_H

struct elf_build_lib {
	const char *file;     /* below the directory; its parents are made */
	const char *soname;   /* or NULL: none */
	const char *code;     /* C */
	const char *versions; /* a version script, or NULL */
	const char *links;    /* words for the linker, file names below the directory, or NULL */
};

/* A fresh directory; all paths are relative to it, and it becomes the working directory. */
void elf_build_dir(void);
void elf_build(const struct elf_build_lib *lib);
void elf_build_end(void);

#endif
