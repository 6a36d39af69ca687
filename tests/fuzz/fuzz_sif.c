/* SPDX-License-Identifier: BSD-3-Clause */
/* The header and descriptors of a SIF file from anywhere: an error is explained; a partition lies
 * inside. The input is the whole file. */
#include "config.h"

#include "store/sif.h"
#include "tests/fuzz/fuzz.h"
#include "util/poison.h"

static void check_objects(const uint8_t *rows, size_t len, size_t n)
{
	for (size_t i = 0; i <= len / STORE_SIF_DESCRIPTOR_BYTES; i++) {
		struct store_sif_object o;
		struct hr_err e = { 0 };
		int r = store_sif_object_get(rows, len, n, i, &o, &e);

		FUZZ_CHECK(r >= 0 || (e.kind == HR_CORRUPT && e.text[0] != '\0'));
		FUZZ_CHECK(r <= 0 || (o.at.off <= n && o.at.len <= n - o.at.off));
		FUZZ_CHECK(r <= 0 || (store_sif_type_name(&o) && store_sif_hash_name(&o) &&
				      !store_sif_signs(&o, &o)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct store_sif_span table, fs;
	struct hr_err e = { 0 };

	if (store_sif_table(p, n, n, &table, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
		return 0;
	}
	FUZZ_CHECK(table.off <= n && table.len <= n - table.off);
	check_objects(p + table.off, table.len, n);
	if (store_sif_find(p + table.off, table.len, n, "amd64", &fs, &e) < 0) {
		FUZZ_CHECK((e.kind == HR_CORRUPT || e.kind == HR_USAGE) && e.text[0] != '\0');
		return 0;
	}
	FUZZ_CHECK(fs.len > 0 && fs.off <= n && fs.len <= n - fs.off);
	return 0;
}
