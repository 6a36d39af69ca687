/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The main of a fuzz target without a fuzzer: every file of the corpus, and of each what is nearest
 * to it: cut at every length, and with each byte changed in three ways.
 *
 * usage: fuzz_X [FILE-OR-DIRECTORY]...     (default: the corpus that it was built with)
 */
#include "config.h"

#ifndef FUZZ_NO_MAIN /* a fuzzer has its own */

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define INPUT_LIMIT (1u << 20)

static size_t inputs;

/* In a place of its exact size, where a sanitizer sees one byte too many. */
static void try(const uint8_t *p, size_t n)
{
	hr_autofree uint8_t *exact = malloc(n ? n : 1);

	FUZZ_CHECK(exact);
	memcpy(exact, p, n);
	(void)LLVMFuzzerTestOneInput(exact, n);
	inputs++;
}

static int each(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	static const uint8_t masks[] = { 0x01, 0x80, 0xff };
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };

	(void)st;
	(void)ftw;
	if (type != FTW_F)
		return 0;
	if (hr_file_read(AT_FDCWD, path, INPUT_LIMIT, &b, &e) < 0) {
		fprintf(stderr, "%s: %s\n", path, e.text);
		return -1;
	}
	try(b.p, b.len);
	for (size_t n = 0; n < b.len; n++)
		try(b.p, n);
	for (size_t i = 0; i < b.len; i++) {
		for (size_t m = 0; m < HR_COUNT(masks); m++) {
			b.p[i] ^= masks[m];
			try(b.p, b.len);
			b.p[i] ^= masks[m];
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	int r = 0;

	if (argc < 2)
		r = nftw(FUZZ_CORPUS, each, 16, 0);
	for (int i = 1; r == 0 && i < argc; i++)
		r = nftw(argv[i], each, 16, 0);
	printf("%zu inputs\n", inputs);
	return r != 0 || inputs == 0;
}

#endif
