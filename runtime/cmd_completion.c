/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/cmd_completion.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/cmd_run.h"
#include "runtime/completion_scripts.h"
#include "runtime/verbs.h"
#include "util/cleanup.h"
#include "util/complete.h"
#include "util/poison.h"

static const char store_program[] = "hpcrun-store";

static const struct hr_opt completion_opts[] = { HR_OPT_END };

/* Go on in the program that knows stores: WORDS are of a verb of its own, or end with an image. */
static int ask_store(bool image, int n, char **words, struct hr_err *e)
{
	static char verb[] = "completion", option[] = "--image", end[] = "--";
	hr_autofree char **argv = hr_xmalloc(((size_t)n + 5) * sizeof(*argv));
	int at = 1;

	if (fflush(stdout) == EOF)
		return hr_fail(e, HR_SYS, errno, "cannot write to standard output");
	argv[at++] = verb;
	if (image)
		argv[at++] = option;
	argv[at++] = end;
	memcpy(argv + at, words, (size_t)n * sizeof(*words));
	return rt_verb_exec(store_program, argv, e);
}

/* What is behind a verb that runs here; "hpcrun IMAGE" is one. */
static int complete_here(const struct hr_cmd *cmd, int n, char **words, struct hr_err *e)
{
	const char *from;
	enum hr_complete what = hr_cmd_complete(stdout, cmd, n, words, &from);

	hr_complete_shell(stdout, what);
	return what == HR_COMPLETE_IMAGES ? ask_store(true, n, words, e) : 0;
}

static void complete_verb(const char *typed)
{
	for (const struct rt_verb *v = rt_verbs; v->name; v++)
		hr_complete_add(stdout, "", typed, v->name);
}

/* The first word: a verb, or an image, or an option of "run". */
static int complete_first(char **words, struct hr_err *e)
{
	const char *typed = words[0];

	complete_verb(typed);
	hr_complete_add(stdout, "", typed, "help");
	hr_complete_add(stdout, "", typed, "--version");
	/* all verbs and all images would be too much to read */
	return typed[0] ? complete_here(&rt_cmd_run, 1, words, e) : 0;
}

static int complete_words(int n, char **words, struct hr_err *e)
{
	char *alias = n > 0 ? rt_verb_alias(words[0]) : NULL;
	const struct rt_verb *v;

	if (alias)
		words[0] = alias;
	v = n > 0 ? rt_verb_find(words[0]) : NULL;
	if (n < 2)
		return n == 1 ? complete_first(words, e) : 0;
	if (strcmp(words[0], "help") == 0) {
		if (n == 2)
			complete_verb(words[1]);
		return 0;
	}
	if (!v)
		return complete_here(&rt_cmd_run, n, words, e);
	return v->cmd ? complete_here(v->cmd, n - 1, words + 1, e) : ask_store(false, n, words, e);
}

static int completion_main(void *args, int argc, char **argv, struct hr_err *e)
{
	(void)args;
	if (strcmp(argv[0], "words") == 0)
		return complete_words(argc - 1, argv + 1, e);
	if (argc > 1)
		return hr_fail(e, HR_USAGE, 0, "hpcrun completion: surplus operand '%s'", argv[1]);
	if (strcmp(argv[0], "bash") == 0)
		fputs(bash_script, stdout);
	else if (strcmp(argv[0], "zsh") == 0)
		fputs(zsh_script, stdout);
	else
		return hr_fail(e, HR_USAGE, 0, "there is no completion for '%s': bash, zsh",
			       argv[0]);
	return fflush(stdout) == EOF ? hr_fail(e, HR_SYS, errno, "cannot write to standard output")
				     : 0;
}

const struct hr_cmd rt_cmd_completion = {
	.name = "completion",
	.operands = "bash|zsh",
	.summary = "print the script that completes words in a shell",
	.more = "For a shell that is running: . <(hpcrun completion bash)\n"
		"Installed in the system's own places, hpcrun needs nothing of it.",
	.opts = completion_opts,
	.min_operands = 1,
	.max_operands = -1,
	.main = completion_main,
	.stop_at_operand = true,
};
