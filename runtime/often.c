/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/often.h"

#include "util/err.h"
#include "util/poison.h"

bool rt_often(struct rt_often *o, size_t most, uint64_t window_ms, uint64_t now_ms)
{
	HR_BUG_ON(most == 0 || most > RT_OFTEN_MAX);
	if (o->n >= most && now_ms - o->at_ms[(o->n - most) % RT_OFTEN_MAX] < window_ms)
		return true;
	o->at_ms[o->n++ % RT_OFTEN_MAX] = now_ms;
	return false;
}
