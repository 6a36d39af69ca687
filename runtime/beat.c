/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/beat.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/poison.h"

/* The time that a thread has had of a processor; 0 where the kernel does not tell. */
static uint64_t cpu_ms(pid_t server, uint32_t tid)
{
	char path[64], text[64];
	hr_autofd int fd = -1;
	uint64_t ns = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%" PRIu32 "/schedstat", (int)server, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return sscanf(text, "%" SCNu64, &ns) == 1 ? ns / 1000000 : 0;
}

bool rt_beat_hangs(struct rt_beat *b, const struct hr_stats *file, pid_t server, uint64_t limit_ms)
{
	bool hangs = false;

	for (size_t i = 0; i < HR_STATS_LOOPS; i++) {
		uint32_t turn = __atomic_load_n(&file->loops[i].turn, __ATOMIC_ACQUIRE);
		bool same = turn == b->last[i].turn;
		uint64_t now;

		b->last[i].turn = turn;
		if (turn % 2 == 0)
			continue;
		now = cpu_ms(server, file->loops[i].tid);
		if (!same)
			b->last[i].cpu_ms = now;
		hangs |= now > b->last[i].cpu_ms + limit_ms;
	}
	return hangs;
}
