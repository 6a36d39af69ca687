/* SPDX-License-Identifier: BSD-3-Clause */
/* A seccomp profile from anywhere: an error is explained; what is accepted can be given to
 * libseccomp. */
#include "config.h"

#include "runtime/profile.h"
#include "tests/fuzz/fuzz.h"
#include "util/poison.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct rt_profile_facts facts = {
		.caps = 1, .arch = "amd64", .major = 5, .minor = 10
	};
	struct rt_profile profile;
	struct hr_err e = { 0 };

	if (rt_profile_parse(p, n, &facts, &profile, &e) < 0)
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
	for (size_t i = 0; i < profile.n; i++) {
		FUZZ_CHECK(profile.v[i].names.n > 0 && profile.v[i].n_args <= RT_PROFILE_ARGS_MAX);
		for (size_t k = 0; k < profile.v[i].n_args; k++)
			FUZZ_CHECK(profile.v[i].args[k].index < RT_PROFILE_ARGS_MAX);
	}
	rt_profile_release(&profile);
	return 0;
}
