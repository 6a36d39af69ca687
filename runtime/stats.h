/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session's half of what is counted (util/stats.h): which session it is, the steps of its
 * start, its ranks; and how long such files are kept.
 *
 * Sequence: rt_stats_init; rt_stats_open, whose failure costs the figures and nothing else; the
 * other functions at any time between; rt_stats_end.
 */
#ifndef RT_STATS_H
#define RT_STATS_H

#include <stdint.h>

#include "runtime/view.h"
#include "util/stats.h"

struct rt_stats {
	int fd;		       /* of the file, for the server; -1: none */
	struct hr_stats *file; /* mapped */
	struct hr_stats own;   /* what FILE points to when there is no file */
};

void rt_stats_init(struct rt_stats *t);
/* Make the file for a session of ARGS in the directory of the sessions. Errors: HR_SYS. */
int rt_stats_open(struct rt_stats *t, const struct rt_session_args *args,
		  struct hr_err *e) HR_MUST_USE;
void rt_stats_step(struct rt_stats *t, const char *name, uint64_t at_us, uint64_t us);
void rt_stats_ready(struct rt_stats *t, uint64_t at_us);
/* One line for a user whose RANKS have ended. */
void rt_stats_summary(const struct rt_stats *t, uint32_t ranks, struct hr_buf *out);
/* STATE is HR_SESSION_FAILED or HR_SESSION_ENDED. The descriptor is closed. */
void rt_stats_end(struct rt_stats *t, enum hr_stats_state state);

/* Remove the files of sessions that are over: those older than a week, and all but the last 100. */
void rt_stats_sweep(int dir_fd);

#endif
