/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rank's side of a session: find it or start it, and receive what is needed to enter.
 *
 * Sequence: rt_joined_init, rt_session_join, then rt_enter (enter.h), or rt_joined_release.
 */
#ifndef RT_JOIN_H
#define RT_JOIN_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/params.h"
#include "runtime/plan.h"
#include "runtime/spaces.h"
#include "util/err.h"

struct rt_joined {
	int sock; /* open until the program ends: that is how the session knows */
	int user_ns, mnt_ns;
	int spaces[RT_SPACES_MAX]; /* in the order of spaces.h, -1 behind the last */
	int place, params_fd;	   /* done with; rt_enter closes all descriptors in one call */
	uint8_t *bytes;		   /* of params */
	struct rt_params params;
	bool quiet; /* after a failure: another rank of the step has said it */
	bool told;  /* the user has read why it failed */
};

/*
 * Join the session that plan->key names, and start it first if nobody has. Any number of ranks may
 * do this at the same time; each of them, and the session, may be killed at any point.
 *
 * Waits as long as the session lives and works on its start. Pulls the image (pull.h) when the
 * session asks for it.
 * Owns:    *J; rt_joined_release, also after an error.
 * Errors:  what the session reports; HR_SYS.
 */
int rt_session_join(const struct rt_plan *plan, struct rt_joined *j, struct hr_err *e) HR_MUST_USE;
void rt_joined_init(struct rt_joined *j);
void rt_joined_release(struct rt_joined *j);

#endif
