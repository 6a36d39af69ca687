/* SPDX-License-Identifier: BSD-3-Clause */
/* A metadata file from a web server: an error is explained; what opens is written and opens the
 * same. */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include "store/meta.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/poison.h"

static bool same(const struct hr_buf *a, const struct hr_buf *b)
{
	return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	HR_CLEANUP(store_meta_release) struct store_meta b = { 0 }, again = { 0 };
	hr_autobuf struct hr_buf file = { 0 };
	struct hr_err e = { 0 };

	if (store_meta_open(p, n, &b, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
		return 0;
	}
	FUZZ_CHECK(b.record.len > 0 && b.index.len > 0 && b.loc.len > 0);
	FUZZ_CHECK(store_meta_write(&b, &file, &e) == 0);
	/* parts that shrink by more than the limit are written by nobody who means well */
	if (store_meta_open(file.p, file.len, &again, &e) == 0)
		FUZZ_CHECK(same(&b.record, &again.record) && same(&b.index, &again.index) &&
			   same(&b.loc, &again.loc));
	return 0;
}
