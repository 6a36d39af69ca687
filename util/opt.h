/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The option-table engine: one table per verb is all there is to know about its command line.
 *
 * For: parsing, --help, shell completion and the man-page check, all from `struct hr_cmd`.
 * Not for: policy (runtime/plan.c decides what options mean together).
 *
 * Sequence: a verb declares a table with HR_OPT_* over its own args struct and a `struct hr_cmd`;
 * main calls hr_cmd_run(), which parses into a zeroed args struct and calls .main.
 *
 * Grammar: --name VALUE, --name=VALUE (the only form when the value may be left out), -n VALUE,
 * -nVALUE, --flag=yes or no, bundled flags -vq, "--" ends options. An option given twice: the last
 * wins; lists collect; counters count. -h and --help are always there.
 *
 * A verb with an env_prefix takes its options from variables and files, too (optsrc.h).
 */
#ifndef HR_OPT_H
#define HR_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/err.h"
#include "util/mem.h"

enum hr_opt_kind {
	HR_OPT_KIND_END,
	HR_OPT_KIND_FLAG,  /* bool */
	HR_OPT_KIND_COUNT, /* unsigned int, one more each time */
	HR_OPT_KIND_STR,   /* const char *, borrowed from argv */
	HR_OPT_KIND_WORD,  /* the same, as --name=VALUE only; --name alone is values[0] */
	HR_OPT_KIND_U64,   /* uint64_t with bounds */
	HR_OPT_KIND_SIZE,  /* uint64_t with bounds, K M G T accepted */
	HR_OPT_KIND_LIST,  /* struct hr_strv */
	HR_OPT_KIND_ENUM   /* int, the index into values[] */
};

struct hr_opt {
	enum hr_opt_kind kind;
	char letter;	   /* 0: no short form */
	const char *name;  /* without the dashes */
	const char *value; /* what --help calls the value; NULL for flags */
	const char *help;  /* one line, lower case, no full stop */
	size_t offset;
	uint64_t min, max;	   /* U64, SIZE */
	const char *const *values; /* ENUM, STR (or NULL), NULL-ended; WORD: one */
};

#define HR_OPT_MEMBER_(type, args, member)                                                         \
	(offsetof(args, member) + 0 * sizeof(_Generic(&((args *)NULL)->member, type * : 1)))
#define HR_OPT_FLAG(l, n, args, m, h)                                                              \
	{                                                                                          \
		HR_OPT_KIND_FLAG, l, n, NULL, h, HR_OPT_MEMBER_(bool, args, m), 0, 0, NULL         \
	}
#define HR_OPT_COUNT(l, n, args, m, h)                                                             \
	{                                                                                          \
		HR_OPT_KIND_COUNT, l, n, NULL, h, HR_OPT_MEMBER_(unsigned int, args, m), 0, 0,     \
			NULL                                                                       \
	}
#define HR_OPT_STR(l, n, v, args, m, h)                                                            \
	{                                                                                          \
		HR_OPT_KIND_STR, l, n, v, h, HR_OPT_MEMBER_(const char *, args, m), 0, 0, NULL     \
	}
/* A string of which these values are the usual ones: for completion, the parser takes any. */
#define HR_OPT_STR_OF(l, n, v, args, m, vals, h)                                                   \
	{                                                                                          \
		HR_OPT_KIND_STR, l, n, v, h, HR_OPT_MEMBER_(const char *, args, m), 0, 0, vals     \
	}
#define HR_OPT_WORD(n, v, args, m, alone, h)                                                       \
	{                                                                                          \
		HR_OPT_KIND_WORD, 0, n, v, h, HR_OPT_MEMBER_(const char *, args, m), 0, 0, alone   \
	}
#define HR_OPT_U64(l, n, v, args, m, lo, hi, h)                                                    \
	{                                                                                          \
		HR_OPT_KIND_U64, l, n, v, h, HR_OPT_MEMBER_(uint64_t, args, m), lo, hi, NULL       \
	}
#define HR_OPT_SIZE(l, n, v, args, m, lo, hi, h)                                                   \
	{                                                                                          \
		HR_OPT_KIND_SIZE, l, n, v, h, HR_OPT_MEMBER_(uint64_t, args, m), lo, hi, NULL      \
	}
#define HR_OPT_LIST(l, n, v, args, m, h)                                                           \
	{                                                                                          \
		HR_OPT_KIND_LIST, l, n, v, h, HR_OPT_MEMBER_(struct hr_strv, args, m), 0, 0, NULL  \
	}
#define HR_OPT_ENUM(l, n, v, args, m, vals, h)                                                     \
	{                                                                                          \
		HR_OPT_KIND_ENUM, l, n, v, h, HR_OPT_MEMBER_(int, args, m), 0, 0, vals             \
	}
#define HR_OPT_END                                                                                 \
	{                                                                                          \
		HR_OPT_KIND_END, 0, NULL, NULL, NULL, 0, 0, 0, NULL                                \
	}

/* An option that other programs have, and what does it here. */
struct hr_foreign {
	const char *name; /* without dashes, or a letter; NULL ends the table */
	const char *ours; /* for "'--name' is OURS here" */
};

/* The variable in which the front door tells the programs that it becomes where it is itself. */
#define HR_FRONT_VAR "HPCRUN_FRONT_DOOR"

struct hr_cmd {
	const char *name;     /* of one in a group with the group's: "store sync" */
	const char *operands; /* "IMAGE [COMMAND [ARG]...]", or "" */
	const char *summary;  /* one line, lower case, no full stop */
	const char *more;     /* further text for --help, lines of at most 80 columns, or NULL */
	const struct hr_opt *opts;
	const struct hr_opt
		*common; /* options shared by several verbs, same args struct, or NULL */
	size_t args_size;
	const struct hr_foreign *foreign; /* or NULL: for hints alone, none of these is accepted */
	const char *env_prefix; /* "HPCRUN_": options are also variables, "--a-b" as HPCRUN_A_B */
	const char *const *env_own;	/* options whose variable somebody else reads; NULL-ended */
	int min_operands, max_operands; /* max -1: any number */
	bool stop_at_operand;		/* the first operand ends the options */
	/*
	 * Do the verb's work; the exit status, or -1 with *e filled. ARGS is the parsed struct; it
	 * and the operands live until main returns. argv[argc] is NULL.
	 */
	int (*main)(void *args, int argc, char **argv, struct hr_err *e);
	/*
	 * A group of verbs, NULL-ended: the first operand chooses, and only .name and .summary of
	 * the group itself are used. NULL: a verb of its own.
	 */
	const struct hr_cmd *const *group;
};

/*
 * Parse ARGV behind the verb (argv[0] is the first word after it) and run the verb.
 *
 * PROGRAM is "hpcrun"; help and usage errors name it and the verb.
 * Errors:  HR_USAGE: unknown option (the nearest known one in the hint), missing or surplus
 *          operand, bad value. --help prints to stdout and returns 0.
 * Owns:    lists inside args are released afterwards.
 */
int hr_cmd_run(const char *program, const struct hr_cmd *cmd, int argc, char **argv,
	       struct hr_err *e);

/* Free the lists in ARGS. */
void hr_opt_release(const struct hr_cmd *cmd, void *args);

/*
 * For optsrc.c. Parse the words of ARGV into ARGS without looking at the number of operands, *N;
 * 1: help is asked for.
 */
int hr_opt_words(const char *program, const struct hr_cmd *cmd, void *args, int argc, char **argv,
		 int *n, struct hr_err *e) HR_MUST_USE;
/* The I-th option of the verb, NULL behind the last; the one of that name, or letter, or NULL. */
const struct hr_opt *hr_opt_at(const struct hr_cmd *cmd, size_t i);
const struct hr_opt *hr_opt_long(const struct hr_cmd *cmd, const char *name, size_t len);
const struct hr_opt *hr_opt_letter(const struct hr_cmd *cmd, char letter);
/* A value must follow. */
bool hr_opt_takes_value(const struct hr_opt *o);
/*
 * Set option O in ARGS. VALUE is borrowed; NULL: the option was given without one. WHAT names the
 * option in messages, as the user wrote it.
 *
 * Errors:  HR_USAGE.
 */
int hr_opt_set(const struct hr_opt *o, void *args, const char *value, const char *what,
	       struct hr_err *e) HR_MUST_USE;
/* Fail for want of an option --NAME, with the nearest known one as hint; -1. */
int hr_opt_unknown(const char *program, const struct hr_cmd *cmd, const char *name, size_t len,
		   struct hr_err *e);

/* Hint at the form of the command line. */
void hr_opt_hint_usage(const char *program, const struct hr_cmd *cmd, struct hr_err *e);

/*
 * Write what OPTS say of ARGS as words, "--name=VALUE", which parse to the same: for handing
 * options on to another program. An ENUM's first value goes
 * without saying. COUNT and numbers are not supported.
 */
void hr_opt_unparse(const struct hr_opt *opts, const void *args, struct hr_strv *out);

/* The word that chooses CMD in its group: the last of its name. Borrowed. */
const char *hr_cmd_word(const struct hr_cmd *cmd);

/* Print the help of one verb; fits 80 columns. */
void hr_cmd_help(FILE *f, const char *program, const struct hr_cmd *cmd);

/* The entry of a NULL-ended table that WORD comes nearest to, or NULL if nothing is near; for
 * hints. */
const char *hr_nearest(const char *word, const char *const *known);
/* Hint at it: "did you mean 'NEAREST'?"; nothing if nothing is near. */
void hr_hint_nearest(const char *word, const char *const *known, struct hr_err *e);

#endif
