/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a server that lives gets on: a thread of it that has computed for seconds on one request
 * will do so for ever, and who waits for the answer cannot even be killed. One that waits, for a
 * disk or the network say, is not meant, however long that takes.
 *
 * Sequence: rt_beat_hangs every RT_BEAT_MS.
 */
#ifndef RT_BEAT_H
#define RT_BEAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/stats.h"

#define RT_BEAT_MS     3000
#define RT_BEAT_CPU_MS 2000 /* no request takes a tenth of it: it is about 1 MiB at most */

/* What the last look saw of each thread. */
struct rt_beat {
	struct {
		uint32_t turn;
		uint64_t cpu_ms;
	} last[HR_STATS_LOOPS];
};

/*
 * Look at the process SERVER, which counts in FILE. True when a thread has computed for more than
 * LIMIT_MS, RT_BEAT_CPU_MS but for tests, on a request that an earlier look saw.
 *
 * Source:  Linux Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat".
 */
bool rt_beat_hangs(struct rt_beat *b, const struct hr_stats *file, pid_t server, uint64_t limit_ms);

#endif
