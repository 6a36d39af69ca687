/* SPDX-License-Identifier: BSD-3-Clause */
/* Time since the node was booted: for what has passed, not for when. Threads: any. */
#ifndef HR_CLOCK_H
#define HR_CLOCK_H

#include <stdint.h>

uint64_t hr_now_us(void);
uint64_t hr_now_ms(void);

#endif
