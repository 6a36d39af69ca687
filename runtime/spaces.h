/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Namespaces that a container has besides those of users and mounts, if asked to: one table for who
 * makes them, who hands them over and who joins.
 *
 * Sequence: rt_spaces_make and rt_spaces_open in the builder; rt_spaces_join in a rank, with the
 * same MASK, which both have from rt_spaces_of.
 */
#ifndef RT_SPACES_H
#define RT_SPACES_H

#include "runtime/shape.h"
#include "util/err.h"

#define RT_SPACES_MAX 4

enum rt_space { RT_SPACE_IPC = 1, RT_SPACE_UTS = 2, RT_SPACE_NET = 4, RT_SPACE_PID = 8 };

unsigned int rt_spaces_of(const struct rt_shape *s);

/*
 * Make those of MASK and set them up: HOSTNAME, if it is not NULL, and the loopback interface. The
 * caller stays in its own PID namespace; its next child is the first process of the new one.
 *
 * Errors:  HR_SYS, HR_DENIED naming the namespace.
 */
int rt_spaces_make(unsigned int mask, const char *hostname, struct hr_err *e) HR_MUST_USE;

/* Open those of MASK through PROC, /proc/self, in the order of the table. Returns how many. */
int rt_spaces_open(unsigned int mask, int proc, int fds[RT_SPACES_MAX],
		   struct hr_err *e) HR_MUST_USE;

/* Join those of MASK. Of a PID namespace only children are a part from then on. */
int rt_spaces_join(unsigned int mask, const int fds[RT_SPACES_MAX], struct hr_err *e) HR_MUST_USE;

#endif
