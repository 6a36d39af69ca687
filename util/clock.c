/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/clock.h"

#include <time.h>

#include "util/poison.h"

uint64_t hr_now_us(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t hr_now_ms(void)
{
	return hr_now_us() / 1000;
}
