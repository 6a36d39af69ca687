/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Completion of command lines in shells, out of the option tables (opt.h): there is no second list.
 *
 * For: the verb "completion" of the programs that have verbs. A script in the shell hands over the
 * words of the line; what comes back are candidates, one a line, and perhaps a line ":files" or
 * ":dirs", which the shell knows best.
 */
#ifndef HR_COMPLETE_H
#define HR_COMPLETE_H

#include <stdio.h>

#include "util/opt.h"

/* What a word may be, besides the candidates that are printed. */
enum hr_complete {
	HR_COMPLETE_NOTHING,
	HR_COMPLETE_FILES,
	HR_COMPLETE_DIRS,
	HR_COMPLETE_IMAGES,
	HR_COMPLETE_KEYS /* of hpcrun.conf */
};

/*
 * Print to F what the last of the N WORDS behind the verb of CMD can become: options, values of
 * options. N is at least 1; the last word may be empty.
 *
 * Returns what else it can be. *from receives where in the last word that begins: behind "--x=".
 */
enum hr_complete hr_cmd_complete(FILE *f, const struct hr_cmd *cmd, int n, char **words,
				 const char **from);

/* Print PREFIX and WORD as one candidate if WORD begins with what the user typed of it. */
void hr_complete_add(FILE *f, const char *prefix, const char *typed, const char *word);

/* Print the line that asks the shell for files or directories; nothing for the others. */
void hr_complete_shell(FILE *f, enum hr_complete what);

#endif
