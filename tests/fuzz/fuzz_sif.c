/* SPDX-License-Identifier: BSD-3-Clause */
/* The header and descriptors of a SIF file from anywhere: an error is explained; a partition lies
 * inside. The input is the whole file. */
#include "config.h"

#include "store/sif.h"
#include "tests/fuzz/fuzz.h"
#include "util/poison.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct store_sif_span table, fs;
	struct hr_err e = { 0 };

	if (store_sif_table(p, n, n, &table, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
		return 0;
	}
	FUZZ_CHECK(table.off <= n && table.len <= n - table.off);
	if (store_sif_find(p + table.off, table.len, n, "amd64", &fs, &e) < 0) {
		FUZZ_CHECK((e.kind == HR_CORRUPT || e.kind == HR_USAGE) && e.text[0] != '\0');
		return 0;
	}
	FUZZ_CHECK(fs.len > 0 && fs.off <= n && fs.len <= n - fs.off);
	return 0;
}
