/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a session counts: one struct in a small file that hpcrun-session makes, maps and hands to
 * hpcrun-serve (--stats-fd), and that 'hpcrun stats' reads. What was counted outlives both, however
 * they end.
 *
 * While any of the two has the file mapped it holds an OFD lock on it, which came with the
 * descriptor: a session whose file is not locked is over.
 *
 * Sequence, writing: hr_stats_create() or hr_stats_map(); hr_stats_add() and its like from any
 * thread. Reading: hr_stats_parse() of the bytes of the file.
 */
#ifndef HR_STATS_H
#define HR_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define HR_STATS_MAGIC	 0x73747268u /* "hrts" */
#define HR_STATS_VERSION 3	     /* of the layout of struct hr_stats */
#define HR_STATS_STEPS	 32
#define HR_STATS_ORIGINS 16
#define HR_STATS_LOOPS	 16
#define HR_STATS_DIR	 "stats" /* in the directory of the sessions (util/rundir.h) */

/* Where the bytes that a reader got had to be brought from; memory: read in full before. */
enum hr_stats_from { HR_FROM_MEMORY, HR_FROM_CACHE, HR_FROM_STORE, HR_FROMS };

enum hr_stats_state { HR_SESSION_STARTING, HR_SESSION_READY, HR_SESSION_FAILED, HR_SESSION_ENDED };

/* Part of a start: it ended AT_US after the session began, and took US, 0 if that is not known. */
struct hr_stats_step {
	uint32_t at_us, us;
	char name[56];
};

struct hr_stats_origin {
	char name[200]; /* a path or a URL, cut */
	uint64_t requests, failures;
	uint64_t bytes; /* as they come, compressed */
};

/* A thread that answers requests; it changes TURN when it takes one, and when it is done with it.
 */
struct hr_stats_loop {
	uint32_t tid, turn; /* turn: odd while there is one; it goes on where a former server was */
};

struct hr_stats {
	uint32_t magic, version;
	/* of hpcrun-session; times in seconds since 1970, 0: not yet */
	uint64_t started, ended;
	uint64_t ready_us; /* from the start until ranks could join, 0: not yet */
	uint32_t state;	   /* enum hr_stats_state */
	uint32_t ranks_expected, ranks_joined, ranks_now; /* expected 0: unknown */
	uint32_t server_pid, server_starts;
	uint64_t server_peak; /* bytes of memory, of servers that ended */
	char image[256], manifest[80], program[64], node[64], job[32], step[32];
	uint32_t steps_n, reserved;
	struct hr_stats_step steps[HR_STATS_STEPS];
	/* of hpcrun-serve */
	struct {
		uint64_t pieces, bytes;
	} from[HR_FROMS]; /* what readers got */
	uint64_t reads;
	uint64_t waits, wait_us, wait_longest_us; /* reads of what was not in memory */
	uint64_t outages, outage_us;
	uint64_t damaged; /* chunks that broke their digest */
	uint64_t natives,
		native_bytes; /* large files given to be mounted: no read of them is seen */
	uint32_t origins_n;
	uint32_t outage_now; /* 1 while no origin answers */
	struct hr_stats_origin origins[HR_STATS_ORIGINS];
	struct hr_stats_loop loops[HR_STATS_LOOPS];
};

/*
 * Size, lock and map a new file: the struct is zeroed but for magic and version.
 *
 * Owns:    FD stays the caller's; the mapping lives until the process ends.
 * Errors:  HR_SYS, also when the file system is full: writing to the mapping cannot fail later.
 */
int hr_stats_create(int fd, struct hr_stats **out, struct hr_err *e) HR_MUST_USE;
/* Map what another process created. Errors: HR_CORRUPT another size or version; HR_SYS. */
int hr_stats_map(int fd, struct hr_stats **out, struct hr_err *e) HR_MUST_USE;

/*
 * Copy a struct out of the N bytes of a file at P.
 *
 * Numbers are as they were found; strings end, and counts lie within their arrays.
 * Errors:  HR_CORRUPT naming what is not as expected.
 */
int hr_stats_parse(const uint8_t *p, size_t n, struct hr_stats *out, struct hr_err *e) HR_MUST_USE;

/* Whether a process has the file mapped. */
bool hr_stats_in_use(int fd);

static inline void hr_stats_add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* Keep the largest. */
void hr_stats_max(uint64_t *value, uint64_t n);

/* Copy TEXT into a member of N bytes, cut. */
void hr_stats_text(char *member, size_t n, const char *text);

/*
 * The place to count what comes from NAME, a path or URL of a store: a new one, or the one of that
 * name. What would be a secret in a URL, behind a "?", is left out. When there is no place left the
 * last one is shared. Threads: one at a time.
 */
struct hr_stats_origin *hr_stats_origin(struct hr_stats *s, const char *name);

#endif
