/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One hook of the site, as its JSON file describes it, and whether a session wants it. Pure.
 *
 * Sequence: rt_hook_parse; rt_hook_matches; hooks.h runs it; rt_hook_release.
 */
#ifndef RT_HOOK_H
#define RT_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/mem.h"

#define RT_HOOK_FILE_MAX  65536
#define RT_HOOK_TIMEOUT_S 60 /* when the file gives none: a start must not hang for ever */

/* In the order of the OCI runtime specification's life cycle. */
enum rt_hook_stage {
	RT_HOOK_CREATE_RUNTIME,	  /* namespaces and mounts made; in the host's namespaces */
	RT_HOOK_CREATE_CONTAINER, /* the same moment; in the container's namespaces, host paths */
	RT_HOOK_START_CONTAINER,  /* inside, before the first program */
	RT_HOOK_POSTSTOP,	  /* after the last one; in the host's namespaces */
	RT_HOOK_STAGES
};
extern const char *const rt_hook_stage_names[]; /* by enum rt_hook_stage, NULL-ended */

/* One pair of regular expressions that an annotation of the session must match. */
struct rt_hook_pair {
	char *key, *value;
};

struct rt_hook {
	char *path;
	struct hr_strv args; /* argv, args[0] too; empty: the path */
	struct hr_strv env;
	uint64_t timeout_s;
	bool stages[RT_HOOK_STAGES];
	/* conditions; those that are set must all hold */
	bool has_always, always, has_binds, binds;
	struct hr_strv commands;
	struct rt_hook_pair *annotations;
	size_t n_annotations;
};

/* What conditions are about. */
struct rt_hook_facts {
	const char *command;		  /* the program of the first rank, or "" */
	bool binds;			  /* --bind was given */
	const struct rt_hook_pair *pairs; /* annotations */
	size_t n_pairs;
};

/*
 * Parse N bytes of JSON.
 *
 * Bounds:  N <= RT_HOOK_FILE_MAX. Unknown members, versions and stages are refused.
 * Owns:    *OUT; rt_hook_release, also after an error.
 * Errors:  HR_CORRUPT naming the member.
 * Source:  oci-hooks(5), "1.0.0 Hook Schema".
 */
int rt_hook_parse(const uint8_t *p, size_t n, struct rt_hook *out, struct hr_err *e) HR_MUST_USE;
void rt_hook_release(struct rt_hook *h);

/*
 * 1 when all conditions hold, 0 when one does not.
 *
 * Errors:  HR_CORRUPT naming what is no regular expression.
 */
int rt_hook_matches(const struct rt_hook *h, const struct rt_hook_facts *facts,
		    struct hr_err *e) HR_MUST_USE;

#endif
