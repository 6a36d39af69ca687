/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Giving up privilege before the program runs: capabilities, no_new_privs, the seccomp filter.
 *
 * Joining a user namespace gives all capabilities over it; the program gets none of them, or, as
 * root of --fakeroot, those that act on files and processes of its own.
 */
#ifndef RT_CAPS_H
#define RT_CAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Empty the effective, permitted, inheritable and ambient sets (FAKEROOT: keep the list in caps.c,
 * but for those of DROP), see to it that no exec fills them again, and set no_new_privs.
 */
int rt_caps_drop(bool fakeroot, uint64_t drop, struct hr_err *e) HR_MUST_USE;
/* What programs have then, without DROP. */
uint64_t rt_caps_of(bool fakeroot);

/* The bit of a capability, as "CAP_CHOWN" or "chown"; 0: there is none of that name. */
uint64_t rt_caps_bit(const char *name);
/* Words with commas between, or "all". Errors: HR_USAGE with the nearest name. */
int rt_caps_parse(const char *list, uint64_t *mask, struct hr_err *e) HR_MUST_USE;

/* Let the next exec keep all capabilities that this process has, whatever its user id is. */
int rt_caps_keep(struct hr_err *e) HR_MUST_USE;

/* Install a filter of BYTES bytes (struct sock_filter[]). Needs no_new_privs. */
int rt_seccomp_install(const void *filter, size_t bytes, struct hr_err *e) HR_MUST_USE;

#endif
