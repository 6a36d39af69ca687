/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options from elsewhere than the command line: variables named after them, and files.
 *
 * The one table of a verb (opt.h) is also that of its variables and of the lines of its options
 * files: option --a-b of a verb with env_prefix "HPCRUN_" is the variable HPCRUN_A_B. The command
 * line counts before variables, these before files; lists are put together in the opposite order.
 * Not for: hpcrun.conf (conf.h), which is the site's and is read by other programs.
 */
#ifndef HR_OPTSRC_H
#define HR_OPTSRC_H

#include "util/opt.h"

#define HR_OPTSRC_FILE	   "options"  /* the option, a list, that names files */
#define HR_OPTSRC_FILE_MAX (1u << 20) /* bytes of one */

/*
 * Set in ARGS what the files and the variables say, before ARGV, which is only looked at for names
 * of files, is parsed. Nothing happens for a verb without an env_prefix.
 *
 * Owns:    TEXTS keeps what ARGS borrows.
 * Errors:  HR_USAGE naming the variable, or the file and the line; HR_NOTFOUND, HR_SYS for a file
 *          that cannot be read.
 */
int hr_optsrc_load(const char *program, const struct hr_cmd *cmd, void *args, int argc, char **argv,
		   struct hr_strv *texts, struct hr_err *e) HR_MUST_USE;

/* One line of an options file. */
struct hr_optsrc_line {
	const char *name;  /* of one character: the letter of an option; else without dashes */
	const char *value; /* NULL: none */
};

/*
 * Take TEXT, NUL-ended, apart in place and call EACH for every line that holds an option: as typed
 * ("--name VALUE", "--name=VALUE", "-n VALUE", "--flag") or "name = VALUE", "flag". Blanks around a
 * value do not belong to it; nothing is unquoted. Empty lines and those that begin with '#' are
 * skipped. Pure.
 *
 * Errors:  HR_USAGE naming NAME and the line; what EACH returns.
 */
int hr_optsrc_parse(char *text, const char *name,
		    int (*each)(void *arg, const struct hr_optsrc_line *line, struct hr_err *e),
		    void *arg, struct hr_err *e) HR_MUST_USE;

/*
 * The first variable of ENVIRON from the I-th on that is none of CMD's nor of OTHERS (NULL-ended,
 * without the prefix) but almost is one: its index, with the right name in *NEAR (the caller
 * frees); -1: none.
 */
int hr_optsrc_misspelt(const struct hr_cmd *cmd, const char *const *others, char *const *environ_,
		       int i, char **near);

#endif
