/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The options that shape a container: one table and one struct, for hpcrun, which takes them from
 * the user, and for hpcrun-session, which is given the same words again. All of them are a part of
 * the session's name.
 *
 * Sequence: struct rt_shape is the first member of the arguments of both programs, with
 * rt_shape_opts as the common table; rt_shape_check before a session is looked for; the other
 * functions where a value is used. Pure: no file is touched here.
 */
#ifndef RT_SHAPE_H
#define RT_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/bind.h"
#include "util/err.h"
#include "util/mem.h"
#include "util/opt.h"

enum rt_net { RT_NET_HOST, RT_NET_NONE };

struct rt_shape {
	bool contain, ipc, pid, uts;
	const char *hostname;	  /* or NULL */
	const char *overlay;	  /* DIR[:ro], or NULL */
	const char *seccomp;	  /* a file or "off", or NULL */
	const char *uid, *gid;	  /* inside, or NULL */
	int net;		  /* enum rt_net */
	struct hr_strv tmpfs;	  /* DIR[:OPTION[,OPTION]...] */
	struct hr_strv scratch;	  /* DIR */
	struct hr_strv devices;	  /* SRC[:DST[:PERMISSIONS]], or a name of CDI */
	struct hr_strv no_mounts; /* words, with commas between */
	struct hr_strv labels;	  /* NAME=VALUE */
};
extern const struct hr_opt rt_shape_opts[];

/* Errors: HR_USAGE naming the option, its value and what is wrong. */
int rt_shape_check(const struct rt_shape *s, struct hr_err *e) HR_MUST_USE;

/* WORD, a name as "home" or an absolute path, is in --no-mount. */
bool rt_shape_left_out(const struct rt_shape *s, const char *word);

/*
 * Append a file system in memory: --tmpfs DIR[:size=SIZE,mode=MODE].
 *
 * Errors:  HR_USAGE.
 */
int rt_shape_tmpfs(const char *spec, struct rt_binds *l, struct hr_err *e) HR_MUST_USE;

/* The session changes something that no other may change: --overlay without ":ro". */
bool rt_shape_keeps_changes(const struct rt_shape *s);

/* The id that TEXT, which was checked, or is NULL, says; else that of the CALLER. */
unsigned int rt_shape_id(const char *text, unsigned int caller);

/* SPEC of --device is a name of CDI, VENDOR/CLASS=NAME: for --gpu. */
bool rt_shape_is_cdi(const char *spec);
/* Append a device, SRC[:DST[:rwm]], for binding. Errors: HR_USAGE. */
int rt_shape_device(const char *spec, struct rt_binds *l, struct hr_err *e) HR_MUST_USE;

/* Parse all of S as an octal number up to MAX. Errors: HR_USAGE naming WHAT. */
int rt_parse_octal(const char *s, const char *what, unsigned int max, unsigned int *out,
		   struct hr_err *e) HR_MUST_USE;

#endif
