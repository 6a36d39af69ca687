/* SPDX-License-Identifier: BSD-3-Clause */
/* Every verb of hpcrun: those that run here have a table of their own, the others are in programs.
 */
#ifndef RT_VERBS_H
#define RT_VERBS_H

#include "util/opt.h"

struct rt_verb {
	const char *name, *summary;
	const struct hr_cmd *cmd;
	const char *program; /* in libexec, where CMD is NULL */
};
extern const struct rt_verb rt_verbs[]; /* a row without a name ends them */

/* The verb called WORD, or NULL. */
const struct rt_verb *rt_verb_find(const char *word);
/* The verb that WORD is another name of, for users of other programs, or NULL. */
char *rt_verb_alias(const char *word);
/* The verb that WORD could be a misspelling of, or NULL. */
const char *rt_verb_near(const char *word);

/*
 * A verb of other programs that there is not here: say what does the same. 0 when WORD is none;
 * else -1 with HR_USAGE.
 */
int rt_verb_foreign(const char *word, struct hr_err *e);

/* Become PROGRAM of libexec with the words ARGV, of which the first is replaced. Errors: HR_SYS. */
int rt_verb_exec(const char *program, char **argv, struct hr_err *e);

#endif
