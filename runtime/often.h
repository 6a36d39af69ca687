/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether something happens more often than it may: what is remembered of the last times. */
#ifndef RT_OFTEN_H
#define RT_OFTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RT_OFTEN_MAX 8

struct rt_often {
	uint64_t at_ms[RT_OFTEN_MAX]; /* a ring */
	size_t n;		      /* of all times that were counted */
};

/*
 * It happens again, at NOW_MS: true, and not counted, when it has happened MOST times within the
 * last WINDOW_MS already. MOST is 1 to RT_OFTEN_MAX, and always the same for O.
 */
bool rt_often(struct rt_often *o, size_t most, uint64_t window_ms, uint64_t now_ms);

#endif
