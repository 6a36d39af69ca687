/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seccomp profiles in JSON, as Docker and podman ship them, or the seccomp object of an OCI runtime
 * configuration. Pure: which rules hold on this machine is decided here, none is compiled.
 *
 * Sequence: rt_profile_parse; rt_seccomp_compile (seccomp.h) takes the rules; rt_profile_release.
 */
#ifndef RT_PROFILE_H
#define RT_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/mem.h"

#define RT_PROFILE_FILE_MAX (1 << 20)
#define RT_PROFILE_ARGS_MAX 6

/* An action and a comparison by their numbers in libseccomp. */
struct rt_profile_arg {
	unsigned int index;
	int op;
	uint64_t value, value_two;
};

struct rt_profile_rule {
	struct hr_strv names;
	uint32_t action;
	struct rt_profile_arg args[RT_PROFILE_ARGS_MAX];
	size_t n_args;
};

struct rt_profile {
	uint32_t action; /* of all that no rule is about */
	struct rt_profile_rule *v;
	size_t n;
};

/* What a rule's "includes" and "excludes" are about. */
struct rt_profile_facts {
	uint64_t caps;	    /* that programs have */
	const char *arch;   /* "amd64", as Go names it */
	unsigned int major; /* of the kernel */
	unsigned int minor;
};

/*
 * Parse N bytes.
 *
 * Bounds:  N <= RT_PROFILE_FILE_MAX. Unknown members, actions and comparisons are refused, and so
 *          is what needs a supervisor (SCMP_ACT_NOTIFY, listenerPath). Names of system calls are
 *          taken as they are.
 * Owns:    *OUT; rt_profile_release, also after an error.
 * Errors:  HR_CORRUPT naming the member.
 * Source:  OCI runtime specification 1.1, "Linux Seccomp"; for archMap, includes and excludes the
 *          profiles of containers-common 4.
 */
int rt_profile_parse(const uint8_t *p, size_t n, const struct rt_profile_facts *facts,
		     struct rt_profile *out, struct hr_err *e) HR_MUST_USE;
void rt_profile_release(struct rt_profile *p);

#endif
