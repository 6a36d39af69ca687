/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun: the one front door. Chooses the verb; prints the failure and exits: nobody else does. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "runtime/cmd_run.h"
#include "runtime/plan.h"
#include "runtime/verbs.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/opt.h"
#include "util/poison.h"

/* With these another group of verbs begins. */
static bool begins_group(const char *verb)
{
	static const char *const first[] = { "pull", "images", "prefetch", "mpi-check", "login" };

	for (size_t i = 0; i < HR_COUNT(first); i++)
		if (strcmp(first[i], verb) == 0)
			return true;
	return false;
}

static int print_help(void)
{
	printf("usage: hpcrun [OPTION]... IMAGE [COMMAND [ARG]...]\n"
	       "       hpcrun VERB [OPTION]... [OPERAND]...\n\n"
	       "Run programs inside container images, without privilege.\n\n"
	       "examples:\n"
	       "  hpcrun debian:12 cat /etc/os-release\n"
	       "  hpcrun --bind /scratch ./app.sif solve /scratch/input\n"
	       "  srun -N 16 hpcrun --gpu registry.example/lab/app:1.0 train\n\n"
	       "verbs:\n");
	for (const struct rt_verb *v = rt_verbs; v->name; v++)
		printf("%s  %-10s  %s\n", begins_group(v->name) ? "\n" : "", v->name, v->summary);
	printf("\n'hpcrun help VERB' explains one, 'hpcrun help run' the first form, and\n"
	       "'man hpcrun-guide' how to begin. 'hpcrun doctor' checks this machine.\n"
	       "'hpcrun --version' prints the version.\n");
	return 0;
}

static int print_version(void)
{
	printf("hpcrun %s\n", PACKAGE_VERSION);
	return 0;
}

/*
 * As of rt_cmd_run, for who left the word 'run' out, or wrote it behind an option. A word that
 * could be a verb mistyped is not pulled, for somebody may have published an image under that name.
 */
static int bare_main(void *args, int argc, char **argv, struct hr_err *e)
{
	struct rt_run_args *a = args;
	const char *word = !a->image && argc > 0 ? argv[0] : "", *near = rt_verb_near(word);
	int r;

	if (rt_verb_find(word) || rt_verb_alias(word)) {
		hr_hint(e, "write 'hpcrun %s [OPTION]...'; an image of that name is '%s:latest'",
			word, word);
		return hr_fail(e, HR_USAGE, 0, "'%s' is a verb: it stands before its options",
			       word);
	}
	if (rt_verb_foreign(word, e) < 0)
		return -1;
	if (near && !a->pull)
		a->pull = rt_pull_words[RT_PULL_NEVER];
	r = rt_cmd_run.main(a, argc, argv, e);
	if (near && e->kind == HR_NOTFOUND) {
		e->hint[0] = '\0'; /* more to the point than how to pull such an image */
		hr_hint(e, "did you mean 'hpcrun %s'? else 'hpcrun run %s' pulls the image", near,
			word);
	}
	return r;
}

/* ARGV[1] is no verb: an image, or an option before one. */
static int run_image(int argc, char **argv, struct hr_err *e)
{
	struct hr_cmd bare = rt_cmd_run;

	bare.main = bare_main;
	return hr_cmd_run("hpcrun", &bare, argc - 1, argv + 1, e);
}

/*
 * hpcrun has no privilege and must not be given any: with it the environment of the caller would
 * choose programs and mounts for another user (CVE-2023-30549 and others needed just that).
 */
static int refuse_privilege(struct hr_err *e)
{
	if (getauxval(AT_UID) == getauxval(AT_EUID) && getauxval(AT_GID) == getauxval(AT_EGID) &&
	    getauxval(AT_SECURE) == 0)
		return 0;
	hr_fail(e, HR_DENIED, 0, "hpcrun refuses to run setuid, setgid or with file capabilities");
	hr_hint(e, "remove them: chmod ug-s, setcap -r");
	return -1;
}

/* A closed 0, 1 or 2 would become a descriptor of ours, and the program's standard stream. */
static int open_standard_streams(struct hr_err *e)
{
	struct pollfd p[] = { { .fd = 0 }, { .fd = 1 }, { .fd = 2 } };

	if (poll(p, HR_COUNT(p), 0) <= 0)
		return 0;
	for (size_t i = 0; i < HR_COUNT(p); i++)
		if ((p[i].revents & POLLNVAL) && open("/dev/null", O_RDWR) < 0)
			return hr_fail(e, HR_SYS, errno, "cannot open '/dev/null'");
	return 0;
}

static void resolve_alias(char **word)
{
	char *verb = rt_verb_alias(*word);

	if (verb)
		*word = verb;
}

/* Make "hpcrun help store sync" into "hpcrun store sync --help"; "hpcrun help --help" stays. */
static int ask_for_help(int argc, char **argv, struct hr_err *e)
{
	static char option[] = "--help";
	const char *word = argv[2], *near = rt_verb_near(word);

	if (word[0] == '-' || strcmp(word, "help") == 0)
		return 0;
	resolve_alias(&argv[2]);
	if (rt_verb_find(argv[2])) {
		memmove(argv + 1, argv + 2, (size_t)(argc - 2) * sizeof(*argv));
		argv[argc - 1] = option;
		return 0;
	}
	if (rt_verb_foreign(word, e) < 0)
		return -1;
	if (near)
		hr_hint(e, "did you mean 'hpcrun help %s'?", near);
	else
		hr_hint(e, "'hpcrun help' lists the verbs");
	return hr_fail(e, HR_USAGE, 0, "hpcrun has no verb '%s'", word);
}

static int dispatch(int argc, char **argv, struct hr_err *e)
{
	const struct rt_verb *verb;

	if (argc > 2 && strcmp(argv[1], "help") == 0 && ask_for_help(argc, argv, e) < 0)
		return -1;
	resolve_alias(&argv[1]);
	verb = rt_verb_find(argv[1]);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return print_help();
	if (strcmp(argv[1], "--version") == 0)
		return print_version();
	if (verb && verb->program)
		return rt_verb_exec(verb->program, argv, e);
	if (verb)
		return hr_cmd_run("hpcrun", verb->cmd, argc - 2, argv + 2, e);
	if (rt_verb_foreign(argv[1], e) < 0)
		return -1;
	return run_image(argc, argv, e);
}

int main(int argc, char **argv)
{
	struct hr_err e = { 0 };
	int r = -1;

	if (refuse_privilege(&e) == 0 && open_standard_streams(&e) == 0) {
		if (argc < 2) {
			hr_fail(&e, HR_USAGE, 0, "no image and no verb given");
			hr_hint(&e, "'hpcrun debian:12 cat /etc/os-release' runs a program in an "
				    "image; 'hpcrun --help' lists the verbs");
		} else {
			r = dispatch(argc, argv, &e);
		}
	}
	if (e.kind != HR_OK)
		hr_err_print(&e);
	return r < 0 ? HR_EXIT_FAILED : r;
}
