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

#include "util/err.h"

/*
 * Empty the effective, permitted, inheritable and ambient sets (FAKEROOT: keep the list in caps.c),
 * see to it that no exec fills them again, and set no_new_privs.
 */
int rt_caps_drop(bool fakeroot, struct hr_err *e) HR_MUST_USE;

/* Let the next exec keep all capabilities that this process has, whatever its user id is. */
int rt_caps_keep(struct hr_err *e) HR_MUST_USE;

/* Install a filter of BYTES bytes (struct sock_filter[]). Needs no_new_privs. */
int rt_seccomp_install(const void *filter, size_t bytes, struct hr_err *e) HR_MUST_USE;

#endif
