/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of an empty store in a directory of its own: *state is the struct store. */
#ifndef TESTS_UNIT_STORE_RIG_H
#define TESTS_UNIT_STORE_RIG_H

#include "store/layout.h"

/* The failure of the last MUST(). */
extern struct hr_err err;

/* CALL, which has &err as an argument, succeeds. */
#define MUST(call)                                                                                 \
	do {                                                                                       \
		err = (struct hr_err) { 0 };                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, err.text);                                       \
	} while (0)

int store_rig_setup(void **state);
int store_rig_teardown(void **state);

#endif
