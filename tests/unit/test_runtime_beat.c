/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime/beat, runtime/often: when a server is given up, and when one after the other is. */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/beat.h"
#include "runtime/often.h"
#include "util/err.h"
#include "util/mem.h"
#include "util/poison.h"

/* A thread that computes on one request, one that sleeps in one, and one that gets on. */
static void servers_that_hang(void **state)
{
	static const struct {
		const char *what;
		bool computes, gets_on, hangs;
	} rows[] = {
		{ "computes on one request", true, false, true }, /* G2 */
		{ "waits for a disk", false, false, false },
		{ "computes on many", true, true, false },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_beat beat = { 0 };
		struct hr_stats file = { 0 };
		bool hangs = false;
		pid_t child = fork();

		if (child == 0)
			for (;;)
				if (!rows[i].computes)
					pause();
		file.loops[3] = (struct hr_stats_loop) { (uint32_t)child, 7 };
		assert_false(rt_beat_hangs(&beat, &file, child, 30));
		for (int look = 0; look < (rows[i].hangs ? 500 : 10) && !hangs; look++) {
			usleep(20000);
			file.loops[3].turn += rows[i].gets_on ? 2 : 0;
			hangs = rt_beat_hangs(&beat, &file, child, 30);
		}
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		if (hangs != rows[i].hangs)
			fail_msg("row '%s'", rows[i].what);
		file.loops[3].turn &= ~1u; /* between two requests */
		assert_false(rt_beat_hangs(&beat, &file, child, 0));
	}
}

/* G2: a third hang within ten minutes is one too many; what was long ago does not count. */
static void what_happens_too_often(void **state)
{
	static const struct {
		const char *what;
		size_t most;
		uint64_t window_ms, at_ms[12]; /* all but the last are fine */
		bool too_often;
	} rows[] = {
		{ "the first", 1, 100, { 5 }, false },
		{ "the second of one", 1, 100, { 5, 104 }, true },
		{ "the second when the first is old", 1, 100, { 5, 105 }, false },
		{ "the third of two", 2, 100, { 5, 60, 104 }, true },
		{ "the third when the first is old", 2, 100, { 5, 60, 105 }, false },
		{ "the fourth when two are old", 2, 100, { 5, 60, 105, 160 }, false },
		{ "the fourth when one is old", 2, 100, { 5, 60, 105, 159 }, true },
		{ "after a turn of the ring",
		  3,
		  9,
		  { 1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 34 },
		  false },
		{ "likewise", 3, 9, { 1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 33 }, true },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_often o = { 0 };
		size_t n = 0;

		while (n + 1 < HR_COUNT(rows[i].at_ms) && rows[i].at_ms[n + 1] > 0)
			if (rt_often(&o, rows[i].most, rows[i].window_ms, rows[i].at_ms[n++]))
				fail_msg("row '%s', time %zu", rows[i].what, n);
		if (rt_often(&o, rows[i].most, rows[i].window_ms, rows[i].at_ms[n]) !=
		    rows[i].too_often)
			fail_msg("row '%s'", rows[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers_that_hang),
		cmocka_unit_test(what_happens_too_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
