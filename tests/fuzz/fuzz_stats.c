/* SPDX-License-Identifier: BSD-3-Clause */
/* The counters of a session from a file of any content: what is accepted can be printed. */
#include "config.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "util/stats.h"
#include "util/poison.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct hr_stats s;
	struct hr_err e = { 0 };

	if (hr_stats_parse(p, n, &s, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
		return 0;
	}
	FUZZ_CHECK(strlen(s.image) < sizeof(s.image) && strlen(s.manifest) < sizeof(s.manifest) &&
		   strlen(s.program) < sizeof(s.program) && strlen(s.node) < sizeof(s.node) &&
		   strlen(s.job) < sizeof(s.job) && strlen(s.step) < sizeof(s.step));
	FUZZ_CHECK(s.steps_n <= HR_STATS_STEPS && s.origins_n <= HR_STATS_ORIGINS);
	for (uint32_t i = 0; i < s.steps_n; i++)
		FUZZ_CHECK(strlen(s.steps[i].name) < sizeof(s.steps[i].name));
	for (uint32_t i = 0; i < s.origins_n; i++)
		FUZZ_CHECK(strlen(s.origins[i].name) < sizeof(s.origins[i].name));
	return 0;
}
