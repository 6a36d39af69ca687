/* SPDX-License-Identifier: BSD-3-Clause */
/* A hook file from anywhere: an error is explained; a hook that is accepted can be run. */
#include "config.h"

#include "runtime/hook.h"
#include "tests/fuzz/fuzz.h"
#include "util/poison.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct hr_err e = { 0 };
	struct rt_hook h;

	if (rt_hook_parse(p, n, &h, &e) < 0)
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
	else
		FUZZ_CHECK(h.path[0] == '/' && h.timeout_s > 0);
	rt_hook_release(&h);
	return 0;
}
