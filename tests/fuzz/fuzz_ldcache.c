/* SPDX-License-Identifier: BSD-3-Clause */
/* A library cache from anywhere: an error is explained; every string of every entry ends inside. */
#include "config.h"

#include <string.h>

#include "runtime/ldcache.h"
#include "tests/fuzz/fuzz.h"
#include "util/poison.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct rt_ldcache c;
	struct hr_err e = { 0 };

	if (rt_ldcache_parse(p, n, &c, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
		return 0;
	}
	for (uint32_t i = 0; i < c.count; i++) {
		struct rt_ldcache_entry entry;

		rt_ldcache_get(&c, i, &entry);
		FUZZ_CHECK(entry.soname + strlen(entry.soname) < (const char *)p + n);
		FUZZ_CHECK(entry.path + strlen(entry.path) < (const char *)p + n);
		FUZZ_CHECK(entry.path[0] == '/');
	}
	return 0;
}
