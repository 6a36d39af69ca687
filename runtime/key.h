/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The name of a session: a digest over everything that makes two runs share a container or not.
 *
 * Sequence: struct rt_key k; rt_key_init(&k); rt_key_add... for each part; rt_key_hex(&k, text).
 * Not a cryptographic digest: all inputs are the user's own, as are all sessions it chooses from.
 */
#ifndef RT_KEY_H
#define RT_KEY_H

#include <stdint.h>

#include "runtime/plan.h"
#include "util/err.h"

struct rt_key {
	unsigned __int128 h; /* FNV-1a */
};

void rt_key_init(struct rt_key *k);
/* NAME says what VALUE is; a VALUE of NULL differs from an empty one. */
void rt_key_add(struct rt_key *k, const char *name, const char *value);
void rt_key_add_u64(struct rt_key *k, const char *name, uint64_t value);
void rt_key_hex(const struct rt_key *k, char text[RT_KEY_SIZE]);

/*
 * Digest PLAN, the user, this boot, the namespaces hpcrun runs in, the job step and the parts of
 * the environment that the session reads, into plan->key.
 *
 * Errors:  HR_SYS when /proc cannot be read.
 */
int rt_key_of_plan(struct rt_plan *plan, struct hr_err *e) HR_MUST_USE;

#endif
